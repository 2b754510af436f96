// SPDX-License-Identifier: BSD-3-Clause
#include "batching/batcher.h"

#include "batching/block.h"
#include "common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_MEAN_PAYLOAD 256 // until a block has told better

struct batcher {
	struct open_block open; // first: see batcher_open_block()
	struct wal *wal;
	struct wal_block *block; // NULL: none is open
	struct wal_layout layout;
	int64_t first_received;
	uint64_t opened_at; // ticks
	uint32_t mean_payload;
	bool waited;

	// the open batch; no events, here and in the open block: none
	uint64_t batch, batch_opened_at;
	uint64_t batch_bytes, batch_events;

	uint64_t commit_ticks, seal_ticks;
	const struct config_log *log;
	uint64_t counters[BATCHER_COUNTER_COUNT];
	struct counter_set counter_set;
};

static const struct counter_def counter_defs[] = {
#define X(name, kind, role, help) {#name, help, COUNTER_##kind, ROLE_##role},
	BATCHER_COUNTERS(X)
#undef X
#define EV_DROP(name, help) {#name, help, COUNTER_TOTAL, ROLE_EV_DROP},
#include "common/drops.def"
};

int batcher_new(
	struct batcher **ret, struct wal *wal, unsigned partition, const struct config_log *log)
{
	struct batcher *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);
	struct counter_set *set;

	if (!b)
		return -ENOMEM;
	memset(b, 0, sizeof(*b));
	b->wal = wal;
	b->log = log;
	b->mean_payload = FIRST_MEAN_PAYLOAD;
	b->commit_ticks = clock_ns_to_ticks(log->commit_interval_ns);
	b->seal_ticks = clock_ns_to_ticks(log->seal_interval_ns);
	set = &b->counter_set;
	set->subsystem = "partition";
	set->defs = counter_defs;
	set->values = b->counters;
	set->count = BATCHER_COUNTER_COUNT;
	snprintf(set->labels, sizeof(set->labels), "partition=\"%u\"", partition);
	counters_register(set);
	*ret = b;

	return 0;
}

void batcher_free(struct batcher *batcher)
{
	if (!batcher)
		return;
	counters_unregister(&batcher->counter_set);
	free(batcher);
}

int batcher_attach(struct batcher *batcher)
{
	batcher->batch = wal_next_batch(batcher->wal);

	return wal_attach(batcher->wal);
}

static void count(struct batcher *b, enum batcher_counter counter)
{
	counter_add(&b->counters[counter], 1);
}

void batcher_set_time(struct batcher *batcher, int64_t real_ns)
{
	if (real_ns < batcher->open.received_at)
		count(batcher, BATCHER_clock_steps);
	else
		batcher->open.received_at = real_ns;
}

static int wal_error(const struct batcher *b)
{
	return atomic_load_explicit(&wal_state(b->wal)->failed, memory_order_relaxed);
}

// Which is due for the block about to be submitted: what its batch would hold with it.
static bool seal_due(const struct batcher *b, uint64_t ticks, uint32_t block_bytes)
{
	return (int64_t)(ticks - b->batch_opened_at) >= (int64_t)b->seal_ticks ||
	       b->batch_bytes + block_bytes >= b->log->seal_bytes ||
	       b->batch_events + b->open.rows >= b->log->seal_events;
}

static void batch_ended(struct batcher *b)
{
	b->batch = wal_next_batch(b->wal);
	b->batch_bytes = 0;
	b->batch_events = 0;
}

static void close_open(struct batcher *b)
{
	b->block = NULL;
	b->open.rows = 0;
	b->open.rows_max = 0;
	b->open.reliable = false;
	counter_set(&b->counters[BATCHER_events_open], 0);
}

// Hands the open block to the log, sealing when that is due or asked for.
static void submit(struct batcher *b, bool seal)
{
	struct open_block *o = &b->open;
	struct wal_fill fill = {
		.rows = o->rows,
		.payload_bytes = o->payload_bytes,
		.received_min = b->first_received,
		.received_max = o->received[o->rows - 1],
		.opened_at = b->opened_at,
	};
	uint64_t begin = clock_ticks();
	uint32_t len;

	block_finish(b->block, &b->layout, o, wal_next_seq(b->wal));
	counter_add(&b->counters[BATCHER_close_cycles], clock_ticks() - begin);
	len = wal_block_len(&b->layout, o->payload_bytes);
	fill.layout = b->layout;
	fill.seal = seal || seal_due(b, clock_ticks(), len);
	b->mean_payload = o->payload_bytes / o->rows;
	b->batch_bytes += len;
	b->batch_events += o->rows;
	wal_submit(b->wal, b->block, &fill); // a failure is the log's to count and to tell
	close_open(b);
	if (wal_next_batch(b->wal) != b->batch)
		batch_ended(b);
}

