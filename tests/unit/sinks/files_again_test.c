// SPDX-License-Identifier: BSD-3-Clause
// What a sink finds of what it has written before. Crashes at any step: tests/sim/files.c.
#include "common/file.h"
#include "tests/unit/sinks/files_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The same batches and the same name, whatever has been sealed meanwhile.
static void test_plan_is_kept(void **state)
{
	char hidden[64];

	(void)state;
	fake_log.sealed = 2;
	t.config.roll_interval_ns = 100ull * FAKE_STEP;
	snprintf(hidden, sizeof(hidden), "%s.away", t.out);
	assert_int_equal(rename(t.out, hidden), 0);
	assert_int_equal(deliver(0, NULL), -EAGAIN);
	assert_int_equal(rename(hidden, t.out), 0);

	fake_log.sealed = 20;
	t.target.receiver = "renamed";
	snprintf(t.config.file, sizeof(t.config.file), "{partition}{first}{log_id}");
	driver_again();
	assert_int_equal(deliver(0, NULL), 2);
	must_be(0, 1);
	assert_int_equal(count_names(), 1);
	assert_int_equal(deliver(2, NULL), 20);
	assert_int_equal(count_names(), 2);
}

static void test_there_already(void **state)
{
	struct stat before, after;
	char path[PATHS];
	uint64_t events;

	(void)state;
	fake_log.sealed = 1;
	assert_int_equal(deliver(0, NULL), 1);
	path_of(FIRST_FILE, path);
	assert_int_equal(stat(path, &before), 0);
	driver_again();
	assert_int_equal(deliver(0, &events), 1);
	assert_int_equal(events, fake_batch_events(0));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	assert_int_equal(count_names(), 1);
}

static void differs(const char *path, size_t len)
{
	char *found;
	size_t found_len;

	assert_int_equal(deliver(0, NULL), -EEXIST);
	said(FIRST_FILE);
	said("move it away");
	assert_int_equal(file_read(path, 1 << 24, &found, &found_len), 0);
	assert_int_equal(found_len, len);
	free(found);
	assert_int_equal(count_names(), 1);
}

static void test_never_written_over(void **state)
{
	char path[PATHS];
	uint8_t *bytes;
	size_t len;

	(void)state;
	fake_log.sealed = 1;
	path_of(FIRST_FILE, path);
	bytes = fake_export(0, 0, "slave-1", 0, &len);
	assert_int_equal(file_replace(t.out, FIRST_FILE, bytes, len - 1), 0);
	differs(path, len - 1);
	bytes = realloc(bytes, len + 1);
	assert_non_null(bytes);
	bytes[len] = 0;
	assert_int_equal(file_replace(t.out, FIRST_FILE, bytes, len + 1), 0);
	differs(path, len + 1);
	bytes[len / 2] ^= 1;
	assert_int_equal(file_replace(t.out, FIRST_FILE, bytes, len), 0);
	differs(path, len);
	free(bytes);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(deliver(0, NULL), -EEXIST);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(deliver(0, NULL), -EEXIST);
	unlink(path);
	assert_int_equal(deliver(0, NULL), 1);
}

// Of a delivery the plan takes two flushes, the file one, its directory one.
static void test_failed_flush(void **state)
{
	ino_t before;

	(void)state;
	fake_log.sealed = 1;
	for (unsigned i = 1; i < 4; i++) {
		t.syncs_to = i;
		assert_int_equal(deliver(0, NULL), -EAGAIN);
		said("look at that disk");
		assert_int_equal(count_names(), 0);
		remove_plan();
	}
	t.syncs_to = 4;
	assert_int_equal(deliver(0, NULL), -EAGAIN);
	must_be(0, 0);
	before = inode_of(FIRST_FILE);
	// What is seen after that may not be on the disk: it is not believed, in no later life.
	driver_again();
	assert_int_equal(deliver(0, NULL), 1);
	must_be(0, 0);
	assert_int_not_equal(inode_of(FIRST_FILE), before);
	assert_int_equal(count_names(), 1);
}

// A plan that is found may have been renamed and not synced by who was killed then.
static void test_found_plan_is_stored_again(void **state)
{
	(void)state;
	fake_log.sealed = 1;
	assert_int_equal(deliver(0, NULL), 1);
	for (unsigned i = 1; i <= 2; i++) {
		void *driver = NULL;

		t.syncs_to = i; // of the file and of the directory
		assert_int_equal(sink_files.open(&driver, &t.target), -EAGAIN);
		assert_null(driver);
		said("archive.plan.json");
	}
	driver_again();
}

