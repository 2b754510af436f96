// SPDX-License-Identifier: BSD-3-Clause
// The partition's side of the path: datagrams become events of the open block, whether they came
// by the lcore's own queue or by a ring.

#include "batching/batcher.h"
#include "common/clock.h"
#include "dataplane/append.h"
#include "dataplane/dataplane.h"
#include "dataplane/lines.h"
#include "dataplane/steer.h"

#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include <errno.h>

#define PREFETCH_AHEAD 4

bool batchers_poll(struct lcore *lcore, uint64_t ticks)
{
	bool worked = false;

	for (unsigned i = 0; i < lcore->partition_count; i++)
		worked |= batcher_poll(lcore->partitions[i]->batcher, ticks);
	return worked;
}

// Every block is in flight: the disk is slower than the wire. What was taken stays in hand; the
// device's queue fills and drops, which is counted where it happens.
void pipeline_wait(struct lcore *lcore, struct partition *partition, const struct event *event)
{
	uint64_t begin = clock_ticks(), now = begin;

	do {
		batchers_poll(lcore, now);
		lcore_yield_if_due(lcore, now);
		now = clock_ticks();
	} while (batcher_append(partition->batcher, event) == -EAGAIN);
	counter_add(&lcore->values[LCORE_wait_cycles], now - begin);
}

bool pipeline_append_lines(struct lcore *lcore, struct partition *partition, const uint8_t *frame,
	const struct packet *packet)
{
	struct event event = packet_event(lcore, packet);
	struct lines lines;
	unsigned events = 0;

	lines_init(&lines, frame + packet->payload, packet->payload_len);
	for (; lines_next(&lines, &event.payload, &event.payload_len); events++)
		append_event(lcore, partition, &event);
	return events > 0;
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
	unsigned count, taken = 0;
	uint64_t begin = clock_ticks(), appended;

	count = rte_ring_sc_dequeue_burst(ring->ring, (void **)burst, BURST, NULL);
	if (count == 0)
		return 0;
	counter_set(&lcore->values[LCORE_held_packets], count);
	for (unsigned i = 0; i < count && i < PREFETCH_AHEAD; i++)
		prefetch(burst[i]);
	for (unsigned i = 0; i < count; i++) {
		const struct steered *steered = rte_mbuf_to_priv(burst[i]);
		if (i + PREFETCH_AHEAD < count)
			prefetch(burst[i + PREFETCH_AHEAD]);
		taken += pipeline_append(lcore, ring->partition,
			rte_pktmbuf_mtod(burst[i], const uint8_t *), &steered->packet,
			steered->received_at);
	}
	count_appended(lcore, count, taken);
	appended = lcore_stage(lcore, LCORE_append_cycles, begin);
	pipeline_free(NULL, burst, count);
	lcore_stage(lcore, LCORE_free_cycles, appended);
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
