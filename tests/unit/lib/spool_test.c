// SPDX-License-Identifier: BSD-3-Clause
// A spool's files: what a crash may leave is put right, what it can't leave is refused and left
// alone.

#include "lib/spool/format.h"
#include "tests/lib/remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST "00000000000000000000.events"

static char dir[64];
static struct spool_config config;
static struct spool *sp;
static struct spool_found found;
static char why[SPOOL_TEXT];

static int setup(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	snprintf(dir, sizeof(dir), "/tmp/millrace-spool-XXXXXX");
	config = (struct spool_config){.dir = dir, .segment_bytes = 16384, .frame_bytes = 1024};
	sp = NULL;
	return mkdtemp(dir) == NULL;
}

static int teardown(void **state)
{
	(void)state;
	spool_close(sp, 0);
	return remove_tree(dir);
}

static void start(void)
{
	if (spool_open(&sp, &config, &found, why) != 0)
		fail_msg("%s", why);
}

static void refused(int error, const char *text)
{
	assert_int_equal(spool_open(&sp, &config, &found, why), error);
	if (strstr(why, text) == NULL)
		fail_msg("'%s' says nothing of '%s'", why, text);
}

static void end(uint64_t durable)
{
	spool_close(sp, durable);
	sp = NULL;
}

// As a kill leaves it: without a word at the end.
static void drop(void)
{
	char copy[sizeof(dir) + 8], command[4 * sizeof(dir)];

	snprintf(copy, sizeof(copy), "%s.copy", dir);
	snprintf(command, sizeof(command), "cp -r %s %s", dir, copy);
	assert_int_equal(system(command), 0);
	end(0);
	assert_int_equal(remove_tree(dir), 0);
	assert_int_equal(rename(copy, dir), 0);
}

static uint32_t make(uint64_t seq, uint8_t *event)
{
	uint32_t len = (uint32_t)(seq * 37 % 200);

	memset(event, (int)seq, len);
	return len;
}

static void write_events(uint64_t from, uint64_t to)
{
	uint8_t event[200];

	while (from < to) {
		uint32_t len = make(from, event);

		if (spool_add(sp, event, len))
			from++;
		else
			assert_int_equal(spool_write(sp), 0);
	}
	assert_int_equal(spool_write(sp), 0);
	assert_int_equal(spool_sync(sp), 0);
	assert_int_equal(spool_synced(sp), to);
}

static void expect_events(uint64_t from, uint64_t to)
{
	struct spool_reader *r;
	uint8_t expected[200];
	const uint8_t *event;
	uint32_t len;

	assert_int_equal(spool_reader_make(&r, sp), 0);
	for (; from < to; from++) {
		if (spool_reader_first(r, to, &event, &len, why) != 1)
			fail_msg("seq %lu: %s", (unsigned long)from, why);
		assert_int_equal(len, make(from, expected));
		assert_memory_equal(event, expected, len);
		spool_reader_next(r);
	}
	assert_int_equal(spool_reader_first(r, to, &event, &len, why), 0);
	spool_reader_free(r);
}

