// SPDX-License-Identifier: BSD-3-Clause
// Reads what lies in the sink's topics, by what Kafka holds and not by what the protocol of
// transactions says: it has lost writes and torn transactions.
//
// Read is read_committed, from the first offset of a time to what was the end of each partition
// when the reading began. That end is the high watermark. The end that a read_committed consumer is
// told may lie before it, where somebody else's transaction is open: then the reading waits for
// that one to end.
//
// With a window a partition is read from its end backwards, window by window, until what was taken
// says that it reaches back far enough: for a sink that lags, much may have been written since.

#include "common/clock.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_NS 100000000u
#define POLL_MS 200
#define LEAST_PATIENCE_NS 30000000000u // without a message or an end that moves
#define WIDER 8                        // each window than the one before

// Of a partition.
struct span {
	int64_t floor; // nothing of that time is before it; -1: nor behind it
	int64_t end;   // behind the last offset that counts; -1: read up to there
	bool enough;   // something older was seen
};

struct reading {
	struct kafka_sink *k;
	struct kafka_read *what;
	rd_kafka_topic_partition_list_t *places; // offset: where to begin
	struct span *spans;                      // of each
	int left;                                // not read to their ends
	uint64_t done, all; // messages, those that are told of transactions too
	uint64_t deadline;
};

static bool patient(struct reading *r, const char *doing, rd_kafka_resp_err_t err)
{
	kafka_why(r->k, "reading back: %s: %s", doing, rd_kafka_err2str(err));
	return clock_monotonic_ns() < r->deadline;
}

static void progress(struct reading *r)
{
	uint64_t patience = 3 * kafka_timeout_ns(r->k);

	if (patience < LEAST_PATIENCE_NS)
		patience = LEAST_PATIENCE_NS;
	r->deadline = clock_monotonic_ns() + patience;
}

static void tell(const struct reading *r)
{
	if (r->what->tell != NULL)
		r->what->tell(r->what->arg, r->done, r->all);
}

// Adds the partitions of a topic. A topic that is not there has none.
static rd_kafka_resp_err_t add_topic(struct reading *r, const char *name)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(r->k->reader, name, NULL);
	const struct rd_kafka_metadata *found;
	rd_kafka_resp_err_t err = rd_kafka_metadata(r->k->reader, 0, topic, &found, KAFKA_SLICE_MS);

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		err = found->topic_cnt == 1 ? found->topics[0].err
					    : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
		for (int i = 0;
			err == RD_KAFKA_RESP_ERR_NO_ERROR && i < found->topics[0].partition_cnt;
			i++)
			rd_kafka_topic_partition_list_add(
				r->places, name, found->topics[0].partitions[i].id);
		rd_kafka_metadata_destroy(found);
	}
	rd_kafka_topic_destroy(topic);
	if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		err = RD_KAFKA_RESP_ERR_NO_ERROR;
	return err;
}

// 0, or negative errno: whether to try again after 'err'.
static int again(struct reading *r, const char *doing, rd_kafka_resp_err_t err)
{
	if (!patient(r, doing, err))
		return -EAGAIN;
	tell(r);
	return sink_wait(r->k->target, PAUSE_NS) ? 0 : -ECANCELED;
}

static int add_topics(struct reading *r)
{
	const struct kafka_topics *t = &r->k->topics;
	int result = 0;

	for (unsigned i = 0; i < t->count && result == 0;) {
		rd_kafka_resp_err_t err = add_topic(r, t->list[i].name);

		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			i++;
		else
			result = again(r, t->list[i].name, err);
	}
	return result;
}

static int find_begins(struct reading *r)
{
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__FAIL;
	int result = 0;

	while (result == 0 && err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		for (int i = 0; i < r->places->cnt; i++)
			r->places->elems[i].offset = r->what->since_ms;
		err = rd_kafka_offsets_for_times(r->what->looker, r->places, KAFKA_SLICE_MS);
		for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < r->places->cnt; i++)
			err = r->places->elems[i].err;
		if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
			result = again(r, "offsets of a time", err);
	}
	return result;
}

static int find_end(struct reading *r, int i)
{
	rd_kafka_topic_partition_t *place = &r->places->elems[i];
	int64_t low = 0, high = 0;
	int result = 0;

	for (;;) {
		rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(r->what->looker,
			place->topic, place->partition, &low, &high, KAFKA_SLICE_MS);

		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		result = again(r, "the end of a partition", err);
		if (result < 0)
			return result;
	}
	r->spans[i] = (struct span){.floor = place->offset, .end = high};
	if (place->offset < 0 || place->offset >= high)
		r->spans[i] = (struct span){.floor = -1, .end = -1};
	else if (place->offset <= low && low > 0)
		r->what->cut = true;
	if (r->spans[i].end >= 0)
		r->all += (uint64_t)(high - place->offset);
	return 0;
}

