// SPDX-License-Identifier: BSD-3-Clause
// Batches as streams over the real server: whole or cut, waited for, and in nobody's way. What the
// bytes mean is check_pull.py's.

#include "../../lib/remove_tree.h"
#include "client.h"
#include "pull_log.h"
#include "wal/reader.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_ROOM (64u << 20)
#define WAIT_TURNS 3000 // of 10 ms

static struct pull_log_fixture f;
static char dir[64], log_dir[80], socket_path[80];
static char *answer;
static size_t answer_len;

static int setup(void **state)
{
	char why[HTTP_WHY_BYTES];

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/millrace-pull-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(log_dir, sizeof(log_dir), "%s/0", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	f = (struct pull_log_fixture){0};
	f.api = (struct config_api){.consumers = 2, .consumer_ttl_ns = 3600000000000u};
	answer = malloc(ANSWER_ROOM);
	pull_log_open(&f, log_dir, 0);
	return answer != NULL ? pull_log_serve(&f, socket_path, why) : -1;
}

static int teardown(void **state)
{
	(void)state;
	if (f.http != NULL)
		pull_log_stop(&f);
	pull_log_close(&f);
	remove_tree(dir);
	free(answer);
	return 0;
}

static int get(const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "/api/v1/partitions/0/batches/%s", target);
	return client_ask(socket_path, "GET", path, "", answer, ANSWER_ROOM, &answer_len);
}

// A chunked body that ended, and didn't just stop.
static bool ended(void)
{
	return answer_len > 7 && memcmp(answer + answer_len - 7, "\r\n0\r\n\r\n", 7) == 0;
}

static uint64_t header(const char *name)
{
	const char *at = strstr(answer, name);

	assert_non_null(at);
	return strtoull(at + strlen(name) + 2, NULL, 10);
}

static uint64_t counter(const char *name)
{
	char text[64], *at;

	client_ask(socket_path, "GET", "/metrics", "", answer, ANSWER_ROOM, &answer_len);
	snprintf(text, sizeof(text), "\n%s", name);
	at = strstr(answer, text);
	assert_non_null(at);
	return strtoull(strchr(at + 1, ' '), NULL, 10);
}

static void wait_for_counter(const char *name, uint64_t value)
{
	struct timespec nap = {.tv_nsec = 10000000};

	for (int i = 0; i < WAIT_TURNS; i++) {
		if (counter(name) == value)
			return;
		nanosleep(&nap, NULL);
	}
	fail_msg("%s doesn't become %llu", name, (unsigned long long)value);
}

static void write_batches(unsigned count, uint32_t rows, uint32_t payload)
{
	for (unsigned i = 0; i < count; i++)
		pull_log_write(&f, rows, payload, true);
}

static void a_batch_is_named_in_its_headers(void **state)
{
	(void)state;
	write_batches(4, 10, 100);
	assert_int_equal(get("2"), 200);
	assert_true(ended());
	assert_int_equal(header("Millrace-Batch"), 2);
	assert_int_equal(header("Millrace-First-Seq"), 20);
	assert_int_equal(header("Millrace-End-Seq"), 30);
	assert_int_equal(header("Millrace-Next-Batch"), 3);
	assert_int_equal(get("oldest?max_batches=3"), 200);
	assert_int_equal(header("Millrace-Batch"), 0);
	assert_int_equal(header("Millrace-End-Seq"), 30);
	assert_int_equal(header("Millrace-Next-Batch"), 3);
	assert_int_equal(get("1?max_bytes=1"), 200); // one is served whatever it takes
	assert_int_equal(header("Millrace-Next-Batch"), 2);
	assert_int_equal(get("1?max_bytes=1000000"), 200);
	assert_int_equal(header("Millrace-Next-Batch"), 4);
	assert_int_equal(counter("millrace_pull_batches_total"), 1 + 3 + 1 + 3);
	assert_int_equal(counter("millrace_pull_events_total"), 80);
}

static void what_is_not_there_is_told(void **state)
{
	static const char *const bad[] = {"x", "-1", "18446744073709551615", "0?wait=61s",
		"0?wait=x", "0?max_batches=0", "0?max_batches=1001", "0?max_bytes=x"};

	(void)state;
	assert_int_equal(get("oldest"), 404);
	pull_log_write(&f, 3, 8, false);
	assert_int_equal(get("0"), 404);
	assert_non_null(strstr(answer, "not sealed yet"));
	assert_int_equal(get("0?wait=50ms"), 204);
	write_batches(1, 3, 8);
	assert_int_equal(get("0"), 200);
	assert_int_equal(header("Millrace-End-Seq"), 6);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(get(bad[i]), 400);
	assert_int_equal(client_ask(socket_path, "GET", "/api/v1/partitions/1/batches/0", "",
				 answer, ANSWER_ROOM, &answer_len),
		404);
	assert_int_equal(client_ask(socket_path, "PUT", "/api/v1/partitions/0/batches/0", "",
				 answer, ANSWER_ROOM, &answer_len),
		405);
}

