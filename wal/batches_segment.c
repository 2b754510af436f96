// SPDX-License-Identifier: BSD-3-Clause

// Which segment holds a batch, and how one segment follows another.

#include "wal/batches_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_TRIES 16 // retention may take a segment between its listing and its opening

bool batches_refresh(struct wal_batches *b)
{
	const struct wal_state *state;
	bool sealed;

	b->limit = (struct wal_limit){.segment_first = UINT64_MAX};
	if (!b->wal)
		return true;
	// In this order: the position is then behind every batch below.
	state = wal_state(b->wal);
	sealed = b->wanted < atomic_load_explicit(&state->durable_batch, memory_order_acquire);
	wal_durable_position(b->wal, &b->limit.segment_first, &b->limit.offset);
	if (b->is_open && b->file.first_seq != b->limit.segment_first)
		b->look.window.limit = b->read.window.limit = UINT64_MAX;
	else if (b->is_open)
		b->look.window.limit = b->read.window.limit = b->limit.offset;
	return sealed;
}

bool batches_taken_away(const struct wal_batches *b)
{
	return wal_renamed(b->dir, b->file.name, b->fd);
}

void batches_close_segment(struct wal_batches *b)
{
	if (!b->is_open)
		return;
	wal_walk_close(&b->look);
	wal_walk_close(&b->read);
	close(b->fd);
	b->is_open = false;
	b->blocks_left = 0;
}

int batches_bad(struct wal_batches *b, const struct wal_walk *walk, const char *what)
{
	if (batches_taken_away(b)) {
		batches_close_segment(b);
		return BATCHES_AGAIN;
	}
	snprintf(b->why, sizeof(b->why),
		"%s/%s: bad block at offset %" PRIu64 ", where seq %" PRIu64 " is due: %s", b->dir,
		b->file.name, walk->offset, walk->next_seq, what);
	return -EBADMSG;
}

int batches_stale(struct wal_batches *b, uint64_t first)
{
	snprintf(b->why, sizeof(b->why),
		"%s: batches %" PRIu64 " to %" PRIu64 " are no longer in the log", b->dir,
		b->wanted, first - 1);
	b->wanted = first;
	return -ESTALE;
}

int batches_none(struct wal_batches *b)
{
	if (!b->knows_log && !b->wal)
		return 0;
	snprintf(b->why, sizeof(b->why), "%s: no segment is there any more: the log was removed",
		b->dir);
	return -ENOENT;
}

static bool beyond_limit(const struct wal_batches *b, uint64_t first_seq)
{
	return first_seq > b->limit.segment_first ||
	       (first_seq == b->limit.segment_first && b->limit.offset <= WAL_SCHEMA_BYTES);
}

// The segments that may be read, the caller's to free. 'all' counts the others, too.
struct listing {
	struct wal_segment_file *files;
	unsigned count, all;
};

static int list(struct wal_batches *b, struct listing *ret)
{
	int r;

	*ret = (struct listing){0};
	r = wal_list_segments(b->dir, &ret->files, &ret->all);
	if (r < 0 && r != -ENOENT) {
		snprintf(b->why, sizeof(b->why), "%s: %s", b->dir, strerror(-r));
		return r;
	}
	ret->count = ret->all;
	while (ret->count > 0 && beyond_limit(b, ret->files[ret->count - 1].first_seq))
		ret->count--;
	return 0;
}

// A segment's header. -ENOENT: taken away; else as wal_walk_header().
static int header_read(const struct wal_batches *b, const struct wal_segment_file *file,
	struct wal_segment_header *ret)
{
	int fd = wal_open_direct(b->dir, file->name), r;

	if (fd < 0)
		return fd;
	r = wal_walk_header(fd, file->first_seq, ret, NULL, 0);
	if (wal_renamed(b->dir, file->name, fd))
		r = -ENOENT;
	close(fd);
	return r;
}

// The last segment that begins at or before the batch wanted, else the oldest, by halves. One that
// can't be read is passed over: who comes to it while reading on is told.
static int choose(const struct wal_batches *b, const struct listing *list)
{
	unsigned low = 0, high = list->count;

	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2, at = middle;
		struct wal_segment_header header;
		int r;

		do
			r = header_read(b, &list->files[at], &header);
		while (r < 0 && r != -ENOENT && ++at < high);
		if (r == -ENOENT)
			return r;
		if (at < high && header.first_batch <= b->wanted)
			low = at;
		else
			high = middle;
	}
	return (int)low;
}

