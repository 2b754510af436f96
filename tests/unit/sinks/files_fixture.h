// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A sink that writes files of a log in memory into a directory of its own: test support, so every
// failure ends the test.

#include "sinks/sink.h"
#include "tests/unit/sinks/fake_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

#include <cmocka.h>

#define ID "abababababababababababababababab" // of the log
#define FIRST_FILE "0-00000000000000000000-00000000000000000000-" ID ".arrow"
#define NAMES 120
#define PATHS 200

extern struct files_fixture {
	char top[32], dir[48], out[48];
	struct config_sink config;
	struct sink_target target;
	_Atomic bool stop;
	void *driver;
	struct wal_batches *log;
	unsigned waits;    // times that the driver waited
	unsigned seals;    // ... of which so many seal another batch
	unsigned stops_at; // ... and at which the feed is stopped; 0: never
	int writes_fail;   // an errno; 0: they don't
	unsigned syncs_to; // the flush that fails, counted from now; 0: none
} t;

int files_setup(void **state);
int files_teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)

void driver_again(void); // the process ends and begins
void remove_plan(void);  // as if no file had ever been planned

// One step of a feed from this batch on; the next wanted, or what the driver returned below 0.
int64_t deliver(uint64_t from, uint64_t *events);

void name_of(uint64_t first, uint64_t last, char ret[NAMES]);
void path_of(const char *name, char ret[PATHS]);
ino_t inode_of(const char *name);
void must_hold(const char *name, uint64_t first, uint64_t last);
void must_be(uint64_t first, uint64_t last); // under its usual name
unsigned count_names(void);                  // in the sink's directory, hidden ones too
void said(const char *word);
