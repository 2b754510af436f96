// SPDX-License-Identifier: BSD-3-Clause
// Where a feed goes on: its own file, the other side's word and the log must fit together. Where
// they don't, somebody has replaced one of them, and to deliver would be to guess.

#include "common/logmsg.h"
#include "sinks/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STOP(feed, ...) stop_with((feed)->target.why, __VA_ARGS__)

__attribute__((format(printf, 2, 3))) static int stop_with(char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, SINK_WHY_BYTES, fmt, args);
	va_end(args);
	return -ESTALE;
}

static bool same_place(const struct wal_cursor *a, const struct wal_cursor *b)
{
	return wal_id_equal(&a->log_id, &b->log_id) && a->batch == b->batch && a->seq == b->seq;
}

// An operator's word (millrace sinks reset): it put the same place into both files. Once the
// cursor's has moved on, a delivery has carried it to the other side.
static bool is_reset(const struct feed *feed)
{
	char name[CONFIG_NAME_MAX + 8];
	struct wal_cursor wanted;

	snprintf(name, sizeof(name), SINK_RESET_NAME, feed->target.config->name);
	if (wal_cursor_load(feed->target.dir, name, &wanted) != 0)
		return false;
	if (feed->has_cursor && same_place(&wanted, &feed->cursor) &&
		wal_id_equal(&wanted.log_id, &feed->log.log_id))
		return true;
	wal_cursor_remove(feed->target.dir, name);
	return false;
}

int feed_wiped(struct feed *feed)
{
	snprintf(feed->target.why, SINK_WHY_BYTES,
		"the log in %s was removed while it was in use: what was in it and not delivered "
		"(from batch %" PRIu64 ", seq %" PRIu64 " on) is lost; mend: restart millraced, "
		"which begins a new log",
		feed->target.dir, feed->unstored ? feed->behind.batch : feed->cursor.batch,
		feed->unstored ? feed->behind.seq : feed->cursor.seq);
	return -ENOENT;
}

int feed_store_cursor(struct feed *feed, const struct wal_cursor *cursor)
{
	int err = wal_cursor_save(feed->target.dir, feed->target.config->name, cursor);

	if (err == -ENOENT)
		return feed_wiped(feed);
	if (err != 0) {
		snprintf(feed->target.why, SINK_WHY_BYTES, "can't store its cursor in %s: %s",
			feed->target.dir, strerror(-err));
		return -EAGAIN;
	}
	pthread_mutex_lock(&feed->lock);
	feed->cursor = *cursor;
	feed->has_cursor = true;
	pthread_mutex_unlock(&feed->lock);
	if (feed->known < cursor->seq)
		feed->known = cursor->seq;
	atomic_store(&feed->seq, cursor->seq);
	atomic_store(&feed->holder.seq, cursor->seq);
	feed->moved(feed);
	return 0;
}

// Of another log: its directory was replaced, or this file came from elsewhere.
static int check_log_id(struct feed *feed, const struct wal_cursor *cursor, const char *whose)
{
	char theirs[33], ours[33];

	if (wal_id_equal(&cursor->log_id, &feed->log.log_id))
		return 0;
	wal_id_text(&cursor->log_id, theirs);
	wal_id_text(&feed->log.log_id, ours);
	return STOP(feed,
		"%s speaks of log %s, and this is log %s: what was delivered of the other says "
		"nothing about this one; 'millrace sinks reset' says where to begin",
		whose, theirs, ours);
}

// The later of the two, which may only be the other side's: it confirms first.
static int bring_together(
	struct feed *feed, const struct wal_cursor *theirs, bool has_theirs, struct wal_cursor *ret)
{
	const struct wal_cursor *ours = feed->has_cursor ? &feed->cursor : NULL;
	int err = ours != NULL ? check_log_id(feed, ours, "the cursor's file") : 0;

	if (err == 0 && has_theirs)
		err = check_log_id(feed, theirs, "the cursor at the other side");
	if (err != 0)
		return err;
	if (ours == NULL && !has_theirs)
		*ret = (struct wal_cursor){.log_id = feed->log.log_id};
	else if (ours == NULL)
		*ret = *theirs;
	else if (!has_theirs && ours->batch > 0)
		return STOP(feed,
			"the other side has no cursor, and %s says that everything before batch "
			"%" PRIu64 " was delivered: it was lost there, and nothing is delivered "
			"again by itself; 'millrace sinks reset' says where to go on",
			feed->target.dir, ours->batch);
	else if (has_theirs && theirs->batch < ours->batch)
		return STOP(feed,
			"the cursor at the other side is batch %" PRIu64 ", and batch %" PRIu64
			" was confirmed already: it was set back there; 'millrace sinks reset' "
			"says where to go on",
			theirs->batch, ours->batch);
	else if (has_theirs && theirs->batch == ours->batch && theirs->crc != ours->crc)
		return STOP(feed,
			"the cursor at the other side names another batch %" PRIu64 " than the "
			"cursor's file: two logs of one id; keep one copy of the directory only",
			theirs->batch);
	else
		*ret = has_theirs ? *theirs : *ours;
	return 0;
}

// The batch delivered last, where the log still has it, must be the one that was delivered.
static int check_last(struct feed *feed, const struct wal_cursor *cursor)
{
	struct wal_batch batch;
	int r;

	if (cursor->batch == 0)
		return 0;
	wal_batches_seek(feed->batches, cursor->batch - 1);
	r = wal_batches_next(feed->batches, &batch);
	if (r <= 0 || batch.number != cursor->batch - 1)
		return 0;
	if (batch.end_seq == cursor->seq && batch.crc == cursor->crc)
		return 0;
	return STOP(feed,
		"batch %" PRIu64 " of the log isn't the one that was delivered (it ends with seq "
		"%" PRIu64 ", CRC %08x; delivered was seq %" PRIu64 ", CRC %08x): the log was put "
		"back from a copy, or is one",
		batch.number, batch.end_seq, batch.crc, cursor->seq, cursor->crc);
}

static int check_log(struct feed *feed, const struct wal_cursor *cursor)
{
	const struct wal_state *state = wal_state(feed->log.wal);
	uint64_t batch = atomic_load(&state->durable_batch), seq = atomic_load(&state->durable_seq);

#ifndef MUTANT_CURSOR_AHEAD
	if (cursor->batch > batch || cursor->seq > seq)
		return STOP(feed,
			"its cursor is ahead of the log: delivered up to batch %" PRIu64
			", seq %" PRIu64 ", and the log ends before batch %" PRIu64 ", seq %" PRIu64
			": the log was put back from a copy, or has lost its end",
			cursor->batch, cursor->seq, batch, seq);
#endif
	return check_last(feed, cursor);
}

int feed_find_cursor(struct feed *feed)
{
	struct wal_cursor theirs = {0}, cursor = {0};
	int has_theirs = 0, err;

	if (is_reset(feed)) {
		log_notice("sink %s, partition %u: goes on at batch %" PRIu64
			   ", as 'millrace sinks reset' said",
			feed->target.config->name, feed->target.partition, feed->cursor.batch);
		return 0;
	}
	if (feed->driver->recall != NULL)
		has_theirs = feed->driver->recall(feed->open, &theirs);
	else { // ours is the only one
		theirs = feed->cursor;
		has_theirs = feed->has_cursor;
	}
	if (has_theirs < 0)
		return has_theirs;
	err = bring_together(feed, &theirs, has_theirs > 0, &cursor);
	if (err == 0)
		err = check_log(feed, &cursor);
	return err == 0 ? feed_store_cursor(feed, &cursor) : err;
}
