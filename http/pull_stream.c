// SPDX-License-Identifier: BSD-3-Clause
// Batches as one Arrow IPC stream, a block at a time as the client takes them.

#include "common/logmsg.h"
#include "http/pull_internal.h"
#include "wal/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct pull_stream {
	struct pull_log *log;
	struct wal_batches *reader;
	struct wal_export *export;
	struct pull_plan plan;
	enum { STREAM_BEGIN, STREAM_BLOCKS, STREAM_END, STREAM_DONE } state;
	bool in_batch;
	uint64_t number; // of the present batch, or the one before
	uint64_t batches, events;
	char *buf; // what the client hasn't taken
	size_t at, len, room;
};

static int keep(void *arg, const void *data, size_t len)
{
	struct pull_stream *stream = arg;

	if (stream->len + len > stream->room) {
		size_t room = (stream->len + len) * 5 / 4;
		char *buf = realloc(stream->buf, room);

		if (buf == NULL)
			return -ENOMEM;
		stream->buf = buf;
		stream->room = room;
	}
	memcpy(stream->buf + stream->len, data, len);
	stream->len += len;
	return 0;
}

static int begin(struct pull_stream *stream)
{
	struct wal_export_info info = {.receiver = stream->log->pull->receiver,
		.partition = stream->log->partition,
		.log_id = stream->log->log_id,
		.listeners = stream->plan.listeners,
		.first_batch = stream->plan.first,
		.last_batch = stream->plan.last};

	stream->state = STREAM_BLOCKS;
	return wal_export_begin(stream->export, &info);
}

// The headers have promised what the plan says: anything else is no end of this stream.
static int next_batch(struct pull_stream *stream)
{
	struct wal_batch batch;
	int r = wal_batches_next(stream->reader, &batch);

	if (r <= 0)
		return r < 0 ? r : -ENODATA;
	if (batch.number > stream->plan.last ||
		(batch.number == stream->plan.last && batch.crc != stream->plan.crc) ||
		!wal_id_equal(&batch.log_id, &stream->log->log_id))
		return -EBADMSG;
	stream->number = batch.number;
	stream->in_batch = true;
	return 0;
}

static int next_block(struct pull_stream *stream)
{
	struct wal_block_view view;
	uint32_t events = 0;
	int r = stream->in_batch ? 0 : next_batch(stream);

	if (r == 0)
		r = wal_batches_block(stream->reader, &view);
	if (r < 0)
		return r;
	if (r > 0) {
		r = wal_export_block(stream->export, &view, &events);
		stream->events += events;
		return r;
	}
	stream->in_batch = false;
	stream->batches++;
	if (stream->number == stream->plan.last)
		stream->state = STREAM_END;
	return 0;
}

static int end(struct pull_stream *stream)
{
	uint64_t *values = stream->log->values;

	stream->state = STREAM_DONE;
	counter_add(&values[PULL_batches], stream->batches);
	counter_add(&values[PULL_events], stream->events);
	return wal_export_end(stream->export);
}

static int step(struct pull_stream *stream)
{
	switch (stream->state) {
	case STREAM_BEGIN:
		return begin(stream);
	case STREAM_BLOCKS:
		return next_block(stream);
	default:
		return end(stream);
	}
}

// Once for each batch: who is cut off comes again.
static void tell_cut(struct pull_stream *stream, int err)
{
	struct pull_log *log = stream->log;
	const char *why = wal_batches_why(stream->reader);

	counter_add(&log->values[PULL_cut_streams], 1);
	if (log->told_cut == stream->number + 1)
		return;
	log->told_cut = stream->number + 1;
	log_warn("partition %u: a stream of batches %" PRIu64 " to %" PRIu64 " was cut: %s",
		log->partition, stream->plan.first, stream->plan.last,
		why != NULL && why[0] != '\0' ? why : strerror(-err));
}

static ssize_t read_stream(void *arg, char *buf, size_t room)
{
	struct pull_stream *stream = arg;
	size_t len;

	while (stream->at == stream->len) {
		int r;

		if (stream->state == STREAM_DONE)
			return 0;
		stream->at = stream->len = 0;
		r = step(stream);
		if (r < 0) {
			tell_cut(stream, r);
#ifndef MUTANT_CUT_IS_END
			return r;
#else
			return 0;
#endif
		}
	}
	len = stream->len - stream->at < room ? stream->len - stream->at : room;
	memcpy(buf, stream->buf + stream->at, len);
	stream->at += len;
	counter_add(&stream->log->values[PULL_sent_bytes], len);
	return (ssize_t)len;
}

static void close_stream(void *arg)
{
	struct pull_stream *stream = arg;
	struct pull_log *log = stream->log;

	if (stream->state == STREAM_DONE)
		pull_reader_put(log, stream->reader);
	else
		wal_batches_close(stream->reader);
	wal_export_free(stream->export);
	free(stream->plan.listeners);
	free(stream->buf);
	free(stream);
	log->pull->streams--;
	counter_set(&log->values[PULL_streams], log->values[PULL_streams] - 1);
}

int pull_stream_new(struct http_stream *ret, struct pull_log *log, struct wal_batches *reader,
	const struct pull_plan *plan)
{
	struct pull_stream *stream = calloc(1, sizeof(*stream));
	int err = -ENOMEM;

	if (stream != NULL)
		err = wal_export_new(&stream->export, WAL_EXPORT_STREAM, keep, stream);
	if (err < 0) {
		free(stream);
		free(plan->listeners);
		wal_batches_close(reader);
		return err;
	}
	stream->log = log;
	stream->reader = reader;
	stream->plan = *plan;
	stream->in_batch = plan->entered;
	stream->number = plan->first;
	log->pull->streams++;
	counter_set(&log->values[PULL_streams], log->values[PULL_streams] + 1);
	*ret = (struct http_stream){.read = read_stream,
		.close = close_stream,
		.arg = stream,
		.type = "application/vnd.apache.arrow.stream"};
	return 0;
}
