// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Puts IP fragments together (RFC 791, 3.2; RFC 8200, 4.5), by rte_ip_frag: a table for each lcore,
// bounded in datagrams, fragments and time. A datagram has PLAN_FRAGMENTS of them at most, which is
// compiled into the library. Fragments that overlap, or don't add up, take the whole datagram with
// them: RFC 5722 asks it of IPv6, and of IPv4 what lies between would be the attacker's choice, too
// (RFC 1858, 4). No message tells the sender. The lcore's own.

#include "dataplane/dataplane.h"

// Control thread: the lcore's table; nothing when it is configured off. -ENOMEM.
int fragments_give_lcore(struct lcore *lcore);
// Frees it and what it holds, which is counted. After the lcore's end.
void fragments_free(struct lcore *lcore);

static inline bool packet_is_fragment(const struct packet *packet)
{
	return packet->kind == PACKET_DROP &&
	       (packet->drop == DROP_ip4_fragment || packet->drop == DROP_ip6_fragment);
}

// Takes a fragment that packet_parse() has found for us. Returns the datagram when it is complete,
// a chain to be parsed again; else NULL, and the mbuf is held, or dropped and counted.
struct rte_mbuf *fragments_take(
	struct lcore *lcore, struct rte_mbuf *m, const struct packet *packet);
// Frees what has waited too long. Called every round; looks 16 times in the timeout.
void fragments_expire(struct lcore *lcore, uint64_t ticks);
