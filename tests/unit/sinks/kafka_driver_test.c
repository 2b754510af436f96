// SPDX-License-Identifier: BSD-3-Clause
// The driver against librdkafka's mock cluster: what it sends, and what it does with errors that
// end known.

#include "tests/unit/sinks/sink_story.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned looked_at;

static void check_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
	const void *found;
	size_t len;

	assert_int_equal(rd_kafka_header_get_last(headers, name, &found, &len), 0);
	assert_int_equal(len, strlen(value));
	assert_memory_equal(found, value, len);
}

static void look_at_seq_13(const rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	rd_kafka_headers_t *headers;
	const void *seq;
	size_t len;

	assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
	assert_int_equal(rd_kafka_header_get_last(headers, "seq", &seq, &len), 0);
	if (len != 2 || memcmp(seq, "13", 2) != 0)
		return;
	looked_at++;
	check_header(headers, "log_id", "07070707070707070707070707070707");
	check_header(headers, "batch", "0");
	check_header(headers, "source", "43971"); // 0xabc3
	check_header(headers, "epoch", "1");
	check_header(headers, "source_seq", "13");
	assert_int_equal(message->key_len, 16);
	assert_memory_equal(message->key, "000000000000abc3", 16);
	assert_int_equal(message->len, 64);
	assert_memory_equal(message->payload, "000000000000013 ppp", 19);
	assert_int_equal(rd_kafka_message_timestamp(message, &type),
		(made_log.received_at + 13000) / 1000000);
}

static void look_at_plain(const rd_kafka_message_t *message)
{
	assert_int_equal(message->key_len, strlen("10.0.2.33:40000"));
	assert_memory_equal(message->key, "10.0.2.33:4000", 14);
}

static void events_go_to_their_topics_with_their_names(void **state)
{
	struct story *s = *state;
	struct mock_seen seen = {0};

	snprintf(s->made.config.topic, sizeof(s->made.config.topic), "events-{port}");
	made_log.batches = 1;
	made_log.protocol_every = 10;
	looked_at = 0;
	story_open(s);
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(s->events, 90);
	assert_int_equal(s->cursor.batch, 1);
	assert_int_equal(s->cursor.seq, 100);
	mock_read("events-514", &seen, look_at_plain);
	assert_int_equal(seen.messages, 40); // even ones but each tenth
	mock_read("events-9000", &seen, look_at_seq_13);
	assert_int_equal(seen.messages, 90);
	assert_int_equal(looked_at, 1);
	assert_int_equal(s->made.counters[SINK_payload_bytes], 90 * 64);
}

static void the_cursor_is_in_the_same_transaction(void **state)
{
	struct story *s = *state;
	struct wal_cursor cursor;

	made_log.batches = 1;
	story_open(s);
	assert_int_equal(sink_kafka.recall(s->driver, &cursor), 0);
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(mock.commits, 1);
	assert_int_equal(mock.cursors_alone, 0);
	assert_true(mock.has_cursor);
	assert_int_equal(mock.cursor.batch, 1);
	story_reopen(s);
	assert_int_equal(sink_kafka.recall(s->driver, &cursor), 1);
	assert_int_equal(cursor.batch, 1);
	assert_int_equal(cursor.seq, 100);
	assert_true(wal_id_equal(&cursor.log_id, &made_log.log_id));
}

static void a_transaction_takes_several_batches_when_it_lags(void **state)
{
	struct story *s = *state;

	made_log.batches = 10;
	s->made.config.transaction_batches = 4;
	story_open(s);
	story_deliver_all(s);
	assert_int_equal(mock.commits, 3);
	story_check_once(s, 1000);
}

static void a_full_queue_holds_it_up(void **state)
{
	struct story *s = *state;

	made_log.batches = 2;
	made_target_set(&s->made, "queue.buffering.max.messages", "10");
	story_open(s);
	story_deliver_all(s);
	assert_true(story_counter(s, "queue_full") > 0);
	story_check_once(s, 200);
}

static bool set_aside(struct story *s, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/quarantine.out/%s", s->made.dir, name);
	return access(path, R_OK) == 0;
}

static void an_event_too_large_is_set_aside(void **state)
{
	struct story *s = *state;
	struct mock_seen seen = {0};

	made_log.batches = 2;
	made_log.large_seq = 107;
	made_log.large_bytes = 5000;
	made_target_set(&s->made, "message.max.bytes", "2000");
	story_open(s);
	story_deliver_all(s);
	assert_int_equal(s->made.counters[SINK_quarantined], 1);
	assert_true(set_aside(s, "1-107.event"));
	assert_true(set_aside(s, "1-107.json"));
	mock_read("events", &seen, NULL);
	assert_int_equal(seen.messages, 199);
	assert_int_equal(seen.times[107], 0);
}

// The broker refuses whole record batches: each message is tried alone, and what it refuses then is
// set aside.
static void what_the_broker_refuses_alone_is_set_aside(void **state)
{
	struct story *s = *state;

	made_log.batches = 1;
	made_log.rows = 3;
	story_open(s);
	mock_fail(API_PRODUCE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE); // all three
	mock_fail(API_PRODUCE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE); // the first, alone
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(s->made.counters[SINK_quarantined], 1);
	assert_true(set_aside(s, "0-0.event"));
	assert_int_equal(s->events, 3);
}

static void an_aborted_batch_is_sent_again(void **state)
{
	struct story *s = *state;

	made_log.batches = 1;
	story_open(s);
	mock_fail(API_PRODUCE, RD_KAFKA_RESP_ERR_INVALID_RECORD);
	assert_int_equal(story_deliver(s), -EAGAIN);
	assert_false(mock.has_cursor);
	assert_int_equal(story_counter(s, "aborts"), 1);
	assert_int_equal(story_deliver(s), 0);
	assert_true(mock.has_cursor);
	story_check_once(s, 100);
}

