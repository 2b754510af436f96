// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Scrubbing: closed segments are read again in the background, block by block, so that a bit that
// fell over on the disk is found while there may still be a copy of it elsewhere.
//
// One thread for all partitions of a receiver, of the lowest priority. It reads past the page
// cache, at a bounded rate, oldest segment first; while the disk is more than half busy with
// something else it waits, though never for longer than ten seconds, or a disk that is always busy
// would never be scrubbed. A round begins at earliest 'interval_ns' after the one before began. Its
// place is kept in each partition's directory (scrub_place.h), so a restart goes on where it was.
//
// What is found is told once as a message, counted (damaged_places), and stays until it is mended:
// until the segment is good again when it is read, or gone. Damage known from before a start is
// looked at first; then the schema pages of all segments, so that a foreign segment is told soon.

#include "wal/wal.h"

struct wal_scrub;

struct wal_scrub_options {
	uint64_t rate; // bytes/s
	uint64_t interval_ns;
};

#define WAL_SCRUB_TEXT_BYTES 768

// Control thread. The logs must stay open until wal_scrub_stop().
int wal_scrub_start(struct wal_scrub **ret, struct wal *const *logs, unsigned count,
	const struct wal_scrub_options *options);
void wal_scrub_stop(struct wal_scrub *scrub);

// How many damaged places of a log are known; 'text' gets the first, with what to do. Any thread;
// scrub may be NULL.
unsigned wal_scrub_damage(struct wal_scrub *scrub, unsigned log, char *text);
