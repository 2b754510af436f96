// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// How far scrubbing a log has come, and what it found: a file in the log's directory, so that a
// restart goes on there. JSON with a CRC; nothing but time is lost with it.

#include "wal/scan.h"

#include <stdbool.h>
#include <stdint.h>

#define SCRUB_PLACE_NAME "scrub.json"
#define SCRUB_DAMAGE_MAX 16 // segments; what is damaged beyond is found again in the next round

struct scrub_damage {
	uint64_t segment_first;     // the segment that was being read
	struct wal_walk_point from; // of the last good block's end in it
	char file[40];              // which doesn't fit there: that segment's, or the next one's
	uint64_t offset;
	uint64_t seq;     // due there
	bool can_mend;    // by log repair; else the file can't be read, or isn't of this log
	int64_t found_at; // real time, ns
	char what[192];   // what doesn't fit
};

struct scrub_place {
	struct wal_id log_id;
	int64_t round_began; // real time, ns; 0: never
	bool round_ended;
	uint64_t segment_first;     // the next segment to read is the first at or behind it
	struct wal_walk_point from; // where in it
	unsigned damage_count;
	struct scrub_damage damage[SCRUB_DAMAGE_MAX]; // at most one a segment
};

// Replaces the file in one step.
int scrub_place_save(const char *dir, const struct scrub_place *place);

// Fills *ret. -ENOENT: no such file; -EBADMSG: damaged, or by no hand of ours; -EPROTONOSUPPORT: of
// another version; -ESTALE: of another log. After an error *ret is a place that has seen nothing.
int scrub_place_load(const char *dir, const struct wal_id *log_id, struct scrub_place *ret);
