// SPDX-License-Identifier: BSD-3-Clause
// Reads back everything that the topics hold of a log and compares it with the log. Of each message
// that should be there a hash is kept, of its bytes, of its names in the headers and of its topic.
// What is too much for the memory is compared in windows of batches, one after the other, each of
// which is read to the end of the topics: a message that is there twice may be there late.

#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_EVENTS (16u << 20)
#define WINDOW_BATCHES (1u << 20)

// An item is what a message should be: a hash, and in its lowest bits what is known of it.
enum state { ITEM_NONE, ITEM_WANTED, ITEM_SET_ASIDE, ITEM_SEEN, ITEM_TWICE };
#define STATE_BITS 7u

struct span {
	uint64_t batch, first_seq, end_seq, events;
};

struct window {
	uint64_t *items; // by seq from spans[0].first_seq on; format arrow: by index in spans
	uint64_t room;
	struct span *spans;
	size_t count, span_room;
	size_t last; // the span found last
	int64_t received_min;
};

struct verifying {
	struct kafka_sink *k;
	struct wal_batches *log;
	const struct wal_cursor *limit;
	struct sink_verify *ret;
	struct kafka_set_aside aside;
	struct window window;
	bool later; // than the first window: what is beyond the cursor was counted already
	bool arrow;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25u;
	return hash ^ (hash >> 32);
}

static uint64_t mix_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t word;

	hash = mix(hash, len);
	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	if (len > 0)
		memcpy(&word, at, len);
	return mix(hash, word);
}

static uint64_t hash_of(const char *topic, const uint64_t names[3], const void *value, size_t len)
{
	uint64_t hash = mix_bytes(1, topic, strlen(topic));

	for (unsigned i = 0; i < 3; i++)
		hash = mix(hash, names[i]);
	return mix_bytes(hash, value, len) & ~(uint64_t)STATE_BITS;
}

// --- the log

