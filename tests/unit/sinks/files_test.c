// SPDX-License-Identifier: BSD-3-Clause
// Which files a sink writes, on a real file system.
#include "common/clock.h"
#include "tests/unit/sinks/files_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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
	assert_int_equal(rmdir(t.dir), 0); // nothing is planned
	assert_int_equal(mkdir(t.dir, 0700), 0);
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
		TEST(test_log_errors_go_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
