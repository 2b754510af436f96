// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Where batches go. A sink of the configuration has a feed in each partition: a thread of its own
// that reads the log (wal/batches.h), gives batches to the sink's driver, and moves its cursor when
// the driver says that the other side has confirmed them. Feeds share nothing, so a slow one delays
// neither another nor reception.
//
//	log ─▶ feed: wal_batches_next() ─▶ driver->deliver() ─confirmed▶ cursor stored ─▶ retention
//
// A driver is one table of functions, all called by the feed's thread.

#include "common/config.h"
#include "wal/batches.h"
#include "wal/cursor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SINK_WHY_BYTES 512

// As what 'millrace sinks reset' stores where a sink is to go on, beside the same in its own
// cursor. No sink's name has a '~'.
#define SINK_RESET_NAME "%s~reset"

// Of each feed; its thread is the writer. A driver adds to those marked "driver".
#define SINK_COUNTERS(X) \
	X(batches, TOTAL, "batches confirmed by the other side") \
	X(events, TOTAL, "events confirmed by the other side") \
	X(payload_bytes, TOTAL, "payload bytes of these events") \
	X(retries, TOTAL, "deliveries that were begun again") \
	X(quarantined, TOTAL, "events that the other side can't take, set aside by name") \
	X(repaired, TOTAL, "events that were missing when a batch was read back, sent again") \
	X(doubled, TOTAL, "events found more than once when a batch was read back") \
	X(given_up, TOTAL, "events that retention took before they were delivered") \
	X(memory_blocks, TOTAL, "blocks read from the writer's memory") \
	X(disk_blocks, TOTAL, "blocks read from the disk") \
	X(gave_way, TOTAL, "blocks of these before which the log's writes were let pass") \
	X(lag_batches, GAUGE, "sealed batches not confirmed") \
	X(lag_events, GAUGE, "durable events not confirmed") \
	X(stopped, GAUGE, "1 after the sink stopped by itself, with an alarm")

enum sink_counter {
#define X(name, kind, help) SINK_##name,
	SINK_COUNTERS(X)
#undef X
		SINK_COUNTER_COUNT
};

// What a driver gets to know. All but 'counters' and 'why' stay as they are while it is open.
struct sink_target {
	const struct config_sink *config;
	const char *receiver;
	const char *dir; // of the partition; what a driver keeps there begins with its sink's name
	unsigned partition;
	struct wal_id log_id;
	struct wal_cursor cursor; // as the feed knows it when the driver is opened; batch 0: none
	bool has_cursor;
	const _Atomic bool *stop; // set: stop waiting, return -ECANCELED
	uint64_t *counters;       // SINK_COUNTER_COUNT; counter_add() by the feed's thread only
	char why[SINK_WHY_BYTES]; // the driver's words for what it returned below 0
};

// What a sink holds, beside what the log says that it was given: 'millrace sinks verify'.
#define SINK_FINDINGS 16

struct sink_verify {
	// The caller's. How far it is, called often; NULL is fine.
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t all);
	void *arg;
	uint64_t window; // events that are compared at once, 8 bytes of memory each; 0: 16 Mi

	uint64_t batches, events; // of the log, which were looked for
	uint64_t missing;         // events that are not there
	uint64_t twice;           // ... that are there more than once
	uint64_t changed;         // ... that are there with other bytes or another name
	uint64_t set_aside;       // ... in quarantine, where they belong
	uint64_t ahead;           // events of this log at the cursor and beyond
	uint64_t foreign;         // events of this log by their name that the log doesn't have
	uint64_t unreadable;      // messages or files of this log that don't say of what
	uint64_t uncompared;      // batches that are there, and can't be compared
	bool cut;                 // the other side no longer reaches back to the oldest batch
	unsigned found;           // findings: all of them, also those that have no room
	char findings[SINK_FINDINGS][SINK_WHY_BYTES];
};

void sink_verify_found(struct sink_verify *verify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

// The next batch of the log in front of the cursor, with whatever retention takes meanwhile left
// out. 1; 0: no more; negative errno with 'why': the log can't be read, or ends before the cursor.
int sink_verify_next(struct sink_target *target, struct wal_batches *log,
	const struct wal_cursor *limit, struct wal_batch *ret);

// What the functions of a driver return below 0:
//   -EAGAIN     the other side can't now; the feed begins again at its cursor, after a while
//   -ECANCELED  target->stop was set
//   others      what repeating can't mend: the sink stops with an alarm that says 'why'
// Errors of wal_batches_*() are passed on as they are.
struct sink_driver {
	const char *kind; // as the configuration says it

	int (*open)(void **ret, struct sink_target *target);

	// The cursor as the other side has it. 1: *ret; 0: it has none for this sink and log. NULL:
	// the other side keeps none, and the feed's own file is what counts.
	int (*recall)(void *driver, struct wal_cursor *ret);

	// Delivers 'batch', which wal_batches_next() has just given, and as many more as it likes
	// to take in the same step, from the same reader. 0: all of it is confirmed, *ret is the
	// cursor behind it, and *events how many events (rows of the protocol left out) that were.
	// Nothing that it leaves behind after an error may be seen as delivered twice when it is
	// called again.
	int (*deliver)(void *driver, struct wal_batches *log, const struct wal_batch *batch,
		struct wal_cursor *ret, uint64_t *events);

	// About once a second while there is nothing to deliver: what runs in the background is
	// looked after. NULL: nothing does.
	void (*idle)(void *driver);

	// After an error, too. NULL is fine.
	void (*close)(void *driver);

	// Reads back all that the sink holds of the batches from where 'log' stands to the cursor
	// 'limit', compares it with the log and puts what it finds into *ret, zeros before. Needs
	// no open driver, changes nothing, and may run beside the receiver. Any thread. -EAGAIN:
	// the other side can't be reached.
	int (*verify)(struct sink_target *target, struct wal_batches *log,
		const struct wal_cursor *limit, struct sink_verify *ret);
};

// Sleeps for so long, or until the feed is stopped: then false.
bool sink_wait(const struct sink_target *target, uint64_t ns);

// The cursor behind a batch.
struct wal_cursor sink_cursor_behind(const struct wal_batch *batch);

extern const struct sink_driver sink_kafka;
extern const struct sink_driver sink_files;
const struct sink_driver *sink_driver_of(enum config_sink_kind kind);
