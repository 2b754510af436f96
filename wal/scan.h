// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Walking a segment block by block, and looking for blocks beyond a place where that is no longer
// possible. Shared by reader, recovery, verification, scrubbing and repair; not for others.

#include "wal/format.h"
#include "wal/pack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether a segment's name leads no longer to the open file. Retention unlinks and renames, and
// only then do a recycled file's bytes become another segment's. A name that can't be followed for
// another reason is not gone.
bool wal_renamed(const char *dir, const char *name, int fd);

// Opens a segment for reading past the page cache, where the file system can. The cache's own
// read-ahead may be many MiB deep, and a write of the log would wait behind all of it; a window
// asks for one MiB at a time. The descriptor, or a negative errno.
int wal_open_direct(const char *dir, const char *name);

// Bytes of a file in one buffer, read ahead in big steps. No byte at or beyond 'limit' is read, so
// none can be held that a writer still changes.
struct wal_window {
	int fd; // not owned
	uint64_t limit;
	uint32_t step; // bytes, set by the caller; 0: as fits reading all of it
	uint64_t at;   // file offset of buf[0]
	size_t len, room;
	uint8_t *buf;
};

void wal_window_init(struct wal_window *window, int fd, uint64_t limit);
void wal_window_free(struct wal_window *window);

// Bytes from 'offset', 'want' of them or as many as there are up to the limit and the end of the
// file. *ret is valid until the next call. Offsets that are multiples of a page give aligned memory
// as long as all are.
int wal_window_get(struct wal_window *window, uint64_t offset, size_t want, const uint8_t **ret,
	size_t *ret_len);

enum wal_step {
	WAL_STEP_BLOCK,
	WAL_STEP_EOS,  // end-of-stream page
	WAL_STEP_EOF,  // the file, or what may be read of it, ends behind the last block
	WAL_STEP_NONE, // zeros or foreign bytes
	WAL_STEP_BAD,  // 'why' says what doesn't fit
};

// Blocks of one segment in order, with the chain of crc, seq and batch checked.
struct wal_walk {
	struct wal_window window;
	struct wal_segment_header header;
	uint64_t offset;   // of the next block
	uint64_t next_seq; // that it must begin with
	uint64_t batch;    // that it must belong to
	uint32_t prev_crc; // that it must name
	bool sealed;       // the block before sealed its batch, or there is none
	uint64_t blocks, rows, batches;
	uint64_t durable_seq; // the highest that a good block named
	bool as_written;      // WAL_STEP_BAD: of a block that is as its writer wrote it
	bool has_end;         // the end-of-stream page holds 'end'
	struct wal_segment_end end;
	bool unpacks; // set by the caller: compressed blocks are unpacked, and judged by that too
	struct wal_unpacked unpacked;
	char why[160];
};

// A place in a segment at which a walk can go on later.
struct wal_walk_point {
	struct wal_id segment_id;
	uint64_t offset; // of the next block; 0: the segment's begin, and nothing else is set
	uint64_t next_seq;
	uint64_t batch;
	uint32_t prev_crc;
	bool sealed;
};

// Reads the schema page of the file; its name says which seq it begins with. Errors of
// wal_schema_parse(), with 'why'; wal_walk_close() is allowed after an error, and needed.
int wal_walk_open(struct wal_walk *walk, int fd, uint64_t limit, uint64_t first_seq);
void wal_walk_close(struct wal_walk *walk);

// The schema page alone, errors and 'why' (may be NULL with why_len 0) as wal_walk_open().
int wal_walk_header(
	int fd, uint64_t first_seq, struct wal_segment_header *ret, char *why, size_t why_len);

// An enum wal_step, or a negative errno of reading. *ret is valid until the next call. After
// anything but a block the next call tries the same place again, from the disk.
int wal_walk_next(struct wal_walk *walk, struct wal_block_view *ret);

// The same by the block's two ends only: cheap, but to be believed only as far as what lies between
// is judged later. *ret is its trailer.
int wal_walk_look(struct wal_walk *walk, struct wal_trailer *ret);

// The same of bytes that came from elsewhere than the file: all of a block; its two ends. False:
// they are not what is due at the walk's place, where it stays.
bool wal_walk_take(
	struct wal_walk *walk, const uint8_t *block, size_t len, struct wal_block_view *ret);
bool wal_walk_take_look(
	struct wal_walk *walk, const uint8_t *header, const struct wal_trailer *trailer);

// Where the walk stands, and back to there; to the begin when the point is another segment's.
struct wal_walk_point wal_walk_point(const struct wal_walk *walk);
void wal_walk_go_to(struct wal_walk *walk, const struct wal_walk_point *point);

// A block, or an end-of-stream page that names its segment, found beyond a bad place.
struct wal_found {
	uint64_t offset;
	uint64_t end;
	bool good;        // its CRC fits; else only its two ends agree about it
	bool segment_end; // the fields below are then those of struct wal_segment_end
	struct wal_id segment_id;
	uint32_t generation;
	uint32_t partition;
	uint64_t first_seq;
	uint64_t next_seq; // behind its rows
	uint64_t batch;
	uint64_t durable_seq; // every seq below was durable
};

struct wal_found_list {
	struct wal_found *list;
	unsigned count, room;
};

// Adds what lies in [from, to) of the segment. Without a segment (its schema page is damaged):
// blocks under any segment_id. Blocks that lie inside another one, as a payload may, are left out.
int wal_look_ahead(struct wal_found_list *list, int fd, const struct wal_segment_header *segment,
	uint64_t from, uint64_t to);
void wal_found_free(struct wal_found_list *list);
