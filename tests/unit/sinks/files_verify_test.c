// SPDX-License-Identifier: BSD-3-Clause
// Comparing the files of a sink with the log: what is missing, twice or changed is found, in
// whatever folder the files lie.

#include "tests/unit/sinks/files_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sink_verify found;
static struct wal_cursor limit;

static int look(void)
{
	int r;

	memset(&found, 0, sizeof(found));
	wal_batches_seek(t.log, 0);
	r = sink_files.verify(&t.target, t.log, &limit, &found);
	if (r < 0)
		print_message("%s\n", t.target.why);
	for (unsigned i = 0; i < found.found && i < SINK_FINDINGS; i++)
		print_message("  %s\n", found.findings[i]);
	return r;
}

static void verify(void)
{
	assert_int_equal(look(), 0);
}

static uint64_t events_in(uint64_t first, uint64_t last)
{
	uint64_t events = 0;

	for (uint64_t i = first; i <= last; i++)
		events += fake_batch_events(i);
	return events;
}

// Files of two batches each.
static void deliver_all(uint64_t batches)
{
	fake_log.sealed = batches;
	t.config.roll_interval_ns = 2000000000u;
	for (uint64_t next = 0; next < batches;) {
		int64_t r = deliver(next, NULL);

		assert_true(r > 0);
		next = (uint64_t)r;
	}
	limit = (struct wal_cursor){.log_id = fake_log.log_id, .batch = batches};
}

static void expect_found(uint64_t missing, uint64_t twice, uint64_t changed)
{
	assert_int_equal(found.missing, missing);
	assert_int_equal(found.twice, twice);
	assert_int_equal(found.changed, changed);
	assert_int_equal(found.ahead, 0);
	assert_int_equal(found.uncompared, 0);
}

static void expect_said(const char *text)
{
	assert_true(found.found > 0);
	assert_non_null(strstr(found.findings[0], text));
}

static void path_in(uint64_t first, uint64_t last, const char *folder, char ret[PATHS])
{
	char name[NAMES];

	name_of(first, last, name);
	snprintf(ret, PATHS, "%s/%s%.*s", t.out, folder, NAMES, name);
}

static void all_is_there(void **state)
{
	(void)state;
	deliver_all(6);
	verify();
	expect_found(0, 0, 0);
	assert_int_equal(found.batches, 6);
	assert_int_equal(found.events, events_in(0, 5));
	assert_int_equal(found.found, 0);
}

static void a_file_may_lie_elsewhere_below(void **state)
{
	char from[PATHS], to[PATHS], dir[PATHS];

	(void)state;
	deliver_all(6);
	snprintf(dir, sizeof(dir), "%s/done", t.out);
	assert_int_equal(mkdir(dir, 0700), 0);
	path_in(2, 3, "", from);
	path_in(2, 3, "done/", to);
	assert_int_equal(rename(from, to), 0);
	verify();
	expect_found(0, 0, 0);
}

static void what_no_file_has_is_missing(void **state)
{
	char path[PATHS];

	(void)state;
	deliver_all(8);
	path_in(2, 3, "", path);
	assert_int_equal(unlink(path), 0);
	path_in(6, 7, "", path);
	assert_int_equal(unlink(path), 0);
	verify();
	expect_found(events_in(2, 3) + events_in(6, 7), 0, 0);
	assert_int_equal(found.events, events_in(0, 7));
	assert_int_equal(found.found, 2);
	expect_said("batches 2 to 3");
}

static void copy(const char *from, const char *to)
{
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	int c;

	assert_non_null(in);
	assert_non_null(out);
	while ((c = fgetc(in)) != EOF)
		fputc(c, out);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

// By what it holds, not by what it is called.
static void what_two_files_have_is_twice(void **state)
{
	char from[PATHS], to[PATHS];

	(void)state;
	deliver_all(6);
	path_in(2, 3, "", from);
	path_in(4, 5, "", to);
	copy(from, to);
	verify();
	expect_found(events_in(4, 5), events_in(2, 3), 0);
}

static void other_bytes_are_changed(void **state)
{
	char path[PATHS];
	FILE *file;

	(void)state;
	deliver_all(4);
	path_in(0, 1, "", path);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, -200, SEEK_END), 0);
	assert_int_not_equal(fputc('#', file), EOF);
	assert_int_equal(fclose(file), 0);
	verify();
	expect_found(0, 0, events_in(0, 1));
	expect_said("batches 0 to 1");
}

static void a_file_cut_short_or_longer_is_changed(void **state)
{
	char path[PATHS];
	struct stat st;

	(void)state;
	deliver_all(4);
	path_in(0, 1, "", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	path_in(2, 3, "", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size + 1), 0);
	verify();
	expect_found(0, 0, events_in(0, 3));
}

static void a_file_of_rubbish_is_unreadable(void **state)
{
	char path[PATHS];

	(void)state;
	deliver_all(4);
	path_in(2, 3, "", path);
	assert_int_equal(truncate(path, 100), 0);
	verify();
	expect_found(events_in(2, 3), 0, 0);
	assert_int_equal(found.unreadable, 1);
}

static void files_beyond_the_cursor_are_told_apart(void **state)
{
	(void)state;
	deliver_all(6);
	limit.batch = 4;
	verify();
	assert_int_equal(found.ahead, 1);
	assert_int_equal(found.missing, 0);
	assert_int_equal(found.events, events_in(0, 3));
}

static void a_file_that_the_log_has_in_part_is_not_compared(void **state)
{
	(void)state;
	deliver_all(6);
	fake_log.oldest = 3;
	verify();
	assert_int_equal(found.uncompared, 1);
	assert_int_equal(found.missing, 0);
	assert_int_equal(found.changed, 0);
	assert_int_equal(found.found, 0);
	assert_int_equal(found.events, events_in(4, 5));
}

static void the_receiver_may_have_another_name_now(void **state)
{
	(void)state;
	deliver_all(4);
	t.target.receiver = "slave-2";
	verify();
	expect_found(0, 0, 0);
}

static void a_directory_that_is_not_there_is_no_answer(void **state)
{
	(void)state;
	deliver_all(2);
	snprintf(t.config.path, sizeof(t.config.path), "%s/none", t.out);
	assert_int_equal(look(), -EAGAIN);
	said("none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_there),
		TEST(a_file_may_lie_elsewhere_below),
		TEST(what_no_file_has_is_missing),
		TEST(what_two_files_have_is_twice),
		TEST(other_bytes_are_changed),
		TEST(a_file_cut_short_or_longer_is_changed),
		TEST(a_file_of_rubbish_is_unreadable),
		TEST(files_beyond_the_cursor_are_told_apart),
		TEST(a_file_that_the_log_has_in_part_is_not_compared),
		TEST(the_receiver_may_have_another_name_now),
		TEST(a_directory_that_is_not_there_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
