// SPDX-License-Identifier: BSD-3-Clause

#include "http/pool.h"
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/millrace-http-XXXXXX";
static char path[64];
static struct http *http;

static void serve_number(const struct http_request *req, struct http_reply *reply, void *arg)
{
	uint64_t n = 7;

	(void)arg;
	if (!http_query_u64(req, "n", 1000, &n, reply))
		return;
	reply->schema = "millrace.number/1";
	reply->data = json_integer((json_int_t)n);
}

static const struct http_route routes[] = {{"/number", serve_number, NULL}, {0}};

static int setup(void **state)
{
	(void)state;
	return http_start(&http, path, "test", routes);
}

static int teardown(void **state)
{
	(void)state;
	http_stop(http);
	http = NULL;
	return access(path, F_OK) == 0 ? -1 : 0; // the socket is removed
}

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 4}; // below the server's own timeout
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

// Sends the request, reads until the server closes. The status, 0 when there was no answer.
static int ask(const char *request, char *answer, size_t room)
{
	int fd = dial(), status = 0;
	size_t len = 0;
	ssize_t n;

	// the server may answer and close before it has read all
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
	while (len < room - 1 && (n = read(fd, answer + len, room - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	answer[len] = '\0';
	if (sscanf(answer, "HTTP/1.1 %d", &status) != 1)
		return 0;
	return status;
}

static int get(const char *target, char *answer, size_t room)
{
	char request[512];

	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: millrace\r\nConnection: close\r\n\r\n", target);
	return ask(request, answer, room);
}

static void a_route_answers_in_the_envelope(void **state)
{
	char answer[4096];

	(void)state;
	assert_int_equal(get("/number?n=12", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\"schema\":\"millrace.number/1\""));
	assert_non_null(strstr(answer, "\"receiver\":\"test\""));
	assert_non_null(strstr(answer, "\"data\":12"));
	assert_int_equal(get("/number", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\"data\":7"));
}

static void a_bad_number_is_refused_with_its_range(void **state)
{
	static const char *const bad[] = {"", "-1", "+1", "%201", "1x", "0x1", "1001",
		"99999999999999999999", "1%00", "1%0a", "%ff", "1e2"};
	char answer[4096], target[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(target, sizeof(target), "/number?n=%s", bad[i]);
		assert_int_equal(get(target, answer, sizeof(answer)), 400);
		assert_non_null(strstr(answer, "millrace.error/1"));
	}
	assert_int_equal(get("/number?n=1001", answer, sizeof(answer)), 400);
	assert_non_null(strstr(answer, "n=1001: wants a whole number from 0 to 1000"));
}

static void an_unknown_path_names_the_known_ones(void **state)
{
	static const char *const targets[] = {"/", "/number/", "//number", "/../number", "/NUMBER",
		"/api/v1/../../etc/passwd", "/%2e%2e/number", "/%ff", "/metrics%2f"};
	char answer[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		assert_int_equal(get(targets[i], answer, sizeof(answer)), 404);
		assert_non_null(strstr(answer, "\"/number\""));
		assert_non_null(strstr(answer, "\"/metrics\""));
	}
}

static void other_methods_are_refused(void **state)
{
	char answer[4096];

	(void)state;
	assert_int_equal(ask("POST /number HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\nabc",
				 answer, sizeof(answer)),
		405);
	assert_non_null(strstr(answer, "Allow: GET, HEAD"));
	assert_int_equal(ask("BREW / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", answer,
				 sizeof(answer)),
		405);
}

static void head_gives_the_length_and_no_body(void **state)
{
	char answer[4096];

	(void)state;
	assert_int_equal(ask("HEAD /number HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n",
				 answer, sizeof(answer)),
		200);
	assert_non_null(strstr(answer, "Content-Length: "));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void a_huge_header_is_refused_and_others_are_served(void **state)
{
	static char request[256 << 10];
	char answer[8192];
	int status;

	(void)state;
	memset(request, 'x', sizeof(request) - 1);
	memcpy(request, "GET /number HTTP/1.1\r\nHost: m\r\nX: ", 34);
	status = ask(request, answer, sizeof(answer));
	assert_true(status == 0 || status == 431 || status == 413);
	memcpy(request, "GET /", 5);
	memset(request + 5, 'y', 29);
	status = ask(request, answer, sizeof(answer));
	assert_true(status == 0 || status == 414 || status == 431);
	assert_int_equal(get("/number", answer, sizeof(answer)), 200);
}

static void garbage_is_no_request(void **state)
{
	static const char *const garbage[] = {"\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02",
		"GET / HTTP/9.9\r\n\r\n", "GET /number HTTP/1.1\r\nHost\r\n\r\n",
		"GET /number HTTP/1.1\r\nHost: m\r\nContent-Length: -1\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
	char answer[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = dial();

		(void)!send(fd, garbage[i], strlen(garbage[i]), MSG_NOSIGNAL);
		close(fd);
		assert_int_equal(get("/number", answer, sizeof(answer)), 200);
	}
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define SILENT 210

static void silent_connections_keep_nobody_out(void **state)
{
	int fds[SILENT];
	char answer[4096];
	double start;

	(void)state;
	for (int i = 0; i < SILENT; i++)
		fds[i] = dial();
	start = seconds();
	assert_int_equal(get("/number", answer, sizeof(answer)), 200);
	assert_true(seconds() - start < 2.0); // no waiting for their timeout
	for (int i = 0; i < SILENT; i++)
		close(fds[i]);
}

static void clients_that_drip_or_never_read_keep_nobody_out(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: m\r\n\r\n";
	int fds[2 * SILENT];
	char answer[4096];

	(void)state;
	for (int i = 0; i < 2 * SILENT; i++) {
		fds[i] = dial();
		(void)!send(fds[i], request, i % 2 ? 1 : sizeof(request) - 1, MSG_NOSIGNAL);
	}
	for (size_t at = 1; at < 10; at++) {
		for (int i = 1; i < 2 * SILENT; i += 2)
			(void)!send(fds[i], request + at, 1, MSG_NOSIGNAL);
		assert_int_equal(get("/number", answer, sizeof(answer)), 200);
	}
	for (int i = 0; i < 2 * SILENT; i++)
		close(fds[i]);
}

static void *ask_often(void *arg)
{
	char answer[4096];
	int *bad = arg;

	for (int i = 0; i < 50; i++)
		*bad += get(i % 2 ? "/number" : "/api/v1/stats", answer, sizeof(answer)) != 200;
	return NULL;
}

static void concurrent_requests_are_all_answered(void **state)
{
	pthread_t threads[8];
	int bad[8] = {0};

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &bad[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(bad[i], 0);
	}
}

static void a_socket_that_is_served_is_not_taken(void **state)
{
	struct http *other;
	char answer[4096];

	(void)state;
	assert_int_equal(http_start(&other, path, "thief", routes), -EADDRINUSE);
	assert_int_equal(get("/number", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\"receiver\":\"test\""));
}

static void a_socket_replaced_by_another_is_left_at_stop(void **state)
{
	struct http *other;
	char moved[80];

	(void)state;
	snprintf(moved, sizeof(moved), "%s.moved", path);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(http_start(&other, path, "second", routes), 0);
	http_stop(http);
	assert_int_equal(access(path, F_OK), 0);
	http = other;
	unlink(moved);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[4096];
	struct stat st;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(http_start(&http, path, "test", routes), 0);
	assert_int_equal(get("/number", answer, sizeof(answer)), 200);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	http_stop(http);
}

static void another_kind_of_file_is_not_removed(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(http_start(&http, path, "test", routes), -ENOTSOCK);
	assert_int_equal(unlink(path), 0); // it was still there
}

static void a_path_that_fits_no_socket_is_refused(void **state)
{
	char longer[200];

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(http_start(&http, longer, "test", routes), -ENAMETOOLONG);
	assert_int_equal(http_start(&http, "", "test", routes), -EINVAL);
}

static void missing_directories_are_made(void **state)
{
	char deep[96], *at;

	(void)state;
	snprintf(deep, sizeof(deep), "%s/a/b/c.sock", dir);
	assert_int_equal(http_start(&http, deep, "test", routes), 0);
	http_stop(http);
	for (int i = 0; i < 2; i++) {
		at = strrchr(deep, '/');
		*at = '\0';
		assert_int_equal(rmdir(deep), 0);
	}
}

#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_route_answers_in_the_envelope),
		WITH_SERVER(a_bad_number_is_refused_with_its_range),
		WITH_SERVER(an_unknown_path_names_the_known_ones),
		WITH_SERVER(other_methods_are_refused),
		WITH_SERVER(head_gives_the_length_and_no_body),
		WITH_SERVER(a_huge_header_is_refused_and_others_are_served),
		WITH_SERVER(garbage_is_no_request),
		WITH_SERVER(silent_connections_keep_nobody_out),
		WITH_SERVER(clients_that_drip_or_never_read_keep_nobody_out),
		WITH_SERVER(concurrent_requests_are_all_answered),
		WITH_SERVER(a_socket_that_is_served_is_not_taken),
		WITH_SERVER(a_socket_replaced_by_another_is_left_at_stop),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(another_kind_of_file_is_not_removed),
		cmocka_unit_test(a_path_that_fits_no_socket_is_refused),
		cmocka_unit_test(missing_directories_are_made),
	};
	int ret;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/http.sock", dir);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}
