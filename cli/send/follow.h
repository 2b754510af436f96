// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The lines of a file that grows, as `tail -F` has them: from its first line on, through rotation,
// without an end.
//
//   NAME renamed, and made anew:  the old one to its end, and until it was quiet for a second; then
//                                 the next one, of several that were made meanwhile the oldest
//   NAME copied and truncated:    what was not read yet from the copy, if that is found; then NAME
//                                 from its start
//
// A line is one when its newline is there, or its file is left behind. With a position file the
// place behind the last durable event is kept in it, so that the next start goes on there.

#include "cli/send/input.h"

#define FOLLOW_QUIET_NS 1000000000ull // of a file that was renamed, before it is left

struct follow;

struct follow_options {
	const char *path;     // texts are borrowed
	const char *position; // NULL: none
	uint64_t quiet_ns;
	// Something for people to know, from any of the input's threads.
	void (*tell)(const char *text);
};

struct follow_tally {
	uint64_t files;            // that were begun or gone on with
	uint64_t truncations;      // that were seen
	uint64_t unfinished_bytes; // of a last line without a newline, which isn't sent
	int position_error;        // errno of the last writing of the position; 0: none
};

// -EINVAL, or what reading the position or the file says, with the reason in 'why'
// (SEND_INPUT_WHY_BYTES).
int follow_open(struct send_input **ret, const struct follow_options *options, char *why);

void follow_get_tally(const struct send_input *in, struct follow_tally *ret);
