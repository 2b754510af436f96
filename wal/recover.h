// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Recovery, verification and repair of one partition's directory. The caller holds the lock of the
// data directory for all but wal_verify(), which only reads.

#include "wal/reader.h"
#include "wal/wal.h"

#include <stdbool.h>
#include <stdint.h>

// Most bytes beyond the first bad place that may hold blocks that were in flight with it. Damage is
// told from a torn tail within this distance and not beyond.
#define WAL_LOOKAHEAD_MAX (256ull << 20)

struct wal_tail {
	struct wal_recovery report;
	uint64_t gap_from; // see wal_segment_header; equals report.next_seq: none
};

// Finds the end of the log and cuts a torn tail: truncate, flush, directory sync. Changes nothing
// when it returns an error. See wal_open() for errors and 'why'.
//
// The last segment is verified from its begin. So are those before it in the same run that no good
// block of a later one says to be durable, and, when no end-of-stream page closes the last, the one
// before it. A file without a valid first page, as the newest file, is a segment never begun: it is
// removed. So is a newest segment without a block: the next one begins with the same seq and has
// its name. At the first bad place the log is looked at up to WAL_LOOKAHEAD_MAX further (over the
// following segments too): a good block there whose durable_seq is above the missing seq makes it
// damage.
int wal_recover(const char *dir, unsigned partition, struct wal_tail *ret, char *why);

struct wal_verify_report {
	uint64_t segments, blocks, rows, batches, bytes;
	uint64_t first_seq, next_seq;
	bool torn; // ends in a torn tail (normal after a crash; cut at the next start)
	bool damaged;
	char file[40];
	uint64_t offset; // of the first bad place
	uint64_t seq;    // first seq that is missing there
	char why[512];
};

// Reads and checks every block up to the limit, past the page cache. 0 also when damaged (the
// report says so); negative errno when it can't be read. progress may be NULL; called with bytes
// done and bytes in all, false ends it with -ECANCELED.
int wal_verify(const char *dir, struct wal_limit limit, struct wal_verify_report *ret,
	bool (*progress)(uint64_t done, uint64_t all, void *arg), void *arg);

// The same of only the segments that wal_recover() would look at, and as it would judge them; of a
// log that nobody writes.
int wal_inspect(const char *dir, struct wal_verify_report *ret);

// Mends damage that wal_recover() refused: everything from the bad place to the end of that segment
// goes into <dir>/quarantine/, both as raw bytes (NAME-OFFSET.raw) and, behind a schema page, the
// blocks in it that are intact (NAME-OFFSET.arrows, readable as Arrow). Later segments stay. The
// segment then ends in a struct wal_segment_end that says where the log goes on. A segment without
// a usable schema page goes there whole (offset 0).
struct wal_repair_report {
	char file[40];
	uint64_t offset;
	uint64_t quarantined_bytes;
	uint64_t intact_blocks, intact_rows; // saved as Arrow in quarantine
	uint64_t lost_from, lost_to;         // seqs no longer in the log: [from, to)
	char quarantine[300];                // the directory
};
// One damaged place a call, the first; file "" when there was none.
int wal_repair(const char *dir, struct wal_repair_report *ret, char *why);
