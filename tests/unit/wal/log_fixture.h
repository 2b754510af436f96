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

// wal_open() with the options as they are; 'fake': the next wal_attach() gets a fake disk.
void log_fixture_open(struct log_fixture *f, bool fake);
