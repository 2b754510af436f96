// SPDX-License-Identifier: BSD-3-Clause
#include "wal/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int header_read(struct wal_walk *walk, uint64_t first_seq)
{
	const uint8_t *page;
	size_t len;
	int r;

	r = wal_window_get(&walk->window, 0, WAL_SCHEMA_BYTES, &page, &len);
	if (r < 0) {
		snprintf(walk->why, sizeof(walk->why), "can't be read: %s", strerror(-r));
		return r;
	}
	if (len < WAL_SCHEMA_BYTES) {
		snprintf(walk->why, sizeof(walk->why), "too short for a schema page");
		return -ENODATA;
	}

	r = wal_schema_parse(page, &walk->header);
	if (r == -EPROTONOSUPPORT)
		snprintf(walk->why, sizeof(walk->why),
			"made by a newer Millrace (format %u); this one reads up to %u",
			walk->header.version, WAL_FORMAT_VERSION);
	else if (r < 0)
		snprintf(walk->why, sizeof(walk->why), "%s",
			r == -ENODATA ? "no schema page" : "schema page damaged");
	if (r < 0)
		return r;
#ifdef MUTANT_SPARE_NOT_CLEARED
	return 0;
#endif
	if (walk->header.first_seq != first_seq) {
		snprintf(walk->why, sizeof(walk->why), "begins with seq %" PRIu64 ", not as named",
			walk->header.first_seq);
		return -EBADMSG;
	}
	return 0;
}

int wal_walk_open(struct wal_walk *walk, int fd, uint64_t limit, uint64_t first_seq)
{
	int r;

	*walk = (struct wal_walk){.sealed = true};
	wal_window_init(&walk->window, fd, limit);
	r = header_read(walk, first_seq);
	if (r < 0)
		return r;

	walk->offset = WAL_SCHEMA_BYTES;
	walk->next_seq = walk->header.first_seq;
	walk->batch = walk->header.first_batch;
	walk->prev_crc = walk->header.crc;
	return 0;
}

void wal_walk_close(struct wal_walk *walk)
{
	wal_window_free(&walk->window);
	wal_unpacked_free(&walk->unpacked);
}

// The signed end, or the copy that a repair writes behind it.
static bool end_here(struct wal_walk *walk, uint64_t behind)
{
	uint64_t offset = walk->offset + behind;
	const uint8_t *page;
	size_t len;

	return wal_window_get(&walk->window, offset, WAL_PAGE, &page, &len) == 0 &&
	       len == WAL_PAGE && wal_end_parse(page, &walk->header, offset, &walk->end) == 0;
}

// Judges the bytes at the walk's place, as many of them as the block there claims.
static int check_here(struct wal_walk *walk, struct wal_block_view *ret)
{
	const uint8_t *bytes;
	uint32_t claimed = 0;
	size_t len;
	int r;

	r = wal_window_get(&walk->window, walk->offset, WAL_PAGE, &bytes, &len);
	if (r < 0)
		return r;
	if (len == 0) {
		snprintf(walk->why, sizeof(walk->why), "the file ends here");
		return WAL_STEP_EOF;
	}
	if (len >= WAL_BLOCK_HEADER_BYTES)
		claimed = wal_block_claimed_len(bytes);
	if (claimed > len) {
		r = wal_window_get(&walk->window, walk->offset, claimed, &bytes, &len);
		if (r < 0)
			return r;
	}

	switch (wal_block_check(bytes, len, &walk->header, walk->offset, ret)) {
	case WAL_BLOCK_GOOD:
		return WAL_STEP_BLOCK;
	case WAL_BLOCK_EOS:
		walk->has_end = end_here(walk, 0) || end_here(walk, WAL_PAGE);
		return WAL_STEP_EOS;
	case WAL_BLOCK_NONE:
		snprintf(walk->why, sizeof(walk->why), "no block begins here");
		return WAL_STEP_NONE;
	case WAL_BLOCK_SHORT:
		snprintf(walk->why, sizeof(walk->why), "the file ends inside the block");
		return WAL_STEP_BAD;
	default:
		snprintf(walk->why, sizeof(walk->why), "%s", ret->why);
		return WAL_STEP_BAD;
	}
}

