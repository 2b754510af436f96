// SPDX-License-Identifier: BSD-3-Clause
// A transaction carries whole batches, and with them the cursor behind the last:
//
//	begin ─▶ messages of a batch, of the next, … ─▶ cursor ─▶ commit
//
// A transaction whose end is not known leaves its batches in doubt. Those, and the first ones after
// a start, since an older self may have been cut at any step, are read back before they are sent.
// What is found in Kafka stays; only what is missing is sent. Of batches that Kafka's cursor says
// to be delivered, too, what is missing is sent.

#include "common/clock.h"
#include "common/logmsg.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define SENDING_SHARE \
	4 // of a transaction's time, 1 in so many for sending; what is under way has the rest

static int log_says(struct kafka_sink *k, const struct wal_batches *log, int r)
{
	if (r < 0)
		kafka_why(k, "%s", wal_batches_why(log));
	return r;
}

static unsigned most_at_all(const struct kafka_sink *k)
{
	return k->config->transaction_batches > 0 ? k->config->transaction_batches : 1;
}

static const struct kafka_part *last_part(const struct kafka_sink *k)
{
	return &k->parts[k->part_count - 1];
}

// Adds the batch that the log is at and those behind it that are there: below 'until', or, that
// being UINT64_MAX, as many as a transaction takes. *ret_all: there are no more.
static int plan(struct kafka_sink *k, struct wal_batches *log, const struct wal_batch *batch,
	uint64_t until, bool *ret_all)
{
	struct wal_batch next = *batch;
	uint64_t bytes = 0;
	int r = 1;

	*ret_all = false;
	while (r == 1 && next.number < until) {
		if (until == UINT64_MAX && k->part_count > 0 &&
			(k->part_count >= k->most || bytes + next.bytes > KAFKA_TRANSACTION_BYTES))
			return 0;
		if (kafka_part_add(k, &next) == NULL)
			return -ENOMEM;
		bytes += next.bytes;
		r = kafka_topics_load(k, wal_batches_listeners(log));
		if (r == 0)
			r = wal_batches_next(log, &next);
	}
	*ret_all = r == 0;
	if (until == UINT64_MAX)
		return 0; // what the log says behind these, it says again
	return r == 1 ? 0 : log_says(k, log, r);
}

static int send_planned(struct kafka_sink *k, struct wal_batches *log)
{
	struct wal_batch batch;
	int r = 0;

	wal_batches_seek(log, k->parts[0].batch.number);
	for (unsigned i = 0; i < k->part_count && r == 0; i++) {
		r = log_says(k, log, wal_batches_next(log, &batch));
		if (r < 0)
			break;
		if (r == 0 || batch.number != k->parts[i].batch.number) {
			kafka_why(k, "batch %" PRIu64 " is no longer where it was",
				k->parts[i].batch.number);
			return -ECONNABORTED;
		}
		r = kafka_send(k, log, &k->parts[i]);
	}
	return r;
}

static bool takes_more(const struct kafka_sink *k, uint64_t bytes)
{
	return k->part_count < k->most && bytes < KAFKA_TRANSACTION_BYTES &&
	       clock_monotonic_ns() - k->begun_at < kafka_timeout_ns(k) / SENDING_SHARE;
}

// Sends the batch that the log is at and those behind it while there are any.
static int send_fresh(struct kafka_sink *k, struct wal_batches *log, const struct wal_batch *batch)
{
	struct wal_batch next = *batch;
	uint64_t bytes = 0;
	int r = 1;

	while (r == 1) {
		struct kafka_part *part = kafka_part_add(k, &next);

		r = part != NULL ? kafka_send(k, log, part) : -ENOMEM;
		bytes += next.bytes;
		if (r < 0)
			break;
		if (!takes_more(k, bytes))
			return 0;
		r = wal_batches_next(log, &next);
		if (r != 1)
			return 0; // what the log says behind these, it says again
	}
	return r;
}

static int begin(struct kafka_sink *k, const struct wal_batch *batch)
{
#ifdef MUTANT_KAFKA_CURSOR_FIRST
	struct wal_cursor cursor = sink_cursor_behind(batch);
	int r;

	k->most = 1;
	r = k->config->transactions ? kafka_commit_cursor_alone(k, &cursor) : 0;
	if (r < 0)
		return r;
#else
	(void)batch;
#endif
	return kafka_begin(k);
}