static void test_stale_temporary(void **state)
{
	(void)state;
	fake_log.sealed = 2;
	assert_int_equal(deliver(0, NULL), 1);
	assert_int_equal(file_replace(t.out, "." FIRST_FILE ".tmp", "half", 4), 0);
	assert_int_equal(count_names(), 2);
	driver_again();
	assert_int_equal(count_names(), 1);
}

static void open_refused(int error, const char *word)
{
	void *driver = NULL;

	assert_int_equal(sink_files.open(&driver, &t.target), error);
	assert_null(driver);
	said("archive.plan.json");
	said(word);
}

static void test_plan_of_another_log(void **state)
{
	(void)state;
	fake_log.sealed = 1;
	assert_int_equal(deliver(0, NULL), 1);
	t.target.log_id.bytes[0] ^= 1;
	open_refused(-EBADMSG, ID);
}

static void test_damaged_plan(void **state)
{
	static const char *const bad[] = {"", "{}", "{\"schema\":\"millrace.files_plan/1\"}",
		"{\"schema\":\"millrace.files_plan/1\",\"log_id\":\"" ID "\",\"first\":\"1\","
		"\"last\":\"0\",\"receiver\":\"r\",\"name\":\"n\",\"distrusted\":false}",
		"{\"schema\":\"millrace.files_plan/1\",\"log_id\":\"" ID "\",\"first\":\"0\","
		"\"last\":\"0\",\"receiver\":\"r\",\"name\":\"../n\",\"distrusted\":false}"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			file_replace(t.dir, "archive.plan.json", bad[i], strlen(bad[i])), 0);
		open_refused(-EBADMSG, "can't be used");
	}
	assert_int_equal(file_replace(t.dir, "archive.plan.json",
				 "{\"schema\":\"millrace.files_plan/2\"}", 34),
		0);
	open_refused(-EPROTONOSUPPORT, "can't be used");
}

static void test_cursor_went_back(void **state)
{
	(void)state;
	fake_log.sealed = 3;
	for (uint64_t n = 0; n < 3; n++)
		assert_int_equal(deliver(n, NULL), n + 1);
	assert_int_equal(deliver(1, NULL), -EBADMSG);
	said("went back");
	assert_int_equal(count_names(), 3);
}

// Retention took a part of what was planned: with a file that is there it is done, without one the
// rest gets another.
static void test_overtaken(void **state)
{
	char path[PATHS], name[NAMES];

	(void)state;
	fake_log.sealed = 4;
	t.config.roll_interval_ns = 100ull * FAKE_STEP;
	assert_int_equal(deliver(0, NULL), 4);
	must_be(0, 3);
	fake_log.oldest = 2;
	fake_log.sealed = 6;
	driver_again();
	assert_int_equal(deliver(2, NULL), 4);
	assert_int_equal(count_names(), 1);

	name_of(0, 3, name);
	path_of(name, path);
	assert_int_equal(unlink(path), 0);
	driver_again();
	assert_int_equal(deliver(2, NULL), 6);
	must_be(2, 5);
	assert_int_equal(count_names(), 1);
}

// Retention takes a batch that was planned; the reader stays in front of what is left.
static void test_overtaken_while_written(void **state)
{
	struct wal_cursor cursor;
	struct wal_batch batch;
	uint64_t events;

	(void)state;
	fake_log.sealed = 4;
	assert_int_equal(wal_batches_next(t.log, &batch), 1);
	fake_log.oldest = 2;
	assert_int_equal(sink_files.deliver(t.driver, t.log, &batch, &cursor, &events), -ESTALE);
	said("not in the log any more");
	assert_int_equal(wal_batches_wanted(t.log), 2);
	assert_int_equal(count_names(), 0);
	assert_int_equal(deliver(2, NULL), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plan_is_kept),
		TEST(test_there_already),
		TEST(test_never_written_over),
		TEST(test_failed_flush),
		TEST(test_found_plan_is_stored_again),
		TEST(test_stale_temporary),
		TEST(test_plan_of_another_log),
		TEST(test_damaged_plan),
		TEST(test_cursor_went_back),
		TEST(test_overtaken),
		TEST(test_overtaken_while_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
