// SPDX-License-Identifier: BSD-3-Clause
#include "wal/batches.h"

#include "wal/batches_internal.h"
#include "wal/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GIVE_WAY_STEP_US 500
#define GIVE_WAY_STEPS 40

int wal_batches_open(
	struct wal_batches **ret, const char *dir, const struct wal *wal, uint64_t number)
{
	struct wal_batches *b;

	if (strlen(dir) >= sizeof(b->dir))
		return -ENAMETOOLONG;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	snprintf(b->dir, sizeof(b->dir), "%s", dir);
	b->wal = wal;
	b->wanted = number;
	b->fresh = true;
	if (wal) {
		b->knows_log = true;
		b->log_id = wal->log_id;
	}
	*ret = b;
	return 0;
}

void wal_batches_give_way(struct wal_batches *b)
{
	b->gives_way = b->wal != NULL;
}

void wal_batches_close(struct wal_batches *b)
{
	if (!b)
		return;
	batches_close_segment(b);
	free(b->listeners);
	free(b->copy);
	free(b);
}

// The ends of the next block out of the writer's memory.
static bool look_in_memory(struct wal_batches *b, struct wal_trailer *ret)
{
	struct recent_place *place = &b->look_place;
	uint8_t header[WAL_BLOCK_HEADER_BYTES];

	return b->wal && wal_recent_find(b->wal, b->file.first_seq, b->look.offset, place) &&
	       wal_recent_copy(b->wal, place, 0, sizeof(header), header) &&
	       wal_recent_copy(
		       b->wal, place, place->len - sizeof(*ret), sizeof(*ret), (uint8_t *)ret) &&
	       wal_walk_take_look(&b->look, header, ret);
}

static int look(struct wal_batches *b, struct wal_trailer *ret)
{
	return look_in_memory(b, ret) ? WAL_STEP_BLOCK : wal_walk_look(&b->look, ret);
}

// Puts one more block to the batch being gathered.
static void gather(struct wal_batches *b, const struct wal_trailer *trailer)
{
	struct wal_batch *batch = &b->batch;

	if (batch->blocks == 0)
		*batch = (struct wal_batch){
			.log_id = b->look.header.log_id,
			.number = trailer->batch,
			.first_seq = trailer->first_seq,
			.received_min = trailer->received_min,
			.received_max = trailer->received_max,
		};
	batch->blocks++;
	batch->bytes += trailer->block_len;
	batch->end_seq = trailer->first_seq + trailer->rows;
	batch->crc = trailer->crc;
	b->last = *trailer;
	if (trailer->rows == 0)
		return;
	if (trailer->received_min < batch->received_min)
		batch->received_min = trailer->received_min;
	if (trailer->received_max > batch->received_max)
		batch->received_max = trailer->received_max;
}

// What it means that the look-walk found no block. As batches_end_segment().
static int no_block(struct wal_batches *b, int step)
{
	bool being_written = b->file.first_seq == b->limit.segment_first;

	if (step < 0) {
		snprintf(b->why, sizeof(b->why), "%s/%s: can't be read at offset %llu: %s", b->dir,
			b->file.name, (unsigned long long)b->look.offset, strerror(-step));
		return step;
	}
	if (step == WAL_STEP_BAD)
		return batches_bad(b, &b->look, b->look.why);
	if (!being_written || step == WAL_STEP_EOS)
		return batches_end_segment(b, b->batch.blocks > 0);
	if (b->look.offset < b->limit.offset)
		return batches_bad(b, &b->look, b->look.why);
	return 0;
}

// Gathers one batch from the look-walk's place on. 1: it is whole, and begins at *ret_from; else as
// batches_end_segment(), the walk back at its begin unless the segment was closed.
static int gather_batch(struct wal_batches *b, struct wal_walk_point *ret_from)
{
	struct wal_trailer trailer;
	int step, r;

	*ret_from = wal_walk_point(&b->look);
	b->batch.blocks = 0;
	while ((step = look(b, &trailer)) == WAL_STEP_BLOCK) {
		gather(b, &trailer);
		if (trailer.flags & WAL_FLAG_SEALED)
			return 1;
	}
	r = no_block(b, step);
	if (r != 1 && b->is_open && b->batch.blocks > 0)
		wal_walk_go_to(&b->look, ret_from);
	return r;
}

static void hand_out(struct wal_batches *b, const struct wal_walk_point *from)
{
	struct batch_place *place = &b->places[b->batch.number % BATCH_PLACES];

	*place = (struct batch_place){.number = b->batch.number, .from = *from};
	wal_walk_go_to(&b->read, from);
	b->blocks_left = b->batch.blocks;
	b->wanted = b->batch.number + 1;
	b->fresh = false;
}

static int nothing_yet(struct wal_batches *b)
{
	if (!b->wal || atomic_load(&wal_state(b->wal)->failed) != -ESTALE)
		return 0;
	return batches_none(b);
}