static int begin_to_wait(const char *target)
{
	char path[256];
	int fd = client_dial(socket_path);

	snprintf(path, sizeof(path), "/api/v1/partitions/0/batches/%s", target);
	client_send(fd, "GET", path, "");
	return fd;
}

static void a_batch_is_waited_for(void **state)
{
	char first[16] = "";
	int fds[3];

	(void)state;
	write_batches(1, 3, 8);
	for (int i = 0; i < 3; i++)
		fds[i] = begin_to_wait("1?wait=60s");
	wait_for_counter("millrace_http_waiting_requests", 3);
	close(fds[2]); // who goes away is noticed
	wait_for_counter("millrace_http_waiting_requests", 2);
	write_batches(1, 3, 8);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(client_read(fds[i], first, sizeof(first) - 1), sizeof(first) - 1);
		assert_memory_equal(first, "HTTP/1.1 200", 12);
		close(fds[i]);
	}
	wait_for_counter("millrace_http_waiting_requests", 0);
	assert_int_equal(counter("millrace_pull_waits_total"), 3);
}

static void who_waits_is_let_go_at_a_stop(void **state)
{
	int fd = begin_to_wait("0?wait=60s");
	char byte;

	(void)state;
	wait_for_counter("millrace_http_waiting_requests", 1);
	pull_log_stop(&f);
	assert_int_equal(client_read(fd, &byte, 1), 0);
	close(fd);
}

// Nobody of these ever reads: their sockets' buffers are full soon.
static void who_reads_slowly_holds_nobody_up(void **state)
{
	int fds[20];

	(void)state;
	write_batches(30, 100, 1000);
	for (int i = 0; i < 20; i++)
		fds[i] = begin_to_wait("0?max_batches=30");
	wait_for_counter("millrace_pull_streams", 20);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(get("0?max_batches=30"), 200);
		assert_true(ended());
	}
	for (int i = 0; i < 20; i++)
		close(fds[i]);
	wait_for_counter("millrace_pull_streams", 0);
}

static void only_so_many_read_at_once(void **state)
{
	int fds[64];

	(void)state;
	write_batches(30, 100, 1000);
	for (int i = 0; i < 64; i++)
		fds[i] = begin_to_wait("0?max_batches=30");
	wait_for_counter("millrace_pull_streams", 64);
	assert_int_equal(get("0"), 503);
	for (int i = 0; i < 64; i++)
		close(fds[i]);
	wait_for_counter("millrace_pull_streams", 0);
}

// Turns a byte of the block in the middle of the first segment, which is closed by now.
static void damage(uint64_t offset)
{
	struct wal_segment_file *files;
	unsigned count;
	char path[160];
	uint8_t byte;
	int fd;

	assert_int_equal(wal_list_segments(log_dir, &files, &count), 0);
	assert_true(count > 1);
	snprintf(path, sizeof(path), "%s/%s", log_dir, files[0].name);
	free(files);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

static void a_damaged_batch_is_cut_and_never_ends(void **state)
{
	(void)state;
	write_batches(20, 100, 1000);
	damage(5 * (108 << 10));
	assert_int_equal(get("0?max_batches=20"), 200);
	assert_true(answer_len > 100000); // some of it came
	assert_false(ended());
	assert_int_equal(counter("millrace_pull_cut_streams_total"), 1);
	assert_int_equal(counter("millrace_pull_batches_total"), 0);
	assert_int_equal(get("0"), 200); // what is whole is served
	assert_true(ended());
	assert_int_equal(get("19"), 200);
	assert_true(ended());
}

static void an_old_client_gets_no_stream(void **state)
{
	static const char request[] = "GET /api/v1/partitions/0/batches/0 HTTP/1.0\r\n\r\n";
	int fd = client_dial(socket_path);
	ssize_t n;

	(void)state;
	write_batches(1, 3, 8);
	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	n = client_read(fd, answer, 4096);
	assert_true(n > 0);
	answer[n] = '\0';
	assert_non_null(strstr(answer, " 505 "));
	close(fd);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_batch_is_named_in_its_headers),
		WITH(what_is_not_there_is_told),
		WITH(a_batch_is_waited_for),
		WITH(who_waits_is_let_go_at_a_stop),
		WITH(who_reads_slowly_holds_nobody_up),
		WITH(only_so_many_read_at_once),
		WITH(a_damaged_batch_is_cut_and_never_ends),
		WITH(an_old_client_gets_no_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
