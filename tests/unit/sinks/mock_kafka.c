// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/sinks/mock_kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct mock_kafka mock;

rd_kafka_error_t *__real_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__real_rd_kafka_send_offsets_to_transaction(rd_kafka_t *rk,
	const rd_kafka_topic_partition_list_t *offsets,
	const rd_kafka_consumer_group_metadata_t *group, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(rd_kafka_t *rk,
	const rd_kafka_topic_partition_list_t *offsets,
	const rd_kafka_consumer_group_metadata_t *group, int timeout_ms);
rd_kafka_error_t *__real_rd_kafka_begin_transaction(rd_kafka_t *rk);
rd_kafka_error_t *__wrap_rd_kafka_begin_transaction(rd_kafka_t *rk);
rd_kafka_resp_err_t __wrap_rd_kafka_committed(
	rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(
	rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms);
int __real_kafka_produce(void *k, unsigned topic, const void *key, size_t key_len,
	const void *value, size_t value_len, int64_t received_at, uint64_t seq,
	rd_kafka_headers_t *headers);
int __wrap_kafka_produce(void *k, unsigned topic, const void *key, size_t key_len,
	const void *value, size_t value_len, int64_t received_at, uint64_t seq,
	rd_kafka_headers_t *headers);

rd_kafka_error_t *__wrap_rd_kafka_begin_transaction(rd_kafka_t *rk)
{
	mock.produced = 0;
	mock.has_pending = false;
	return __real_rd_kafka_begin_transaction(rk);
}

rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(rd_kafka_t *rk,
	const rd_kafka_topic_partition_list_t *offsets,
	const rd_kafka_consumer_group_metadata_t *group, int timeout_ms)
{
	rd_kafka_error_t *error =
		__real_rd_kafka_send_offsets_to_transaction(rk, offsets, group, timeout_ms);
	const rd_kafka_topic_partition_t *place = &offsets->elems[0];

	if (error != NULL)
		return error;
	assert_int_equal(wal_cursor_parse(place->metadata, place->metadata_size, &mock.pending), 0);
	assert_int_equal(mock.pending.batch, place->offset);
	assert_int_equal(place->partition, 0);
	mock.has_pending = true;
	return NULL;
}

static void store_pending(void)
{
	mock.cursors_alone += mock.has_pending && mock.produced == 0;
	mock.has_cursor |= mock.has_pending;
	if (mock.has_pending)
		mock.cursor = mock.pending;
	mock.has_pending = false;
}

rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms)
{
	rd_kafka_error_t *error;

	if (mock.fate == FATE_LATE)
		sleep(2);
	if (mock.fate == FATE_COMMITTED_UNHEARD)
		store_pending();
	if (mock.fate == FATE_COMMITTED_UNHEARD || mock.fate == FATE_OPEN_UNHEARD) {
		rd_kafka_flush(rk, timeout_ms); // they arrive
		// No other way makes an error of librdkafka's that says it may be retried.
		rd_kafka_t *other = mock.owner;

		error = rd_kafka_init_transactions(other, 1);
		assert_non_null(error);
		assert_true(rd_kafka_error_is_retriable(error));
		return error;
	}
	error = __real_rd_kafka_commit_transaction(rk, timeout_ms);
	if (error == NULL) {
		mock.commits++;
		store_pending();
	}
	return error;
}

rd_kafka_resp_err_t __wrap_rd_kafka_committed(
	rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
	char text[WAL_CURSOR_TEXT_BYTES];

	(void)timeout_ms;
	(void)rk;
	list->elems[0].offset =
		mock.has_cursor ? (int64_t)mock.cursor.batch : RD_KAFKA_OFFSET_INVALID;
	if (mock.has_cursor) {
		wal_cursor_text(&mock.cursor, text);
		list->elems[0].metadata = strdup(text);
		list->elems[0].metadata_size = strlen(text);
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(
	rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
	(void)timeout_ms;
	(void)rk;
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = 0;
	mock.read_backs++;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static int produce_changed(void *k, unsigned topic, const void *key, size_t key_len,
	const void *value, size_t value_len, int64_t received_at, uint64_t seq,
	rd_kafka_headers_t *headers)
{
	uint8_t *changed = malloc(value_len);
	int r;

	assert_non_null(changed);
	memcpy(changed, value, value_len);
	changed[value_len - 1] ^= 1;
	r = __real_kafka_produce(
		k, topic, key, key_len, changed, value_len, received_at, seq, headers);
	free(changed);
	return r;
}

int __wrap_kafka_produce(void *k, unsigned topic, const void *key, size_t key_len,
	const void *value, size_t value_len, int64_t received_at, uint64_t seq,
	rd_kafka_headers_t *headers)
{
	mock.produced++;
	if (seq >= mock.lost_from && seq < mock.lost_to) {
		rd_kafka_headers_destroy(headers);
		return 1;
	}
	if (seq == mock.twice)
		assert_int_equal(__real_kafka_produce(k, topic, key, key_len, value, value_len,
					 received_at, seq, rd_kafka_headers_copy(headers)),
			1);
	if (seq == mock.changed)
		return produce_changed(
			k, topic, key, key_len, value, value_len, received_at, seq, headers);
	return __real_kafka_produce(
		k, topic, key, key_len, value, value_len, received_at, seq, headers);
}

static void quiet(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text;
}

void mock_up(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512];

	memset(&mock, 0, sizeof(mock));
	mock.twice = mock.changed = UINT64_MAX;
	rd_kafka_conf_set_log_cb(conf, quiet);
	rd_kafka_conf_set(conf, "transactional.id", "owner", why, sizeof(why));
	rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", why, sizeof(why));
	mock.owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	assert_non_null(mock.owner);
	mock.cluster = rd_kafka_mock_cluster_new(mock.owner, 1);
	assert_non_null(mock.cluster);
	mock.brokers = rd_kafka_mock_cluster_bootstraps(mock.cluster);
	assert_int_equal(rd_kafka_mock_topic_create(mock.cluster, "millrace-cursors", 1, 1), 0);
	assert_int_equal(rd_kafka_mock_topic_create(mock.cluster, "events", 1, 1), 0);
	assert_int_equal(rd_kafka_mock_topic_create(mock.cluster, "events-514", 2, 1), 0);
	assert_int_equal(rd_kafka_mock_topic_create(mock.cluster, "events-9000", 2, 1), 0);
}

void mock_down(void)
{
	rd_kafka_mock_cluster_destroy(mock.cluster);
	rd_kafka_destroy(mock.owner);
}

void mock_fail(int16_t api, rd_kafka_resp_err_t err)
{
	rd_kafka_mock_push_request_errors(mock.cluster, api, 1, err);
}

static rd_kafka_t *new_consumer(void)
{
	static const char *const pairs[][2] = {{"group.id", "test"},
		{"enable.partition.eof", "true"}, {"fetch.wait.max.ms", "20"}};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512];
	rd_kafka_t *consumer;

	rd_kafka_conf_set_log_cb(conf, quiet);
	rd_kafka_conf_set(conf, "bootstrap.servers", mock.brokers, why, sizeof(why));
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], why, sizeof(why));
	consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	assert_non_null(consumer);
	return consumer;
}

static void count(const rd_kafka_message_t *message, struct mock_seen *seen)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t len;
	unsigned long seq;

	seen->messages++;
	assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
	if (rd_kafka_header_get_last(headers, "seq", &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	seq = strtoul(value, NULL, 10); // librdkafka ends headers with a zero byte
	assert_in_range(seq, 0, sizeof(seen->times) - 1);
	seen->times[seq]++;
}

void mock_read(
	const char *topic, struct mock_seen *ret, void (*look)(const rd_kafka_message_t *message))
{
	int partitions = strcmp(topic, "events") == 0 ? 1 : 2, left = partitions;
	rd_kafka_t *consumer = new_consumer();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);

	for (int i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = 0;
	rd_kafka_assign(consumer, list);
	while (left > 0) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);

		if (message == NULL)
			continue;
		if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			left--;
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			count(message, ret);
			if (look != NULL)
				look(message);
		}
		rd_kafka_message_destroy(message);
	}
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(consumer);
}
