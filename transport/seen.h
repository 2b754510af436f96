// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Duplicate suppression of one partition: of each source the epoch, and which of its seqs are in
// the log. Everything below 'floor' is; above it, while something is missing, a window of bits
// says. O(1) for each event; at most 128 bytes for a source without gaps (a test counts). Windows
// come from a pool: where it is empty only the next seq is taken, and what comes early is sent
// again. The partition's own thread. No clock: times are the caller's seconds.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEN_WINDOW 8192u // seqs above the floor that are taken
#define SEEN_NONE UINT32_MAX

struct seen_source {
	uint64_t id;
	uint64_t floor;   // the lowest seq of the epoch that isn't in the log
	uint64_t durable; // every seq below is
	uint32_t epoch;   // from 1; 0: the place is free
	uint32_t heard;   // seconds
	uint32_t window;  // of the pool; SEEN_NONE
	uint32_t session; // the receiver's; SEEN_NONE
	uint32_t touched; // the receiver's: the last block that holds something of it
	uint32_t next;    // free list, or the older one by 'heard'
	uint32_t prev;
};

struct seen;

// Room for so many sources and so many windows at once. -ENOMEM.
int seen_make(struct seen **ret, uint32_t sources, uint32_t windows);
void seen_free(struct seen *seen);
size_t seen_bytes(const struct seen *seen); // all its memory

uint32_t seen_count(const struct seen *seen);

// NULL: not known.
struct seen_source *seen_find(struct seen *seen, uint64_t id);
struct seen_source *seen_at(struct seen *seen, uint32_t index);
uint32_t seen_index(const struct seen *seen, const struct seen_source *source);

// A source with an epoch that begins at first_seq. Another epoch of a known one keeps what is in
// the log, and takes what lies below first_seq for done. NULL: no room.
struct seen_source *seen_open(
	struct seen *seen, uint64_t id, uint32_t epoch, uint64_t first_seq, uint32_t now);
void seen_forget(struct seen *seen, struct seen_source *source);

enum seen_is { SEEN_NEW, SEEN_TWICE, SEEN_BEYOND, SEEN_NO_WINDOW };

// Whether the seq may be appended; changes nothing.
enum seen_is seen_look(const struct seen *seen, const struct seen_source *source, uint64_t seq);
// It is appended. Only of what seen_look() called SEEN_NEW.
void seen_mark(struct seen *seen, struct seen_source *source, uint64_t seq);

// The runs of marked seqs above the floor, the lowest first; returns how many were written.
struct seen_run {
	uint64_t from, count;
};
unsigned seen_runs(const struct seen *seen, const struct seen_source *source, struct seen_run *runs,
	unsigned most);

// What is known, as bytes: at any pace, for what changes meanwhile is in the rows appended
// meanwhile, which may be marked again after loading.
// A window that changes hands meanwhile may be saved for both: there is room for twice as many as
// there are.
size_t seen_save_room(const struct seen *seen);
// Of up to 'count' places from *at on, to to + *len, of 'room' bytes. 1: that was all; 0: there is
// more; -ENOSPC: too many windows changed hands, it is to be begun anew.
int seen_save(const struct seen *seen, uint32_t *at, uint32_t count, uint8_t *to, size_t *len,
	size_t room);
// Looks, and marks what is new; at a start alone: what was saved may need more windows than there
// ever were at once, so they are made. What it was; SEEN_NO_WINDOW: there is no memory.
enum seen_is seen_mark_again(struct seen *seen, struct seen_source *source, uint64_t seq);
// -EINVAL: not what seen_save() has written. -ENOSPC: more sources than there is room for.
int seen_load(struct seen *seen, const uint8_t *from, size_t len, uint32_t now);

// All that 'from' knows of the sources for which 'moves' says yes: in 'to', too, afterwards.
// Returns how many they are. -ENOSPC: there is no room.
int seen_merge(struct seen *to, const struct seen *from, bool (*moves)(void *arg, uint64_t id),
	void *arg, uint32_t now);
// Forgets all for which 'goes' says yes.
void seen_forget_all(struct seen *seen, bool (*goes)(void *arg, uint64_t id), void *arg);

void seen_touch(struct seen *seen, struct seen_source *source, uint32_t now);
// The source heard longest ago, when that was before 'before'; NULL: none.
struct seen_source *seen_oldest(struct seen *seen, uint32_t before);
