// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Frames that lie in several mbufs: longer than one mbuf (jumbo), put together from fragments, or
// cut up by a virtual device. Headers are made to lie in the first mbuf; the payload stays where it
// is until it is copied into a block. The lcore's own.

#include "dataplane/packet.h"

#include <stdbool.h>
#include <stdint.h>

struct lcore;
struct partition;
struct rte_mbuf;

// As packet_parse(). What would have to lie in one piece and can't be made to is DROP_scattered.
void chain_parse(struct rte_mbuf *m, enum checksum_state ip, enum checksum_state l4,
	const struct host_identity *host, const struct listener_table *listeners,
	struct packet *ret);

// As pipeline_append().
bool chain_append(struct lcore *lcore, struct partition *partition, const struct rte_mbuf *m,
	const struct packet *packet, int64_t received_at);

// The payload in one piece: a copy, in the lcore's room for one.
uint8_t *chain_payload(struct lcore *lcore, const struct rte_mbuf *m, const struct packet *packet);

// Cuts the frame behind its first len bytes, and frees the mbufs that are then empty.
void chain_cut(struct rte_mbuf *m, uint32_t len);
