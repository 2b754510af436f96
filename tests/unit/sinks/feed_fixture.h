// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A log on the disk, its sinks, and a driver that does what a test tells it.

#include "sinks/sinks.h"
#include "tests/unit/wal/logbuilder.h"

#include <pthread.h>

#define BATCHES 6
#define ROWS 10
#define KEPT 64

// What the driver does, and what it has seen. Under the lock: the feed's thread is another.
struct script {
	pthread_mutex_t lock;
	int open_fails, deliver_fails; // so many times, with 'error'
	int error;
	int recall; // what it returns
	struct wal_cursor remote;
	bool remembers; // the remote cursor follows what is delivered
	uint64_t seen[KEPT];
	unsigned count;
	unsigned opened, closed;
};
extern struct script script;

// While the feed runs.
void script_succeeds(void);
unsigned script_count(void);

extern struct config config;
extern struct wal *wal;
extern struct sinks *sinks;

void make_log(struct logbuilder *lb);
void open_log(const struct logbuilder *lb, uint64_t retain);
void make_sinks(const struct logbuilder *lb, enum config_sink_kind kind, int wanted);
void start(const struct logbuilder *lb, enum config_sink_kind kind);
void stop(void);
struct sink_status wait_for(enum sink_state state, uint64_t batch);
void assert_seen(uint64_t from, unsigned count);
struct wal_cursor behind(unsigned batch);
int setup(void **state);
