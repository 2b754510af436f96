// SPDX-License-Identifier: BSD-3-Clause
// The files that a sink writes, on a real file system. Crashes: tests/sim/files.c.
#include "common/clock.h"
#include "common/file.h"
#include "sinks/sink.h"
#include "tests/lib/remove_tree.h"
#include "tests/unit/sinks/fake_log.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_FILE "0-00000000000000000000-00000000000000000000-" ID ".arrow"
#define ID "abababababababababababababababab"
#define NAMES 120
#define PATHS 200

static struct {
	char top[32], dir[48], out[48];
	struct config_sink config;
	struct sink_target target;
	_Atomic bool stop;
	void *driver;
	struct wal_batches *log;
	unsigned waits;    // times that the driver waited
	unsigned seals;    // ... of which so many seal another batch
	unsigned stops_at; // ... and at which the feed is stopped; 0: never
	int writes_fail;   // an errno; 0: they don't
	unsigned syncs_to; // how many more flushes succeed before one fails; 0: all do
} t;

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);

ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	if (t.writes_fail == 0)
		return __real_pwrite64(fd, data, len, offset);
	errno = t.writes_fail;
	return -1;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	if (t.syncs_to == 0 || --t.syncs_to > 0)
		return __real_fsync(fd);
	errno = EIO;
	return -1;
}

bool sink_wait(const struct sink_target *target, uint64_t ns)
{
	assert_ptr_equal(target, &t.target);
	assert_true(ns > 0 && ns <= 1000000000);
	t.waits++;
	if (t.waits <= t.seals)
		fake_log.sealed++;
	if (t.waits == t.stops_at)
		atomic_store(&t.stop, true);
	return !atomic_load(&t.stop);
}

struct wal_cursor sink_cursor_behind(const struct wal_batch *batch)
{
	return (struct wal_cursor){.log_id = batch->log_id,
		.batch = batch->number + 1,
		.seq = batch->end_seq,
		.crc = batch->crc};
}

static void driver_open(void)
{
	assert_int_equal(sink_files.open(&t.driver, &t.target), 0);
}

static void driver_again(void)
{
	sink_files.close(t.driver);
	t.driver = NULL;
	driver_open();
}

// As if no file had ever been planned.
static void remove_plan(void)
{
	char path[PATHS];

	snprintf(path, sizeof(path), "%s/archive.plan.json", t.dir);
	unlink(path);
	driver_again();
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	fake_log_reset();
	memcpy(t.top, "/tmp/millrace-files-XXXXXX", 27);
	assert_non_null(mkdtemp(t.top));
	snprintf(t.dir, sizeof(t.dir), "%s/0", t.top);
	snprintf(t.out, sizeof(t.out), "%s/out", t.top);
	assert_int_equal(mkdir(t.dir, 0700), 0);
	assert_int_equal(mkdir(t.out, 0700), 0);
	t.config = (struct config_sink){.name = "archive",
		.kind = SINK_FILES,
		.file = "{partition}-{first}-{last}-{log_id}.arrow",
		.roll_bytes = 1 << 30};
	snprintf(t.config.path, sizeof(t.config.path), "%s", t.out);
	t.target = (struct sink_target){.config = &t.config,
		.receiver = "slave-1",
		.dir = t.dir,
		.log_id = fake_log.log_id,
		.stop = &t.stop};
	assert_int_equal(wal_batches_open(&t.log, t.dir, NULL, 0), 0);
	driver_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sink_files.close(t.driver);
	wal_batches_close(t.log);
	assert_int_equal(remove_tree(t.top), 0);
	return 0;
}

// One step of a feed from this batch on; the next wanted, or what the driver returned below 0.
static int64_t deliver(uint64_t from, uint64_t *events)
{
	struct wal_cursor cursor = {0};
	struct wal_batch batch;
	uint64_t n = 0;
	int r;

	wal_batches_seek(t.log, from);
	assert_int_equal(wal_batches_next(t.log, &batch), 1);
	r = sink_files.deliver(t.driver, t.log, &batch, &cursor, &n);
	if (events != NULL)
		*events = n;
	if (r < 0)
		return r;
	assert_int_equal(cursor.batch, wal_batches_wanted(t.log));
	assert_true(wal_id_equal(&cursor.log_id, &fake_log.log_id));
	return (int64_t)cursor.batch;
}

static void path_of(const char *name, char ret[PATHS])
{
	snprintf(ret, PATHS, "%s/%.*s", t.out, NAMES, name);
}

static void name_of(uint64_t first, uint64_t last, char ret[NAMES])
{
	snprintf(ret, NAMES, "0-%020llu-%020llu-" ID ".arrow", (unsigned long long)first,
		(unsigned long long)last);
}

static void must_hold(const char *name, uint64_t first, uint64_t last)
{
	char path[PATHS], *found;
	size_t len, want_len;
	uint8_t *want = fake_export(first, last, "slave-1", 0, &want_len);

	path_of(name, path);
	assert_int_equal(file_read(path, 1 << 24, &found, &len), 0);
	assert_int_equal(len, want_len);
	assert_memory_equal(found, want, len);
	free(found);
	free(want);
}

static void must_be(uint64_t first, uint64_t last)
{
	char name[NAMES];

	name_of(first, last, name);
	must_hold(name, first, last);
}

