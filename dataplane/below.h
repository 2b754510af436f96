// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Drops below us: what the kernel knows of the sockets that a port's driver opened and doesn't
// tell. AF_PACKET's PMD reports no imissed, AF_XDP's only a part, so the sockets themselves are
// asked. They are found among this process's own descriptors. Control thread, and readers under
// the port's lock.

#include <stdbool.h>
#include <stdint.h>

#define BELOW_SOCKETS_MAX 64

struct below {
	unsigned count;
	int fds[BELOW_SOCKETS_MAX];          // the driver's, not ours to close
	uint64_t seen[BELOW_SOCKETS_MAX][2]; // AF_XDP's counters only grow; last values
};

struct below_drops {
	uint64_t packet_drops;  // AF_PACKET: its ring was full
	uint64_t xdp_dropped;   // AF_XDP: no frame free, or too long
	uint64_t xdp_ring_full; // AF_XDP: its rx ring was full
};

// Finds the sockets of that family (AF_PACKET: on the device ifindex) that no other port has
// claimed before.
void below_claim_packet(struct below *below, unsigned ifindex);
void below_claim_xdp(struct below *below);
// Forgets them, before the driver closes them.
void below_release(struct below *below);

// Adds what was dropped since the last call. Not for two threads at once.
void below_read_packet(struct below *below, struct below_drops *sum);
void below_read_xdp(struct below *below, struct below_drops *sum);

// AF_XDP: "zero_copy" or "copy".
const char *below_xdp_mode(const struct below *below);