static int find_ends(struct reading *r)
{
	int result = 0;

	r->spans = calloc((size_t)r->places->cnt + 1, sizeof(*r->spans));
	if (r->spans == NULL)
		return -ENOMEM;
	for (int i = 0; i < r->places->cnt && result == 0; i++)
		result = find_end(r, i);
	return result;
}

bool kafka_header_is(const rd_kafka_headers_t *headers, const char *name, const char *text)
{
	const void *value;
	size_t len;

	return rd_kafka_header_get_last(headers, name, &value, &len) ==
		       RD_KAFKA_RESP_ERR_NO_ERROR &&
	       len == strlen(text) && memcmp(value, text, len) == 0;
}

bool kafka_header_number(const rd_kafka_headers_t *headers, const char *name, uint64_t *ret)
{
	const void *value;
	const char *digits;
	size_t len;

	if (rd_kafka_header_get_last(headers, name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		len == 0 || len > 20)
		return false;
	digits = value;
	*ret = 0;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(digits[i] - '0');
	}
	return true;
}

// NULL: none that is still to be read.
static struct span *span_of(const struct reading *r, const rd_kafka_message_t *message)
{
	const char *topic = rd_kafka_topic_name(message->rkt);

	for (int i = 0; i < r->places->cnt; i++)
		if (r->places->elems[i].partition == message->partition &&
			strcmp(r->places->elems[i].topic, topic) == 0)
			return r->spans[i].end >= 0 ? &r->spans[i] : NULL;
	return NULL;
}

// Every message before 'next' was seen.
static void reached(struct reading *r, struct span *span, int64_t next)
{
	progress(r);
	if (next < span->end)
		return;
	span->end = -1;
	r->left--;
}

static int take_event(struct reading *r, const rd_kafka_message_t *message)
{
	bool is_message = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
	struct span *span;

	if (!is_message && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return patient(r, "a message", message->err) ? 0 : -EAGAIN;
	span = span_of(r, message);
	if (span == NULL)
		return 0;
	if (is_message && message->offset < span->end) {
		r->done++;
		span->enough |= r->what->take(r->what->arg, message);
	}
	reached(r, span, message->offset + is_message);
	return 0;
}

static int read_all(struct reading *r)
{
	rd_kafka_topic_partition_list_t *wanted = rd_kafka_topic_partition_list_new(r->left);
	rd_kafka_resp_err_t err;
	int result = 0;

	for (int i = 0; i < r->places->cnt; i++)
		if (r->spans[i].end >= 0)
			rd_kafka_topic_partition_list_add(
				wanted, r->places->elems[i].topic, r->places->elems[i].partition)
				->offset = r->places->elems[i].offset;
	err = rd_kafka_assign(r->k->reader, wanted);
	rd_kafka_topic_partition_list_destroy(wanted);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR && !patient(r, "assigning", err))
		return -EAGAIN;
	while (r->left > 0 && result == 0) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(r->k->reader, POLL_MS);

		if (message != NULL) {
			result = take_event(r, message);
			rd_kafka_message_destroy(message);
		} else if (!patient(r, "waiting", RD_KAFKA_RESP_ERR__TIMED_OUT)) {
			result = -EAGAIN;
		}
		tell(r);
		if (kafka_stopped(r->k))
			result = -ECANCELED;
	}
	rd_kafka_assign(r->k->reader, NULL);
	return result;
}

// The next window of each partition: in front of the one before, unless that told enough.
static void next_windows(struct reading *r, int64_t width)
{
	for (int i = 0; i < r->places->cnt; i++) {
		rd_kafka_topic_partition_t *place = &r->places->elems[i];
		struct span *span = &r->spans[i];

		if (span->floor < 0 || span->enough || place->offset <= span->floor)
			continue;
		span->end = place->offset;
		place->offset = span->end - span->floor > width ? span->end - width : span->floor;
		r->left++;
	}
}

static int read_windows(struct reading *r)
{
	int64_t width = r->what->window > 0 ? r->what->window : INT64_MAX;
	int result = 0;

	for (int i = 0; i < r->places->cnt; i++)
		r->places->elems[i].offset = r->spans[i].end;
	for (next_windows(r, width); r->left > 0 && result == 0; next_windows(r, width)) {
		result = read_all(r);
		width *= width < INT64_MAX / WIDER ? WIDER : 1;
	}
	return result;
}

int kafka_read(struct kafka_sink *k, struct kafka_read *what)
{
	struct reading r = {.k = k, .what = what, .places = rd_kafka_topic_partition_list_new(4)};
	int result, places;

	what->cut = false;
	progress(&r);
	result = kafka_reader_make(k);
	if (result == 0)
		result = add_topics(&r);
	if (result == 0 && r.places->cnt > 0)
		result = find_begins(&r);
	if (result == 0)
		result = find_ends(&r);
	if (result == 0)
		result = read_windows(&r);
	places = r.places->cnt;
	rd_kafka_topic_partition_list_destroy(r.places);
	free(r.spans);
	what->done = r.done;
	what->partitions = places;
	return result;
}
