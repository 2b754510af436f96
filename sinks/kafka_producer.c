// SPDX-License-Identifier: BSD-3-Clause
// The producer and its transactions. librdkafka's transactional calls wait at most a slice each, so
// that a stop is noticed. A call that says "timed out" goes on in the background, and the same call
// is to be made again. That ends when the transaction's time is over: then only Kafka knows what
// became of it. The producer is destroyed, and what it sent is read back (kafka_read_back.c).

#include "common/clock.h"
#include "common/logmsg.h"
#include "sinks/kafka_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ABORT_MS 1000 // after a stop
#define PAUSE_NS 50000000u
#define SEND_OFFSETS_MS 1000

typedef rd_kafka_error_t *(*transactional_call)(struct kafka_sink *k, const void *arg);

bool kafka_stopped(const struct kafka_sink *k)
{
	return atomic_load_explicit(k->target->stop, memory_order_relaxed);
}

uint64_t kafka_timeout_ns(const struct kafka_sink *k)
{
	return k->config->transaction_timeout_ns;
}

// What failed for good, but for what a purge at an abort leaves behind.
static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_sink *k = opaque;
	struct kafka_reports *reports = &k->reports;

	(void)rk;
	switch (message->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
	case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
		return;
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
		reports->timed_out = true;
		break;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		reports->too_large = true;
		if (k->single)
			kafka_refuse(k, (uint64_t)(uintptr_t)message->_private);
		break;
	default:
		break;
	}
	if (reports->failed++ == 0)
		reports->error = message->err;
}

int kafka_producer_make(struct kafka_sink *k)
{
	rd_kafka_conf_t *conf = kafka_conf_producer(k);
	char text[SINK_WHY_BYTES / 2];

	if (conf == NULL)
		return -EINVAL;
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	k->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (k->producer == NULL) {
		rd_kafka_conf_destroy(conf);
		kafka_why(k, "librdkafka makes no producer of these properties: %s", text);
		return -EINVAL;
	}
	kafka_count(k, KAFKA_producers);
	return 0;
}

