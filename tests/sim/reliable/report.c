// SPDX-License-Identifier: BSD-3-Clause
#include "reliable.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define TAIL 60u
#define LINE 240u

static uint64_t tallies[TALLY_COUNT];
static struct {
	enum trace_mode mode;
	uint64_t lines, begin;
	char tail[TAIL][LINE];
} told;

void tally_add(enum tally what, uint64_t n)
{
	tallies[what] += n;
}

void tally_print(void)
{
	static const char *const names[] = {
#define X(name) #name,
		TALLIES(X)
#undef X
	};

	for (unsigned i = 0; i < TALLY_COUNT; i++)
		printf("%s %" PRIu64 "\n", names[i], tallies[i]);
}

void trace_start(enum trace_mode mode)
{
	told.mode = mode;
	told.lines = 0;
	told.begin = world_now();
}

bool trace_wanted(void)
{
	return told.mode != TRACE_OFF;
}

static void seconds(char *to, size_t size)
{
	uint64_t ns = world_now() - told.begin;

	snprintf(to, size, "%3" PRIu64 ".%09" PRIu64, ns / SEC, ns % SEC);
}

void trace(const char *format, ...)
{
	char *line = told.tail[told.lines % TAIL], when[32];
	va_list ap;
	int n;

	if (told.mode == TRACE_OFF)
		return;
	seconds(when, sizeof(when));
	n = snprintf(line, LINE, "%s  ", when);
	va_start(ap, format);
	vsnprintf(line + n, LINE - (size_t)n, format, ap);
	va_end(ap);
	told.lines++;
	if (told.mode == TRACE_ALL)
		printf("%s\n", line);
}

void violated(const char *invariant, const char *format, ...)
{
	uint64_t first = told.lines > TAIL ? told.lines - TAIL : 0;
	char when[32];
	va_list ap;

	for (uint64_t i = first; told.mode == TRACE_TAIL && i < told.lines; i++)
		printf("%s\n", told.tail[i % TAIL]);
	seconds(when, sizeof(when));
	printf("BROKEN %s seed %" PRIu64 " at %s: ", invariant, draw_run(), when);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	// What the run has allocated is nobody's leak.
	_exit(1);
}
