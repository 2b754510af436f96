// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a handle is. Callers' threads and the library's own (lib/io.c) meet in it, under one lock,
// which the library's thread takes once for each round of its loop: it takes what callers have
// queued, and tells what it has come to know.
//
//   millrace_send() ─lock─▶ queue ─lock, all at once─▶ I/O thread: struct send_half ──▶ socket
//   millrace_durable(), _reports() ◀─lock─ durable ◀──────────┘

#include "include/millrace.h"
#include "lib/queue.h"
#include "lib/spool/spool.h"

#include <pthread.h>
#include <stdbool.h>

#define LOGS_KEPT 32u

struct io;
struct receiver_list;

struct millrace {
	// Set by millrace_open().
	uint64_t source;
	uint64_t bytes_max;
	bool wants_reports;
	millrace_resolve *resolve;
	millrace_next *next;
	void *resolve_arg;
	struct receiver_list *list; // resolve_arg, when it is the library's own
	int fd;                     // for callers
	int wake;                   // for the I/O thread
	pthread_t thread;
	struct io *io; // its own, and after its end millrace_stop()'s
	uint64_t first_seq;

	// NULL: none. The spool thread's and the I/O thread's, each its part.
	struct spool *spool;
	int spool_lock; // descriptor, -1: none
	uint64_t spool_bytes_max;
	pthread_t spool_thread;
	bool spool_runs;

	// Stops one after another.
	pthread_mutex_t stop_lock;

	pthread_mutex_t lock;
	// All below is under it.
	pthread_cond_t changed; // of what waiters wait for: room, durable, the end
	unsigned waiters;
	struct queue queue;
	struct chunk *spare;
	uint64_t queued; // bytes, as bytes_max counts them
	uint64_t kept;   // by the I/O thread
	uint32_t event_max;
	uint64_t next_seq;
	uint64_t durable;
	uint64_t spooled; // all below are synced on this disk
	uint64_t spool_bytes;
	int spool_error; // it takes no more; 0: it does
	enum { SPOOL_WORKS, SPOOL_WAITS, SPOOL_WAITS_FOR_EVENTS } spool_state;
	pthread_cond_t to_spool;
	bool spool_ending;
	uint64_t told;     // by millrace_durable()
	uint64_t reported; // by millrace_reports()
	bool readable;     // what 'fd' is
	bool asleep;       // the I/O thread is, or is about to be: 'wake' it
	bool stopping;     // no more events
	bool ending;       // the I/O thread is to end
	bool ended;
	// Of the events from 'durable' on, when it has ended: enum millrace_fate. NULL: all
	// uncertain.
	uint8_t *fates;
	uint64_t unconfirmed; // of them, not durable
	unsigned wish; // millrace_go_to(); MILLRACE_NONE: none that the I/O thread hasn't taken
	uint64_t failover_ns;
	struct millrace_log logs[LOGS_KEPT]; // by number modulo that
	uint64_t log_count, logs_told;
	struct millrace_stats stats;
	char error[MILLRACE_TEXT];
};

// What an event counts that is queued: no less than what the sender's half makes of it.
static inline uint64_t queued_cost(uint32_t len)
{
	return 96 + (uint64_t)len + len / 1024;
}

// lib/delivery.c. All with m->lock held.
// On a condition of the handle's, until 'until' (ns of the monotonic clock; UINT64_MAX: without
// limit). False: the time is over.
bool wait_for(struct millrace *m, pthread_cond_t *condition, uint64_t until);
// Sets 'fd' to what callers have not been told.
void tell_callers(struct millrace *m);
// The same on 'changed', as one of those who are told of changes.
bool wait_changed(struct millrace *m, uint64_t until);

// Takes all that callers have queued, and leaves them a chunk to go on with, where one is 'empty'.
void take_queue(struct millrace *m, struct queue *to, struct chunk **empty);

// When a wait of so many ms is over, as wait_changed() wants it.
uint64_t wait_end(int timeout_ms);
