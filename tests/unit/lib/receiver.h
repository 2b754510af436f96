// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A receiver on a kernel UDP socket of 127.0.0.1, in a thread, with its log in memory. Blocks
// become durable some ms after they were submitted, in order.

#include "transport/receive.h"

#include <pthread.h>
#include <stdatomic.h>

#define RECEIVER_NAME 32

struct receiver_row {
	uint64_t source, seq;
	uint32_t epoch, len;
	bool is_opening;
	uint8_t *payload;
};

struct receiver_options {
	unsigned loss;       // percent of the datagrams, each way
	uint64_t credit;     // 0: 8 MiB
	uint32_t event_max;  // 0: WIRE_EVENT_MAX
	struct seal_key key; // id 0: none
	uint8_t log;         // of log_id
};

struct receiver {
	struct receiver_options options;
	char name[RECEIVER_NAME]; // "127.0.0.1:PORT"
	int fd;
	uint16_t port;
	struct receive *receive;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	atomic_bool hold;         // nothing more becomes durable
	atomic_uint durable_rows; // of 'rows', from the first
	uint64_t random;
	// The thread's while it runs.
	struct receiver_row *rows;
	unsigned row_count, row_room;
	struct {
		uint64_t due;
		unsigned rows; // behind its last
	} blocks[64];
	unsigned blocks_from, blocks_to;
	unsigned submitted_rows;
};

// A socket and nothing behind it.
void receiver_init(struct receiver *r, const struct receiver_options *options);
void receiver_start(struct receiver *r);
// The thread ends, and what it has can be looked at.
void receiver_pause(struct receiver *r);
// As if it were killed: what isn't durable is gone. receiver_start() goes on from the log.
void receiver_kill(struct receiver *r);
// The socket is closed, too: nobody listens there any more.
void receiver_free(struct receiver *r);

// Durable events in the log.
unsigned receiver_durable_events(const struct receiver *r);