// By what the writer remembers of the batch. -1: nothing.
static int choose_by_info(const struct listing *list, const struct wal_batch_info *info)
{
	for (unsigned i = list->count; i > 0; i--)
		if (list->files[i - 1].first_seq == info->segment_first)
			return (int)i - 1;
	return -1;
}

// A start doesn't look at every segment, so one of another log may lie between ours.
static int same_log(
	struct wal_batches *b, const struct wal_id *found, const struct wal_segment_file *file)
{
	char ours[33], theirs[33];

	if (!b->knows_log)
		b->log_id = *found;
	b->knows_log = true;
	if (wal_id_equal(found, &b->log_id))
		return 0;
	wal_id_text(&b->log_id, ours);
	wal_id_text(found, theirs);
	snprintf(b->why, sizeof(b->why), "%s/%s is of log %s, not of %s: take it away", b->dir,
		file->name, theirs, ours);
	return -EBADMSG;
}

static int remember_listeners(struct wal_batches *b)
{
	const uint8_t *page;
	const char *value;
	size_t len;
	int r = wal_window_get(&b->read.window, 0, WAL_SCHEMA_BYTES, &page, &len);

	if (r < 0)
		return r;
	value = len == WAL_SCHEMA_BYTES ? wal_schema_value(page, "listeners") : NULL;
	free(b->listeners);
	b->listeners = strdup(value ? value : "{}");
	return b->listeners ? 0 : -ENOMEM;
}

// What a first page that can't be used means. Only where nobody says what is durable the newest
// file may be one that was never begun: 0.
static int unusable(const struct wal_batches *b, int error, bool newest)
{
	if (error != -ENODATA && error != -EBADMSG)
		return error;
	return newest && !b->wal ? 0 : -EBADMSG;
}

static int use_file(struct wal_batches *b, bool newest)
{
	uint64_t limit = b->file.first_seq == b->limit.segment_first ? b->limit.offset : UINT64_MAX;
	int r = wal_walk_open(&b->read, b->fd, limit, b->file.first_seq);

	if (r < 0) {
		snprintf(b->why, sizeof(b->why), "%s/%s: %s", b->dir, b->file.name, b->read.why);
		r = unusable(b, r, newest);
	} else {
		r = same_log(b, &b->read.header.log_id, &b->file);
		if (r == 0)
			r = remember_listeners(b);
		r = r < 0 ? r : 1;
	}
	if (r <= 0 && batches_taken_away(b))
		r = -ENOENT;
	if (r <= 0)
		return r;
	b->read.unpacks = true;
	b->look = (struct wal_walk){.header = b->read.header};
	wal_window_init(&b->look.window, b->fd, limit);
	b->look.window.step = 2 * WAL_PAGE;
	wal_walk_go_to(&b->look, &(struct wal_walk_point){0});
	return 1;
}

// 1: open; 0: no segment there yet; -ENOENT: taken away since it was listed.
static int open_it(struct wal_batches *b, const struct wal_segment_file *file, bool newest)
{
	int r;

	b->fd = wal_open_direct(b->dir, file->name);
	if (b->fd < 0)
		return b->fd;
	b->file = *file;
	r = use_file(b, newest);
	if (r <= 0) {
		wal_walk_close(&b->read);
		close(b->fd);
		return r;
	}
	memset(b->places, 0, sizeof(b->places));
	b->is_open = true;
	return 1;
}

static void go_to_batch(struct wal_batches *b, const struct wal_batch_info *info)
{
	wal_walk_go_to(&b->look, &(struct wal_walk_point){
					 .segment_id = b->look.header.segment_id,
					 .offset = info->offset,
					 .next_seq = info->first_seq,
					 .batch = info->number - 1,
					 .prev_crc = info->prev_crc,
					 .sealed = true,
				 });
}

// Batches before the segment's first are gone: it is the oldest.
static int begin_here(struct wal_batches *b)
{
	uint64_t first = b->read.header.first_batch;

	if (b->wanted >= first)
		return 1;
	if (!b->fresh)
		return batches_stale(b, first);
	b->wanted = first;
	return 1;
}

// Opens the segment of these that holds the batch wanted. -ENOENT: it is gone.
static int open_one_of(struct wal_batches *b, const struct listing *list)
{
	struct wal_batch_info info;
	int at = -1, r;

	if (b->wal && wal_batch_info(b->wal, b->wanted, &info) == 0)
		at = choose_by_info(list, &info);
	if (at >= 0) {
		r = open_it(b, &list->files[at], (unsigned)at + 1 == list->all);
		if (r == 1)
			go_to_batch(b, &info);
		return r;
	}
	at = choose(b, list);
	return at < 0 ? at : open_it(b, &list->files[at], (unsigned)at + 1 == list->all);
}

