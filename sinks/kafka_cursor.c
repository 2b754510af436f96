// SPDX-License-Identifier: BSD-3-Clause
// The cursor at Kafka: what a group has committed for partition 0 of a topic that nobody writes to.
// Kafka refuses a partition that is not there, so the topic is made. The group's name has the log's
// id in it: two receivers whose sinks have the same name would else share one cursor.

#include "common/clock.h"
#include "common/logmsg.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAUSE_NS 100000000u
#define RF_OF_BROKER (-1) // what the broker has configured

int kafka_consumer_make(struct kafka_sink *k, const char *isolation, rd_kafka_t **ret)
{
	rd_kafka_conf_t *conf = kafka_conf_reader(k, isolation);
	char text[SINK_WHY_BYTES / 2];

	if (conf == NULL)
		return -EINVAL;
	*ret = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (*ret == NULL) {
		rd_kafka_conf_destroy(conf);
		kafka_why(k, "librdkafka makes no consumer of these properties: %s", text);
		return -EINVAL;
	}
	return 0;
}

int kafka_reader_make(struct kafka_sink *k)
{
	return k->reader == NULL ? kafka_consumer_make(k, "read_committed", &k->reader) : 0;
}

void kafka_reader_destroy(struct kafka_sink *k)
{
	if (k->reader != NULL)
		rd_kafka_destroy_flags(k->reader, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	k->reader = NULL;
}

rd_kafka_topic_partition_list_t *kafka_cursor_offsets(
	const struct kafka_sink *k, const struct wal_cursor *cursor)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *place =
		rd_kafka_topic_partition_list_add(list, k->config->cursor_topic, 0);
	char text[WAL_CURSOR_TEXT_BYTES];

	if (cursor != NULL) {
		wal_cursor_text(cursor, text);
		place->offset = (int64_t)cursor->batch;
		place->metadata = strdup(text); // the list frees it
		place->metadata_size = place->metadata != NULL ? strlen(text) : 0;
	}
	return list;
}

// 1: it is there; 0: it is not; negative errno.
static int look_for_topic(struct kafka_sink *k)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(k->reader, k->config->cursor_topic, NULL);
	const struct rd_kafka_metadata *found;
	rd_kafka_resp_err_t err = rd_kafka_metadata(k->reader, 0, topic, &found, KAFKA_SLICE_MS);
	int r = -EAGAIN;

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		err = found->topic_cnt == 1 ? found->topics[0].err
					    : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR && found->topics[0].partition_cnt > 0)
			r = 1;
		rd_kafka_metadata_destroy(found);
	}
	if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		r = 0;
	if (r < 0)
		kafka_why_broker(k, "looking for the cursor's topic", rd_kafka_err2str(err));
	rd_kafka_topic_destroy(topic);
	return r;
}

static int creation_result(struct kafka_sink *k, rd_kafka_event_t *event)
{
	const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	const char *text = rd_kafka_event_error_string(event);
	const rd_kafka_topic_result_t **topics;
	size_t count;

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && result != NULL) {
		topics = rd_kafka_CreateTopics_result_topics(result, &count);
		err = count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__FAIL;
		text = count == 1 ? rd_kafka_topic_result_error_string(topics[0]) : NULL;
	}
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return 0;
	kafka_why(k,
		"the topic %s, which the cursor needs, can't be created: %s: create it with one "
		"partition",
		k->config->cursor_topic, text != NULL ? text : rd_kafka_err2str(err));
	return -EAGAIN;
}

static int create_topic(struct kafka_sink *k)
{
	char text[SINK_WHY_BYTES / 2];
	rd_kafka_NewTopic_t *topic =
		rd_kafka_NewTopic_new(k->config->cursor_topic, 1, RF_OF_BROKER, text, sizeof(text));
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event = NULL;
	int r = -ECANCELED;

	if (topic == NULL) {
		kafka_why(k, "the topic %s can't be created: %s", k->config->cursor_topic, text);
		return -EINVAL;
	}
	queue = rd_kafka_queue_new(k->producer);
	rd_kafka_CreateTopics(k->producer, &topic, 1, NULL, queue);
	while (event == NULL && !kafka_stopped(k))
		event = rd_kafka_queue_poll(queue, KAFKA_SLICE_MS);
	if (event != NULL)
		r = creation_result(k, event);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(topic);
	return r;
}

int kafka_cursor_topic(struct kafka_sink *k)
{
	uint64_t deadline = clock_monotonic_ns() + kafka_timeout_ns(k);
	bool created = false;
	int r = kafka_reader_make(k);

	while (r == 0 && !k->has_cursor_topic) {
		int found = look_for_topic(k);

		if (found == 1)
			k->has_cursor_topic = true;
		else if (found == 0 && !created)
			r = create_topic(k);
		if (found == 0)
			created = true;
		else if (found < 0 && clock_monotonic_ns() >= deadline)
			r = found;
		if (r == 0 && found != 1 && !sink_wait(k->target, PAUSE_NS))
			r = -ECANCELED;
	}
	return r;
}

static int take_offset(struct kafka_sink *k, const rd_kafka_topic_partition_t *place)
{
	struct wal_cursor *cursor = &k->cursor;
	int r;

	k->has_cursor = place->offset >= 0;
	if (!k->has_cursor)
		return 0;
	r = wal_cursor_parse(place->metadata, place->metadata_size, cursor);
	if (r == 0 && wal_id_equal(&cursor->log_id, &k->target->log_id) &&
		cursor->batch == (uint64_t)place->offset)
		return 0;
	kafka_why(k,
		"the group %s has committed offset %" PRId64
		" of %s with other words than this sink's: "
		"somebody else uses the group",
		k->group, place->offset, place->topic);
	return -EBADMSG;
}

int kafka_cursor_recall(struct kafka_sink *k)
{
	uint64_t deadline = clock_monotonic_ns() + 2 * kafka_timeout_ns(k);
	rd_kafka_topic_partition_list_t *list = kafka_cursor_offsets(k, NULL);
	int r = kafka_reader_make(k);

	while (r == 0 && !k->recalled) {
		// It waits for what is pending of a transaction.
		rd_kafka_resp_err_t err = rd_kafka_committed(k->reader, list, KAFKA_SLICE_MS);

		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			err = list->elems[0].err;
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			r = take_offset(k, &list->elems[0]);
			k->recalled = r == 0;
			break;
		}
		kafka_why_broker(k, "asking for the cursor", rd_kafka_err2str(err));
		if (clock_monotonic_ns() >= deadline)
			r = -EAGAIN;
		else if (!sink_wait(k->target, PAUSE_NS))
			r = -ECANCELED;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return r;
}
