// SPDX-License-Identifier: BSD-3-Clause
#include "wal/recent.h"

#include "wal/internal.h"

#include <stdlib.h>
#include <string.h>

struct wal_recent *wal_recent_new(unsigned buffers, uint8_t *pages)
{
	uint64_t count = wal_recent_slots(buffers);
	struct wal_recent *recent = calloc(1, sizeof(*recent) + count * sizeof(recent->slots[0]));

	if (!recent)
		return NULL;
	recent->count = count;
	recent->pages = pages;

	return recent;
}

// Withdraws the oldest: whoever copies from it sees so before any byte of it changes.
static void withdraw(struct wal *wal, struct wal_recent *recent)
{
	uint64_t tail = atomic_load_explicit(&recent->tail, memory_order_relaxed);
	struct recent_slot *slot = &recent->slots[tail % recent->count];

	atomic_store_explicit(&slot->guard, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&recent->tail, tail + 1, memory_order_release);
	if (slot->block < 0)
		return;
	wal->free_blocks[wal->free_block_count++] = (uint32_t)slot->block;
	wal->recent_blocks--;
}

static bool is_empty(const struct wal_recent *recent)
{
	return atomic_load_explicit(&recent->tail, memory_order_relaxed) ==
	       atomic_load_explicit(&recent->head, memory_order_relaxed);
}

void wal_recent_take(struct wal *wal)
{
	struct wal_recent *recent = atomic_load_explicit(&wal->recent, memory_order_relaxed);

	while (recent && wal->free_block_count == 0 && !is_empty(recent))
		withdraw(wal, recent);
}

void wal_recent_add(struct wal *wal, const struct pending *p)
{
	struct wal_recent *recent = atomic_load_explicit(&wal->recent, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&recent->head, memory_order_relaxed);
	struct recent_slot *slot = &recent->slots[head % recent->count];
	const uint8_t *mem = p->buf;

	if (head - atomic_load_explicit(&recent->tail, memory_order_relaxed) == recent->count)
		withdraw(wal, recent);
	if (p->slot >= 0) {
		wal->recent_blocks++;
	} else {
		mem = memcpy(recent->pages + head % recent->count * WAL_PAGE, p->buf, WAL_PAGE);
		wal->free_ctl[wal->free_ctl_count++] = (uint32_t)(-1 - p->slot);
	}
	slot->block = p->slot >= 0 ? p->slot : -1;
	atomic_store_explicit(&slot->segment_first, p->segment->first_seq, memory_order_relaxed);
	atomic_store_explicit(&slot->offset, p->offset, memory_order_relaxed);
	atomic_store_explicit(&slot->len, p->len, memory_order_relaxed);
	atomic_store_explicit(&slot->mem, mem, memory_order_relaxed);
	atomic_store_explicit(&slot->guard, head + 1, memory_order_release);
	atomic_store_explicit(&recent->head, head + 1, memory_order_release);
}

static bool still_there(const struct recent_slot *slot, uint64_t number)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&slot->guard, memory_order_relaxed) == number + 1;
}

// Where block 'number' lies against the one looked for: < 0 before it, or taken back, which is the
// same since the oldest go first.
static int compare(const struct wal_recent *recent, uint64_t number, uint64_t segment_first,
	uint64_t offset, struct recent_place *ret)
{
	const struct recent_slot *slot = &recent->slots[number % recent->count];
	uint64_t first, at;

	if (atomic_load_explicit(&slot->guard, memory_order_acquire) != number + 1)
		return -1;
	first = atomic_load_explicit(&slot->segment_first, memory_order_relaxed);
	at = atomic_load_explicit(&slot->offset, memory_order_relaxed);
	*ret = (struct recent_place){
		.number = number,
		.len = atomic_load_explicit(&slot->len, memory_order_relaxed),
		.mem = atomic_load_explicit(&slot->mem, memory_order_relaxed),
	};
	if (!still_there(slot, number))
		return -1;
	if (first != segment_first)
		return first < segment_first ? -1 : 1;

	return at < offset ? -1 : at > offset;
}

bool wal_recent_find(
	const struct wal *wal, uint64_t segment_first, uint64_t offset, struct recent_place *place)
{
	const struct wal_recent *recent = atomic_load_explicit(&wal->recent, memory_order_acquire);
	uint64_t low, high, near = place->number;

	if (!recent)
		return false;
	low = atomic_load_explicit(&recent->tail, memory_order_acquire);
	high = atomic_load_explicit(&recent->head, memory_order_acquire);
	// Who reads on finds it in the same slot, or the next.
	for (uint64_t number = near; number < near + 2; number++)
		if (number >= low && number < high &&
			compare(recent, number, segment_first, offset, place) == 0)
			return true;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int c = compare(recent, middle, segment_first, offset, place);

		if (c == 0)
			return true;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	place->number = near;

	return false;
}

// The owner may write there meanwhile, which the guard tells, and the CRC. The thread sanitizer
// knows of neither, so it is kept from watching: it would watch memcpy() wherever it is called.
static __attribute__((noinline, no_sanitize("thread"))) void copy_unguarded(
	uint8_t *to, const uint8_t *from, uint32_t len)
{
#ifdef __SANITIZE_THREAD__
	for (uint32_t i = 0; i < len; i++)
		to[i] = ((const volatile uint8_t *)from)[i];
#else
	memcpy(to, from, len);
#endif
}

bool wal_recent_copy(const struct wal *wal, const struct recent_place *place, uint32_t from,
	uint32_t len, uint8_t *to)
{
	const struct wal_recent *recent = atomic_load_explicit(&wal->recent, memory_order_acquire);
	const struct recent_slot *slot = &recent->slots[place->number % recent->count];

	copy_unguarded(to, place->mem + from, len);
#ifdef MUTANT_RECENT_GUARD
	(void)slot;
	return true;
#endif
	return still_there(slot, place->number);
}
