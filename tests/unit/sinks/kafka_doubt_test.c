// SPDX-License-Identifier: BSD-3-Clause
// Transactions that end unknown, torn or lost: what is read back decides.

#include "sinks/kafka_internal.h"
#include "tests/unit/sinks/sink_story.h"

#include <inttypes.h>
#include <stdio.h>

// The first delivery after an opening reads back anyway.
static void begin(struct story *s, uint64_t batches)
{
	made_log.batches = 1;
	s->made.config.transaction_timeout_ns = 2000000000u;
	story_open(s);
	assert_int_equal(story_deliver(s), 0);
	made_log.batches = batches;
	mock.read_backs = 0;
}

static void a_fresh_batch_is_not_read_back(void **state)
{
	struct story *s = *state;

	begin(s, 3);
	story_deliver_all(s);
	assert_int_equal(mock.read_backs, 0);
	story_check_once(s, 300);
}

static void a_commit_that_was_not_heard_of_is_not_repeated(void **state)
{
	struct story *s = *state;

	begin(s, 3);
	mock.fate = FATE_COMMITTED_UNHEARD;
	assert_int_equal(story_deliver(s), -EAGAIN);
	assert_int_equal(story_counter(s, "in_doubt"), 1);
	mock.fate = FATE_PLAIN;
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(mock.read_backs, 1);
	assert_int_equal(s->cursor.batch, 3);
	assert_int_equal(s->events, 200);
	assert_int_equal(s->made.counters[SINK_repaired], 0);
	story_check_once(s, 300);
}

static void what_a_commit_lost_is_sent_again(void **state)
{
	struct story *s = *state;

	begin(s, 2);
	mock.fate = FATE_COMMITTED_UNHEARD;
	mock.lost_from = 130;
	mock.lost_to = 137;
	assert_int_equal(story_deliver(s), -EAGAIN);
	mock.fate = FATE_PLAIN;
	mock.lost_to = 0;
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(s->made.counters[SINK_repaired], 7);
	story_check_once(s, 200);
}

static void what_can_be_seen_of_no_commit_is_kept(void **state)
{
	struct story *s = *state;

	begin(s, 2);
	mock.fate = FATE_OPEN_UNHEARD;
	mock.lost_from = 150;
	mock.lost_to = 200;
	assert_int_equal(story_deliver(s), -EAGAIN);
	assert_int_equal(mock.cursor.batch, 1);
	mock.fate = FATE_PLAIN;
	mock.lost_to = 0;
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(mock.cursor.batch, 2);
	assert_int_equal(s->made.counters[SINK_repaired], 50);
	story_check_once(s, 200);
}

static void reading_goes_back_as_far_as_it_must(void **state)
{
	struct story *s = *state;

	kafka_window = 30;
	begin(s, 4);
	mock.fate = FATE_COMMITTED_UNHEARD;
	mock.lost_from = 120;
	mock.lost_to = 350;
	mock.twice = 105;
	assert_int_equal(story_deliver(s), -EAGAIN);
	mock.fate = FATE_PLAIN;
	mock.lost_to = 0;
	mock.twice = UINT64_MAX;
	assert_int_equal(story_deliver(s), 0);
	kafka_window = 16384;
	assert_int_equal(s->made.counters[SINK_repaired], 230);
	assert_int_equal(s->made.counters[SINK_doubled], 1);
}

static void what_is_there_twice_is_counted(void **state)
{
	struct story *s = *state;

	begin(s, 2);
	mock.fate = FATE_COMMITTED_UNHEARD;
	mock.twice = 111;
	assert_int_equal(story_deliver(s), -EAGAIN);
	mock.fate = FATE_PLAIN;
	mock.twice = UINT64_MAX;
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(s->made.counters[SINK_doubled], 1);
	assert_int_equal(s->made.counters[SINK_repaired], 0);
}

