// SPDX-License-Identifier: BSD-3-Clause
// Compares the files that lie below the sink's directory with what the log makes of the same
// batches, by the same hand that wrote them. Which batches a file should hold, and as whose it was
// written, it says itself; that it is of this log says its name, too, which must hold {log_id}.

#include "sinks/files_verify.h"

#include "sinks/files_list.h"
#include "wal/export.h"
#include "wal/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES (256u << 10)

struct verifying {
	struct sink_target *target;
	struct wal_batches *log;
	const struct wal_cursor *limit;
	struct sink_verify *ret;
	struct files_list list;
	uint64_t oldest; // batch that the log begins with
	uint64_t next;   // batches below it were in a file, or are known to be missing
	struct wal_export *export;
	FILE *file;
	bool differs; // from what was written so far
	uint8_t *buffer;
};

__attribute__((format(printf, 3, 4))) static int fail(
	struct verifying *v, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(v->target->why, sizeof(v->target->why), format, ap);
	va_end(ap);
	return error;
}

static int go_on(const struct verifying *v, uint64_t batch)
{
	if (v->ret->progress != NULL)
		v->ret->progress(v->ret->arg, "batches", batch, v->limit->batch);
	return atomic_load(v->target->stop) ? -ECANCELED : 0;
}

static uint32_t events_of(const struct wal_block_view *view)
{
	struct wal_row row;
	uint32_t events = 0;

	for (uint32_t i = 0; i < view->trailer->rows; i++) {
		wal_row_get(view, i, &row);
		events += row.listener != WAL_LISTENER_PROTOCOL;
	}
	return events;
}

// The events of the batch that the log is at.
static int count_events(struct verifying *v, uint64_t *events)
{
	struct wal_block_view view;
	int r;

	while ((r = wal_batches_block(v->log, &view)) == 1)
		*events += events_of(&view);
	return r;
}

// --- a file

static int compare(void *arg, const void *data, size_t len)
{
	struct verifying *v = arg;
	const uint8_t *at = data;

	while (len > 0 && !v->differs) {
		size_t part = len < BUFFER_BYTES ? len : BUFFER_BYTES;

#ifndef MUTANT_FILES_VERIFY_BYTES
		v->differs = fread(v->buffer, 1, part, v->file) != part ||
			     memcmp(v->buffer, at, part) != 0;
#endif
		at += part;
		len -= part;
	}
	return 0;
}

// 1: the log has all of the file's batches, and *events are in them; 0: it has not.
static int make_again(struct verifying *v, const struct files_found *f, uint64_t *events)
{
	struct wal_export_info info = {.receiver = f->receiver,
		.partition = v->target->partition,
		.log_id = v->target->log_id,
		.first_batch = f->first,
		.last_batch = f->last};
	struct wal_batch batch;
	int r = 0;

	wal_batches_seek(v->log, f->first);
	for (uint64_t number = f->first; r == 0 && number <= f->last; number++) {
		struct wal_block_view view;
		uint32_t n;

		r = wal_batches_next(v->log, &batch);
		if (r == 0 || (r == 1 && batch.number != number))
			return 0;
		info.listeners = wal_batches_listeners(v->log);
		if (r == 1)
			r = number == f->first ? wal_export_begin(v->export, &info) : 0;
		while (r == 0 && (r = wal_batches_block(v->log, &view)) == 1) {
			r = wal_export_block(v->export, &view, &n);
			*events += n;
		}
		if (r == 0)
			r = go_on(v, number);
	}
	if (r == 0)
		r = wal_export_end(v->export);
	return r == -ESTALE ? 0 : r < 0 ? r : 1;
}

static int judge_file(struct verifying *v, const struct files_found *f)
{
	uint64_t events = 0;
	int r = make_again(v, f, &events);

	if (r == 0) {
		uint64_t first = f->first < v->oldest ? v->oldest : f->first;

		v->ret->uncompared += f->last - first + 1;
		return 0;
	}
	if (r < 0)
		return r;
	v->ret->batches += f->last - f->first + 1;
	v->ret->events += events;
	if (!v->differs && fgetc(v->file) == EOF)
		return 0;
	v->ret->changed += events;
	sink_verify_found(v->ret,
		"%s/%s holds other bytes than batches %" PRIu64 " to %" PRIu64 " of the log",
		v->target->config->path, f->name, f->first, f->last);
	return 0;
}

static int open_file(struct verifying *v, const struct files_found *f)
{
	int fd = files_list_open(&v->list, f->name);

	v->differs = false;
	v->file = fd >= 0 ? fdopen(fd, "re") : NULL;
	if (v->file != NULL)
		return 0;
	return fd < 0 ? fd : -errno;
}

