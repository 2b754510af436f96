// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// `millrace send --reliable`: events of some input to libmillrace, and the account of what became
// of them. The caller's thread gives the events; another one takes the reports, so that
// an event's latency ends when the library tells of it.

#include "cli/send/input.h"
#include "cli/send/key.h"
#include "cli/send/send.h"
#include "common/hist.h"
#include "include/millrace.h"

#define RELIABLE_LOGS 256u // that are remembered

struct reliable_options {
	struct send_target to;
	struct send_input *input; // borrowed
	uint64_t patience_ns;     // gives up when nothing was acknowledged for so long
};

struct reliable_tally {
	uint64_t source;
	uint64_t first_seq;                       // of the events that were given
	uint64_t found;                           // that an earlier run left in the spool
	uint64_t events, bytes;                   // taken by the library
	uint64_t refused;                         // too large
	uint64_t acknowledged, uncertain, failed; // of these and what was found
	uint64_t spooled;                         // left for the next run
	int failure;                              // errno of the spool's; 0: none
	uint64_t elapsed_ns;                      // from the start to the last acknowledgement
	struct hist latency;                      // ns, from the hand-over to the acknowledgement
	struct millrace_stats stats;
	unsigned log_count; // that events went to
	struct millrace_log logs[RELIABLE_LOGS];
	bool interrupted, gave_up;
	int error;                  // errno of the input, which has the words; 0: none
	char reason[MILLRACE_TEXT]; // the library's, of what isn't acknowledged
};

// Called about each 250 ms, by another thread than reliable_run()'s.
typedef void reliable_progress(const struct reliable_tally *tally, void *arg);

// Sends it all and waits until it is acknowledged. *stop: looked at all the time. 0, or what
// millrace_open() says with the reason in 'why' (SEND_WHY_BYTES). 'ret' is filled when it is 0.
int reliable_run(const struct send_plan *plan, const struct reliable_options *options,
	const volatile bool *stop, reliable_progress *progress, void *arg,
	struct reliable_tally *ret, char *why);