static int make_room(struct window *w, uint64_t items)
{
	uint64_t *grown, room = w->room > 0 ? w->room : 4096;

	if (items <= w->room)
		return 0;
	while (room < items)
		room *= 2;
	grown = reallocarray(w->items, room, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	memset(grown + w->room, 0, (room - w->room) * sizeof(*grown));
	w->items = grown;
	w->room = room;
	return 0;
}

static int add_span(struct window *w, const struct wal_batch *batch)
{
	if (w->count == w->span_room) {
		size_t room = w->span_room > 0 ? 2 * w->span_room : 256;
		struct span *spans = reallocarray(w->spans, room, sizeof(*spans));

		if (spans == NULL)
			return -ENOMEM;
		w->spans = spans;
		w->span_room = room;
	}
	w->spans[w->count++] = (struct span){
		.batch = batch->number, .first_seq = batch->first_seq, .end_seq = batch->end_seq};
	return 0;
}

static uint64_t index_of(const struct verifying *v, const struct span *span, uint64_t seq)
{
	const struct window *w = &v->window;

	return v->arrow ? (uint64_t)(span - w->spans) : seq - w->spans[0].first_seq;
}

// 'seq' names a message; 'value' is what it should hold.
static void want(struct verifying *v, const struct span *span, uint64_t seq, uint64_t hash,
	const void *value, size_t len)
{
	enum state state = ITEM_WANTED;
	int r = kafka_set_aside_judge(&v->aside, span->batch, seq, value, len);

	if (r != 0)
		state = ITEM_SET_ASIDE;
	if (r > 0)
		v->ret->set_aside += v->arrow ? span->events : 1;
	if (r < 0) {
		v->ret->changed += v->arrow ? span->events : 1;
		sink_verify_found(v->ret,
			"%s/%" PRIu64 "-%" PRIu64 ".event holds other bytes than the log",
			v->aside.dir, span->batch, seq);
	}
	v->window.items[index_of(v, span, seq)] = hash | state;
}

static void load_block(struct verifying *v, struct span *span, const struct wal_block_view *view)
{
	struct wal_row row;

	for (uint32_t i = 0; i < view->trailer->rows; i++) {
		const char *topic;

		wal_row_get(view, i, &row);
		if (row.listener == WAL_LISTENER_PROTOCOL || row.seq < span->first_seq ||
			row.seq >= span->end_seq)
			continue;
		topic = v->k->topics.list[kafka_topic_of(v->k, row.listener)].name;
		span->events++;
		want(v, span, row.seq,
			hash_of(topic,
				(uint64_t[3]){row.source_id, row.source_epoch, row.source_seq},
				row.payload, row.payload_len),
			row.payload, row.payload_len);
	}
}

static int load_arrow(struct verifying *v, struct span *span, const struct wal_batch *batch)
{
	struct kafka_sink *k = v->k;
	struct kafka_part part = {.batch = *batch};
	int r = kafka_arrow_compose(k, v->log, &part);

	span->events = part.events;
	if (r == 0 && part.events > 0)
		want(v, span, batch->first_seq,
			hash_of(k->topics.list[k->topics.unknown].name,
				(uint64_t[3]){batch->first_seq, batch->end_seq, 0}, k->arrow,
				k->arrow_len),
			k->arrow, k->arrow_len);
	return r;
}

static int load_rows(struct verifying *v, struct span *span)
{
	struct wal_block_view view;
	int r;

	while ((r = wal_batches_block(v->log, &view)) == 1)
		load_block(v, span, &view);
	if (r < 0)
		kafka_why(v->k, "%s", wal_batches_why(v->log));
	return r;
}

// -ESTALE: retention took it meanwhile, and nothing of it is wanted.
static int load_batch(struct verifying *v, const struct wal_batch *batch)
{
	struct window *w = &v->window;
	struct span *span;
	uint64_t items;
	int r = add_span(w, batch);

	if (r < 0)
		return r;
	span = &w->spans[w->count - 1];
	items = v->arrow ? w->count : batch->end_seq - w->spans[0].first_seq;
	r = make_room(w, items);
	if (r == 0)
		r = kafka_topics_load(v->k, wal_batches_listeners(v->log));
	if (r == 0)
		r = v->arrow ? load_arrow(v, span, batch) : load_rows(v, span);
	if (r == 0) {
		v->ret->batches++;
		v->ret->events += span->events;
		if (batch->received_min < w->received_min)
			w->received_min = batch->received_min;
		return 0;
	}
	w->count--;
	if (!v->arrow && batch->end_seq - w->spans[0].first_seq <= w->room)
		memset(&w->items[batch->first_seq - w->spans[0].first_seq], 0,
			(batch->end_seq - batch->first_seq) * sizeof(*w->items));
	return r;
}

static bool fits(const struct verifying *v, const struct wal_batch *batch)
{
	const struct window *w = &v->window;
	uint64_t most = v->ret->window > 0 ? v->ret->window : WINDOW_EVENTS;

	return w->count == 0 ||
	       (w->count < WINDOW_BATCHES && batch->first_seq >= w->spans[0].first_seq &&
		       batch->end_seq - w->spans[0].first_seq <= most);
}

static void tell(const struct verifying *v, const char *what, uint64_t done, uint64_t all)
{
	if (v->ret->progress != NULL)
		v->ret->progress(v->ret->arg, what, done, all);
}

// 1; 0: the log has no more.
static int load_window(struct verifying *v)
{
	struct window *w = &v->window;
	struct wal_batch batch;
	int r;

	w->count = w->last = 0;
	w->received_min = INT64_MAX;
	memset(w->items, 0, w->room * sizeof(*w->items));
	while ((r = sink_verify_next(v->k->target, v->log, v->limit, &batch)) == 1) {
		if (!fits(v, &batch)) {
			wal_batches_seek(v->log, batch.number);
			break;
		}
		r = load_batch(v, &batch);
		if (r == -ESTALE && w->count > 0)
			break; // the window ends where the log has a gap now
		if (r < 0 && r != -ESTALE)
			return r;
		tell(v, "batches of the log", batch.number, v->limit->batch);
		if (kafka_stopped(v->k))
			return -ECANCELED;
	}
	return r < 0 && r != -ESTALE ? r : w->count > 0;
}

// --- what was read

static const struct span *find_span(struct window *w, uint64_t batch)
{
	size_t low = 0, high = w->count;

	if (w->spans[w->last].batch == batch)
		return &w->spans[w->last];
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->spans[middle].batch < batch)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == w->count || w->spans[low].batch != batch)
		return NULL;
	w->last = low;
	return &w->spans[low];
}

static uint64_t hash_of_message(const struct verifying *v, const rd_kafka_message_t *message,
	const rd_kafka_headers_t *headers)
{
	static const char *const of_event[] = {"source", "epoch", "source_seq"};
	static const char *const of_batch[] = {"first_seq", "end_seq"};
	const char *const *names = v->arrow ? of_batch : of_event;
	unsigned count = v->arrow ? 2 : 3;
	uint64_t values[3] = {0};

	for (unsigned i = 0; i < count; i++)
		if (!kafka_header_number(headers, names[i], &values[i]))
			values[i] = UINT64_MAX;
	return hash_of(rd_kafka_topic_name(message->rkt), values, message->payload, message->len);
}

static void say(struct verifying *v, const rd_kafka_message_t *message, const struct span *span,
	uint64_t seq, const char *what)
{
	sink_verify_found(v->ret,
		"batch %" PRIu64 ", seq %" PRIu64 ": %s: topic %s, partition %" PRId32
		", offset %" PRId64,
		span->batch, seq, what, rd_kafka_topic_name(message->rkt), message->partition,
		message->offset);
}

