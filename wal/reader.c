// SPDX-License-Identifier: BSD-3-Clause
#include "wal/reader.h"

#include "common/config.h"
#include "wal/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_TRIES 16 // retention may take a segment between its listing and its opening

struct wal_reader {
	char dir[CONFIG_PATH_MAX + 16];
	struct wal_limit limit;
	uint64_t next_seq; // the first row still wanted
	bool knows_log;
	struct wal_id log_id; // of the first segment that was read, and so of all
	bool is_open;         // the fields below are of the segment being read
	struct wal_segment_file file;
	int fd;
	struct wal_walk walk;
	bool looked_again; // the end of this segment was seen after its successor
	uint64_t offset;
	char why[768];
};

static void segment_close(struct wal_reader *reader)
{
	if (!reader->is_open)
		return;
	wal_walk_close(&reader->walk);
	close(reader->fd);
	reader->is_open = false;
}

static bool beyond_limit(const struct wal_reader *reader, uint64_t first_seq)
{
	return first_seq > reader->limit.segment_first ||
	       (first_seq == reader->limit.segment_first &&
		       reader->limit.offset <= WAL_SCHEMA_BYTES);
}

static bool taken_away(const struct wal_reader *reader)
{
	return wal_renamed(reader->dir, reader->file.name, reader->fd);
}

// What a first page that can't be used means: 0, no segment there yet, of the newest file of a log
// without a limit. Within a limit every first page is durable.
static int unusable(const struct wal_reader *reader, int error, bool newest)
{
	if (taken_away(reader))
		return -ENOENT;
	if (error != -ENODATA && error != -EBADMSG)
		return error;
	return newest && reader->limit.segment_first == UINT64_MAX ? 0 : -EBADMSG;
}

// A start doesn't look at every segment, so one of another log may lie between ours.
static int same_log(struct wal_reader *reader)
{
	const struct wal_id *found = &reader->walk.header.log_id;
	char ours[33], theirs[33];

	if (!reader->knows_log)
		reader->log_id = *found;
	reader->knows_log = true;
	if (wal_id_equal(found, &reader->log_id))
		return 0;

	wal_id_text(&reader->log_id, ours);
	wal_id_text(found, theirs);
	snprintf(reader->why, sizeof(reader->why), "%s/%s is of log %s, not of %s: take it away",
		reader->dir, reader->file.name, theirs, ours);
	return taken_away(reader) ? -ENOENT : -EBADMSG;
}

// 1: open; 0: no segment there yet; -ENOENT: taken away since it was listed.
static int segment_open(struct wal_reader *reader, const struct wal_segment_file *file, bool newest)
{
	int r;

	reader->fd = wal_open_direct(reader->dir, file->name);
	if (reader->fd < 0)
		return reader->fd;
	reader->file = *file;
	r = wal_walk_open(&reader->walk, reader->fd,
		file->first_seq == reader->limit.segment_first ? reader->limit.offset : UINT64_MAX,
		file->first_seq);
	if (r < 0) {
		snprintf(reader->why, sizeof(reader->why), "%s/%s: %s", reader->dir, file->name,
			reader->walk.why);
		r = unusable(reader, r, newest);
	} else {
		r = same_log(reader);
		r = r < 0 ? r : 1;
	}
	if (r <= 0) {
		wal_walk_close(&reader->walk);
		close(reader->fd);
		return r;
	}
	reader->walk.unpacks = true;
	reader->is_open = true;
	reader->looked_again = false;
	return 1;
}

// The segment to go on with: the last that begins at or before 'seq', else the oldest. -1: none.
static int segment_choose(const struct wal_segment_file *files, unsigned count, uint64_t seq)
{
	unsigned i = 0;

	if (count == 0)
		return -1;
	while (i + 1 < count && files[i + 1].first_seq <= seq)
		i++;
	return (int)i;
}

// Rows before 'first' that were wanted are gone.
static int stale(struct wal_reader *reader, uint64_t first)
{
	snprintf(reader->why, sizeof(reader->why),
		"%s: seqs %" PRIu64 " to %" PRIu64 " are no longer in the log", reader->dir,
		reader->next_seq, first - 1);
	reader->next_seq = first;
	return -ESTALE;
}

