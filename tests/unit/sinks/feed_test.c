// SPDX-License-Identifier: BSD-3-Clause
// The engine with a log on the disk and a driver that does what a test tells it.

#include "common/clock.h"
#include "tests/unit/sinks/feed_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void all_is_delivered_once_over_restarts(void **state)
{
	struct logbuilder *lb = *state;

	script.remembers = true;
	make_log(lb);
	for (unsigned i = 0; i < 3; i++) {
		open_log(lb, 0);
		start(lb, SINK_KAFKA);
		wait_for(SINK_DELIVERING, BATCHES);
		assert_int_equal(atomic_load(sinks_confirmed(sinks, 0)), BATCHES * ROWS);
		stop();
		assert_seen(0, BATCHES);
	}
	assert_int_equal(script.opened, script.closed);
}

static void a_side_that_is_away_is_tried_again(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;

	make_log(lb);
	script.open_fails = 2;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	status = wait_for(SINK_DELIVERING, BATCHES);
	assert_int_equal(status.counters[SINK_retries], 2);
	stop();
	assert_seen(0, BATCHES);

	script.count = 0;
	script.deliver_fails = 3;
	wal_cursor_remove(lb->dir, "out");
	open_log(lb, 0);
	start(lb, SINK_FILES);
	status = wait_for(SINK_DELIVERING, BATCHES);
	assert_int_equal(status.counters[SINK_retries], 3);
	stop();
	assert_seen(0, BATCHES);
}

static void what_time_does_not_mend_stops_it(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;

	make_log(lb);
	script.deliver_fails = 1;
	script.error = -EPERM;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	status = wait_for(SINK_STOPPED, UINT64_MAX);
	assert_string_equal(status.why, "not that one");
	assert_int_equal(status.counters[SINK_stopped], 1);
	stop();
	assert_seen(0, 0);
}

static void a_stop_ends_a_wait(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t begun;

	make_log(lb);
	script.deliver_fails = 1 << 20;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	wait_for(SINK_RETRYING, UINT64_MAX);
	sleep(2); // into the longer waits
	begun = clock_monotonic_ns();
	stop();
	assert_true(clock_monotonic_ns() - begun < 1000000000);
}

// Retention waits for a sink that is required, up to its bound; then what is gone is counted.
static void retention_waits_up_to_the_bound(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;

	make_log(lb);
	script.open_fails = 1 << 20;
	open_log(lb, 1);
	start(lb, SINK_FILES);
	wal_hold(wal, UINT64_MAX);
	usleep(700000); // more than three looks of the keeper's
	sinks_status(sinks, 0, &status);
	assert_int_equal(status.counters[SINK_given_up], 0);
	assert_true(lb_size(lb, "00000000000000000000.arrows") != UINT64_MAX);
	stop();

	config.sinks[0].hold_bytes = 1;
	open_log(lb, 1);
	start(lb, SINK_FILES);
	wal_hold(wal, UINT64_MAX);
	for (unsigned i = 0; i < 1000; i++) {
		if (lb_size(lb, "00000000000000000000.arrows") == UINT64_MAX)
			break;
		usleep(10000);
	}
	usleep(500000);
	script_succeeds();
	status = wait_for(SINK_DELIVERING, BATCHES);
	assert_int_equal(
		status.counters[SINK_given_up] + status.counters[SINK_events], BATCHES * ROWS);
	assert_true(status.counters[SINK_given_up] > 0);
	stop();
}

static void a_wiped_log_stops_it(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;
	char name[40];

	make_log(lb);
	script.deliver_fails = 1 << 20;
	open_log(lb, 0);
	start(lb, SINK_FILES);
	wait_for(SINK_RETRYING, UINT64_MAX);
	for (unsigned i = 0; i < BATCHES; i++) {
		char path[300];

		snprintf(name, sizeof(name), "%020u.arrows", i * ROWS);
		snprintf(path, sizeof(path), "%s/%s", lb->dir, name);
		assert_int_equal(unlink(path), 0);
	}
	script_succeeds();
	status = wait_for(SINK_STOPPED, UINT64_MAX);
	assert_non_null(strstr(status.why, "was removed while it was in use"));
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			all_is_delivered_once_over_restarts, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			a_side_that_is_away_is_tried_again, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			what_time_does_not_mend_stops_it, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(a_stop_ends_a_wait, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			retention_waits_up_to_the_bound, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(a_wiped_log_stops_it, setup, lb_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
