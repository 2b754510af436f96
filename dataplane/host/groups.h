// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Multicast groups of one port, the host's side: IGMPv3 (RFC 3376) and MLDv2 (RFC 3810), and their
// older versions while a router speaks them. Every group is wanted from any source. Host thread.
// Times are ns of the monotonic clock.

#include "dataplane/packet.h"

#include <stdbool.h>
#include <stdint.h>

#define GROUPS_MAX (HOST_GROUPS_MAX + HOST_ADDRESSES_MAX)
#define GROUPS_FRAME_MAX 1514

enum group_report {
	GROUP_NOTHING,
	GROUP_STATE, // what is: the answer to a query
	GROUP_JOIN,
	GROUP_LEAVE,
};

struct group {
	uint8_t address[16];
	uint8_t left;        // reports of a change that are still to be sent
	bool leaving;        // those are of leaving
	uint64_t change_due; // UINT64_MAX: none
	uint64_t answer_due; // to a query; the same
};

// One for each family.
struct group_querier {
	uint8_t robustness;      // its own, from its queries
	uint64_t version1_until; // an older one was heard: RFC 3376, 7.2.1; RFC 3810, 8.2.1
	uint64_t version2_until; // IGMP only
};

struct groups {
	const struct host_identity *host;
	struct group_querier querier4, querier6;
	uint32_t random;
	unsigned count;
	struct group groups[GROUPS_MAX];
};

// Joins the host's groups, and the solicited-node groups of its IPv6 addresses, which switches that
// look at MLD would else cut off from neighbour discovery. 'seed': for the random delays.
void groups_init(struct groups *g, const struct host_identity *host, uint32_t seed);
// At the start, and whenever the link has come up: reports all as joined, robustness times.
void groups_announce(struct groups *g, uint64_t now);
// At the end: reports all as left, once, at once.
void groups_leave(struct groups *g, uint64_t now);
// A query that packet_parse() has found. False: malformed, or not from a neighbour.
bool groups_query(
	struct groups *g, const uint8_t *frame, const struct packet *packet, uint64_t now);
// The next report that is due, as a frame (room for GROUPS_FRAME_MAX); 0: none.
uint32_t groups_next(struct groups *g, uint64_t now, uint8_t *frame);