int wal_batches_next(struct wal_batches *b, struct wal_batch *ret)
{
	struct wal_walk_point from;
	int r = BATCHES_AGAIN;

	b->blocks_left = 0;
	if (!batches_refresh(b))
		return nothing_yet(b);
	while (r == BATCHES_AGAIN) {
		r = b->is_open ? 1 : batches_open_segment(b);
		if (r == 1)
			r = gather_batch(b, &from);
		if (r == 1 && b->batch.number < b->wanted)
			r = BATCHES_AGAIN;
	}
	if (r != 1)
		return r;
	hand_out(b, &from);
	*ret = b->batch;
	return 1;
}

static bool make_room(struct wal_batches *b, size_t len)
{
	if (len <= b->copy_room)
		return true;
	free(b->copy);
	b->copy = aligned_alloc(WAL_PAGE, wal_align_up(len, WAL_PAGE));
	b->copy_room = b->copy ? len : 0;
	return b->copy;
}

static bool read_from_memory(struct wal_batches *b, struct wal_block_view *ret)
{
	struct recent_place *place = &b->read_place;

	return b->wal && wal_recent_find(b->wal, b->file.first_seq, b->read.offset, place) &&
	       make_room(b, place->len) && wal_recent_copy(b->wal, place, 0, place->len, b->copy) &&
	       wal_walk_take(&b->read, b->copy, place->len, ret);
}

static bool disk_is_wanted(const struct wal_batches *b)
{
	return b->gives_way &&
	       4 * atomic_load(&wal_state(b->wal)->in_flight) > b->wal->options.log.queue_depth;
}

// What the log writes comes first. Not for ever: on a disk that is always late, who has fallen
// behind would never catch up, and would hold what retention could give back.
static void give_way(struct wal_batches *b)
{
	unsigned steps = 0;

#ifndef MUTANT_NEVER_GIVES_WAY
	for (; steps < GIVE_WAY_STEPS && disk_is_wanted(b); steps++)
		usleep(GIVE_WAY_STEP_US);
#endif
	b->reads.gave_way += steps > 0;
}

// A block of the present batch can't be had. It was below what is durable when the batch was looked
// at.
static int lost_block(struct wal_batches *b, int step)
{
	int r;

	if (step < 0) {
		snprintf(b->why, sizeof(b->why), "%s/%s: can't be read at offset %llu: %s", b->dir,
			b->file.name, (unsigned long long)b->read.offset, strerror(-step));
		return step;
	}
	r = batches_bad(b, &b->read, b->read.why);
	if (r != BATCHES_AGAIN)
		return r;
	snprintf(b->why, sizeof(b->why), "%s: batch %llu is no longer in the log", b->dir,
		(unsigned long long)b->batch.number);
	return -ESTALE;
}

int wal_batches_block(struct wal_batches *b, struct wal_block_view *ret)
{
	struct wal_walk_point from;
	int step;

	if (b->blocks_left == 0)
		return 0;
	from = wal_walk_point(&b->read);
	if (read_from_memory(b, ret)) {
		b->reads.memory++;
	} else {
		give_way(b);
		step = wal_walk_next(&b->read, ret);
		if (step != WAL_STEP_BLOCK) // not out of what was read ahead
			step = wal_walk_next(&b->read, ret);
		if (step != WAL_STEP_BLOCK)
			return lost_block(b, step);
		b->reads.disk++;
	}
	// What the batch was said to be rests on the ends of its blocks as they were looked at.
	if (b->blocks_left == 1 && memcmp(ret->trailer, &b->last, sizeof(b->last)) != 0) {
		wal_walk_go_to(&b->read, &from);
		snprintf(b->read.why, sizeof(b->read.why), "it is not as it was a moment ago");
		return lost_block(b, WAL_STEP_BAD);
	}
	b->blocks_left--;
	return 1;
}

// Whether the look-walk can be brought in front of it without looking for its segment.
static bool is_near(struct wal_batches *b, uint64_t number)
{
	const struct batch_place *place = &b->places[number % BATCH_PLACES];
	if (number == b->look.batch + (b->look.blocks > 0))
		return true;
	if (place->number != number || place->from.offset == 0)
		return false;
	wal_walk_go_to(&b->look, &place->from);
	return true;
}

void wal_batches_seek(struct wal_batches *b, uint64_t number)
{
	b->wanted = number;
	b->fresh = true;
	b->blocks_left = 0;
	if (b->is_open && !is_near(b, number))
		batches_close_segment(b);
}

uint64_t wal_batches_wanted(const struct wal_batches *b)
{
	return b->wanted;
}

const char *wal_batches_listeners(const struct wal_batches *b)
{
	return b->listeners ? b->listeners : "{}";
}

const char *wal_batches_why(const struct wal_batches *b)
{
	return b->why;
}

struct wal_batches_reads wal_batches_reads(const struct wal_batches *b)
{
	return b->reads;
}
