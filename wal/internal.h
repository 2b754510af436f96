// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of the writer share: wal.c (open, close, buffers), writer.c (the owner's side) and
// keeper.c (the helper thread). Not for anyone outside wal/ but the tests.

#include "common/clock.h"
#include "common/counters.h"
#include "wal/io.h"
#include "wal/pack.h"
#include "wal/reader.h"
#include "wal/recent.h"
#include "wal/wal.h"

#include <pthread.h>
#include <stdatomic.h>

#define WAL_CTL_BUFFERS 16 // schema pages, sealing blocks and end-of-stream pages in flight
#define WAL_CTL_BYTES WAL_SCHEMA_BYTES
#define WAL_QUEUE 128 // writes not yet durable: at most 64 + 1 blocks and WAL_CTL_BUFFERS
#define WAL_BATCHES_KEPT 1024
#define WAL_SPARE_NAME "spare.arrows"

// A segment file. Made by the keeper, written by the owner, and the keeper's again when 'finished'.
struct segment {
	int fd;
	struct wal_id id;
	uint64_t first_seq; // set by the owner at first use
	uint64_t end_seq;   // set by the owner when it is closed: first seq of the next segment
	char name[40];      // set by the owner at first use
	uint64_t size;
	uint64_t offset;       // owner: where the next write goes
	unsigned writes;       // owner: entries of the queue that belong to it
	bool closed;           // owner: its end-of-stream page is submitted
	int64_t closed_at;     // keeper: real time, ns
	bool adopted;          // keeper: was there before this start
	_Atomic bool named;    // keeper: its directory entry is durable
	_Atomic bool finished; // owner: closed and durable to its last byte
	struct segment *next;  // keeper's list, oldest first
};

enum write_kind { WRITE_SCHEMA, WRITE_BLOCK, WRITE_EOS };

// One write that is not yet durable, in the order of the log.
struct pending {
	enum write_kind kind;
	bool complete; // written in full
	bool seals;
	int32_t slot; // block buffer index, or -1 - control buffer index
	struct segment *segment;
	uint8_t *buf;
	uint32_t len, done;
	uint64_t offset;
	uint64_t end_seq; // seq behind its last row
	uint32_t rows;
	uint64_t opened_at;          // ticks
	struct wal_batch_info batch; // for an entry that seals
};

// A slot of the recent batches. 'guard' is the number while the copy is whole.
struct batch_slot {
	_Atomic uint64_t guard;
	struct wal_batch_info info;
};

struct wal {
	struct wal_options options;
	char dir[CONFIG_PATH_MAX];
	char *receiver, *listeners; // owned; options points to them
	struct wal_state state;
	struct wal_id log_id;
	uint32_t generation;
	uint64_t gap_from; // for the next segment's header; UINT64_MAX: none

	// owner
	struct wal_io *io;
	uint8_t *region;
	size_t region_len;
	struct wal_block *blocks;
	unsigned block_count;
	uint32_t *free_blocks; // room for all
	unsigned free_block_count;
	unsigned kept_blocks;      // of those free or recent, that wal_block_get() leaves
	unsigned recent_blocks;    // buffers that hold recent blocks
	struct wal_packer *packer; // NULL: no compression; else a block is kept free for it
	uint32_t free_ctl[WAL_CTL_BUFFERS];
	unsigned free_ctl_count;
	struct segment *current; // NULL until the first write
	uint32_t prev_crc;
	uint64_t next_seq, next_batch;
	uint64_t durable_seq;
	struct pending queue[WAL_QUEUE];
	uint64_t head, tail; // entries [head, tail) are not durable
	uint64_t flush_to;   // the flush in flight covers entries below
	bool flush_in_flight;
	bool waiting_for_spare;
	unsigned ops_in_flight;
	struct wal_batch_info open_batch; // rows 0: no batch is open
	struct hist commit_ns;
	struct batch_slot batches[WAL_BATCHES_KEPT];

	// owner puts it once and writes it, anyone reads; NULL: no memory for recent blocks
	_Atomic(struct wal_recent *) recent;

	// between owner and keeper
	_Atomic(struct segment *) spare;   // keeper puts, owner takes
	_Atomic(struct segment *) to_name; // owner puts, keeper takes
	_Atomic bool spare_wanted;         // owner: a spare is needed at once or soon
	_Atomic bool stop;
	_Atomic uint64_t hold_seq; // rows from here on are not retired; any thread puts
	int wake_fd;               // eventfd: owner writes once per segment

	pthread_mutex_t holders_lock; // keeper, and who adds and removes; never the owner
	struct wal_holder *holders;

	// keeper
	pthread_t keeper;
	bool keeper_runs;
	struct segment *first, *last;
	uint64_t bytes;   // of all segments
	bool can_recycle; // WAL_SPARE_NAME is a retired segment
	// WAL_SPARE_NAME is the file of 'spare', or that of a segment which the owner has begun and
	// which has no name of its own yet: not to be touched.
	bool spare_placed;
	bool direct_told; // that there is no O_DIRECT here
	int spare_error;  // of the last try to make a spare, told once
	bool wiped;       // told that the log was taken away

	// log_*, segments_re*: keeper; scrubbed_*, damaged_places: scrub.c; others: owner
	uint64_t counters[WAL_COUNTER_COUNT];
	struct counter_set counter_set;
	struct hist_entry hist_entry;
};

static inline void wal_count(struct wal *wal, enum wal_counter counter, uint64_t n)
{
	counter_add(&wal->counters[counter], n);
}

// Adds what passed since 'begin'; returns the ticks now. A few looks at the clock a block.
static inline uint64_t wal_stage(struct wal *wal, enum wal_counter stage, uint64_t begin)
{
	uint64_t now = clock_ticks();

	wal_count(wal, stage, now - begin);
	return now;
}

static inline bool wal_failed(const struct wal *wal)
{
	return atomic_load_explicit(&wal->state.failed, memory_order_relaxed) != 0;
}

static inline struct pending *wal_entry(struct wal *wal, uint64_t number)
{
	return &wal->queue[number % WAL_QUEUE];
}

// writer.c, commit.c: owner
int wal_start_write(struct wal *wal, const struct pending *p); // from p->done on
void wal_lose(struct wal *wal); // of a failed log: what was in flight is counted as lost

// keeper.c
int wal_keeper_start(struct wal *wal);
void wal_keeper_stop(struct wal *wal);
void wal_keeper_wake(struct wal *wal);
// By the keeper, and by what takes it long: fails a log whose newest segment was taken away.
void wal_keeper_look(struct wal *wal);

// spare.c, called by the keeper: a spare segment, made of what is there or new. NULL and a negative
// errno in *ret_error when the disk has no room.
struct segment *wal_spare_make(struct wal *wal, int *ret_error);

// Marks the log failed, keeping the first reason. Any thread. Told by whoever watches wal_state():
// an lcore logs nothing.
void wal_fail(struct wal *wal, int error);

// Tests: the next wal_attach() uses this instead of a disk of its own.
void wal_set_io(struct wal *wal, struct wal_io *io);
