// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The log of one partition: writer side.
//
// Threads. wal_open() and wal_close() are for the control thread. Between wal_attach() and
// wal_detach() the owner, and nobody else, calls the functions marked "owner". What any thread may
// read is in struct wal_state. A helper thread of the log's own makes spare segments, renames,
// syncs the directory and retires old segments, so the owner never waits for a file system.
//
// Life of a block:
//   free ─wal_block_get─▶ open ─wal_submit─▶ submitted ─write completed in full─▶ written
//        ─flush submitted after that, completed, directory entry synced─▶ durable, free again,
//        or with memory for it recent, until a buffer is wanted and it is the oldest
// A write or flush that fails makes the log failed for good: nothing more becomes durable, blocks
// not confirmed are lost and counted as such. A flush is never repeated as if it could succeed.

#include "common/config.h"
#include "common/hist.h"
#include "wal/format.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wal;

struct wal_options {
	// Texts are copied by wal_open().
	const char *dir; // <data>/<partition>, made if missing
	unsigned partition;
	const char *receiver;
	const char *listeners; // JSON for the segments' metadata
	struct config_log log;
	int lock_fd; // of wal_lock_dir(); registered in the ring, not owned
	bool hugepages;
	bool hold; // nothing is retired before wal_hold() is called
	// For durable blocks that are left in memory, for those who follow the log: whole blocks.
	uint64_t recent_bytes;
};

struct wal_block {
	uint8_t *mem; // 'size' bytes, page-aligned
	uint32_t size;
	uint32_t index;
};

// What the owner knows of a filled block when it hands it over.
struct wal_fill {
	struct wal_layout layout;
	uint32_t rows;
	uint32_t payload_bytes;
	int64_t received_min, received_max;
	bool seal;          // last block of its batch
	uint64_t opened_at; // ticks of its first event, for the commit latency
};

// Written by the owner (failed: also by the helper), read by anyone.
struct wal_state {
	_Atomic uint64_t next_seq;       // seq of the next row to be submitted
	_Atomic uint64_t durable_seq;    // every seq below is durable
	_Atomic uint64_t durable_batch;  // every batch below is sealed and durable
	_Atomic uint64_t segment_first;  // first_seq of the segment that holds durable_offset
	_Atomic uint64_t durable_offset; // in that segment: every byte below is durable
	_Atomic int failed; // 0, or the negative errno that failed the log; -ESTALE: it was removed
	_Atomic bool full;  // no spare segment could be had: disk full
	_Atomic uint32_t in_flight; // blocks submitted, not yet durable
};

#define WAL_COUNTERS(X) \
	X(blocks, TOTAL, NONE, "blocks submitted") \
	X(rows_submitted, TOTAL, NONE, "events in blocks submitted") \
	X(rows_durable, TOTAL, EV_DURABLE, "events made durable") \
	X(rows_in_flight, GAUGE, EV_FLIGHT, "events submitted and not yet durable") \
	X(rows_lost, TOTAL, EV_DROP, "events in blocks whose write or flush failed") \
	X(payload_bytes, TOTAL, NONE, "payload bytes submitted") \
	X(written_bytes, TOTAL, NONE, "bytes written to segments, all overhead included") \
	X(compression_tries, TOTAL, NONE, "blocks of which compression was tried") \
	X(compressed_blocks, TOTAL, NONE, "blocks written compressed, because it paid") \
	X(compressed_from_bytes, TOTAL, NONE, "bytes that these blocks would have taken") \
	X(compressed_to_bytes, TOTAL, NONE, "bytes that these blocks took") \
	X(compress_cycles, TOTAL, NONE, "TSC cycles of compressing blocks, tries included") \
	X(checksum_cycles, TOTAL, NONE, "TSC cycles of header, trailer and CRC of blocks") \
	X(submit_cycles, TOTAL, NONE, "TSC cycles of handing writes and flushes to the kernel") \
	X(flushes, TOTAL, NONE, "flushes completed") \
	X(batches_sealed, TOTAL, NONE, "batches sealed") \
	X(segments_rotated, TOTAL, NONE, "segments begun after the first") \
	X(segments_retired, TOTAL, NONE, "segments removed or recycled by retention") \
	X(segments_recycled, TOTAL, NONE, "spare segments made of retired ones") \
	X(segment_waits, TOTAL, NONE, "times that no spare segment was ready when one was needed") \
	X(log_bytes, GAUGE, NONE, "bytes of all segments") \
	X(log_segments, GAUGE, NONE, "segments in the log") \
	X(scrubbed_bytes, TOTAL, NONE, "bytes of closed segments re-read in the background") \
	X(scrubbed_segments, TOTAL, NONE, "closed segments re-read in the background") \
	X(damaged_places, GAUGE, NONE, "places found damaged by scrubbing and not mended yet")

enum wal_counter {
#define X(name, kind, role, help) WAL_##name,
	WAL_COUNTERS(X)
#undef X
		WAL_COUNTER_COUNT
};

