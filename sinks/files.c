// SPDX-License-Identifier: BSD-3-Clause

// Batches as Arrow files in a directory. Which batches go into a file, and its name, are decided
// and made durable before its first byte (files_plan.h); so a crash at any step repeats the same
// file, and what is there already is only compared.

#include "sinks/files_out.h"
#include "sinks/files_plan.h"
#include "sinks/files_roll.h"
#include "sinks/files_verify.h"
#include "wal/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct files {
	struct sink_target *target;
	struct files_plan plan;
	bool has_plan;
	struct files_out out;
	bool out_failed; // what the export returned came from there
	struct wal_export *export;
};

__attribute__((format(printf, 3, 4))) static int fail(
	struct files *f, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(f->target->why, sizeof(f->target->why), format, ap);
	va_end(ap);
	return error;
}

static int log_failed(struct files *f, int error, struct wal_batches *log)
{
	return fail(f, error, "%s", wal_batches_why(log));
}

// What an error of a file system calls for.
static const char *mend_of(int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
		return "make room there, or raise its quota";
	case -ENOENT:
	case -ENOTDIR:
		return "make that directory, or mount what belongs there";
	case -EACCES:
	case -EPERM:
		return "give millraced's user the right to write there";
	case -EROFS:
		return "mount it read-write";
	default:
		return "look at that disk";
	}
}

// Of the sink's directory. Nearly all of it can be mended from outside, and then goes on by itself.
static int out_failed(struct files *f, int error)
{
	const struct config_sink *config = f->target->config;

	if (error == -EEXIST)
		return fail(f, error,
			"%s/%s is there and holds other bytes than batches %" PRIu64 " to %" PRIu64
			" of log %s; it is not written over: move it away and restart",
			config->path, f->plan.name, f->plan.first, f->plan.last, f->plan.log_id);
	if (error == -ENAMETOOLONG)
		return fail(f, error, "%s/%s: name too long; shorten 'file' of sink %s",
			config->path, f->plan.name, config->name);
	return fail(f, -EAGAIN, "%s/%s: %s; %s", config->path, f->plan.name, strerror(-error),
		mend_of(error));
}

// --- the plan

// What can't be stored is not followed: the plan before stays.
static int plan_save(struct files *f, const struct files_plan *plan)
{
	const struct sink_target *t = f->target;
	int r = 0;

#ifndef MUTANT_FILES_NO_PLAN
	r = files_plan_save(t->dir, t->config->name, plan);
#endif
	if (r < 0)
		return fail(f, -EAGAIN, "%s/%s.plan.json: %s; %s", t->dir, t->config->name,
			strerror(-r), mend_of(r));
	f->plan = *plan;
	f->has_plan = true;
	return 0;
}

static int plan_load(struct files *f)
{
	const struct sink_target *t = f->target;
	char log_id[33];
	int r = files_plan_load(t->dir, t->config->name, &f->plan);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fail(f, r,
			"%s/%s.plan.json can't be used: %s; what file was being written is not "
			"known: restore it, or remove it together with files behind the cursor",
			t->dir, t->config->name, strerror(-r));
	wal_id_text(&t->log_id, log_id);
	if (strcmp(log_id, f->plan.log_id) != 0)
		return fail(f, -EBADMSG,
			"%s/%s.plan.json is of log %s, and the log there is %s; remove it if that "
			"log is given up",
			t->dir, t->config->name, f->plan.log_id, log_id);
	files_out_clean(t->config->path, f->plan.name);
#ifndef MUTANT_FILES_PLAN_TRUSTED
	// Who stored it may have been killed before its name was durable.
	return plan_save(f, &f->plan);
#else
	f->has_plan = true;
	return 0;
#endif
}

static int plan_make(struct files *f, struct wal_batches *log, const struct wal_batch *first)
{
	const struct sink_target *t = f->target;
	struct files_plan plan = {.first = first->number};
	struct sink_files_values values = {.received_at = first->received_min,
		.receiver = t->receiver,
		.partition = t->partition,
		.first = first->number,
		.log_id = plan.log_id};
	int r = files_roll(t, log, first, &plan.last);

	if (r < 0)
		return fail(f, r, "%s", r == -ECANCELED ? "stopped" : strerror(-r));
	values.last = plan.last;
	wal_id_text(&t->log_id, plan.log_id);
	snprintf(plan.receiver, sizeof(plan.receiver), "%s", t->receiver);
	r = sink_files_name(t->config->file, &values, plan.name, sizeof(plan.name));
	if (r < 0)
		return fail(
			f, r, "'file' of sink %s makes a name that is too long", t->config->name);
	return plan_save(f, &plan);
}

// Retention took batches of the plan before the feed had them. When they are in their file already,
// the feed goes on behind it: 1; else what is left gets a file of its own.
static int plan_overtaken(struct files *f, struct wal_batches *log, const struct wal_batch *batch)
{
	int r = files_out_keep(&f->out, f->plan.name);

	if (r < 0)
		return out_failed(f, r);
	return r == 1 ? 1 : plan_make(f, log, batch);
}

// 0: the plan is the file that begins with the batch; 1: its file is there.
static int plan_for(struct files *f, struct wal_batches *log, const struct wal_batch *batch)
{
	if (!f->has_plan || batch->number > f->plan.last)
		return plan_make(f, log, batch);
	if (batch->number > f->plan.first)
		return plan_overtaken(f, log, batch);
	if (batch->number == f->plan.first)
		return 0;
	return fail(f, -EBADMSG,
		"the cursor is at batch %" PRIu64 ", and files were written up to batch %" PRIu64
		" at least: it went back; restore it, or remove %s/%s.plan.json and the files "
		"from that batch on",
		batch->number, f->plan.first - 1, f->target->dir, f->target->config->name);
}

