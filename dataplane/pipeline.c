// SPDX-License-Identifier: BSD-3-Clause
// The partition's side of the path: datagrams become events of the open block, whether they came
// by the lcore's own queue or by a ring.

#include "batching/batcher.h"
#include "common/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/lines.h"
#include "dataplane/steer.h"

#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include <errno.h>

#define PREFETCH_AHEAD 4
// Bursts of several lcores interleave, so a time slightly before the last one is no step of the
// clock, and not worth the batcher's attention.
#define INTERLEAVE_NS 1000000000

static void set_time(struct partition *partition, int64_t now)
{
	if (now <= partition->time && partition->time - now < INTERLEAVE_NS)
		return;
	partition->time = now;
	batcher_set_time(partition->batcher, now);
}

bool batchers_poll(struct lcore *lcore, uint64_t ticks)
{
	bool worked = false;

	for (unsigned i = 0; i < lcore->partition_count; i++)
		worked |= batcher_poll(lcore->partitions[i]->batcher, ticks);
	return worked;
}

// Every block is in flight: the disk is slower than the wire. What was taken stays in hand; the
// device's queue fills and drops, which is counted where it happens.
static void wait_for_block(struct lcore *lcore)
{
	uint64_t now = clock_ticks();

	batchers_poll(lcore, now);
	lcore_yield_if_due(lcore, now);
}

void pipeline_append(struct lcore *lcore, struct partition *partition, const uint8_t *frame,
	const struct packet *packet, int64_t received_at)
{
	const struct config_listener *listener = &lcore->dp->config->listeners[packet->listener];
	struct event event = {.src_port = packet->src_port, .listener = listener->number};
	struct lines lines;
	unsigned events = 0;

	set_time(partition, received_at);
	memcpy(event.src_addr, packet->src_addr, sizeof(event.src_addr));
	lines_init(&lines, listener->split, frame + packet->payload, packet->payload_len);
	for (; lines_next(&lines, &event.payload, &event.payload_len); events++)
		while (batcher_append(partition->batcher, &event) == -EAGAIN)
			wait_for_block(lcore);
	if (events > 0)
		counter_add(&lcore->values[LCORE_datagrams], 1);
	else
		count_drop(lcore, DROP_udp_empty, 1);
}

static bool is_plain(const struct rte_mbuf *m)
{
	return m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
}

void pipeline_free(struct port *one_pool_of, struct rte_mbuf **list, unsigned count)
{
	unsigned plain = 0;

	if (one_pool_of == NULL) {
		rte_pktmbuf_free_bulk(list, count);
		return;
	}
	// A plain mbuf can go back as it is, which saves several cycles each.
	for (unsigned i = 0; i < count; i++) {
		if (likely(is_plain(list[i])))
			list[plain++] = list[i];
		else
			rte_pktmbuf_free(list[i]);
	}
	if (plain > 0)
		rte_mempool_put_bulk(one_pool_of->pool, (void **)list, plain);
}

static void prefetch(struct rte_mbuf *m)
{
	rte_prefetch0(rte_mbuf_to_priv(m));
	rte_prefetch0(rte_pktmbuf_mtod(m, void *));
}

static unsigned drain(struct lcore *lcore, const struct steer_ring *ring)
{
	struct rte_mbuf *burst[BURST];
	unsigned count = rte_ring_sc_dequeue_burst(ring->ring, (void **)burst, BURST, NULL);

	if (count == 0)
		return 0;
	counter_set(&lcore->values[LCORE_held_packets], count);
	for (unsigned i = 0; i < count && i < PREFETCH_AHEAD; i++)
		prefetch(burst[i]);
	for (unsigned i = 0; i < count; i++) {
		const struct steered *steered = rte_mbuf_to_priv(burst[i]);
		if (i + PREFETCH_AHEAD < count)
			prefetch(burst[i + PREFETCH_AHEAD]);
		pipeline_append(lcore, ring->partition, rte_pktmbuf_mtod(burst[i], const uint8_t *),
			&steered->packet, steered->received_at);
	}
	pipeline_free(NULL, burst, count);
	counter_set(&lcore->values[LCORE_held_packets], 0);
	return count;
}

unsigned pipeline_drain(struct lcore *lcore)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < lcore->from_count; i++)
		sum += drain(lcore, lcore->from[i]);
	return sum;
}

bool pipeline_empty(const struct lcore *lcore)
{
	for (unsigned i = 0; i < lcore->from_count; i++)
		if (!rte_ring_empty(lcore->from[i]->ring))
			return false;
	return true;
}