// -EAGAIN: retention was at work.
static int find_segment(struct wal_batches *b)
{
	struct listing found;
	int r = list(b, &found);

	if (r < 0)
		return r;
	if (found.all == 0) {
		r = batches_none(b);
	} else if (found.count == 0) {
		batches_refresh(b); // all that might be read when the writer was asked is retired
		r = -EAGAIN;
	} else {
		r = open_one_of(b, &found);
		r = r == -ENOENT ? -EAGAIN : r;
	}
	free(found.files);
	return r == 1 ? begin_here(b) : r;
}

int batches_open_segment(struct wal_batches *b)
{
	int r = -EAGAIN;

	for (int tries = 0; tries < OPEN_TRIES && r == -EAGAIN; tries++)
		r = find_segment(b);
	return r == -EAGAIN ? 0 : r;
}

// Where the segment says that the log goes on.
static void next_of(const struct wal_walk *walk, uint64_t *seq, uint64_t *batch)
{
	*seq = walk->next_seq;
	*batch = walk->batch + (walk->blocks > 0);
	if (!walk->has_end)
		return;
	if (walk->end.next_seq > *seq)
		*seq = walk->end.next_seq;
	if (walk->end.next_batch > *batch)
		*batch = walk->end.next_batch;
}

// NULL, or why a segment is not the one that follows.
static const char *misfit(const struct wal_walk *walk, const struct wal_segment_header *next)
{
	uint64_t seq, batch;
	bool gap;

	next_of(walk, &seq, &batch);
	gap = next->gap_from <= walk->next_seq && next->first_seq > walk->next_seq;
	if (next->first_seq != seq && !gap)
		return "no block begins here";
	if (next->first_batch < batch || (next->first_batch > batch && !gap && !walk->has_end))
		return "the next segment begins with another batch";
	return NULL;
}

// The first segment behind the open one. 1; 0: none yet; -ENOENT: taken away since it was listed.
static int successor(struct wal_batches *b, struct wal_segment_file *ret,
	struct wal_segment_header *ret_header, bool *ret_newest)
{
	struct listing found;
	unsigned i = 0;
	int r = list(b, &found);

	if (r < 0)
		return r;
	while (i < found.count && found.files[i].first_seq <= b->file.first_seq)
		i++;
	*ret_newest = i + 1 == found.all;
	if (i == found.count) {
		free(found.files);
		return 0;
	}
	*ret = found.files[i];
	free(found.files);
	r = header_read(b, ret, ret_header);
	if (r == 0) {
		r = same_log(b, &ret_header->log_id, ret);
		return r < 0 ? r : 1;
	}
	if (r == -ENOENT)
		return r;
	snprintf(b->why, sizeof(b->why), "%s/%s: no valid first page", b->dir, ret->name);
	return unusable(b, r, *ret_newest);
}

// No segment follows. Before this start's first one is there, the writer knows how it will begin.
static int last_segment(struct wal_batches *b, bool open)
{
	uint64_t seq, batch;

	next_of(&b->look, &seq, &batch);
	if (b->wal && b->file.first_seq == b->limit.segment_first)
		return 0;
	if (b->wal && seq != b->limit.segment_first)
		return batches_bad(b, &b->look, "no block begins here");
	return open ? 1 : 0;
}

int batches_end_segment(struct wal_batches *b, bool open)
{
	struct wal_segment_header header;
	struct wal_segment_file next;
	const char *what;
	bool newest;
	int r;

#ifndef MUTANT_BATCHES_END_BELIEVED
	// Only now is it sure that what was read was the segment's.
	if (batches_taken_away(b)) {
		batches_close_segment(b);
		return BATCHES_AGAIN;
	}
#endif
	r = successor(b, &next, &header, &newest);
	if (r == 0)
		return last_segment(b, open);
	if (r == -ENOENT) {
		batches_close_segment(b);
		return BATCHES_AGAIN;
	}
	if (r < 0)
		return r;
	what = misfit(&b->look, &header);
	if (what)
		return batches_bad(b, &b->look, what);
	if (open)
		return 1;
	batches_close_segment(b);
	if (header.first_batch > b->wanted)
		b->wanted = header.first_batch; // a repair took those between
	r = open_it(b, &next, newest);
	return r == 1 || r == -ENOENT ? BATCHES_AGAIN : r;
}
