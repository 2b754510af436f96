// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Sealed, durable batches of a log, in order: what sinks and the pull API hand on. A reader is one
// thread's. Of a log that is being written it takes blocks from the writer's memory while they are
// there, else from the disk, and stops at what is sealed and durable.

#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

struct wal_batches;

struct wal_batch {
	struct wal_id log_id;
	uint64_t number;
	uint64_t first_seq, end_seq; // its rows: [first_seq, end_seq)
	unsigned blocks;
	uint64_t bytes;                     // of its blocks in the log
	int64_t received_min, received_max; // ns since 1970 UTC
	uint32_t crc; // of its last block: with log_id and number it names the content
};

// 'wal': the writer, in this process, of the log in 'dir', or NULL when nobody writes it; then what
// lies behind the last whole batch counts as a batch, too. The first batch wanted is 'number', or
// the oldest there is when that is newer. Opens no file yet.
int wal_batches_open(
	struct wal_batches **ret, const char *dir, const struct wal *wal, uint64_t number);
void wal_batches_close(struct wal_batches *batches); // NULL is fine

// From now on wal_batches_block() lets the log's writes pass before it reads from the disk, which
// may take 20 ms: for threads that serve nobody else.
void wal_batches_give_way(struct wal_batches *batches);

// Goes to the next batch, past blocks of the present one that were not read. It looks at headers
// only; its blocks are judged when they are read. Numbers may jump where a repair took batches.
//   1          *ret; its blocks follow by wal_batches_block()
//   0          none is sealed and durable yet: call again
//   -ESTALE    batches that were wanted are gone by retention; wal_batches_why() says which, and
//              the next call goes on with the oldest there is
//   -ENOENT    no segment is there any more, though the log has some: it was wiped
//   -EBADMSG   damaged, or of another log; the reader stays in front of it
int wal_batches_next(struct wal_batches *batches, struct wal_batch *ret);

// The next block of that batch, whole, verified and unpacked; valid until the next call. 1; 0: the
// batch has no more. Errors as above; after -ESTALE or -ENOENT the batch can't be had any more.
int wal_batches_block(struct wal_batches *batches, struct wal_block_view *ret);

// Back in front of the batch 'number' (one that was read before, or any other), as if opened there.
void wal_batches_seek(struct wal_batches *batches, uint64_t number);

// The batch that wal_batches_next() looks for.
uint64_t wal_batches_wanted(const struct wal_batches *batches);

// The listeners of the segment that holds the present batch, as JSON, as they were configured when
// it was written: {"0":{"name":"syslog","port":514},...}.
const char *wal_batches_listeners(const struct wal_batches *batches);

const char *wal_batches_why(const struct wal_batches *batches);

struct wal_batches_reads {
	uint64_t memory, disk; // blocks that came from there
	uint64_t gave_way;     // blocks of the disk before which the log's writes were let pass
};
struct wal_batches_reads wal_batches_reads(const struct wal_batches *batches);
