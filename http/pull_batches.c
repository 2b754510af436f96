// SPDX-License-Identifier: BSD-3-Clause
// GET /api/v1/partitions/{n}/batches/{m}

#include "common/clock.h"
#include "common/units.h"
#include "http/pull_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_NS 60000000000u
#define BATCHES_MAX 1000u
#define BYTES_MAX (4ull << 30)
#define BYTES_DEFAULT (1ull << 30)
#define BLOCKS_MAX 4096u // of several batches: to plan is to read the end of each block

struct wanted {
	struct pull_log *log;
	const struct http_request *req;
	uint64_t number;
	bool oldest;
	uint64_t wait_ns;
	uint64_t max_batches, max_bytes;
};

static bool parse_wait(struct wanted *wanted, struct http_reply *reply)
{
	const char *text = wanted->req->query(wanted->req, "wait");

	if (text == NULL ||
		(units_parse_duration(text, &wanted->wait_ns) && wanted->wait_ns <= WAIT_MAX_NS))
		return true;
	http_reply_error(reply, 400, "wait=%.32s: wants a duration up to 60s", text);
	return false;
}

static bool parse(struct wanted *wanted, struct http_reply *reply)
{
	const struct http_request *req = wanted->req;
	const char *text = req->params[1];
	bool several = req->query(req, "max_bytes") != NULL;

	wanted->oldest = strcmp(text, "oldest") == 0;
	if (!wanted->oldest &&
		(!units_parse_uint(text, &wanted->number) || wanted->number == UINT64_MAX)) {
		http_reply_error(reply, 400, "batch %.32s: wants a number, or oldest", text);
		return false;
	}
	wanted->max_batches = several ? BATCHES_MAX : 1;
	wanted->max_bytes = BYTES_DEFAULT;
	if (!parse_wait(wanted, reply) ||
		!http_query_u64(req, "max_batches", BATCHES_MAX, &wanted->max_batches, reply) ||
		!http_query_u64(req, "max_bytes", BYTES_MAX, &wanted->max_bytes, reply))
		return false;
	if (wanted->max_batches > 0)
		return true;
	http_reply_error(reply, 400, "max_batches=0: wants 1 to %u", BATCHES_MAX);
	return false;
}

static bool is_sealed(void *log, uint64_t number)
{
	return pull_sealed(log) > number;
}

static void not_yet(const struct wanted *wanted, struct http_reply *reply)
{
	struct pull_log *log = wanted->log;
	uint64_t until = wanted->req->began_ns + wanted->wait_ns, now = clock_monotonic_ns();

	if (wanted->wait_ns > 0 && now < until) {
		if (!wanted->req->waited)
			counter_add(&log->values[PULL_waits], 1);
		reply->wait = (struct http_wait){is_sealed, log, wanted->number, until};
		return;
	}
	http_reply_header(reply, "Millrace-Next-Batch", "%" PRIu64, pull_sealed(log));
	if (wanted->wait_ns > 0)
		reply->status = 204;
	else
		http_reply_error(reply, 404,
			"batch %" PRIu64 " is not sealed yet, the next to be is %" PRIu64
			"; with ?wait=30s the answer waits for it",
			wanted->number, pull_sealed(log));
}

static void gone(const struct wanted *wanted, struct http_reply *reply)
{
	struct wal_batch oldest;
	int r = pull_oldest(wanted->log, &oldest);
	uint64_t number = r > 0 ? oldest.number : pull_sealed(wanted->log);

	http_reply_header(reply, "Millrace-Oldest-Batch", "%" PRIu64, number);
	http_reply_error(reply, 410,
		"batch %" PRIu64 " was taken by retention; the oldest there is is %" PRIu64,
		wanted->number, number);
}

static void failed(const struct wanted *wanted, const char *why, int err, struct http_reply *reply)
{
	if (err == -ESTALE) {
		gone(wanted, reply);
		return;
	}
	http_reply_error(reply, 500, "partition %u: %.200s", wanted->log->partition,
		why != NULL && why[0] != '\0' ? why : strerror(-err));
}

// Whether the next batch finds room in a stream that has some.
static bool fits(const struct pull_plan *plan, const struct wanted *wanted,
	const struct wal_batch *batch, const char *listeners)
{
	return plan->bytes + batch->bytes <= wanted->max_bytes &&
	       plan->blocks + batch->blocks <= BLOCKS_MAX &&
	       strcmp(plan->listeners, listeners) == 0;
}