// --- the file

static int take(void *arg, const void *data, size_t len)
{
	struct files *f = arg;
	int r = files_out_write(&f->out, data, len);

	f->out_failed = r < 0;
	return r;
}

static int export_failed(struct files *f, int error)
{
	if (f->out_failed)
		return out_failed(f, error);
	return fail(f, error == -ENOMEM ? -EAGAIN : error, "%s: can't be made: %s", f->plan.name,
		strerror(-error));
}

static int begin(struct files *f, struct wal_batches *log)
{
	struct wal_export_info info = {.receiver = f->plan.receiver,
		.partition = f->target->partition,
		.log_id = f->target->log_id,
		.listeners = wal_batches_listeners(log),
		.first_batch = f->plan.first,
		.last_batch = f->plan.last};
	int r = wal_export_begin(f->export, &info);

	return r < 0 ? export_failed(f, r) : 0;
}

static int write_blocks(struct files *f, struct wal_batches *log, uint64_t *events)
{
	struct wal_block_view view;
	int r;

	while ((r = wal_batches_block(log, &view)) == 1) {
		uint32_t n;

		r = wal_export_block(f->export, &view, &n);
		if (r < 0)
			return export_failed(f, r);
		*events += n;
		if (atomic_load_explicit(f->target->stop, memory_order_relaxed))
			return fail(f, -ECANCELED, "stopped");
	}
	return r < 0 ? log_failed(f, r, log) : 0;
}

// The reader goes to the batch, which was there when the file was planned. Where retention has
// taken it meanwhile, the reader stays in front of the oldest that is left.
static int go_to(struct files *f, struct wal_batches *log, uint64_t number, struct wal_batch *ret)
{
	int r = wal_batches_next(log, ret);

	if (r < 0)
		return log_failed(f, r, log);
	if (r == 1 && ret->number == number)
		return 0;
	if (r == 1)
		wal_batches_seek(log, ret->number);
	return fail(f, r == 1 ? -ESTALE : -EBADMSG,
		"batch %" PRIu64 " is to go into %s, and is not in the log any more", number,
		f->plan.name);
}

static int write_batches(
	struct files *f, struct wal_batches *log, struct wal_batch *ret_last, uint64_t *events)
{
	int r = 0;

	*events = 0;
	f->out_failed = false;
	wal_batches_seek(log, f->plan.first);
	for (uint64_t number = f->plan.first; r == 0 && number <= f->plan.last; number++) {
		r = go_to(f, log, number, ret_last);
		if (r == 0 && number == f->plan.first)
			r = begin(f, log);
		if (r == 0)
			r = write_blocks(f, log, events);
	}
	if (r < 0)
		return r;
	r = wal_export_end(f->export);
	return r < 0 ? export_failed(f, r) : 0;
}

static int commit(struct files *f)
{
	int r = files_out_commit(&f->out);

	if (r == 0)
		return 0;
#ifndef MUTANT_FILES_FLUSH_TRUSTED
	if (f->out.flush_failed) {
		f->plan.distrusted = true;
		if (plan_save(f, &f->plan) < 0)
			return -EAGAIN;
	}
#endif
	return out_failed(f, r);
}

// 1: the file was there, and holds the same.
static int write_file(struct files *f, struct wal_batches *log, bool anew,
	struct wal_batch *ret_last, uint64_t *events)
{
	int begun = files_out_begin(&f->out, f->plan.name, anew);
	int r = begun < 0 ? out_failed(f, begun) : write_batches(f, log, ret_last, events);

	if (r == 0)
		r = commit(f);
	files_out_abort(&f->out);
	return r < 0 ? r : begun;
}

// --- the driver

static void files_close(void *driver)
{
	struct files *f = driver;

	if (f == NULL)
		return;
	files_out_free(&f->out);
	wal_export_free(f->export);
	free(f);
}

static int files_open(void **ret, struct sink_target *target)
{
	struct files *f = calloc(1, sizeof(*f));
	int r;

	if (f == NULL)
		return -ENOMEM;
	f->target = target;
	r = files_out_init(&f->out, target->config->path);
	if (r == 0)
		r = wal_export_new(&f->export, WAL_EXPORT_FILE, take, f);
	if (r < 0)
		fail(f, r, "%s", strerror(-r));
	else
		r = plan_load(f);
	if (r < 0) {
		files_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

static int files_deliver(void *driver, struct wal_batches *log, const struct wal_batch *batch,
	struct wal_cursor *ret, uint64_t *events)
{
	struct files *f = driver;
	struct wal_batch last = *batch;
	int r = plan_for(f, log, batch);

	*events = 0;
	if (r < 0)
		return r;
	if (r == 1)
		wal_batches_seek(log, f->plan.last);
	r = r == 1 ? go_to(f, log, f->plan.last, &last) : write_file(f, log, false, &last, events);
	if (r == 1 && f->plan.distrusted)
		r = write_file(f, log, true, &last, events);
	if (r < 0)
		return r;
	*ret = sink_cursor_behind(&last);
	return 0;
}

const struct sink_driver sink_files = {
	.kind = "files",
	.open = files_open,
	.deliver = files_deliver,
	.close = files_close,
	.verify = files_verify,
};
