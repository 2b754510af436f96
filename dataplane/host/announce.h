// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Announces the addresses of one port: to whoever still knows an old MAC for them, and against
// whoever uses one of them, too. Host thread. Times are ns of the monotonic clock.

#include "dataplane/packet.h"

#include <stdbool.h>
#include <stdint.h>

struct announcer {
	const struct host_identity *host;
	struct {
		uint8_t left; // announcements still to be sent
		uint64_t due; // UINT64_MAX: none
		uint64_t defended_at;
	} addresses[HOST_ADDRESSES_MAX];
};

void announce_init(struct announcer *a, const struct host_identity *host);
// All addresses: at the start, and whenever the link has come up.
void announce_all(struct announcer *a, uint64_t now);
// Somebody else uses the address: answers with one announcement, at most every ten seconds
// (RFC 5227, 2.4). False: it is none of ours.
bool announce_defend(struct announcer *a, const uint8_t *address, uint64_t now);
// The next announcement that is due, as a frame (room for 128 bytes); 0: none.
uint32_t announce_next(struct announcer *a, uint64_t now, uint8_t *frame);
