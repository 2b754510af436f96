// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The batching worker of one partition: appends events to the open block and decides when blocks
// are submitted and batches sealed. Owned by one thread from batcher_attach() to batcher_finish().
//
// A block is submitted when it is full, when it holds a reliable event and nothing is in flight, or
// commit_interval after its first event. A batch is sealed seal_interval after its first event, or
// at seal_bytes or seal_events: by a flag on its last block when that is still open, else by a
// block of no rows. A batch without rows is never sealed.

#include "common/counters.h"
#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

struct batcher;

// A part of a payload that doesn't lie in one piece.
struct event_piece {
	const uint8_t *data;
	uint32_t len;
};

// One event, borrowed for the call.
struct event {
	const uint8_t *payload;
	uint32_t payload_len;
	uint16_t src_port; // host order
	uint16_t listener;
	uint8_t src_addr[16]; // IPv4 mapped into IPv6
	uint64_t source_id;   // these three 0 for plain events
	uint32_t source_epoch;
	uint64_t source_seq;
};

#define BATCHER_COUNTERS(X) \
	X(events_in, TOTAL, EV_IN, "events offered to the partition") \
	X(events_open, GAUGE, EV_FLIGHT, "events in the open block") \
	X(close_cycles, TOTAL, NONE, "TSC cycles of finishing the columns of full blocks") \
	X(waits, TOTAL, NONE, "times that an append found every block in flight") \
	X(clock_steps, TOTAL, NONE, "times that real time went back and received_at was held")

enum batcher_counter {
#define X(name, kind, role, help) BATCHER_##name,
	BATCHER_COUNTERS(X)
#undef X
#define EV_DROP(name, help) BATCHER_DROP_##name,
#include "common/drops.def"
		BATCHER_COUNTER_COUNT
};

// 'wal' is open and not owned. Registers the partition's counters. Control thread.
int batcher_new(
	struct batcher **ret, struct wal *wal, unsigned partition, const struct config_log *log);
void batcher_free(struct batcher *batcher);

// Owner: binds to the calling thread; calls wal_attach().
int batcher_attach(struct batcher *batcher);

// Owner: received_at of the events appended from now on; ns since 1970 UTC. Held, and counted, when
// it would go back.
void batcher_set_time(struct batcher *batcher, int64_t real_ns);

// Owner: submits and seals what is due, takes completions. 'ticks': clock_ticks() now. Returns true
// when there was something to do.
bool batcher_poll(struct batcher *batcher, uint64_t ticks);

// Owner: ticks at which batcher_poll() next has something to do by the clock; UINT64_MAX: never.
uint64_t batcher_deadline(const struct batcher *batcher);

// Owner: events in the open block.
uint32_t batcher_rows_open(const struct batcher *batcher);

// Owner: true while writes are in flight, when the lcore must yield now and then.
bool batcher_in_flight(const struct batcher *batcher);

// Owner, at the end: submits, seals, waits until all is durable, detaches the log.
int batcher_finish(struct batcher *batcher);

// Owner: batcher_append(), inline.
#include "batching/append.h"
