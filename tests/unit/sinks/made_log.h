// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Stands for wal/batches.c in the tests of a sink's driver: batches made up as they are read, the
// same ones each time, and errors where a test wants them. Links before the wal library.

#include "sinks/sink.h"

#include <stdbool.h>
#include <stdint.h>

struct made_log {
	struct wal_id log_id;
	uint64_t batches;        // sealed: numbers [0, batches)
	uint32_t rows;           // of each batch, in blocks of at most MADE_BLOCK_ROWS
	uint32_t protocol_every; // each so-manyth row is one of the protocol; 0: none
	uint32_t payload_bytes;  // at least 16
	uint64_t large_seq;      // an event of large_bytes; UINT64_MAX: none
	uint32_t large_bytes;
	int64_t received_at; // of seq 0; a microsecond more with each; 0: of late
	int next_error;      // what wal_batches_next() says once at batch error_at
	int block_error;     // what wal_batches_block() says in batch error_at, until it is 0
	uint64_t error_at;
	const char *listeners;
};

#define MADE_BLOCK_ROWS 1024u

extern struct made_log made_log;

// Two listeners, batches of 100 rows, the log's id of 16 times 'id'.
void made_log_reset(uint8_t id);

struct wal_batches *made_log_open(uint64_t number);

// A target with its counters; the driver's other side is the caller's.
struct made_target {
	struct config_sink config;
	struct sink_target target;
	uint64_t counters[SINK_COUNTER_COUNT];
	_Atomic bool stop;
	char dir[64];
};
void made_target_init(struct made_target *made, const char *brokers);
void made_target_set(struct made_target *made, const char *name, const char *value);
void made_target_done(struct made_target *made);
