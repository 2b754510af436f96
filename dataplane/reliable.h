// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Reliable listeners: a partition's half of the protocol (transport/receive.h), between the
// datagrams that come, the partition's log, and the tx queue that its answers leave by.
//
//	datagram ─▶ receive_take ─▶ events ─▶ open block ─▶ submitted ─▶ durable
//	tx queue ◀─ answers ◀─ receive_next ◀──────────────────────────────┘
//
// A source has one partition, by a slot of its id, whatever way its datagrams take. The partition's
// lcore owns its half. The events of a datagram are in the log under the sender's address, those
// that open an epoch under WAL_LISTENER_PROTOCOL.

#include "dataplane/dataplane.h"

#include <stdbool.h>
#include <stdint.h>

// Control thread, after the partitions and the ports are open: nothing where no listener is
// reliable. Reads the partitions' logs to know again what is in them. Logs why it can't.
int reliable_make(struct dataplane *dp);
void reliable_free(struct dataplane *dp);
// The other lcores' answers for the ports whose first tx queue the lcore has.
int reliable_give_lcore(struct lcore *lcore);

static inline bool is_reliable(const struct dataplane *dp, const struct packet *packet)
{
	return dp->answers != NULL && dp->config->listeners[packet->listener].kind == KIND_RELIABLE;
}

// Which partition a datagram is for. 'payload': its first bytes, as many as 'len' or what lies in
// one piece; one that is too short for a header goes to any.
unsigned reliable_partition(const struct dataplane *dp, const uint8_t *payload, uint32_t len);

// Takes a datagram of a partition of this lcore. Counts it. The payload is opened in place.
void reliable_take(struct lcore *lcore, struct partition *partition, struct rte_mbuf *m,
	const struct packet *packet, int64_t received_at);
// What has become durable, and the answers that are due. True when there was something to do.
bool reliable_poll(struct lcore *lcore, uint64_t ticks);
// How long, in ns from 'ticks' on, until an answer is due; UINT64_MAX: until something happens.
uint64_t reliable_due_ns(const struct lcore *lcore, uint64_t ticks);