// A good block must also be the one that follows.
static bool chain_fits(struct wal_walk *walk, const struct wal_trailer *trailer)
{
	uint64_t batch = walk->batch + (walk->sealed && walk->blocks > 0);
	const char *what;
	uint64_t is, due;

	if (trailer->first_seq != walk->next_seq)
		what = "first seq", is = trailer->first_seq, due = walk->next_seq;
	else if (trailer->prev_crc != walk->prev_crc)
		what = "CRC of the block before", is = trailer->prev_crc, due = walk->prev_crc;
	else if (trailer->generation != walk->header.generation)
		what = "generation", is = trailer->generation, due = walk->header.generation;
	else if (trailer->batch != batch)
		what = "batch", is = trailer->batch, due = batch;
	else
		return true;

	snprintf(walk->why, sizeof(walk->why), "%s is %" PRIu64 " and should be %" PRIu64, what, is,
		due);
	return false;
}

static void advance(struct wal_walk *walk, const struct wal_block_view *view)
{
	const struct wal_trailer *trailer = view->trailer;

	walk->offset += view->len;
	walk->next_seq += trailer->rows;
	walk->batch = trailer->batch;
	walk->prev_crc = trailer->crc;
	walk->sealed = trailer->flags & WAL_FLAG_SEALED;
	walk->blocks++;
	walk->rows += trailer->rows;
	walk->batches += walk->sealed;
	if (trailer->durable_seq > walk->durable_seq)
		walk->durable_seq = trailer->durable_seq;
}

static int unpack(struct wal_walk *walk, struct wal_block_view *view)
{
	int r = wal_unpack(&walk->unpacked, view);

	if (r == -EBADMSG) {
		snprintf(walk->why, sizeof(walk->why), "%s", view->why);
		walk->as_written = true;
		return WAL_STEP_BAD;
	}
	return r < 0 ? r : WAL_STEP_BLOCK;
}

int wal_walk_next(struct wal_walk *walk, struct wal_block_view *ret)
{
	int r = check_here(walk, ret);

	walk->as_written = false;
	if (r == WAL_STEP_BLOCK && !chain_fits(walk, ret->trailer))
		r = WAL_STEP_BAD;
	if (r == WAL_STEP_BLOCK && walk->unpacks)
		r = unpack(walk, ret);
	if (r == WAL_STEP_EOS && walk->has_end && walk->end.end_seq != walk->next_seq) {
		snprintf(walk->why, sizeof(walk->why),
			"the segment's end says that its rows end at seq %" PRIu64,
			walk->end.end_seq);
		r = WAL_STEP_BAD;
	}

	if (r == WAL_STEP_BLOCK)
		advance(walk, ret);
	else
		walk->window.len = 0; // what a writer puts there later must be read anew
	return r;
}

struct wal_walk_point wal_walk_point(const struct wal_walk *walk)
{
	return (struct wal_walk_point){
		.segment_id = walk->header.segment_id,
		.offset = walk->offset,
		.next_seq = walk->next_seq,
		.batch = walk->batch,
		.prev_crc = walk->prev_crc,
		.sealed = walk->sealed,
	};
}

void wal_walk_go_to(struct wal_walk *walk, const struct wal_walk_point *point)
{
	if (point->offset <= WAL_SCHEMA_BYTES || point->offset % WAL_PAGE != 0 ||
		!wal_id_equal(&point->segment_id, &walk->header.segment_id))
		return;
	walk->offset = point->offset;
	walk->next_seq = point->next_seq;
	walk->batch = point->batch;
	walk->prev_crc = point->prev_crc;
	walk->sealed = point->sealed;
	walk->blocks = 1; // there are some before; how many matters to nobody
}