static void tell_part(const struct kafka_sink *k, const struct kafka_part *part, bool repaired)
{
	if (part->doubled > 0)
		log_err("sink %s of partition %u: %" PRIu64 " messages of batch %" PRIu64
			" of log %s are in Kafka more than once (topic %s): its transactions did "
			"not hold",
			k->config->name, k->target->partition, part->doubled, part->batch.number,
			k->log_id, k->config->topic);
	if (repaired)
		log_err("sink %s of partition %u: of batch %" PRIu64
			" of log %s, topic %s, Kafka had "
			"%" PRIu64 " messages and lacked %" PRIu64 ", which were sent again",
			k->config->name, k->target->partition, part->batch.number, k->log_id,
			k->config->topic, part->found, part->sent);
}

// committed: Kafka's cursor was behind these batches before.
static uint64_t account(struct kafka_sink *k, bool committed)
{
	uint64_t *counters = k->target->counters, events = 0;

	for (unsigned i = 0; i < k->part_count; i++) {
		const struct kafka_part *part = &k->parts[i];
		bool repaired = part->sent > 0 && (committed || part->found > 0);

		events += part->events;
		counter_add(&counters[SINK_payload_bytes], part->payload_bytes);
		counter_add(&counters[SINK_quarantined], part->quarantined);
		counter_add(&counters[SINK_doubled], part->doubled);
		if (repaired)
			counter_add(&counters[SINK_repaired], part->sent);
		tell_part(k, part, repaired);
	}
	return events;
}

// Ends the transaction. r: what sending said.
static int finish(struct kafka_sink *k, int r, const struct wal_cursor *cursor)
{
	if (r == 0)
		r = k->config->transactions ? kafka_commit(k, cursor) : kafka_flush(k);
	if (r == 0)
		return 0;
	k->most = 1; // the more a transaction has, the longer it takes
	r = kafka_give_up(k, r);
	// What librdkafka remembers of a topic's error may be outdated.
	if (++k->failures > 1)
		kafka_producer_destroy(k);
	return r;
}

// Sends what is missing of the planned batches, which Kafka's cursor is behind of.
static int mend(struct kafka_sink *k, struct wal_batches *log)
{
	bool cut;
	int r = kafka_read_back(k, &cut);

	if (r < 0)
		return r;
#ifdef MUTANT_KAFKA_CURSOR_FIRST
	cut = true; // what only the cursor says is believed
#endif
	if (cut) {
		log_warn("sink %s of partition %u: batches %" PRIu64 " to %" PRIu64
			 " can't be read back in full: topic %s no longer reaches back to them",
			k->config->name, k->target->partition, k->parts[0].batch.number,
			last_part(k)->batch.number, k->config->topic);
		for (unsigned i = 0; i < k->part_count; i++)
			k->parts[i].events =
				k->parts[i].batch.end_seq - k->parts[i].batch.first_seq;
		return 0;
	}
	r = kafka_begin(k);
	if (r == 0)
		r = finish(k, send_planned(k, log), &k->cursor);
	return r;
}

// Kafka's cursor is in front of the batch wanted: an end that was in doubt was a commit.
static int deliver_committed(struct kafka_sink *k, struct wal_batches *log,
	const struct wal_batch *batch, struct wal_cursor *ret, uint64_t *events)
{
	bool all;
	int r = plan(k, log, batch, k->cursor.batch, &all);

	if (r == 0 && all && last_part(k)->batch.number + 1 < k->cursor.batch) {
		kafka_why(k,
			"Kafka's cursor wants batch %" PRIu64
			", and the log ends with batch %" PRIu64
			": has it been put back to an older state?",
			k->cursor.batch, last_part(k)->batch.number);
		r = -ERANGE;
	}
	if (r == 0)
		r = mend(k, log);
	if (r < 0)
		return r;
	*ret = k->cursor;
	*events = account(k, true);
	wal_batches_seek(log, k->cursor.batch);
	return 0;
}