// Killed between the commit and the storing of the feed's cursor, and the commit was torn.
static void an_older_selfs_torn_commit_is_mended(void **state)
{
	struct story *s = *state;
	struct wal_cursor cursor;

	begin(s, 4);
	mock.fate = FATE_COMMITTED_UNHEARD;
	mock.lost_from = 220;
	mock.lost_to = 240;
	assert_int_equal(story_deliver(s), -EAGAIN);
	assert_int_equal(mock.cursor.batch, 4);
	mock.fate = FATE_PLAIN;
	mock.lost_to = 0;
	story_reopen(s);
	assert_int_equal(sink_kafka.recall(s->driver, &cursor), 1);
	assert_int_equal(cursor.batch, 4);
	s->cursor = cursor;
	made_log.batches = 5;
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(s->cursor.batch, 5);
	assert_int_equal(s->events, 100);
	assert_int_equal(s->made.counters[SINK_repaired], 20);
	story_check_once(s, 500);
}

// Killed before the cursor was stored, and messages can be seen all the same.
static void an_older_selfs_messages_are_kept(void **state)
{
	struct story *s = *state;

	begin(s, 4);
	mock.fate = FATE_OPEN_UNHEARD;
	assert_int_equal(story_deliver(s), -EAGAIN);
	mock.fate = FATE_PLAIN;
	story_reopen(s);
	made_log.batches = 6;
	story_deliver_all(s);
	story_check_once(s, 600);
}

static void a_sink_that_is_put_back_sends_what_is_gone(void **state)
{
	struct story *s = *state;

	s->made.config.transaction_batches = 2;
	begin(s, 7);
	mock.lost_from = 150; // half of a batch, and two whole ones
	mock.lost_to = 400;
	story_deliver_all(s);
	mock.lost_to = 0;
	mock.commits = 0;
	s->cursor = (struct wal_cursor){.log_id = made_log.log_id};
	story_reopen(s);
	story_deliver_all(s);
	assert_int_equal(mock.commits, 4); // none of them larger than any other
	assert_int_equal(mock.cursor.batch, 7);
	assert_int_equal(s->made.counters[SINK_repaired], 50);
	story_check_once(s, 700);
}

static void a_cursor_ahead_of_the_log_is_told(void **state)
{
	struct story *s = *state;

	begin(s, 2);
	mock.cursor.batch = 9;
	story_reopen(s);
	assert_int_equal(story_deliver(s), -ERANGE);
	assert_non_null(strstr(s->made.target.why, "older state"));
}

static void a_cursor_of_somebody_else_is_told(void **state)
{
	struct story *s = *state;
	struct wal_cursor cursor;

	begin(s, 1);
	mock.cursor.log_id.bytes[3] ^= 1;
	story_reopen(s);
	assert_int_equal(sink_kafka.recall(s->driver, &cursor), -EBADMSG);
}

static void a_whole_batch_is_read_back_by_its_first_seq(void **state)
{
	struct story *s = *state;
	struct mock_seen seen = {0};

	s->made.config.format = SINK_FORMAT_ARROW;
	begin(s, 3);
	mock.fate = FATE_COMMITTED_UNHEARD;
	mock.lost_from = 200;
	mock.lost_to = 201;
	assert_int_equal(story_deliver(s), -EAGAIN);
	mock.fate = FATE_PLAIN;
	mock.lost_to = 0;
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(s->made.counters[SINK_repaired], 1);
	mock_read("events", &seen, NULL);
	assert_int_equal(seen.messages, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, story_setup, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_batch_is_not_read_back),
		TEST(a_commit_that_was_not_heard_of_is_not_repeated),
		TEST(what_a_commit_lost_is_sent_again),
		TEST(what_can_be_seen_of_no_commit_is_kept),
		TEST(reading_goes_back_as_far_as_it_must),
		TEST(what_is_there_twice_is_counted),
		TEST(an_older_selfs_torn_commit_is_mended),
		TEST(an_older_selfs_messages_are_kept),
		TEST(a_sink_that_is_put_back_sends_what_is_gone),
		TEST(a_cursor_ahead_of_the_log_is_told),
		TEST(a_cursor_of_somebody_else_is_told),
		TEST(a_whole_batch_is_read_back_by_its_first_seq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
