// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The command line that the senders of the measurements share:
//
//   [--cpu N] [--rate N] [--size BYTES] [--id HEX8] WORD… SECONDS

#include "cli/send/send.h"

struct bench_options {
	struct send_plan plan; // one event a datagram; rate 0: as fast as it goes
	const char *cpu;
	char **words; // before SECONDS
};

// False: not so, or not 'words' words before SECONDS, or an event is larger than 'event_max'.
bool bench_options_read(
	struct bench_options *ret, unsigned words, uint32_t event_max, int argc, char **argv);