// A log that is being written, for whoever hands on what is in it.
struct wal_live {
	struct wal *wal;
	const char *dir; // who is given one copies it
	struct wal_id log_id;
};

// What recovery found and did.
struct wal_recovery {
	bool created; // a new log
	struct wal_id log_id;
	uint32_t generation; // of the segment begun now
	uint64_t next_seq;
	uint64_t next_batch;
	uint64_t verified_bytes;
	uint64_t cut_bytes;         // torn tail cut off
	uint32_t cut_intact_blocks; // blocks beyond the tear that were intact but not durable
	uint64_t cut_intact_rows;
	char cut_file[64]; // "" when nothing was cut
};

// Whether the blocks of this partition are compressed where that pays.
bool wal_compresses(const struct config_log *log, unsigned partition);

// Bytes that the blocks of this partition's log take in memory, recent ones too, in whole hugepages
// of 2 MiB.
uint64_t wal_memory_bytes(const struct config_log *log, unsigned partition, uint64_t recent_bytes);

// Takes the lock of a data directory and keeps it while *ret_fd is open, or while an io_uring that
// has it registered still has writes in flight. -EWOULDBLOCK: another process holds it.
int wal_lock_dir(const char *data, int *ret_fd);

// Opens or creates the log and recovers it (docs/architecture.md, "Durability and recovery").
// On damage: -EBADMSG, nothing changed, and 'why' (512 bytes) names file, offset and block and the
// command that mends it. A newer format: -EPROTONOSUPPORT. Control thread.
int wal_open(struct wal **ret, const struct wal_options *options, struct wal_recovery *report,
	char *why);

// Frees everything; after wal_detach() only. Control thread.
void wal_close(struct wal *wal);

// Rows from 'seq' on are kept whatever retention says, until the next call; UINT64_MAX: none. Any
// thread.
void wal_hold(struct wal *wal, uint64_t seq);

// The same for others, any number of them: a sink, a consumer. Whoever adds it owns it, and it must
// outlive its removal.
struct wal_holder {
	_Atomic uint64_t seq;     // rows from here on are kept; whoever added it puts
	_Atomic uint64_t bytes;   // while the log takes no more than so many; 0: whatever it takes
	_Atomic uint64_t overrun; // keeper: rows below are gone though they were held; 0: none are
	struct wal_holder *next;  // the log's
};

// Any thread but the owner.
void wal_holder_add(struct wal *wal, struct wal_holder *holder);
void wal_holder_remove(struct wal *wal, struct wal_holder *holder);

// The durable position as a pair that belongs together: every byte below *offset of the segment
// that begins with seq *segment_first, and every earlier segment, is durable. Any thread.
void wal_durable_position(const struct wal *wal, uint64_t *segment_first, uint64_t *offset);

const struct wal_state *wal_state(const struct wal *wal);
const char *wal_io_name(const struct wal *wal);            // "io_uring", "pwrite"
const struct hist *wal_commit_hist(const struct wal *wal); // ns from first event to durable

// Owner: binds the log to the calling thread (ring, buffers touched here so that they lie on this
// thread's NUMA node). Negative errno when the ring or the buffers can't be had.
int wal_attach(struct wal *wal);

// Owner: a free block buffer, or NULL while all are in flight or no segment is ready.
struct wal_block *wal_block_get(struct wal *wal);

// Owner: closes the block (seqs must already stand in its columns) and submits its write; never
// waits. The block is the log's again. 0, or the negative errno for which the log failed.
int wal_submit(struct wal *wal, struct wal_block *block, const struct wal_fill *fill);

// Owner: seals the open batch by a block of no rows. -EAGAIN when nothing is free for it.
int wal_seal_empty(struct wal *wal);

// Owner: seq that the first row of the next block gets.
uint64_t wal_next_seq(const struct wal *wal);
// Owner: how often a segment was begun after the first.
uint64_t wal_rotations(const struct wal *wal);
// Owner: number of the batch that the next block belongs to.
uint64_t wal_next_batch(const struct wal *wal);

// Owner: takes completions, submits the flush that is due, publishes. Returns how many blocks
// became durable. At most one system call.
unsigned wal_poll(struct wal *wal);

// Owner: true while writes or flushes are in flight.
bool wal_busy(const struct wal *wal);

// Owner, at the end: waits until all that was submitted is durable, writes the end-of-stream page,
// truncates the file behind it, and gives the ring back. 0, or the errno for which it failed.
int wal_detach(struct wal *wal);

// A sealed, durable batch of the recent past, from memory. Any thread. -ENOENT: too old or not yet.
struct wal_batch_info {
	uint64_t number;
	uint64_t first_seq;
	uint32_t rows;
	uint32_t blocks;
	uint64_t bytes; // of its blocks
	int64_t received_min, received_max;
	int64_t durable_at; // real time, ns
	// Where its first block lies, and the CRC of the block before it.
	uint64_t segment_first;
	uint64_t offset;
	uint32_t prev_crc;
};
int wal_batch_info(const struct wal *wal, uint64_t number, struct wal_batch_info *ret);