static void compare(struct verifying *v, const rd_kafka_message_t *message,
	const rd_kafka_headers_t *headers, uint64_t batch, uint64_t seq)
{
	const struct span *span = find_span(&v->window, batch);
	uint64_t *item = NULL, weight, hash;

	if (span != NULL && seq >= span->first_seq && seq < span->end_seq)
		item = &v->window.items[index_of(v, span, seq)];
	if (item == NULL || (*item & STATE_BITS) == ITEM_NONE) {
		v->ret->foreign++;
		return;
	}
	weight = v->arrow ? span->events : 1;
	hash = hash_of_message(v, message, headers);
#ifndef MUTANT_KAFKA_VERIFY_BYTES
	if (hash != (*item & ~(uint64_t)STATE_BITS)) {
		v->ret->changed += weight;
		say(v, message, span, seq, "is not as the log has it");
	}
#endif
	if ((*item & STATE_BITS) == ITEM_SEEN) {
		v->ret->twice += weight;
		say(v, message, span, seq, "is there more than once");
	}
	hash = *item & ~(uint64_t)STATE_BITS;
	*item = hash | ((*item & STATE_BITS) >= ITEM_SEEN ? ITEM_TWICE : ITEM_SEEN);
}

static void look_at(struct verifying *v, const rd_kafka_message_t *message)
{
	const struct window *w = &v->window;
	rd_kafka_headers_t *headers;
	uint64_t batch, seq;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		!kafka_header_is(headers, "log_id", v->k->log_id))
		return;
	if (!kafka_header_number(headers, "batch", &batch) ||
		!kafka_header_number(headers, v->arrow ? "first_seq" : "seq", &seq)) {
		v->ret->unreadable += !v->later;
		return;
	}
	if (batch >= v->limit->batch)
		v->ret->ahead += !v->later;
	else if (batch >= w->spans[0].batch && batch <= w->spans[w->count - 1].batch)
		compare(v, message, headers, batch, seq);
}

// All of that time is read.
static bool take(void *arg, const rd_kafka_message_t *message)
{
	look_at(arg, message);
	return false;
}

static void tell_reading(void *arg, uint64_t done, uint64_t all)
{
	tell(arg, "messages of the topics", done, all);
}

static void say_missing(struct verifying *v, const struct span *span, uint64_t first, uint64_t last)
{
	sink_verify_found(v->ret, "batch %" PRIu64 ", seq %" PRIu64 " to %" PRIu64 ": not in Kafka",
		span->batch, first, last);
}

// Whole ranges make one finding.
static void settle_span(struct verifying *v, const struct span *span)
{
	uint64_t end = v->arrow ? span->first_seq + 1 : span->end_seq, first = UINT64_MAX, last = 0;

	for (uint64_t seq = span->first_seq; seq < end; seq++) {
		enum state state = v->window.items[index_of(v, span, seq)] & STATE_BITS;

		if (state == ITEM_WANTED) {
			v->ret->missing += v->arrow ? span->events : 1;
			last = v->arrow ? span->end_seq - 1 : seq;
			first = first == UINT64_MAX ? seq : first;
		} else if (state != ITEM_NONE && first != UINT64_MAX) {
			say_missing(v, span, first, last);
			first = UINT64_MAX;
		}
	}
	if (first != UINT64_MAX)
		say_missing(v, span, first, last);
}

static int verify_window(struct verifying *v, rd_kafka_t *looker)
{
	struct kafka_read read = {.looker = looker,
		.since_ms = v->window.received_min / 1000000,
		.take = take,
		.tell = tell_reading,
		.arg = v};
	int r = kafka_read(v->k, &read);

	if (r < 0)
		return r;
	v->ret->cut |= read.cut;
	for (size_t i = 0; i < v->window.count; i++)
		settle_span(v, &v->window.spans[i]);
	v->later = true;
	return 0;
}

static int verify(struct verifying *v)
{
	rd_kafka_t *looker;
	int r = kafka_consumer_make(v->k, "read_uncommitted", &looker);

	if (r < 0)
		return r;
	r = kafka_set_aside_list(v->k, &v->aside);
	if (r == 0)
		r = make_room(&v->window, 1);
	while (r == 0 && (r = load_window(v)) == 1)
		r = verify_window(v, looker);
	rd_kafka_destroy_flags(looker, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return r;
}

int kafka_verify(struct sink_target *target, struct wal_batches *log,
	const struct wal_cursor *limit, struct sink_verify *ret)
{
	struct verifying v = {.log = log, .limit = limit, .ret = ret};
	int r = kafka_sink_new(&v.k, target);

	if (r < 0)
		return r;
	v.arrow = target->config->format == SINK_FORMAT_ARROW;
	r = verify(&v);
	if (r == -ENOMEM)
		kafka_why(v.k, "%s", strerror(ENOMEM));
	kafka_set_aside_free(&v.aside);
	free(v.window.items);
	free(v.window.spans);
	kafka_sink_free(v.k);
	return r;
}
