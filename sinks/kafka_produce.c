// SPDX-License-Identifier: BSD-3-Clause
// One message to librdkafka. Its full queue is back-pressure.

#include "sinks/kafka_internal.h"

#include <errno.h>

#define QUEUE_FULL_MS 5

// 1: sent; 0: too large; -ENOBUFS: the queue is full.
static int try_produce(struct kafka_sink *k, rd_kafka_topic_t *topic, const void *key,
	size_t key_len, const void *value, size_t value_len, int64_t received_at, uint64_t seq,
	rd_kafka_headers_t *headers)
{
	rd_kafka_resp_err_t err = rd_kafka_producev(k->producer, RD_KAFKA_V_RKT(topic),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_len), RD_KAFKA_V_KEY(key, key_len),
		RD_KAFKA_V_TIMESTAMP(received_at / 1000000),
		RD_KAFKA_V_OPAQUE((void *)(uintptr_t)seq), RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_END);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 1;
	if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return 0;
	if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return -ENOBUFS;
	kafka_why(k, "sending: %s", rd_kafka_err2str(err));
	return kafka_failed(k, "sending");
}

int kafka_produce(struct kafka_sink *k, unsigned topic, const void *key, size_t key_len,
	const void *value, size_t value_len, int64_t received_at, uint64_t seq,
	rd_kafka_headers_t *headers)
{
	rd_kafka_topic_t *handle = kafka_topic_handle(k, topic);
	int r = -EINVAL;

	if (handle == NULL)
		kafka_why(k, "the topic %s: %s", k->topics.list[topic].name,
			rd_kafka_err2str(rd_kafka_last_error()));
	while (handle != NULL) {
		r = try_produce(
			k, handle, key, key_len, value, value_len, received_at, seq, headers);
		if (r != -ENOBUFS)
			break;
		kafka_count(k, KAFKA_queue_full);
		rd_kafka_poll(k->producer, QUEUE_FULL_MS);
		r = kafka_stopped(k) ? -ECANCELED : k->reports.failed > 0 ? -ECONNABORTED : r;
		if (r != -ENOBUFS)
			break;
	}
	if (r != 1)
		rd_kafka_headers_destroy(headers);
	return r;
}
