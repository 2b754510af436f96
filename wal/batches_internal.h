// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of the batch reader share: batches.c (batches and blocks) and batches_segment.c
// (which segment holds them, and how one follows another). Not for anyone else.

#include "common/config.h"
#include "wal/batches.h"
#include "wal/reader.h"
#include "wal/recent.h"
#include "wal/scan.h"

#define BATCHES_AGAIN 2 // the segment was closed: go on with the one that holds the batch wanted
#define BATCH_PLACES 256

// Where a batch began that was handed out of the open segment.
struct batch_place {
	uint64_t number;
	struct wal_walk_point from; // offset 0: nothing
};

struct wal_batches {
	char dir[CONFIG_PATH_MAX + 16];
	const struct wal *wal; // NULL: nobody writes
	uint64_t wanted;       // the next batch to be handed out is the first at or behind it
	bool fresh; // since it was opened or sought nothing came: what is gone is not missed
	bool gives_way;
	struct wal_limit limit; // as of the last look at the writer
	bool knows_log;
	struct wal_id log_id;
	bool is_open; // the fields below are of the segment being read
	struct wal_segment_file file;
	int fd;
	struct wal_walk look; // by the ends of blocks, in front of the next batch
	struct wal_walk read; // by whole blocks, in the present batch
	struct recent_place look_place, read_place;
	struct batch_place places[BATCH_PLACES];
	struct wal_batch batch;  // the present one
	struct wal_trailer last; // of its last block, as it was looked at
	unsigned blocks_left;    // of it
	char *listeners;         // of its segment; stays when that is closed
	uint8_t *copy;           // of a block from memory
	size_t copy_room;
	struct wal_batches_reads reads;
	char why[768];
};

// Takes from the writer what may be read now. False: the batch wanted is not sealed and durable.
bool batches_refresh(struct wal_batches *b);

// Opens the segment that holds the batch wanted, and goes to the batch where its place is known.
// 1; 0: none may be read yet; else as wal_batches_next().
int batches_open_segment(struct wal_batches *b);
void batches_close_segment(struct wal_batches *b);

bool batches_taken_away(const struct wal_batches *b);

// The segment ends where the look-walk stands. 'open': behind blocks whose batch none has sealed.
// 1: that batch ended with its segment; BATCHES_AGAIN: gone on; 0: nothing follows yet; else as
// wal_batches_next().
int batches_end_segment(struct wal_batches *b, bool open);

// Errors with their words: a place that doesn't fit, or, when the segment was taken away,
// BATCHES_AGAIN; batches that are gone, up to 'first', with which it goes on.
int batches_bad(struct wal_batches *b, const struct wal_walk *walk, const char *what);
int batches_stale(struct wal_batches *b, uint64_t first);
// No segment is there, or not any more.
int batches_none(struct wal_batches *b);
