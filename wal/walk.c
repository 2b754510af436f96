// SPDX-License-Identifier: BSD-3-Clause
#include "wal/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_AHEAD (64u << 10)

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

// To the segment's begin.
static void rewind_walk(struct wal_walk *walk)
{
	walk->offset = WAL_SCHEMA_BYTES;
	walk->next_seq = walk->header.first_seq;
	walk->batch = walk->header.first_batch;
	walk->prev_crc = walk->header.crc;
	walk->sealed = true;
	walk->blocks = walk->rows = walk->batches = 0;
}

int wal_walk_open(struct wal_walk *walk, int fd, uint64_t limit, uint64_t first_seq)
{
	int r;

	*walk = (struct wal_walk){.sealed = true};
	wal_window_init(&walk->window, fd, limit);
	r = header_read(walk, first_seq);
	if (r < 0)
		return r;

	rewind_walk(walk);
	return 0;
}

void wal_walk_close(struct wal_walk *walk)
{
	wal_window_free(&walk->window);
	wal_unpacked_free(&walk->unpacked);
}

int wal_walk_header(
	int fd, uint64_t first_seq, struct wal_segment_header *ret, char *why, size_t why_len)
{
	struct wal_walk walk;
	int r = wal_walk_open(&walk, fd, WAL_SCHEMA_BYTES, first_seq);

	*ret = walk.header;
	snprintf(why, why_len, "%s", walk.why);
	wal_walk_close(&walk);
	return r;
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

// What the walk makes of a judgement, 'what' being wrong with a bad block.
static int step_of(struct wal_walk *walk, enum wal_verdict verdict, const char *what)
{
	switch (verdict) {
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
		snprintf(walk->why, sizeof(walk->why), "%s", what);
		return WAL_STEP_BAD;
	}
}

// The page at the walk's place, and what a block that begins there claims to be long. As
// wal_walk_next(), WAL_STEP_BLOCK only saying that there is a page.
static int page_here(
	struct wal_walk *walk, const uint8_t **ret, size_t *ret_len, uint32_t *ret_claimed)
{
	int r = wal_window_get(&walk->window, walk->offset, WAL_PAGE, ret, ret_len);

	if (r < 0)
		return r;
	if (*ret_len == 0) {
		snprintf(walk->why, sizeof(walk->why), "the file ends here");
		return WAL_STEP_EOF;
	}
	*ret_claimed = *ret_len >= WAL_BLOCK_HEADER_BYTES ? wal_block_claimed_len(*ret) : 0;
	return WAL_STEP_BLOCK;
}

// Judges the bytes at the walk's place, as many of them as the block there claims.
static int check_here(struct wal_walk *walk, struct wal_block_view *ret)
{
	enum wal_verdict verdict;
	const uint8_t *bytes;
	uint32_t claimed;
	size_t len;
	int r;

	r = page_here(walk, &bytes, &len, &claimed);
	if (r != WAL_STEP_BLOCK)
		return r;
	if (claimed > len) {
		r = wal_window_get(&walk->window, walk->offset, claimed, &bytes, &len);
		if (r < 0)
			return r;
	}
	verdict = wal_block_check(bytes, len, &walk->header, walk->offset, ret);
	return step_of(walk, verdict, ret->why);
}

// The same of a block's two ends. The begin is copied, since the window moves on to the other end.
static int look_here(struct wal_walk *walk, struct wal_trailer *ret)
{
	uint8_t header[WAL_BLOCK_HEADER_BYTES];
	struct wal_block_view view;
	enum wal_verdict verdict;
	const uint8_t *bytes;
	uint32_t claimed;
	char what[80];
	size_t len;
	int r;

	r = page_here(walk, &bytes, &len, &claimed);
	if (r != WAL_STEP_BLOCK)
		return r;
	if (claimed == 0) {
		verdict = wal_block_check(bytes, len, &walk->header, walk->offset, &view);
		return step_of(walk, verdict, view.why);
	}
	memcpy(header, bytes, sizeof(header));
	// A long block's end and the next one's begin lie beside each other; of short ones many.
	walk->window.step = claimed > LOOK_AHEAD ? 2 * WAL_PAGE : LOOK_AHEAD;
	r = wal_window_get(
		&walk->window, walk->offset + claimed - WAL_PAGE, WAL_PAGE, &bytes, &len);
	if (r < 0)
		return r;
	if (len < WAL_PAGE)
		return step_of(walk, WAL_BLOCK_SHORT, "");
	memcpy(ret, bytes + WAL_PAGE - sizeof(*ret), sizeof(*ret));
	verdict = wal_block_look(header, ret, &walk->header, walk->offset, what);
	return step_of(walk, verdict, what);
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

static void advance(struct wal_walk *walk, const struct wal_trailer *trailer)
{
	walk->offset += trailer->block_len;
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

// Whether what was found at the walk's place also fits what is before it.
static int fit(struct wal_walk *walk, int step, const struct wal_trailer *trailer)
{
	walk->as_written = false;
	if (step == WAL_STEP_BLOCK && !chain_fits(walk, trailer))
		return WAL_STEP_BAD;
	if (step == WAL_STEP_EOS && walk->has_end && walk->end.end_seq != walk->next_seq) {
		snprintf(walk->why, sizeof(walk->why),
			"the segment's end says that its rows end at seq %" PRIu64,
			walk->end.end_seq);
		return WAL_STEP_BAD;
	}
	return step;
}

static int go_on(struct wal_walk *walk, int step, const struct wal_trailer *trailer)
{
	if (step == WAL_STEP_BLOCK)
		advance(walk, trailer);
	else
		walk->window.len = 0; // what a writer puts there later must be read anew
	return step;
}

int wal_walk_next(struct wal_walk *walk, struct wal_block_view *ret)
{
	int r;

	ret->trailer = NULL;
	r = check_here(walk, ret);
	r = fit(walk, r, ret->trailer);
	if (r == WAL_STEP_BLOCK && walk->unpacks)
		r = unpack(walk, ret);
	return go_on(walk, r, ret->trailer);
}

int wal_walk_look(struct wal_walk *walk, struct wal_trailer *ret)
{
	int r = look_here(walk, ret);

	return go_on(walk, fit(walk, r, ret), ret);
}

bool wal_walk_take(
	struct wal_walk *walk, const uint8_t *block, size_t len, struct wal_block_view *ret)
{
	if (wal_block_check(block, len, &walk->header, walk->offset, ret) != WAL_BLOCK_GOOD ||
		!chain_fits(walk, ret->trailer))
		return false;
	if (walk->unpacks && unpack(walk, ret) != WAL_STEP_BLOCK)
		return false;
	advance(walk, ret->trailer);
	return true;
}

bool wal_walk_take_look(
	struct wal_walk *walk, const uint8_t *header, const struct wal_trailer *trailer)
{
	char why[80];

	if (wal_block_look(header, trailer, &walk->header, walk->offset, why) != WAL_BLOCK_GOOD ||
		!chain_fits(walk, trailer))
		return false;
	advance(walk, trailer);
	return true;
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
	rewind_walk(walk);
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
