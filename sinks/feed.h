// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One sink of one partition. Between the files of the engine only.

#include "common/counters.h"
#include "common/hist.h"
#include "sinks/sinks.h"

#include <pthread.h>

struct feed {
	const struct sink_driver *driver;
	struct sink_target target;
	struct wal_live log;
	char dir[CONFIG_PATH_MAX + 16];   // log.dir
	void (*moved)(struct feed *feed); // after cursor.seq has changed; the feed's thread
	void *owner;

	pthread_t thread;
	bool runs;
	_Atomic bool stop;
	void *open;                // the driver's, while it is open
	bool ready;                // ... and the cursor is found
	char told[SINK_WHY_BYTES]; // what was logged last
	struct wal_batches *batches;
	// Confirmed, and not in the cursor's file: that is tried again, and the delivery is not.
	bool unstored;
	struct wal_cursor behind;
	uint64_t known; // events below were delivered, told to be gone, or gone before
	struct wal_holder holder;
	_Atomic uint64_t seq; // of the cursor; the feed's thread puts

	pthread_mutex_t lock; // of what follows, which the feed's thread writes and others read
	enum sink_state state;
	int64_t since;
	struct wal_cursor cursor;
	bool has_cursor;
	char why[SINK_WHY_BYTES];

	uint64_t values[SINK_COUNTER_COUNT];
	struct counter_set set;
	struct hist latency; // ns, from a batch's last event to its confirmation
	struct hist_entry latency_entry;
};

// Fills in a feed, reads its cursor's file, holds retention. The log must be open. After an error,
// too, feed_end().
int feed_init(struct feed *feed, const struct config *config, const struct config_sink *sink,
	unsigned partition, const struct wal_live *log);
int feed_start(struct feed *feed);
void feed_end(struct feed *feed);
// How far the sink is behind what is sealed, and what is durable. Any thread.
void feed_lag(struct feed *feed, uint64_t *batches, uint64_t *events);

// feed_cursor.c: what the feed's file and the other side say, brought together, and compared with
// the log. 0: feed->cursor is where to begin. Below 0: the driver's errors, or -ESTALE: stop, the
// three don't fit; target.why says how.
int feed_find_cursor(struct feed *feed);
// -ENOENT, and target.why tells of the log that was removed under the feed.
int feed_wiped(struct feed *feed);
int feed_store_cursor(struct feed *feed, const struct wal_cursor *cursor);
