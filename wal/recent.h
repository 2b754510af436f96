// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Blocks that are durable and still lie in the writer's buffers: of the owner for those who follow
// the log. The owner takes the oldest back whenever it needs a buffer, without asking anyone: who
// copies a block looks behind the copy whether it was whole, and judges it as one from the disk.

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pending;
struct wal;

// 'guard' is the block's number + 1 while the rest is of that block and its bytes are whole.
struct recent_slot {
	_Atomic uint64_t guard;
	_Atomic uint64_t segment_first, offset;
	_Atomic uint32_t len;
	_Atomic(const uint8_t *) mem;
	int32_t block; // owner: index of the buffer; -1: the slot's own page
};

// The owner writes, anyone reads. Numbers count durable blocks; those in [tail, head) are there.
struct wal_recent {
	_Atomic uint64_t head, tail;
	uint64_t count; // of slots
	uint8_t *pages; // one for each slot, for a block that only seals
	struct recent_slot slots[];
};

// A block found. 'number' is also where the next search begins.
struct recent_place {
	uint64_t number;
	uint32_t len;
	const uint8_t *mem;
};

// Slots for so many buffers: between any two blocks in buffers may be one that only seals.
static inline uint64_t wal_recent_slots(unsigned buffers)
{
	return 2 * (uint64_t)buffers;
}

// Owner, before anyone knows the log.
struct wal_recent *wal_recent_new(unsigned buffers, uint8_t *pages);

// Owner: a durable block, whose buffer is the recent blocks' from now on.
void wal_recent_add(struct wal *wal, const struct pending *p);

// Owner: the buffers of the oldest go to the free ones, until there is one or no block is left.
void wal_recent_take(struct wal *wal);

// Any thread. False: it is not there.
bool wal_recent_find(
	const struct wal *wal, uint64_t segment_first, uint64_t offset, struct recent_place *place);

// Any thread: [from, from + len) of it. False: the owner took it back meanwhile.
bool wal_recent_copy(const struct wal *wal, const struct recent_place *place, uint32_t from,
	uint32_t len, uint8_t *to);