// Opens the segment that holds next_seq. 1, 0 as segment_open(); -ENOENT: no segment at all.
static int segment_find(struct wal_reader *reader)
{
	for (int tries = 0; tries < OPEN_TRIES; tries++) {
		struct wal_segment_file *files;
		struct wal_segment_file file = {0};
		unsigned count;
		int at, r;

		r = wal_list_segments(reader->dir, &files, &count);
		if (r < 0) {
			snprintf(reader->why, sizeof(reader->why), "%s: %s", reader->dir,
				strerror(-r));
			return r;
		}
		at = segment_choose(files, count, reader->next_seq);
		if (at >= 0)
			file = files[at];
		free(files);
		if (at < 0)
			return -ENOENT;
		if (beyond_limit(reader, file.first_seq))
			return 0;
		r = segment_open(reader, &file, (unsigned)at + 1 == count);
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

int wal_reader_open(
	struct wal_reader **ret, const char *dir, uint64_t from_seq, struct wal_limit limit)
{
	struct wal_reader *reader;
	int r;

	if (strlen(dir) >= sizeof(reader->dir))
		return -ENAMETOOLONG;
	reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return -ENOMEM;

	snprintf(reader->dir, sizeof(reader->dir), "%s", dir);
	reader->limit = limit;
	reader->next_seq = from_seq;
	r = segment_find(reader);
	if (r < 0) {
		wal_reader_close(reader);
		return r;
	}
	if (reader->is_open && reader->next_seq < reader->file.first_seq)
		reader->next_seq = reader->file.first_seq;
	*ret = reader;
	return 0;
}

void wal_reader_close(struct wal_reader *reader)
{
	if (reader == NULL)
		return;
	segment_close(reader);
	free(reader);
}

// The first segment behind the open one, within the limit. 1, 0: none yet.
static int successor(
	const struct wal_reader *reader, struct wal_segment_file *ret, bool *ret_newest)
{
	struct wal_segment_file *files;
	unsigned count, i = 0;
	int r;

	r = wal_list_segments(reader->dir, &files, &count);
	if (r < 0)
		return r;
	while (i < count && files[i].first_seq <= reader->file.first_seq)
		i++;
	r = i < count && !beyond_limit(reader, files[i].first_seq);
	if (r > 0) {
		*ret = files[i];
		*ret_newest = i + 1 == count;
	}
	free(files);
	return r;
}

static int bad_place(struct wal_reader *reader, const char *name, uint64_t offset, uint64_t seq,
	const char *what)
{
	snprintf(reader->why, sizeof(reader->why),
		"%s/%s: bad block at offset %" PRIu64 ", where seq %" PRIu64 " is due: %s",
		reader->dir, name, offset, seq, what);
	return -EBADMSG;
}

// The log goes on with 'next', behind an end that has been seen twice. Rows that are missing
// between the two were retired when the first was retired too; else they are damaged, and the
// reader closes the second so as to find the first again.
static int move_on(struct wal_reader *reader, const struct wal_segment_file *next, bool newest)
{
	bool gap_declared = reader->walk.has_end && reader->walk.end.next_seq == next->first_seq;
	uint64_t end_seq = reader->walk.next_seq, offset = reader->walk.offset;
	struct wal_segment_file from = reader->file;
	bool retired = taken_away(reader);
	int r;

	segment_close(reader);
	r = segment_open(reader, next, newest);
	if (r == -ENOENT)
		return 1; // taken away as well: found anew by next_seq
	if (r <= 0)
		return r;
	if (reader->walk.header.gap_from <= end_seq)
		gap_declared = true;
	if (next->first_seq <= reader->next_seq)
		return 1;
	if (next->first_seq > end_seq && !gap_declared) {
		if (retired)
			return stale(reader, next->first_seq);
		segment_close(reader);
		return bad_place(reader, from.name, offset, end_seq, "no block begins here");
	}
	reader->next_seq = next->first_seq;
	return 1;
}

// No block at the walk's place. 1: try again; else what wal_reader_next() returns.
static int at_end(struct wal_reader *reader)
{
	struct wal_segment_file next;
	bool newest;
	int r;

	if (reader->file.first_seq == reader->limit.segment_first)
		return 0;
	r = successor(reader, &next, &newest);
	if (r <= 0)
		return r;
	// The segment was still growing, perhaps, when its end was reached; now it is not.
	if (!reader->looked_again) {
		reader->looked_again = true;
		return 1;
	}
	return move_on(reader, &next, newest);
}

static int bad_block(struct wal_reader *reader)
{
	if (taken_away(reader)) {
		segment_close(reader);
		return 1;
	}
	return bad_place(reader, reader->file.name, reader->walk.offset, reader->walk.next_seq,
		reader->walk.why);
}

// Finds a segment for next_seq again after the one being read was taken away, or none was there.
static int reopen(struct wal_reader *reader)
{
	int r = segment_find(reader);

	if (r == -ENOENT)
		return 0;
	if (r <= 0)
		return r;
	if (reader->file.first_seq > reader->next_seq)
		return stale(reader, reader->file.first_seq);
	return 1;
}

static bool wanted(const struct wal_reader *reader, const struct wal_trailer *trailer)
{
	return trailer->first_seq >= reader->next_seq ||
	       trailer->first_seq + trailer->rows > reader->next_seq;
}

// Whether the walk, which found no block at its place, must have found one: it lies below the limit
// and is no end of a segment, or the file holds another segment by now.
static bool wrong_end(const struct wal_reader *reader, int step)
{
	if (step == WAL_STEP_BAD)
		return true;
	if (step == WAL_STEP_EOS)
		return false;
	if (reader->file.first_seq == reader->limit.segment_first &&
		reader->walk.offset < reader->limit.offset)
		return true;
	return step == WAL_STEP_NONE && taken_away(reader);
}

int wal_reader_next(struct wal_reader *reader, struct wal_block_view *ret)
{
	int r = 1;

	while (r > 0) {
		if (!reader->is_open) {
			r = reopen(reader);
			continue;
		}
		r = wal_walk_next(&reader->walk, ret);
		if (r == WAL_STEP_BLOCK) {
			r = 1;
			if (!wanted(reader, ret->trailer))
				continue;
			reader->offset = reader->walk.offset - ret->len;
			reader->next_seq = reader->walk.next_seq;
			return 1;
		}
		if (r > 0)
			r = wrong_end(reader, r) ? bad_block(reader) : at_end(reader);
	}
	return r;
}

void wal_reader_set_limit(struct wal_reader *reader, struct wal_limit limit)
{
	reader->limit = limit;
	if (!reader->is_open)
		return;
	reader->walk.window.limit =
		reader->file.first_seq == limit.segment_first ? limit.offset : UINT64_MAX;
}

const struct wal_segment_header *wal_reader_segment(const struct wal_reader *reader)
{
	return &reader->walk.header;
}

const char *wal_reader_segment_name(const struct wal_reader *reader)
{
	return reader->file.name;
}

uint64_t wal_reader_offset(const struct wal_reader *reader)
{
	return reader->offset;
}

const char *wal_reader_why(const struct wal_reader *reader)
{
	return reader->why;
}

// A column's value; memcpy since a column of 8 bytes may lie at any multiple of 64 of a buffer that
// is itself only byte-aligned in tests.
#define VALUE(member, column) \
	memcpy(&ret->member, \
		view->columns + view->layout.at[column] + (size_t)row * sizeof(ret->member), \
		sizeof(ret->member))

void wal_row_get(const struct wal_block_view *view, uint32_t row, struct wal_row *ret)
{
	uint32_t span[2];

	VALUE(seq, COL_SEQ);
	VALUE(received_at, COL_RECEIVED_AT);
	VALUE(src_port, COL_SRC_PORT);
	VALUE(listener, COL_LISTENER);
	VALUE(source_id, COL_SOURCE_ID);
	VALUE(source_epoch, COL_SOURCE_EPOCH);
	VALUE(source_seq, COL_SOURCE_SEQ);
	ret->src_addr = view->columns + view->layout.at[COL_SRC_ADDR] + (size_t)row * 16;

	memcpy(span, view->columns + view->layout.at[COL_PAYLOAD] + (size_t)row * 4, sizeof(span));
	if (span[0] > span[1] || span[1] > view->payload_bytes)
		span[0] = span[1] = 0; // the CRC fits, but whoever wrote it got it wrong
	ret->payload = view->columns + view->layout.payload + span[0];
	ret->payload_len = span[1] - span[0];
}
