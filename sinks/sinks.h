// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// All feeds of a receiver: each configured sink in each partition (sinks/sink.h).

#include "sinks/sink.h"

#include <stdatomic.h>

struct sinks;

// Makes the feeds and holds what they have not delivered; nothing is delivered yet. 'config' and
// the logs must outlive it. Control thread.
int sinks_new(struct sinks **ret, const struct config *config, const struct wal_live *partitions,
	unsigned count);

// Starts their threads. Control thread.
int sinks_start(struct sinks *sinks);

// Ends them and frees all; what a driver was doing is given up and done again after the next start.
// NULL is fine. Control thread.
void sinks_free(struct sinks *sinks);

// The seq below which all required sinks have confirmed everything of this partition; UINT64_MAX
// when none is required. Any thread, for as long as 'sinks' lives.
const _Atomic uint64_t *sinks_confirmed(const struct sinks *sinks, unsigned partition);

enum sink_state {
	SINK_STARTING,   // asks the other side for the cursor
	SINK_DELIVERING, // or has nothing to deliver
	SINK_RETRYING,   // the other side can't now; why says what is the matter
	SINK_STOPPED,    // by itself, with an alarm: why
};

struct sink_status {
	const struct config_sink *config;
	unsigned partition;
	enum sink_state state;
	char why[SINK_WHY_BYTES];
	int64_t since; // real time, ns, of the state
	bool has_cursor;
	struct wal_cursor cursor;
	uint64_t lag_batches, lag_events; // sealed and durable in the log, and not confirmed
	uint64_t counters[SINK_COUNTER_COUNT];
};

const char *sink_state_text(enum sink_state state);

// How many feeds there are, and the state of one of them. Any thread.
unsigned sinks_count(const struct sinks *sinks); // 0 for NULL
void sinks_status(const struct sinks *sinks, unsigned index, struct sink_status *ret);
