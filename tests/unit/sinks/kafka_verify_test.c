// SPDX-License-Identifier: BSD-3-Clause
// Reading a Kafka sink back in full: what is missing there, twice, changed or set aside is found,
// and nothing else is.

#include "tests/unit/sinks/sink_story.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct sink_verify found;
static void (*on_progress)(void *arg, const char *what, uint64_t done, uint64_t all);

// All batches up to the story's cursor, in windows of so many events; 0: in one.
static int look(struct story *s, uint64_t window)
{
	struct wal_batches *log = made_log_open(0);
	int r;

	memset(&found, 0, sizeof(found));
	found.window = window;
	found.progress = on_progress;
	found.arg = s;
	s->made.target.why[0] = '\0';
	r = sink_kafka.verify(&s->made.target, log, &s->cursor, &found);
	if (r < 0)
		print_message("%s\n", s->made.target.why);
	for (unsigned i = 0; i < found.found && i < SINK_FINDINGS; i++)
		print_message("  %s\n", found.findings[i]);
	wal_batches_close(log);
	return r;
}

static void verify(struct story *s, uint64_t window)
{
	assert_int_equal(look(s, window), 0);
}

static void expect_found(uint64_t missing, uint64_t twice, uint64_t changed, uint64_t set_aside)
{
	assert_int_equal(found.missing, missing);
	assert_int_equal(found.twice, twice);
	assert_int_equal(found.changed, changed);
	assert_int_equal(found.set_aside, set_aside);
	assert_int_equal(found.foreign, 0);
	assert_int_equal(found.unreadable, 0);
}

static void expect_said(const char *text)
{
	assert_true(found.found > 0);
	assert_non_null(strstr(found.findings[0], text));
}

static void by_ports(struct story *s)
{
	snprintf(s->made.config.topic, sizeof(s->made.config.topic), "events-{port}");
	made_log.protocol_every = 10;
}

static void all_is_there(void **state)
{
	struct story *s = *state;

	by_ports(s);
	made_log.batches = 5;
	story_open(s);
	story_deliver_all(s);
	verify(s, 0);
	expect_found(0, 0, 0, 0);
	assert_int_equal(found.batches, 5);
	assert_int_equal(found.events, 450);
	assert_int_equal(found.found, 0);
	verify(s, 250); // in windows
	expect_found(0, 0, 0, 0);
	assert_int_equal(found.events, 450);
}

static void missing_ones_are_named(void **state)
{
	struct story *s = *state;

	made_log.batches = 3;
	mock.lost_from = 120;
	mock.lost_to = 125;
	story_open(s);
	story_deliver_all(s);
	verify(s, 0);
	expect_found(5, 0, 0, 0);
	assert_int_equal(found.events, 300);
	assert_int_equal(found.found, 1);
	expect_said("batch 1, seq 120 to 124");
	verify(s, 100);
	expect_found(5, 0, 0, 0);
}

// A row of the protocol lies where the window before missed an event.
static void windows_share_nothing(void **state)
{
	struct story *s = *state;

	made_log.batches = 3;
	made_log.protocol_every = 117;
	mock.lost_from = 17;
	mock.lost_to = 18;
	story_open(s);
	story_deliver_all(s);
	verify(s, 100);
	expect_found(1, 0, 0, 0);
	assert_int_equal(found.found, 1);
}

static void one_that_is_there_twice_is_named(void **state)
{
	struct story *s = *state;

	by_ports(s);
	made_log.batches = 3;
	mock.twice = 207;
	story_open(s);
	story_deliver_all(s);
	verify(s, 0);
	expect_found(0, 1, 0, 0);
	expect_said("batch 2, seq 207");
}

static void changed_bytes_are_named(void **state)
{
	struct story *s = *state;

	made_log.batches = 2;
	mock.changed = 13;
	story_open(s);
	story_deliver_all(s);
	verify(s, 0);
	expect_found(0, 0, 1, 0);
	expect_said("batch 0, seq 13");
}

