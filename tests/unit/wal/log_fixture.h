// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A real log in a directory of its own, on the disk or on a fake one: test support, so every
// failure ends the test.

#include "fake_disk.h"
#include "wal/wal.h"

#include <stdbool.h>

#define FIXTURE_BLOCK (128u << 10)
#define FIXTURE_SEGMENT (16u << 20)

struct log_fixture {
	char data[64], dir[80], why[512];
	struct wal *wal;
	struct fake_disk *disk; // NULL: the real one
	struct wal_options options;
	struct wal_recovery report;
};

void log_fixture_init(struct log_fixture *f);
void log_fixture_done(struct log_fixture *f); // closes the log, too

// The same as a test's setup and teardown: *state is a struct log_fixture.
int log_fixture_setup(void **state);
int log_fixture_teardown(void **state);

// wal_open() with the options as they are; 'fake': the next wal_attach() gets a fake disk.
void log_fixture_open(struct log_fixture *f, bool fake);

// Owner: a block of so many rows with payloads of 'payload' bytes is submitted, as soon as one is
// free. Bytes of a payload are log_fixture_byte() of its row's seq.
void log_fixture_submit(struct log_fixture *f, uint32_t rows, uint32_t payload, bool seal);
uint8_t log_fixture_byte(uint64_t seq, uint32_t at);

// Owner: polls until all that was submitted is durable.
void log_fixture_settle(struct log_fixture *f);

// wal_detach() and wal_close().
void log_fixture_stop(struct log_fixture *f);
