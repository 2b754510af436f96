// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One sink, opened on made-up batches and the mock cluster, as a feed does it.

#include "tests/unit/sinks/mock_kafka.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct story {
	struct made_target made;
	void *driver;
	struct wal_batches *log;
	struct wal_cursor cursor; // confirmed
	uint64_t events;          // of the delivery that was confirmed last
};

int story_setup(void **state);
int story_teardown(void **state);
void story_open(struct story *s);
// As after a crash: the driver is new, and what the feed kept is 'cursor'.
void story_reopen(struct story *s);
// What deliver() returns for the batch at the cursor.
int story_deliver(struct story *s);
// All batches, each delivery a success.
void story_deliver_all(struct story *s);
// Topic "events" has seqs [0, count) once each, and no more.
void story_check_once(struct story *s, uint64_t count);
// Of those that the driver registers.
uint64_t story_counter(struct story *s, const char *name);