// The batches of the last transaction that the feed did not hear the end of.
static uint64_t unheard_from(const struct kafka_sink *k)
{
	const struct sink_target *t = k->target;
	uint64_t from = k->cursor.batch > most_at_all(k) ? k->cursor.batch - most_at_all(k) : 0;

	if (t->has_cursor && wal_id_equal(&t->cursor.log_id, &t->log_id) && t->cursor.batch > from)
		from = t->cursor.batch;
	return from;
}

// Batches behind Kafka's cursor whose confirmation an older self did not live to hear.
static int mend_unheard(struct kafka_sink *k, struct wal_batches *log, struct wal_batch *batch)
{
	uint64_t from = unheard_from(k), wanted = batch->number;
	struct wal_batch first;
	bool all;
	int r;

	if (!k->first || !k->has_cursor || k->cursor.batch > wanted || from >= k->cursor.batch)
		return 0;
	wal_batches_seek(log, from);
	r = wal_batches_next(log, &first);
	if (r == -ESTALE)
		r = wal_batches_next(log, &first);
	if (r == 1 && first.number < k->cursor.batch) {
		r = plan(k, log, &first, k->cursor.batch, &all);
		if (r == 0)
			r = mend(k, log);
		if (r == 0)
			account(k, true);
		kafka_parts_clear(k);
	}
	if (r < 0)
		return log_says(k, log, r);
	k->first = false;
	wal_batches_seek(log, wanted);
	r = log_says(k, log, wal_batches_next(log, batch));
	return r == 1 && batch->number == wanted ? 0 : r < 0 ? r : -EAGAIN;
}

// What may be in Kafka though its cursor does not say so.
static int send_doubtful(
	struct kafka_sink *k, struct wal_batches *log, const struct wal_batch *batch)
{
	bool all, cut, opened = k->doubt_until == UINT64_MAX;
	uint64_t until = batch->number + most_at_all(k);
	int r = plan(k, log, batch, UINT64_MAX, &all);

	if (r == 0)
		r = kafka_read_back(k, &cut);
	if (r == 0)
		r = begin(k, &k->parts[0].batch);
	if (r < 0)
		return r;
	r = send_planned(k, log);
	if (r < 0)
		return r;
	// An older self can't have sent what was sealed after it.
	if (opened)
		k->doubt_until = k->own_from = all ? last_part(k)->batch.number + 1 : until;
	if (!all && last_part(k)->found > 0 && k->doubt_until < last_part(k)->batch.number + 2) {
		k->doubt_until = last_part(k)->batch.number + 2;
		if (k->own_from < k->doubt_until)
			k->own_from = k->doubt_until;
	}
	return 0;
}

static void settle(struct kafka_sink *k, const struct wal_cursor *cursor)
{
	k->cursor = *cursor;
	k->has_cursor = true;
	k->first = false;
	k->failures = 0;
	k->refused.count = 0;
	k->most = 2 * k->most < most_at_all(k) ? 2 * k->most : most_at_all(k);
	if (k->single) {
		k->single = false;
		kafka_producer_destroy(k);
	}
}

int kafka_deliver_batches(struct kafka_sink *k, struct wal_batches *log,
	const struct wal_batch *batch, struct wal_cursor *ret, uint64_t *events)
{
	struct wal_batch wanted = *batch;
	bool doubt;
	int r = 0;

	if (k->config->transactions && k->has_cursor && k->cursor.batch > batch->number) {
		if (k->cursor.batch - batch->number <= most_at_all(k))
			return deliver_committed(k, log, batch, ret, events);
		// An operator has put the sink back: what is still in Kafka stays.
		k->back_until = k->cursor.batch;
	}
	doubt = k->config->transactions &&
		(k->first || batch->number < k->doubt_until || batch->number < k->back_until);
	if (doubt)
		r = mend_unheard(k, log, &wanted);
	if (r < 0)
		return r;
	if (doubt)
		r = send_doubtful(k, log, &wanted);
	else
		r = begin(k, &wanted);
	if (r == 0 && !doubt)
		r = send_fresh(k, log, &wanted);
	if (r == 0)
		*ret = sink_cursor_behind(&last_part(k)->batch);
	// Where the log fails at a later batch, those before it go alone.
	else if (r != -ECANCELED && k->part_count > 1 && k->producer != NULL)
		r = -ECONNABORTED;
	r = finish(k, r, ret);
	if (r < 0)
		return r;
	*events = account(k, false);
	settle(k, ret);
	return 0;
}