// Names in the sink's directory, hidden ones too.
static unsigned count_names(void)
{
	DIR *dir = opendir(t.out);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

static void said(const char *word)
{
	if (strstr(t.target.why, word) == NULL)
		print_error("%s\n", t.target.why);
	assert_non_null(strstr(t.target.why, word));
}

static void test_each_its_own(void **state)
{
	uint64_t events;

	(void)state;
	fake_log.sealed = 3;
	for (uint64_t n = 0; n < 3; n++) {
		assert_int_equal(deliver(n, &events), n + 1);
		assert_int_equal(events, fake_batch_events(n));
		must_be(n, n);
	}
	assert_int_equal(count_names(), 3);
	assert_int_equal(t.waits, 0);
}

static void test_folders(void **state)
{
	struct stat st;
	char path[PATHS];

	(void)state;
	fake_log.sealed = 1;
	snprintf(t.config.file, sizeof(t.config.file),
		"{date}/{hour}/{receiver}-{partition}-{first}-{log_id}.arrow");
	assert_int_equal(deliver(0, NULL), 1);
	must_hold("2023-11-14/22/slave-1-0-00000000000000000000-" ID ".arrow", 0, 0);
	path_of("2023-11-14/22", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
}

// Up to roll_bytes and not one batch beyond.
static void test_rolls_by_bytes(void **state)
{
	uint64_t bytes = 0, events, want = 0;

	(void)state;
	t.config.roll_interval_ns = UINT64_MAX / 2;
	for (uint64_t n = 0; n < 4; n++) {
		bytes += fake_batch_bytes(n);
		want += fake_batch_events(n);
	}
	fake_log.sealed = 10;
	t.config.roll_bytes = bytes;
	assert_int_equal(deliver(0, &events), 4);
	assert_int_equal(events, want);
	must_be(0, 3);
	t.config.roll_bytes = bytes - 1;
	driver_again();
	assert_int_equal(deliver(4, NULL), 7);
	must_be(4, 6);
	t.config.roll_bytes = 1;
	assert_int_equal(deliver(7, NULL), 8);
	must_be(7, 7);
	assert_int_equal(t.waits, 0);
}

// What was received long ago is not waited for.
static void test_rolls_by_time(void **state)
{
	(void)state;
	fake_log.sealed = 8;
	t.config.roll_interval_ns = 3ull * FAKE_STEP;
	assert_int_equal(deliver(0, NULL), 3);
	must_be(0, 2);
	assert_int_equal(deliver(3, NULL), 6);
	assert_int_equal(deliver(6, NULL), 8);
	must_be(6, 7);
	assert_int_equal(t.waits, 0);
}

static void test_waits_for_more(void **state)
{
	(void)state;
	fake_log.sealed = 1;
	t.config.roll_interval_ns = (uint64_t)clock_system_ns(); // until far from now
	t.config.roll_bytes = fake_batch_bytes(0) + fake_batch_bytes(1) + fake_batch_bytes(2);
	t.seals = 5;
	assert_int_equal(deliver(0, NULL), 3);
	assert_int_equal(t.waits, 2);
	must_be(0, 2);
}

static void test_listeners_split(void **state)
{
	(void)state;
	fake_log.sealed = 4;
	fake_log.listeners_from = 2;
	t.config.roll_interval_ns = UINT64_MAX / 2;
	t.stops_at = 1;
	assert_int_equal(deliver(0, NULL), 2);
	must_be(0, 1);
}

static void test_stopped_while_waiting(void **state)
{
	(void)state;
	fake_log.sealed = 1;
	t.config.roll_interval_ns = UINT64_MAX / 2;
	t.stops_at = 2;
	assert_int_equal(deliver(0, NULL), -ECANCELED);
	assert_int_equal(count_names(), 0);
}

static void test_stopped_while_writing(void **state)
{
	(void)state;
	fake_log.sealed = 1;
	atomic_store(&t.stop, true);
	assert_int_equal(deliver(0, NULL), -ECANCELED);
	assert_int_equal(count_names(), 0);
}

static void test_disk_missing_and_full(void **state)
{
	char hidden[64];

	(void)state;
	fake_log.sealed = 1;
	snprintf(hidden, sizeof(hidden), "%s.away", t.out);
	assert_int_equal(rename(t.out, hidden), 0);
	assert_int_equal(deliver(0, NULL), -EAGAIN); // the plan is stored
	said("make that directory");
	assert_int_equal(rename(hidden, t.out), 0);
	t.writes_fail = EDQUOT;
	assert_int_equal(deliver(0, NULL), -EAGAIN);
	said(t.out);
	said("room");
	assert_int_equal(count_names(), 0);
	t.writes_fail = 0;
	assert_int_equal(deliver(0, NULL), 1);
	must_be(0, 0);
}

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

static ino_t inode_of(const char *name)
{
	struct stat st;
	char path[PATHS];

	path_of(name, path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
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

static void test_log_errors_go_up(void **state)
{
	(void)state;
	fake_log.sealed = 2;
	fake_log.damaged = 1;
	t.config.roll_interval_ns = 100ull * FAKE_STEP;
	assert_int_equal(deliver(0, NULL), -EBADMSG);
	said("the log says why");
	assert_int_equal(count_names(), 0);
	fake_log.damaged = UINT64_MAX;
	fake_log.sealed = 1; // the plan speaks of a batch that is not there
	driver_again();
	assert_int_equal(deliver(0, NULL), -EBADMSG);
	said("not in the log any more");
	assert_int_equal(count_names(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_each_its_own),
		TEST(test_folders),
		TEST(test_rolls_by_bytes),
		TEST(test_rolls_by_time),
		TEST(test_waits_for_more),
		TEST(test_listeners_split),
		TEST(test_stopped_while_waiting),
		TEST(test_stopped_while_writing),
		TEST(test_disk_missing_and_full),
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
		TEST(test_log_errors_go_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