// Gone since it was listed: it is as if it had never been there.
static int compare_file(struct verifying *v, const struct files_found *f)
{
	int r = open_file(v, f);

	if (r < 0)
		return r;
	wal_export_free(v->export);
	v->export = NULL;
	r = wal_export_new(&v->export, WAL_EXPORT_FILE, compare, v);
	if (r == 0)
		r = judge_file(v, f);
	fclose(v->file);
	if (r < 0 && r != -ECANCELED && v->target->why[0] == '\0')
		fail(v, r, "%s/%s: %s: %s", v->target->config->path, f->name, strerror(-r),
			wal_batches_why(v->log));
	return r;
}

// --- all of them

// The log's batches from 'next' up to 'end' are in no file.
static int missing(struct verifying *v, uint64_t end)
{
	struct wal_cursor limit = *v->limit;
	uint64_t first = UINT64_MAX, last = 0, events = 0, batches = 0;
	struct wal_batch batch;
	int r;

	if (v->next >= end)
		return 0;
	limit.batch = end;
	wal_batches_seek(v->log, v->next);
	while ((r = sink_verify_next(v->target, v->log, &limit, &batch)) == 1) {
		r = count_events(v, &events);
		if (r < 0 && r != -ESTALE)
			return r;
		if (r == 0) {
			first = first == UINT64_MAX ? batch.number : first;
			last = batch.number;
			batches++;
		}
		r = go_on(v, batch.number);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	v->next = end;
	v->ret->batches += batches;
	v->ret->events += events;
	v->ret->missing += events;
	if (batches > 0)
		sink_verify_found(v->ret,
			"batches %" PRIu64 " to %" PRIu64 " (%" PRIu64
			" events): no file has them, or who reads them has taken it away",
			first, last, events);
	return 0;
}

// Batches of the file that were in another one already.
static int twice(struct verifying *v, const struct files_found *f)
{
	uint64_t first = f->first < v->oldest ? v->oldest : f->first;
	uint64_t end = f->last < v->next ? f->last + 1 : v->next, events = 0;
	struct wal_cursor limit = *v->limit;
	struct wal_batch batch;
	int r = 0;

	if (first >= end)
		return 0;
	limit.batch = end;
	wal_batches_seek(v->log, first);
	while (r == 0 && (r = sink_verify_next(v->target, v->log, &limit, &batch)) == 1)
		r = count_events(v, &events);
	if (r < 0)
		return r == -ESTALE ? 0 : r;
	v->ret->twice += events;
	sink_verify_found(v->ret,
		"batches %" PRIu64 " to %" PRIu64 " are in %s/%s and in another file, too", first,
		end - 1, v->target->config->path, f->name);
	return 0;
}

static int judge(struct verifying *v, const struct files_found *f)
{
	int r;

	if (f->last < v->oldest)
		return 0;
	if (f->first >= v->limit->batch) {
		v->ret->ahead++;
		return 0;
	}
	r = missing(v, f->first);
	if (r == 0)
		r = compare_file(v, f);
	if (r == -ENOENT && v->file == NULL)
		return 0;
	if (r == 0)
		r = twice(v, f);
	if (r == 0 && f->last >= v->next)
		v->next = f->last + 1;
	return r;
}

// The oldest batch of the log. 0: it has none in front of the cursor.
static int find_oldest(struct verifying *v)
{
	struct wal_batch batch;
	int r = sink_verify_next(v->target, v->log, v->limit, &batch);

	if (r == 1)
		v->oldest = v->next = batch.number;
	return r;
}

static int verify(struct verifying *v)
{
	int r = find_oldest(v);

	if (r <= 0)
		return r;
	r = files_list_make(&v->list, v->target, v->ret);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < v->list.count; i++)
		r = judge(v, &v->list.files[i]);
	return r < 0 ? r : missing(v, v->limit->batch);
}

int files_verify(struct sink_target *target, struct wal_batches *log,
	const struct wal_cursor *limit, struct sink_verify *ret)
{
	struct verifying v = {.target = target, .log = log, .limit = limit, .ret = ret};
	int r;

	target->why[0] = '\0';
	v.buffer = malloc(BUFFER_BYTES);
	r = v.buffer != NULL ? verify(&v) : -ENOMEM;
	if (r == -ENOMEM)
		fail(&v, r, "%s", strerror(ENOMEM));
	wal_export_free(v.export);
	files_list_free(&v.list);
	free(v.buffer);
	return r;
}