// Those of a port in the topic of another.
static void a_wrong_topic_counts_as_changed(void **state)
{
	struct story *s = *state;

	made_log.batches = 1;
	snprintf(s->made.config.topic, sizeof(s->made.config.topic), "events-{port}");
	story_open(s);
	story_deliver_all(s);
	made_log.listeners = "{\"0\":{\"name\":\"sys log\",\"port\":9000},\"1\":{\"name\":\"app\","
			     "\"port\":514}}";
	verify(s, 0);
	expect_found(0, 0, 100, 0);
	assert_int_equal(found.found, 100);
}

static void what_is_set_aside_is_no_loss(void **state)
{
	struct story *s = *state;
	char path[200];
	FILE *file;

	made_log.batches = 2;
	made_log.large_seq = 107;
	made_log.large_bytes = 5000;
	made_target_set(&s->made, "message.max.bytes", "2000");
	story_open(s);
	story_deliver_all(s);
	verify(s, 0);
	expect_found(0, 0, 0, 1);
	snprintf(path, sizeof(path), "%s/quarantine.out/1-107.event", s->made.dir);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_not_equal(fputc('x', file), EOF);
	assert_int_equal(fclose(file), 0);
	verify(s, 0);
	expect_found(0, 0, 1, 0);
	assert_int_equal(unlink(path), 0);
	verify(s, 0);
	expect_found(1, 0, 0, 0);
	expect_said("batch 1, seq 107");
}

static void what_lies_beyond_the_cursor_is_told_apart(void **state)
{
	struct story *s = *state;

	made_log.batches = 3;
	story_open(s);
	story_deliver_all(s);
	s->cursor.batch = 2;
	s->cursor.seq = 200;
	verify(s, 100);
	expect_found(0, 0, 0, 0);
	assert_int_equal(found.events, 200);
	assert_int_equal(found.ahead, 100);
}

static void another_log_is_not_looked_at(void **state)
{
	struct story *s = *state;

	made_log.batches = 1;
	story_open(s);
	story_deliver_all(s);
	memset(made_log.log_id.bytes, 9, sizeof(made_log.log_id.bytes));
	assert_int_equal(look(s, 0), -EBADMSG);
	s->cursor.log_id = s->made.target.log_id = made_log.log_id;
	verify(s, 0);
	expect_found(100, 0, 0, 0);
	expect_said("batch 0, seq 0 to 99");
}

static void batches_as_arrow_are_compared(void **state)
{
	struct story *s = *state;

	s->made.config.format = SINK_FORMAT_ARROW;
	made_log.batches = 4;
	mock.lost_from = 100;
	mock.lost_to = 101;
	mock.twice = 200;
	mock.changed = 300;
	story_open(s);
	story_deliver_all(s);
	verify(s, 0);
	expect_found(100, 100, 100, 0);
	assert_int_equal(found.events, 400);
	assert_int_equal(found.found, 3);
}

static void a_log_that_ends_before_the_cursor_is_no_measure(void **state)
{
	struct story *s = *state;

	made_log.batches = 2;
	story_open(s);
	story_deliver_all(s);
	made_log.batches = 1;
	assert_int_equal(look(s, 0), -EBADMSG);
	assert_non_null(strstr(s->made.target.why, "ends before batch 1"));
}

static void stop_while_reading(void *arg, const char *what, uint64_t done, uint64_t all)
{
	struct story *s = arg;

	(void)done, (void)all;
	if (strstr(what, "topics") != NULL)
		atomic_store(&s->made.stop, true);
}

static void it_ends_when_told_to(void **state)
{
	struct story *s = *state;

	made_log.batches = 2;
	story_open(s);
	story_deliver_all(s);
	on_progress = stop_while_reading;
	assert_int_equal(look(s, 0), -ECANCELED);
	assert_int_equal(found.batches, 2);
	on_progress = NULL;
	assert_int_equal(look(s, 0), -ECANCELED);
	assert_int_equal(found.batches, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, story_setup, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_there),
		TEST(missing_ones_are_named),
		TEST(windows_share_nothing),
		TEST(one_that_is_there_twice_is_named),
		TEST(changed_bytes_are_named),
		TEST(a_wrong_topic_counts_as_changed),
		TEST(what_is_set_aside_is_no_loss),
		TEST(what_lies_beyond_the_cursor_is_told_apart),
		TEST(another_log_is_not_looked_at),
		TEST(batches_as_arrow_are_compared),
		TEST(a_log_that_ends_before_the_cursor_is_no_measure),
		TEST(it_ends_when_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
