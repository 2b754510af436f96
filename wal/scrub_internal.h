// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What scrub.c (the thread, its pace and its rounds) and scrub_look.c (reading one segment, and the
// verdict) share.

#include "wal/internal.h"
#include "wal/scrub.h"
#include "wal/scrub_place.h"
#include "wal/survey.h"

struct scrub_log {
	struct wal *wal;
	struct wal_segment own;   // what a segment's log_id is held against
	struct scrub_place place; // its damage is written under the lock
	int dir_fd;
	int64_t saved_at; // monotonic
	int save_error;   // told once
};

// The thread's own but for what the lock guards.
struct wal_scrub {
	struct wal_scrub_options options;
	uint64_t unpaid;   // bytes read since the last pause
	int64_t paused_at; // monotonic, its end
	pthread_t thread;
	pthread_mutex_t lock; // 'stop', and the damage of each log
	pthread_cond_t wake;
	bool stop;
	unsigned count;
	struct scrub_log logs[];
};

// One visit to a log's directory.
struct scrub_look {
	struct wal_scrub *scrub;
	struct scrub_log *log;
	struct wal_survey survey;
	struct wal_limit limit;
	struct wal_walk_point at; // behind the last good block
	bool in_round;            // the log's place moves along
	char why[512];
};

enum scrub_verdict {
	SCRUB_GOOD,
	SCRUB_BAD,
	SCRUB_GONE,   // taken away by retention
	SCRUB_UNSEEN, // told to stop, or no memory or descriptor for it
};

// scrub.c

// Pays for bytes that were read. False: told to stop.
bool scrub_pace(struct wal_scrub *scrub, const struct scrub_log *log, uint64_t bytes);
// Keeps the place when that was long ago.
void scrub_save_if_due(struct scrub_log *log);

// scrub_look.c

// Lists the log's segments; scrub_look_end() also after an error.
int scrub_look_begin(struct scrub_look *look, struct wal_scrub *scrub, struct scrub_log *log);
void scrub_look_end(struct scrub_look *look);

// The first segment that begins at or behind a seq; the survey's count when there is none.
unsigned scrub_look_find(const struct scrub_look *look, uint64_t first_seq);
// Whether all in it is durable, and nobody writes to it any more.
bool scrub_look_closed(const struct scrub_look *look, unsigned index);

// Reads a closed segment from a point in it on. *ret: of SCRUB_BAD.
enum scrub_verdict scrub_look_at(struct scrub_look *look, unsigned index,
	const struct wal_walk_point *from, struct scrub_damage *ret);
// Reads no more than its schema page.
enum scrub_verdict scrub_look_header(
	struct scrub_look *look, unsigned index, struct scrub_damage *ret);