static void another_process_of_the_same_log_is_an_alarm(void **state)
{
	struct story *s = *state;

	made_log.batches = 1;
	story_open(s);
	mock_fail(API_END, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
	assert_int_equal(story_deliver(s), -ENOTUNIQ);
	assert_non_null(strstr(s->made.target.why, "copied data directory"));
}

// The coordinator fences a transaction that has grown too old.
static void an_old_transaction_that_is_fenced_is_none(void **state)
{
	struct story *s = *state;

	made_log.batches = 1;
	s->made.config.transaction_timeout_ns = 1000000000u;
	story_open(s);
	mock.fate = FATE_LATE;
	mock_fail(API_END, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
	assert_int_equal(story_deliver(s), -EAGAIN);
	mock.fate = FATE_PLAIN;
	s->made.config.transaction_timeout_ns = 30000000000u; // for a machine that is busy
	assert_int_equal(story_deliver(s), 0);
	story_check_once(s, 100);
}

static void *stop_soon(void *arg)
{
	struct story *s = arg;

	usleep(700000);
	atomic_store(&s->made.stop, true);
	return NULL;
}

static void a_stop_ends_the_wait_for_a_broker(void **state)
{
	struct story *s = *state;
	pthread_t thread;

	made_log.batches = 1;
	s->made.config.transaction_timeout_ns = 600000000000u; // so that nothing else ends it
	story_open(s);
	assert_int_equal(story_deliver(s), 0);
	made_log.batches = 2;
	assert_int_equal(rd_kafka_mock_broker_set_down(mock.cluster, -1), 0);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, s), 0);
	assert_int_equal(story_deliver(s), -ECANCELED);
	pthread_join(thread, NULL);
	assert_int_equal(rd_kafka_mock_broker_set_up(mock.cluster, -1), 0);
}

static void what_the_log_says_of_a_later_batch_holds_up_none_before(void **state)
{
	struct story *s = *state;
	int r;

	made_log.batches = 3;
	made_log.error_at = 1;
	made_log.block_error = -EBADMSG;
	story_open(s);
	assert_int_equal(story_deliver(s), -EAGAIN);
	assert_int_equal(story_deliver(s), 0);
	assert_int_equal(s->cursor.batch, 1);
	while ((r = story_deliver(s)) == -EAGAIN)
		;
	assert_int_equal(r, -EBADMSG);
}

static void without_transactions_it_is_confirmed_by_reports(void **state)
{
	struct story *s = *state;
	struct wal_cursor cursor;

	made_log.batches = 2;
	s->made.config.transactions = false;
	story_open(s);
	assert_int_equal(sink_kafka.recall(s->driver, &cursor), 0);
	mock_fail(API_PRODUCE, RD_KAFKA_RESP_ERR_INVALID_RECORD);
	assert_int_equal(story_deliver(s), -EAGAIN);
	story_deliver_all(s);
	assert_int_equal(mock.commits, 0);
	story_check_once(s, 200);
}

static void a_batch_can_be_one_arrow_message(void **state)
{
	struct story *s = *state;
	struct mock_seen seen = {0};

	made_log.batches = 2;
	s->made.config.format = SINK_FORMAT_ARROW;
	story_open(s);
	story_deliver_all(s);
	assert_int_equal(s->made.counters[SINK_repaired], 0);
	mock_read("events", &seen, NULL);
	assert_int_equal(seen.messages, 2);
}

static void properties_that_are_wrong_are_told(void **state)
{
	struct story *s = *state;

	made_target_set(&s->made, "no.such.property", "1");
	assert_int_equal(sink_kafka.open(&s->driver, &s->made.target), -EINVAL);
	assert_non_null(strstr(s->made.target.why, "No such configuration property"));
	s->made.config.property_count--;
	made_target_set(&s->made, "transactional.id", "x");
	assert_int_equal(sink_kafka.open(&s->driver, &s->made.target), -EINVAL);
	assert_non_null(strstr(s->made.target.why, "transactional.id"));
	s->made.config.property_count--;
	made_target_set(&s->made, "security.protocol", "canary-4711");
	s->made.config.properties[s->made.config.property_count - 1].source = PROPERTY_ENVIRONMENT;
	assert_int_equal(sink_kafka.open(&s->driver, &s->made.target), -ENOENT);
	setenv("canary-4711", "hidden-5812", 1);
	assert_int_equal(sink_kafka.open(&s->driver, &s->made.target), -EINVAL);
	assert_null(strstr(s->made.target.why, "hidden-5812"));
	s->driver = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, story_setup, story_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_go_to_their_topics_with_their_names),
		TEST(the_cursor_is_in_the_same_transaction),
		TEST(a_transaction_takes_several_batches_when_it_lags),
		TEST(a_full_queue_holds_it_up),
		TEST(an_event_too_large_is_set_aside),
		TEST(what_the_broker_refuses_alone_is_set_aside),
		TEST(an_aborted_batch_is_sent_again),
		TEST(another_process_of_the_same_log_is_an_alarm),
		TEST(an_old_transaction_that_is_fenced_is_none),
		TEST(a_stop_ends_the_wait_for_a_broker),
		TEST(what_the_log_says_of_a_later_batch_holds_up_none_before),
		TEST(without_transactions_it_is_confirmed_by_reports),
		TEST(a_batch_can_be_one_arrow_message),
		TEST(properties_that_are_wrong_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
