// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/restarts.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 128
#define LANDING_NS 10000000000ull // writes of a killed one are on disk and its lock is free by then

// Of millraced, which also the command has: cli/cli.h.
enum { EXIT_USAGE = 2, EXIT_INVALID = 4, EXIT_REFUSED = 5 };

static bool is_final(struct ending ending)
{
	return ending.kind == ENDING_EXIT &&
	       (ending.code == EXIT_USAGE || ending.code == EXIT_INVALID ||
		       ending.code == EXIT_REFUSED);
}

// The lock of the data directory outlives a killed millraced while its writes land.
static bool met_a_killed_one(const struct restarts *restarts, struct ending ending, uint64_t now_ns)
{
	return ending.kind == ENDING_EXIT && ending.code == EXIT_REFUSED &&
	       restarts->killed_ns != 0 && now_ns - restarts->killed_ns < LANDING_NS;
}

enum restarts_decision restarts_decide(
	struct restarts *restarts, struct ending ending, uint64_t now_ns)
{
	uint64_t *oldest = &restarts->times[restarts->total % RESTARTS_MAX];

	if (met_a_killed_one(restarts, ending, now_ns))
		return RESTARTS_AGAIN;
	if (is_final(ending))
		return RESTARTS_REFUSED;
#ifndef MUTANT_RESTARTS_ENDLESS
	if (restarts->total >= RESTARTS_MAX && now_ns - *oldest < RESTARTS_WINDOW_NS)
		return RESTARTS_TOO_MANY;
#endif
	if (ending.kind == ENDING_SIGNAL)
		restarts->killed_ns = now_ns;
	*oldest = now_ns;
	restarts->total++;
	return RESTARTS_START;
}

static const char *exit_text(int code)
{
	switch (code) {
	case EXIT_USAGE:
		return " (usage)";
	case EXIT_INVALID:
		return " (invalid configuration or damaged data)";
	case EXIT_REFUSED:
		return " (refused for safety)";
	default:
		return "";
	}
}

const char *ending_text(struct ending ending, char *buf)
{
	if (ending.kind == ENDING_SIGNAL)
		snprintf(buf, TEXT_BYTES, "was ended by signal %d (%s)", ending.code,
			strsignal(ending.code));
	else
		snprintf(buf, TEXT_BYTES, "ended with exit code %d%s", ending.code,
			exit_text(ending.code));
	return buf;
}
