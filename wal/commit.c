// SPDX-License-Identifier: BSD-3-Clause

// From submitted to durable: completions, flushes, and what is published of them. Owner only.

#include "common/clock.h"
#include "wal/internal.h"

#include <errno.h>

#define FLUSH_TAG UINT64_MAX

static void publish_batch(struct wal *wal, struct pending *p)
{
	struct batch_slot *slot = &wal->batches[p->batch.number % WAL_BATCHES_KEPT];

	p->batch.durable_at = (int64_t)clock_real_ns(clock_ticks());
	atomic_store_explicit(&slot->guard, UINT64_MAX, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	slot->info = p->batch;
	atomic_store_explicit(&slot->guard, p->batch.number, memory_order_release);
	atomic_store_explicit(&wal->state.durable_batch, p->batch.number + 1, memory_order_release);
}

static void release_buffer(struct wal *wal, const struct pending *p)
{
	if (p->kind == WRITE_BLOCK &&
		atomic_load_explicit(&wal->recent, memory_order_relaxed) != NULL)
		wal_recent_add(wal, p);
	else if (p->slot >= 0)
		wal->free_blocks[wal->free_block_count++] = (uint32_t)p->slot;
	else
		wal->free_ctl[wal->free_ctl_count++] = (uint32_t)(-1 - p->slot);
}

static void publish_position(struct wal *wal, const struct pending *p)
{
	struct wal_state *s = &wal->state;

	// wal_durable_position() reads segment, offset, segment: 0 is never too far.
	if (atomic_load_explicit(&s->segment_first, memory_order_relaxed) !=
		p->segment->first_seq) {
		atomic_store(&s->durable_offset, 0);
		atomic_store(&s->segment_first, p->segment->first_seq);
	}
	atomic_store(&s->durable_offset, p->offset + p->len);
	atomic_store(&s->durable_seq, p->end_seq);
}

static void make_durable(struct wal *wal, struct pending *p)
{
	struct segment *s = p->segment;

	if (p->kind == WRITE_BLOCK) {
		wal->durable_seq = p->end_seq;
		hist_add(&wal->commit_ns, clock_ticks_to_ns(clock_ticks() - p->opened_at));
		wal_count(wal, WAL_rows_durable, p->rows);
		counter_set(&wal->counters[WAL_rows_in_flight],
			wal->counters[WAL_rows_in_flight] - p->rows);
		atomic_fetch_sub_explicit(&wal->state.in_flight, 1, memory_order_relaxed);
	}
	publish_position(wal, p);
	if (p->seals)
		publish_batch(wal, p);
	release_buffer(wal, p);
	s->writes--;
	if (s->closed && s->writes == 0)
		atomic_store(&s->finished, true);
}

// Advances over the entries below 'limit' that are written in full, as far as their segment's
// directory entry is durable. Returns how many blocks that were.
static unsigned advance(struct wal *wal, uint64_t limit)
{
	unsigned blocks = 0;

	while (wal->head < limit) {
		struct pending *p = wal_entry(wal, wal->head);

		if (!p->complete)
			break;
#ifndef MUTANT_NO_DIRECTORY_SYNC
		if (!atomic_load_explicit(&p->segment->named, memory_order_acquire))
			break;
#endif
		make_durable(wal, p);
		blocks += p->kind == WRITE_BLOCK;
		wal->head++;
	}

	return blocks;
}

static void write_done(struct wal *wal, uint64_t tag, int32_t result)
{
	struct pending *p = &wal->queue[tag];
	int r;

	if (result <= 0) {
		wal_fail(wal, result < 0 ? result : -EIO);
		return;
	}
	p->done += (uint32_t)result;
	if (p->done >= p->len) {
		p->complete = true;
		return;
	}
	// A short write. What O_DIRECT left behind an unaligned end is written again.
	p->done &= ~(WAL_PAGE - 1);
	r = wal_start_write(wal, p);
	if (r < 0)
		wal_fail(wal, r);
}

static void flush_done(struct wal *wal, int32_t result)
{
	wal->flush_in_flight = false;
#ifndef MUTANT_FLUSH_ERROR_IGNORED
	if (result < 0) {
		wal_fail(wal, result);
		return;
	}
#endif
	wal_count(wal, WAL_flushes, 1);
}

static void reap(struct wal *wal)
{
	struct wal_io_done done[16];
	unsigned n;

	do {
		n = wal->io->ops->reap(wal->io, done, 16);
		for (unsigned i = 0; i < n; i++) {
			wal->ops_in_flight--;
			if (done[i].tag == FLUSH_TAG)
				flush_done(wal, done[i].result);
			else
				write_done(wal, done[i].tag, done[i].result);
		}
	} while (n == 16);
}

// Everything complete from 'flush_to' on, of one segment, is covered by the flush submitted now.
static void start_flush(struct wal *wal)
{
	uint64_t to = wal->flush_to;
	struct segment *s = NULL;
	uint64_t begin;
	int r;

	for (; to < wal->tail; to++) {
		const struct pending *p = wal_entry(wal, to);

		if (!p->complete || (s && p->segment != s))
			break;
		s = p->segment;
	}
	if (!s)
		return;
	begin = clock_ticks();
	r = wal->io->ops->flush(wal->io, s->fd, FLUSH_TAG);
	wal_stage(wal, WAL_submit_cycles, begin);
	if (r < 0) {
		wal_fail(wal, r);
		return;
	}
	wal->ops_in_flight++;
	wal->flush_in_flight = true;
	wal->flush_to = to;
}

static unsigned commit(struct wal *wal)
{
	unsigned blocks;

	if (wal->options.log.durability == DURABILITY_DSYNC)
		return advance(wal, wal->tail);
#ifdef MUTANT_NO_FLUSH
	return advance(wal, wal->tail);
#endif
	if (wal->flush_in_flight)
		return 0;
	blocks = advance(wal, wal->flush_to);
	start_flush(wal);

	return blocks;
}

// A failed log's blocks will never be durable: counted as lost, their buffers stay out of use.
void wal_lose(struct wal *wal)
{
	for (; wal->head < wal->tail; wal->head++) {
		struct pending *p = wal_entry(wal, wal->head);

		if (p->kind != WRITE_BLOCK)
			continue;
		wal_count(wal, WAL_rows_lost, p->rows);
		atomic_fetch_sub_explicit(&wal->state.in_flight, 1, memory_order_relaxed);
	}
	counter_set(&wal->counters[WAL_rows_in_flight], 0);
}

unsigned wal_poll(struct wal *wal)
{
	if (wal->head == wal->tail && wal->ops_in_flight == 0)
		return 0;
	reap(wal);
	if (wal_failed(wal)) {
		wal_lose(wal);
		return 0;
	}

	return commit(wal);
}

bool wal_busy(const struct wal *wal)
{
	return wal->ops_in_flight > 0 || wal->head != wal->tail;
}
