// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The UDP payloads of a capture file, pcap or pcapng, in its order and without its times.

#include "cli/send/input.h"
#include "cli/send/payload.h"

struct capture_tally {
	uint64_t packets;                     // read
	uint64_t skipped[PAYLOAD_SKIP_COUNT]; // by enum payload_skip
};

// -EINVAL: it is no capture, or of a link type that isn't read; or what opening says; with the
// reason in 'why' (SEND_INPUT_WHY_BYTES).
int capture_open(struct send_input **ret, const char *path, char *why);

void capture_get_tally(const struct send_input *in, struct capture_tally *ret);