static void open_block(struct batcher *b, struct wal_block *block, uint32_t first_payload)
{
	uint32_t rows = wal_rows_for(block->size, b->mean_payload);

	wal_layout_init(&b->layout, rows, block->size);
	if (first_payload > b->layout.payload_max)
		wal_layout_init(&b->layout, wal_rows_for(block->size, first_payload), block->size);
	b->block = block;
	block_open(block, &b->layout, &b->open);
	b->first_received = b->open.received_at;
	b->opened_at = clock_ticks();
	if (b->batch_events == 0)
		b->batch_opened_at = b->opened_at;
}

static int drop(struct batcher *b, const struct event *event, enum batcher_counter reason, int err)
{
	if (event->source_id != 0)
		return err;
	b->open.events_in++;
	count(b, reason);

	return 0;
}

static int no_block(struct batcher *b, const struct event *event)
{
	const struct wal_state *s = wal_state(b->wal);

	if (wal_error(b))
		return drop(b, event, BATCHER_DROP_partition_failed, -EIO);
	// While writes are in flight a block may be had in a moment even on a full disk.
	if (atomic_load_explicit(&s->full, memory_order_relaxed) && !wal_busy(b->wal))
		return drop(b, event, BATCHER_DROP_log_full, -ENOSPC);
	if (!b->waited)
		count(b, BATCHER_waits);
	b->waited = true;

	return -EAGAIN;
}

void copy_pieces(uint8_t *to, const struct event_piece *pieces, uint32_t len)
{
	for (; len > 0; pieces++) {
		memcpy(to, pieces->data, pieces->len);
		to += pieces->len;
		len -= pieces->len;
	}
}

int batcher_append_slow(
	struct batcher *b, const struct event *event, const struct event_piece *pieces)
{
	struct open_block *o = &b->open;
	bool fits =
		o->rows < o->rows_max && event->payload_len <= o->payload_max - o->payload_bytes;
	struct wal_block *block;

	if (!fits && event->payload_len > block_payload_max(b->log->block_bytes))
		return drop(b, event, BATCHER_DROP_too_large, -EMSGSIZE);
	if (!fits && b->block)
		submit(b, false);
	if (!b->block) {
		block = wal_block_get(b->wal);
		if (!block)
			return no_block(b, event);
		b->waited = false;
		open_block(b, block, event->payload_len);
	}
	if (event->source_id || o->reliable)
		block_append_source(o, event);
	if (pieces != NULL)
		copy_pieces(o->payload + o->payload_bytes, pieces, event->payload_len);
	else
		copy_payload(o->payload + o->payload_bytes, event->payload, event->payload_len);
	append_columns(o, event);

	return 0;
}

static void publish(struct batcher *b)
{
	counter_set(&b->counters[BATCHER_events_in], b->open.events_in);
	counter_set(&b->counters[BATCHER_events_open], b->open.rows);
}

static bool seal_open_batch(struct batcher *b)
{
	if (b->open.rows) {
		submit(b, true);
		return true;
	}
	if (wal_seal_empty(b->wal) == -EAGAIN)
		return false; // offered again at the next poll
	batch_ended(b);

	return true;
}

// Natural group commit: with nothing in flight a sender that waits for its ack need not wait for
// the interval; what arrives during a commit makes up the next one.
static bool commit_due(const struct batcher *b, uint64_t ticks)
{
	const struct open_block *o = &b->open;

	if (!o->rows)
		return false;
	return o->rows == o->rows_max || wal_error(b) || ticks >= b->opened_at + b->commit_ticks ||
	       (o->reliable && !wal_busy(b->wal));
}

bool batcher_poll(struct batcher *b, uint64_t ticks)
{
	bool worked = wal_poll(b->wal) > 0;

	if (commit_due(b, ticks)) {
		submit(b, false);
		worked = true;
	}
	if ((b->batch_events || b->open.rows) && ticks >= b->batch_opened_at + b->seal_ticks)
		worked |= seal_open_batch(b);
	publish(b);

	return worked;
}

uint64_t batcher_deadline(const struct batcher *batcher)
{
	uint64_t at = UINT64_MAX;

	if (batcher->open.rows)
		at = batcher->opened_at + batcher->commit_ticks;
	if (batcher->open.rows || batcher->batch_events) {
		uint64_t seal = batcher->batch_opened_at + batcher->seal_ticks;

		at = seal < at ? seal : at;
	}

	return at;
}

uint32_t batcher_rows_open(const struct batcher *batcher)
{
	return batcher->open.rows;
}

bool batcher_in_flight(const struct batcher *batcher)
{
	return wal_busy(batcher->wal);
}

int batcher_finish(struct batcher *batcher)
{
	int r;

	while ((batcher->open.rows || batcher->batch_events) && !wal_error(batcher)) {
		seal_open_batch(batcher);
		wal_poll(batcher->wal);
	}
	if (batcher->open.rows)
		submit(batcher, true); // a failed log counts them as lost
	r = wal_detach(batcher->wal);
	publish(batcher);

	return r;
}
