// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The hot end of the path, inline in the two loops that have a datagram in hand: off a queue
// (rx.c) and off a ring (pipeline.c).

#include "batching/batcher.h"
#include "dataplane/dataplane.h"

#include <rte_mbuf.h>

#include <errno.h>
#include <string.h>

// Bursts of several lcores interleave, so a time slightly before the last one is no step of the
// clock, and not worth the batcher's attention.
#define INTERLEAVE_NS 1000000000

// An mbuf that can go back to its pool as it is, which saves several cycles each.
static inline bool pipeline_plain(const struct rte_mbuf *m)
{
	return m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
}

static inline void set_time(struct partition *partition, int64_t now)
{
	if (now <= partition->time && partition->time - now < INTERLEAVE_NS)
		return;
	partition->time = now;
	batcher_set_time(partition->batcher, now);
}

static inline struct event packet_event(const struct lcore *lcore, const struct packet *packet)
{
	struct event event = {
		.src_port = packet->src_port,
		.listener = lcore->dp->config->listeners[packet->listener].number,
	};

	memcpy(event.src_addr, packet->src_addr, sizeof(event.src_addr));
	return event;
}

static inline void append_event(
	struct lcore *lcore, struct partition *partition, const struct event *event)
{
	if (__builtin_expect(batcher_append(partition->batcher, event) == -EAGAIN, 0)) {
		struct event copy = *event; // see batcher_append()

		pipeline_wait(lcore, partition, &copy, NULL);
	}
}

// Appends a datagram's events to a partition of this lcore. Waits where every block is in flight.
// False when there was no event in it.
static inline bool pipeline_append(struct lcore *lcore, struct partition *partition,
	const uint8_t *frame, const struct packet *packet, int64_t received_at)
{
	struct event event;

	set_time(partition, received_at);
	if (lcore->dp->config->listeners[packet->listener].split != SPLIT_DATAGRAM) {
		struct packet copy = *packet; // see batcher_append()

		return pipeline_append_lines(lcore, partition, frame, &copy);
	}
	event = packet_event(lcore, packet);
	event.payload = frame + packet->payload;
	event.payload_len = packet->payload_len;
	append_event(lcore, partition, &event);
	return true;
}

// Of so many datagrams offered so many had an event.
static inline void count_appended(struct lcore *lcore, unsigned offered, unsigned taken)
{
	counter_add(&lcore->values[LCORE_datagrams], taken);
	if (taken < offered)
		count_drop(lcore, DROP_udp_empty, offered - taken);
}
