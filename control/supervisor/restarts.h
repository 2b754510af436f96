// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Whether a millraced that ended is started again. Pure: times in, a decision out.

#include <stdbool.h>
#include <stdint.h>

#define RESTARTS_MAX 3
#define RESTARTS_WINDOW_NS 60000000000ull

enum ending_kind {
	ENDING_EXIT,   // with 'code'
	ENDING_SIGNAL, // by signal 'code'
};

struct ending {
	enum ending_kind kind;
	int code;
};

struct restarts {
	uint64_t times[RESTARTS_MAX]; // of the last ones; a ring
	uint64_t total;
	uint64_t killed_ns; // when a signal last ended it; 0: never
};

enum restarts_decision {
	RESTARTS_START, // at once
	RESTARTS_AGAIN, // a start that met what a killed one left behind: again, and not counted
	RESTARTS_TOO_MANY,
	RESTARTS_REFUSED, // it would end the same way again
};

// now_ns: of a monotonic clock. A RESTARTS_START is counted.
enum restarts_decision restarts_decide(
	struct restarts *restarts, struct ending ending, uint64_t now_ns);

// "was ended by signal 9 (Killed)", "ended with exit code 4 (invalid configuration or damaged
// data)". buf: at least 128 bytes.
const char *ending_text(struct ending ending, char *buf);