static int open_file(const char *name)
{
	char path[2 * sizeof(dir)];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

static off_t size_of(const char *name)
{
	int fd = open_file(name);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	return st.st_size;
}

static void flip(const char *name, off_t offset)
{
	int fd = open_file(name);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static void cut(const char *name, off_t size)
{
	int fd = open_file(name);

	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void remove_segment(uint64_t first_seq)
{
	char name[SPOOL_NAME], path[sizeof(dir) + sizeof(name) + 1];

	segment_name(name, first_seq);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static void source_and_seqs_go_on(void **state)
{
	struct send_epoch epoch;
	uint64_t source;

	(void)state;
	start();
	source = found.source;
	assert_false(found.resumed);
	assert_int_equal(found.next_seq, 0);
	write_events(0, 500);
	assert_int_equal(spool_forget(sp, 120), 0);
	epoch = (struct send_epoch){.number = 3,
		.opened = 1,
		.first_seq = 90,
		.prev_number = 1,
		.prev_seq = 80,
		.log_id = "a log",
		.prev_log = "another"};
	assert_int_equal(spool_keep_epoch(sp, &epoch), 0);
	end(130);
	start();
	assert_true(found.resumed);
	assert_int_equal(found.source, source);
	assert_int_equal(found.next_seq, 500);
	assert_int_equal(found.durable, 130);
	assert_memory_equal(&found.epoch, &epoch, sizeof(epoch));
	write_events(500, 600);
	expect_events(130, 600);
	// An epoch begins above what is durable.
	epoch.first_seq = 550;
	assert_int_equal(spool_keep_epoch(sp, &epoch), 0);
	drop();
	start();
	assert_int_equal(found.durable, 550);
	expect_events(550, 600);
}

static void what_is_durable_makes_room(void **state)
{
	uint64_t most = 0;

	(void)state;
	start();
	for (uint64_t seq = 0; seq < 20000; seq += 100) {
		write_events(seq, seq + 100);
		assert_int_equal(spool_forget(sp, seq), 0);
		most = spool_bytes(sp) > most ? spool_bytes(sp) : most;
	}
	assert_true(most < 4ull * config.segment_bytes);
	end(20000);
	start();
	assert_int_equal(found.durable, 20000);
	assert_int_equal(found.next_seq, 20000);
	assert_true(spool_bytes(sp) < 2ull * config.segment_bytes);
}

static void an_event_of_any_size_goes(void **state)
{
	uint8_t *event = calloc(1, WIRE_EVENT_MAX);
	struct spool_reader *r;
	const uint8_t *got;
	uint32_t len;

	(void)state;
	start();
	event[WIRE_EVENT_MAX - 1] = 7;
	assert_true(spool_add(sp, event, WIRE_EVENT_MAX));
	assert_false(spool_add(sp, event, WIRE_EVENT_MAX));
	assert_int_equal(spool_write(sp), 0);
	assert_true(spool_add(sp, event, 0));
	assert_int_equal(spool_write(sp), 0);
	assert_int_equal(spool_sync(sp), 0);
	drop();
	start();
	assert_int_equal(spool_reader_make(&r, sp), 0);
	assert_int_equal(spool_reader_first(r, 2, &got, &len, why), 1);
	assert_int_equal(len, WIRE_EVENT_MAX);
	assert_memory_equal(got, event, len);
	spool_reader_next(r);
	assert_int_equal(spool_reader_first(r, 2, &got, &len, why), 1);
	assert_int_equal(len, 0);
	spool_reader_free(r);
	free(event);
}

// Wherever the last write was torn.
static void a_torn_end_is_cut(void **state)
{
	off_t whole, size;

	(void)state;
	start();
	write_events(0, 30);
	whole = size_of(FIRST);
	write_events(30, 34);
	size = size_of(FIRST);
	drop();
	for (off_t at = size - 1; at >= whole; at -= 13) {
		cut(FIRST, at);
		start();
		// Without some of its padding a frame is whole.
		if (at < size - 63)
			assert_int_equal(found.next_seq, 30);
		expect_events(0, found.next_seq);
		drop();
		remove_segment(found.next_seq); // of that life
	}
}

// A frame behind it says that it was synced: it may have been sent.
static void damage_is_no_torn_end(void **state)
{
	off_t begin, size;

	(void)state;
	start();
	write_events(0, 30);
	begin = size_of(FIRST);
	write_events(30, 34);
	size = size_of(FIRST);
	write_events(34, 36);
	drop();
	for (off_t at = begin; at < size; at += 23) {
		flip(FIRST, at);
		// Of the padding nobody says anything.
		if (spool_open(&sp, &config, &found, why) == 0) {
			assert_true(at >= size - 64);
			drop();
			return;
		}
		assert_non_null(strstr(why, FIRST " is damaged at offset"));
		flip(FIRST, at);
	}
}

static void a_closed_spool_has_no_torn_end(void **state)
{
	off_t begin;

	(void)state;
	start();
	begin = size_of(FIRST);
	write_events(0, 3);
	end(0);
	flip(FIRST, begin + 70);
	refused(-EBADMSG, "damaged at offset 64");
	assert_int_equal(size_of(FIRST), size_of(FIRST));
	flip(FIRST, begin + 70);
	flip(FIRST, 3);
	refused(-EBADMSG, "damaged at offset 0");
	cut(FIRST, 0);
	refused(-EBADMSG, "empty");
}

static void damage_further_back_is_met_by_the_reader(void **state)
{
	struct spool_reader *r;
	const uint8_t *event;
	uint32_t len;
	int err;

	(void)state;
	start();
	write_events(0, 1000);
	end(0);
	flip(FIRST, 5000);
	start();
	assert_int_equal(spool_reader_make(&r, sp), 0);
	while ((err = spool_reader_first(r, 1000, &event, &len, why)) == 1)
		spool_reader_next(r);
	assert_int_equal(err, -EBADMSG);
	assert_non_null(strstr(why, FIRST " is damaged at offset"));
	spool_reader_free(r);
}

static void files_that_are_missing_are_missed(void **state)
{
	char command[8 * sizeof(dir)];

	(void)state;
	start();
	write_events(0, 1000);
	end(0);
	snprintf(command, sizeof(command), "mv %s/" FIRST " %s/away", dir, dir);
	assert_int_equal(system(command), 0);
	refused(-EBADMSG, FIRST ", or one before it, is missing");
	snprintf(command, sizeof(command), "mv %s/away %s/" FIRST "; mv %s/source %s/away", dir,
		dir, dir, dir);
	assert_int_equal(system(command), 0);
	refused(-EBADMSG, "source is missing");
	snprintf(command, sizeof(command), "mv %s/away %s/source; rm %s/*.events", dir, dir, dir);
	assert_int_equal(system(command), 0);
	refused(-EBADMSG, "has no " FIRST);
}

static void a_source_file_is_whole_or_refused(void **state)
{
	(void)state;
	start();
	write_events(0, 10);
	end(0);
	for (off_t at = 0; at < (off_t)SPOOL_SOURCE_BYTES; at++) {
		flip(SPOOL_SOURCE_NAME, at);
		assert_int_not_equal(spool_open(&sp, &config, &found, why), 0);
		assert_non_null(strstr(why, dir));
		flip(SPOOL_SOURCE_NAME, at);
	}
	flip(SPOOL_SOURCE_NAME, 8);
	refused(-ENOTSUP, "later version");
	flip(SPOOL_SOURCE_NAME, 8);
	cut(SPOOL_SOURCE_NAME, SPOOL_SOURCE_BYTES - 1);
	refused(-EBADMSG, "source is damaged");
}

static void a_directory_has_one_user(void **state)
{
	char below[2 * sizeof(dir)];
	int fd;

	(void)state;
	snprintf(below, sizeof(below), "%s/a/b", dir);
	fd = spool_lock(below);
	assert_true(fd >= 0);
	assert_int_equal(spool_lock(below), -EBUSY);
	close(fd);
	fd = spool_lock(below);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(spool_lock("/proc/nothing"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(source_and_seqs_go_on),
		TEST(what_is_durable_makes_room),
		TEST(an_event_of_any_size_goes),
		TEST(a_torn_end_is_cut),
		TEST(damage_is_no_torn_end),
		TEST(a_closed_spool_has_no_torn_end),
		TEST(damage_further_back_is_met_by_the_reader),
		TEST(files_that_are_missing_are_missed),
		TEST(a_source_file_is_whole_or_refused),
		TEST(a_directory_has_one_user),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