void kafka_producer_destroy(struct kafka_sink *k)
{
	if (k->producer == NULL)
		return;
	rd_kafka_purge(k->producer,
		RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	kafka_topics_drop_handles(k);
	rd_kafka_destroy(k->producer);
	k->producer = NULL;
	k->initialised = false;
	k->in_transaction = false;
	k->recalled = false;
	kafka_stats_producer_ends(k);
}

// Nobody can say what of the transaction is there.
static int in_doubt(struct kafka_sink *k)
{
	if (k->part_count > 0) {
		uint64_t behind = k->parts[k->part_count - 1].batch.number + 1;

		if (k->doubt_until < behind)
			k->doubt_until = behind;
		kafka_count(k, KAFKA_in_doubt);
	}
	kafka_producer_destroy(k);
	return -EAGAIN;
}

static bool is_fence(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	       code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

// A coordinator that ends a transaction for its age says the same as one that knows a newer
// producer of this id; the first needs a transaction that is old enough.
static int fatal(struct kafka_sink *k, const char *doing)
{
	char text[SINK_WHY_BYTES / 2];
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(k->producer, text, sizeof(text));
	uint64_t age = k->in_transaction ? clock_monotonic_ns() - k->begun_at : 0;
	int r = -EAGAIN;

	if (is_fence(code) && age < kafka_timeout_ns(k)) {
		kafka_why(k,
			"%s: Kafka knows a newer producer of the transactional.id %s: another "
			"process with "
			"this log's id is at work (a copied data directory?): stop one of the two",
			doing, k->transactional_id);
		r = -ENOTUNIQ;
	} else {
		kafka_why(k, "%s: %s", doing, text);
	}
	if (code == RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT)
		r = -EINVAL;
	if (code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
		r = -EOPNOTSUPP;
	in_doubt(k);
	return r;
}

int kafka_failed(struct kafka_sink *k, const char *doing)
{
	char text[8];

	if (rd_kafka_fatal_error(k->producer, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fatal(k, doing);
	return k->config->transactions ? -ECONNABORTED : -EAGAIN;
}

// Calls until it is done, the deadline has passed, or a stop. -ECONNABORTED: the transaction must
// be aborted; -ETIME: the deadline has passed; others as kafka_commit().
static int insist(struct kafka_sink *k, transactional_call call, const void *arg, const char *doing,
	uint64_t deadline)
{
	for (;;) {
		rd_kafka_error_t *error = call(k, arg);
		int r = -EAGAIN;

		if (error == NULL)
			return 0;
		kafka_why_broker(k, doing, rd_kafka_error_string(error));
		if (rd_kafka_error_is_fatal(error))
			r = fatal(k, doing);
		else if (rd_kafka_error_txn_requires_abort(error))
			r = -ECONNABORTED;
		else if (!rd_kafka_error_is_retriable(error))
			r = in_doubt(k);
		else if (clock_monotonic_ns() >= deadline)
			r = -ETIME;
		else if (sink_wait(k->target, PAUSE_NS))
			r = 0;
		else
			r = -ECANCELED;
		rd_kafka_error_destroy(error);
		if (r < 0)
			return r;
	}
}

static rd_kafka_error_t *call_init(struct kafka_sink *k, const void *arg)
{
	(void)arg;
	return rd_kafka_init_transactions(k->producer, KAFKA_SLICE_MS);
}

int kafka_producer_ready(struct kafka_sink *k)
{
	int r = 0;

	if (k->producer == NULL)
		r = kafka_producer_make(k);
	if (r < 0 || k->initialised || !k->config->transactions)
		return r;
	// It may have to wait for an older self's transaction to end.
	r = insist(k, call_init, NULL, "beginning with Kafka",
		clock_monotonic_ns() + 2 * kafka_timeout_ns(k));
	if (r == 0)
		k->initialised = true;
	if (r == -ECONNABORTED)
		kafka_producer_destroy(k);
	return r == -ETIME || r == -ECONNABORTED ? -EAGAIN : r; // else it goes on where it was
}

int kafka_begin(struct kafka_sink *k)
{
	rd_kafka_error_t *error;

	k->reports = (struct kafka_reports){0};
	k->begun_at = clock_monotonic_ns();
	if (!k->config->transactions)
		return 0;
	error = rd_kafka_begin_transaction(k->producer);
	if (error != NULL) {
		bool is_fatal = rd_kafka_error_is_fatal(error);

		kafka_why(k, "beginning a transaction: %s", rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
		if (is_fatal)
			return fatal(k, "beginning a transaction");
		kafka_producer_destroy(k);
		return -EAGAIN;
	}
	k->in_transaction = true;
	return 0;
}

struct cursor_call {
	rd_kafka_topic_partition_list_t *offsets;
	rd_kafka_consumer_group_metadata_t *group;
};

static rd_kafka_error_t *call_offsets(struct kafka_sink *k, const void *arg)
{
	const struct cursor_call *call = arg;

	return rd_kafka_send_offsets_to_transaction(
		k->producer, call->offsets, call->group, SEND_OFFSETS_MS);
}

static rd_kafka_error_t *call_commit(struct kafka_sink *k, const void *arg)
{
	(void)arg;
	return rd_kafka_commit_transaction(k->producer, KAFKA_SLICE_MS);
}

static rd_kafka_error_t *call_abort(struct kafka_sink *k, const void *arg)
{
	(void)arg;
	return rd_kafka_abort_transaction(k->producer, KAFKA_SLICE_MS);
}

static int put_cursor(struct kafka_sink *k, const struct wal_cursor *cursor)
{
	// A group without members: no consumer takes part in it.
	struct cursor_call call = {
		.offsets = kafka_cursor_offsets(k, cursor),
		.group = rd_kafka_consumer_group_metadata_new(k->group),
	};
	int r = insist(
		k, call_offsets, &call, "storing the cursor", k->begun_at + kafka_timeout_ns(k));

	rd_kafka_consumer_group_metadata_destroy(call.group);
	rd_kafka_topic_partition_list_destroy(call.offsets);
	return r == -ETIME ? in_doubt(k) : r;
}

static int end_commit(struct kafka_sink *k)
{
	int r = insist(k, call_commit, NULL, "committing", k->begun_at + kafka_timeout_ns(k));

	if (r == 0) {
		k->in_transaction = false;
		kafka_count(k, KAFKA_transactions);
		hist_add(&k->stats.commit_ns, clock_monotonic_ns() - k->begun_at);
	}
	if (r == -ETIME)
		return in_doubt(k);
	if (r == -ECANCELED)
		in_doubt(k); // neither call that ends it may be made now
	return r;
}

int kafka_commit(struct kafka_sink *k, const struct wal_cursor *cursor)
{
	int r;

#ifndef MUTANT_KAFKA_CURSOR_FIRST
	r = put_cursor(k, cursor);
#else
	(void)cursor;
	r = 0;
#endif
	return r < 0 ? r : end_commit(k);
}

#ifdef MUTANT_KAFKA_CURSOR_FIRST
int kafka_commit_cursor_alone(struct kafka_sink *k, const struct wal_cursor *cursor)
{
	int r = kafka_begin(k);

	if (r == 0)
		r = put_cursor(k, cursor);
	return r < 0 ? r : end_commit(k);
}
#endif

// A stop waits no longer than it must: an open transaction is ended by whoever comes next.
static void abort_for_stop(struct kafka_sink *k)
{
	rd_kafka_error_t *error = rd_kafka_abort_transaction(k->producer, ABORT_MS);

	k->in_transaction = false;
	if (error != NULL)
		kafka_producer_destroy(k);
	rd_kafka_error_destroy(error);
}

static int abort_it(struct kafka_sink *k, int r)
{
	char why[SINK_WHY_BYTES];
	int ended;

	memcpy(why, k->target->why, sizeof(why)); // what began it counts, not how it ended
	ended = insist(k, call_abort, NULL, "aborting", clock_monotonic_ns() + kafka_timeout_ns(k));
	if (ended == 0) {
		k->in_transaction = false;
		kafka_count(k, KAFKA_aborts);
	}
	// The reports of what timed out may have come only now.
	if (k->producer != NULL && (ended != 0 || k->reports.timed_out))
		in_doubt(k);
	if (ended == -ENOTUNIQ || ended == -ECANCELED)
		return ended;
	memcpy(k->target->why, why, sizeof(why));
	return r;
}

static int transaction_ends(struct kafka_sink *k, int r)
{
	if (k->producer == NULL || !k->in_transaction)
		return r; // known already
	if (r == -ECANCELED) {
		abort_for_stop(k);
		return r;
	}
	if (k->reports.timed_out) {
		in_doubt(k);
		return r;
	}
	return abort_it(k, r);
}

int kafka_give_up(struct kafka_sink *k, int r)
{
	if (k->reports.failed > 0 && r == -ECONNABORTED)
		kafka_why(k, "%s", rd_kafka_err2str(k->reports.error));
	r = transaction_ends(k, r);
	// The broker refuses a whole record batch: which of its messages was it?
	if (k->reports.too_large) {
		k->resend = !k->single || k->refused.count > 0;
		k->single = true;
	}
	// Messages that failed leave a gap in the producer's numbers.
	if (k->reports.failed > 0)
		kafka_producer_destroy(k);
	return r == -ECONNABORTED ? -EAGAIN : r;
}

int kafka_flush(struct kafka_sink *k)
{
	while (rd_kafka_flush(k->producer, KAFKA_SLICE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		if (kafka_stopped(k))
			return -ECANCELED;
	if (k->reports.failed == 0)
		return 0;
	kafka_why_broker(k, "sending", rd_kafka_err2str(k->reports.error));
	return kafka_failed(k, "sending");
}
