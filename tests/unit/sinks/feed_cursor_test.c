// SPDX-License-Identifier: BSD-3-Clause
// Where the engine goes on: its file, the other side and the log.

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

// The three that must fit together: the file, the other side, the log. NULL: there is none.
static void start_with(
	struct logbuilder *lb, const struct wal_cursor *ours, const struct wal_cursor *theirs)
{
	script.count = 0;
	script.recall = theirs != NULL;
	if (theirs != NULL)
		script.remote = *theirs;
	if (ours != NULL)
		assert_int_equal(wal_cursor_save(lb->dir, "out", ours), 0);
	else
		wal_cursor_remove(lb->dir, "out");
	open_log(lb, 0);
	start(lb, SINK_KAFKA);
}

static void assert_stops(struct logbuilder *lb, const struct wal_cursor *ours,
	const struct wal_cursor *theirs, const char *part)
{
	struct sink_status status;

	start_with(lb, ours, theirs);
	status = wait_for(SINK_STOPPED, UINT64_MAX);
	if (strstr(status.why, part) == NULL)
		fail_msg("'%s' is not in: %s", part, status.why);
	stop();
	assert_seen(0, 0);
}

static void what_does_not_fit_together_stops_it(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_cursor two, three, wrong;

	make_log(lb);
	open_log(lb, 0);
	two = behind(1);
	three = behind(2);
	stop();
	assert_stops(lb, &two, NULL, "the other side has no cursor");
	assert_stops(lb, &three, &two, "it was set back there");
	wrong = three;
	wrong.crc ^= 1;
	assert_stops(lb, &three, &wrong, "names another batch");
	assert_stops(lb, &wrong, &wrong, "isn't the one that was delivered");
	wrong = three;
	wrong.log_id.bytes[0] ^= 1;
	assert_stops(lb, NULL, &wrong, "speaks of log");
	assert_stops(lb, &wrong, NULL, "speaks of log");
	wrong = behind(BATCHES - 1);
	wrong.batch++;
	assert_stops(lb, NULL, &wrong, "ahead of the log");
	wrong = behind(BATCHES - 1);
	wrong.seq++;
	assert_stops(lb, &wrong, &wrong, "ahead of the log");
}

static void assert_goes_on(struct logbuilder *lb, const struct wal_cursor *ours,
	const struct wal_cursor *theirs, uint64_t from)
{
	start_with(lb, ours, theirs);
	assert_int_equal(wait_for(SINK_DELIVERING, BATCHES).counters[SINK_given_up], 0);
	stop();
	assert_seen(from, BATCHES - (unsigned)from);
}

static void it_goes_on_where_the_other_side_is(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_cursor two, three, begin;

	make_log(lb);
	open_log(lb, 0);
	two = behind(1);
	three = behind(2);
	stop();
	assert_goes_on(lb, NULL, NULL, 0);
	begin = (struct wal_cursor){.log_id = two.log_id};
	assert_goes_on(lb, &begin, NULL, 0);
	begin.log_id.bytes[0] ^= 1; // of an empty log, which another start replaced
	assert_goes_on(lb, &begin, NULL, 0);
	assert_goes_on(lb, NULL, &two, 2);
	assert_goes_on(lb, &two, &two, 2);
	assert_goes_on(lb, &two, &three, 3); // killed between its commit and the file
}

static void check_reset(struct logbuilder *lb, unsigned to)
{
	struct wal_cursor place = {0}, five;
	char name[CONFIG_NAME_MAX + 8];

	open_log(lb, 0);
	if (to > 0)
		place = behind(to - 1);
	five = behind(4);
	place.log_id = five.log_id;
	stop();
	snprintf(name, sizeof(name), SINK_RESET_NAME, "out");
	assert_int_equal(wal_cursor_save(lb->dir, name, &place), 0);
	script.deliver_fails = 1 << 20;
	script.recall = 1;
	script.remote = five;
	assert_int_equal(wal_cursor_save(lb->dir, "out", &place), 0);
	for (unsigned i = 0; i < 2; i++) { // two starts in which nothing can be delivered
		open_log(lb, 0);
		start(lb, SINK_KAFKA);
		assert_int_equal(wait_for(SINK_RETRYING, to).cursor.batch, to);
		stop();
	}
	script.deliver_fails = 0;
	script.remembers = true;
	open_log(lb, 0);
	start(lb, SINK_KAFKA);
	wait_for(SINK_DELIVERING, BATCHES);
	stop();
	assert_seen(to, BATCHES - to);
	// From now on as ever.
	open_log(lb, 0);
	start(lb, SINK_KAFKA);
	wait_for(SINK_DELIVERING, BATCHES);
	stop();
	assert_seen(to, BATCHES - to);
	assert_int_equal(wal_cursor_load(lb->dir, name, &place), -ENOENT);
}

static void a_reset_wins_until_it_is_carried_out(void **state)
{
	make_log(*state);
	check_reset(*state, 2);
}

static void a_reset_to_the_begin_is_one(void **state)
{
	make_log(*state);
	check_reset(*state, 0);
}

static void a_damaged_cursor_refuses_the_start(void **state)
{
	struct logbuilder *lb = *state;
	char path[300];
	FILE *f;

	make_log(lb);
	open_log(lb, 0);
	snprintf(path, sizeof(path), "%s/cursor.out.json", lb->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("{}", f);
	fclose(f);
	make_sinks(lb, SINK_FILES, -EBADMSG);
	stop();
}

// What the other side has confirmed is not delivered again because this side can't note it.
static void a_cursor_that_can_not_be_stored_delays_only_itself(void **state)
{
	struct logbuilder *lb = *state;
	struct sink_status status;
	char path[300];

	make_log(lb);
	open_log(lb, 0);
	// A directory where the new file is to be written.
	snprintf(path, sizeof(path), "%s/.cursor.out.json.new", lb->dir);
	script.deliver_fails = 1 << 20;
	start(lb, SINK_FILES);
	wait_for(SINK_RETRYING, UINT64_MAX);
	assert_int_equal(mkdir(path, 0700), 0);
	script_succeeds();
	for (unsigned i = 0; i < 1000 && script_count() == 0; i++)
		usleep(10000);
	status = wait_for(SINK_RETRYING, UINT64_MAX);
	usleep(500000);
	assert_seen(0, 1);
	assert_non_null(strstr(status.why, "can't store its cursor"));
	assert_int_equal(rmdir(path), 0);
	wait_for(SINK_DELIVERING, BATCHES);
	stop();
	assert_seen(0, BATCHES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_does_not_fit_together_stops_it, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			it_goes_on_where_the_other_side_is, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(a_reset_to_the_begin_is_one, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			a_reset_wins_until_it_is_carried_out, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			a_damaged_cursor_refuses_the_start, setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			a_cursor_that_can_not_be_stored_delays_only_itself, setup, lb_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