static int add(struct pull_plan *plan, const struct wal_batch *batch, const char *listeners)
{
	if (plan->count++ == 0) {
		plan->listeners = strdup(listeners);
		if (plan->listeners == NULL)
			return -ENOMEM;
		plan->first = batch->number;
		plan->first_seq = batch->first_seq;
	}
	plan->last = batch->number;
	plan->end_seq = batch->end_seq;
	plan->crc = batch->crc;
	plan->bytes += batch->bytes;
	plan->blocks += batch->blocks;
	return 1;
}

// 1: *plan; 0: nothing yet. What is wrong behind the first batch is told to who asks for that.
static int make_plan(
	struct wal_batches *reader, const struct wanted *wanted, struct pull_plan *plan)
{
	struct wal_batch batch;
	int r;

	do {
		const char *listeners;

		r = wal_batches_next(reader, &batch);
		if (r == -ESTALE && wanted->oldest)
			r = wal_batches_next(reader, &batch);
		if (r <= 0)
			break;
		if (!wal_id_equal(&batch.log_id, &wanted->log->log_id))
			r = -EBADMSG;
		listeners = wal_batches_listeners(reader);
		if (r < 0 || (plan->count > 0 && !fits(plan, wanted, &batch, listeners)))
			break;
		r = add(plan, &batch, listeners);
		if (r < 0)
			return r;
	} while (plan->count < wanted->max_batches);
	if (plan->count == 0)
		return r;
	plan->entered = wanted->max_batches == 1;
	if (!plan->entered)
		wal_batches_seek(reader, plan->first);
	return 1;
}

// Retention takes what is oldest, a repair leaves a gap with something before it.
static bool was_retired(const struct wanted *wanted, const struct pull_plan *plan)
{
	struct wal_batch oldest;

	return !wanted->oldest && plan->first > wanted->number &&
	       (pull_oldest(wanted->log, &oldest) <= 0 || oldest.number > wanted->number);
}

static void add_headers(
	const struct pull_log *log, const struct pull_plan *plan, struct http_reply *reply)
{
	char id[33];

	wal_id_text(&log->log_id, id);
	http_reply_header(reply, "Millrace-Log-Id", "%s", id);
	http_reply_header(reply, "Millrace-Batch", "%" PRIu64, plan->first);
	http_reply_header(reply, "Millrace-First-Seq", "%" PRIu64, plan->first_seq);
	http_reply_header(reply, "Millrace-End-Seq", "%" PRIu64, plan->end_seq);
	http_reply_header(reply, "Millrace-Next-Batch", "%" PRIu64, plan->last + 1);
	http_reply_header(reply, "Millrace-Crc", "%08" PRIx32, plan->crc);
}

static void start_stream(const struct wanted *wanted, struct wal_batches *reader,
	struct pull_plan *plan, struct http_reply *reply)
{
	struct pull_log *log = wanted->log;
	int r = pull_stream_new(&reply->stream, log, reader, plan);

	if (r < 0) {
		http_reply_error(reply, 503, "no stream: %s", strerror(-r));
		return;
	}
	add_headers(log, plan, reply);
	pull_remember(log, plan->last + 1, plan->end_seq);
}

static void serve(const struct wanted *wanted, struct http_reply *reply)
{
	struct pull_plan plan = {0};
	struct wal_batches *reader;
	int r = pull_reader_get(wanted->log, wanted->number, &reader);

	if (r < 0) {
		failed(wanted, NULL, r, reply);
		return;
	}
	r = make_plan(reader, wanted, &plan);
	if (r > 0 && !was_retired(wanted, &plan)) {
		start_stream(wanted, reader, &plan, reply);
		return;
	}
	if (r > 0)
		gone(wanted, reply);
	else if (r == 0)
		not_yet(wanted, reply);
	else
		failed(wanted, wal_batches_why(reader), r, reply);
	free(plan.listeners);
	wal_batches_close(reader);
}

void pull_get_batches(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct pull *pull = arg;
	struct wanted wanted = {.log = pull_log_of(pull, req->params[0], reply), .req = req};

	if (wanted.log == NULL || !parse(&wanted, reply))
		return;
	if (!is_sealed(wanted.log, wanted.number)) {
		not_yet(&wanted, reply);
		return;
	}
	if (pull->streams >= PULL_STREAMS_MAX) {
		http_reply_error(reply, 503, "%u streams are open, as many as may be at once",
			pull->streams);
		return;
	}
	serve(&wanted, reply);
}
