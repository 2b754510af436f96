// SPDX-License-Identifier: BSD-3-Clause
// The partition's side of the path: datagrams become events of the open block, whether they came
// by the lcore's own queue or by a ring.

#include "batching/batcher.h"
#include "common/clock.h"
#include "dataplane/append.h"
#include "dataplane/chain.h"
#include "dataplane/dataplane.h"
#include "dataplane/lines.h"
#include "dataplane/reliable.h"
#include "dataplane/wire.h"

#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include <errno.h>

#define PREFETCH_AHEAD 8 // they lie in another CPU's cache

bool batchers_poll(struct lcore *lcore, uint64_t ticks)
{
	bool worked = false;

	for (unsigned i = 0; i < lcore->partition_count; i++)
		worked |= batcher_poll(lcore->partitions[i]->batcher, ticks);
	return worked;
}

// Every block is in flight: the disk is slower than the wire. What was taken stays in hand; the
// device's queue fills and drops, which is counted where it happens.
int pipeline_wait(struct lcore *lcore, struct partition *partition, const struct event *event,
	const struct event_piece *pieces)
{
	uint64_t begin = clock_ticks(), now = begin;
	int err;

	do {
		batchers_poll(lcore, now);
		lcore_yield_if_due(lcore, now);
		now = clock_ticks();
		err = batcher_append_slow(partition->batcher, event, pieces);
	} while (err == -EAGAIN);
	counter_add(&lcore->values[LCORE_wait_cycles], now - begin);
	return err;
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

void pipeline_free(struct port *one_pool_of, struct rte_mbuf **list, unsigned count)
{
	unsigned plain = 0;

	if (one_pool_of == NULL) {
		rte_pktmbuf_free_bulk(list, count);
		return;
	}
	// A plain mbuf can go back as it is, which saves several cycles each.
	for (unsigned i = 0; i < count; i++) {
		if (likely(pipeline_plain(list[i])))
			list[plain++] = list[i];
		else
			rte_pktmbuf_free(list[i]);
	}
	if (plain > 0)
		rte_mempool_put_bulk(one_pool_of->pool, (void **)list, plain);
}

// Gives back what came by a ring: by runs of one pool, without a look at the mbufs.
static void give_back(struct lcore *lcore, const struct steered *list, unsigned count)
{
	struct rte_mbuf *run[BURST];

	for (unsigned i = 0; i < count;) {
		uint16_t pool_of = list[i].pool_of;
		unsigned n = 0;

		for (; i < count && list[i].pool_of == pool_of; i++)
			run[n++] = list[i].mbuf;
		if (pool_of == NO_POOL)
			rte_pktmbuf_free_bulk(run, n);
		else
			rte_mempool_put_bulk(lcore->dp->ports[pool_of].pool, (void **)run, n);
	}
}

// Of so many datagrams so many had an event; a reliable one counts itself.
struct drained {
	unsigned offered, taken;
};

static void append_steered(struct lcore *lcore, struct partition *partition,
	const struct steered *s, struct drained *sum)
{
	struct packet packet = {
		.l3 = s->l3,
		.payload = s->payload,
		.payload_len = s->payload_len,
		.src_port = s->src_port,
		.listener = s->listener,
	};

	packet_source(s->frame + s->l3, packet.src_addr);
	if (unlikely(is_reliable(lcore->dp, &packet))) {
		reliable_take(lcore, partition, s->mbuf, &packet, s->received_at);
		return;
	}
	sum->offered++;
	if (unlikely(s->is_chain))
		sum->taken += chain_append(lcore, partition, s->mbuf, &packet, s->received_at);
	else
		sum->taken += pipeline_append(lcore, partition, s->frame, &packet, s->received_at);
}

static unsigned drain(struct lcore *lcore, const struct steer_ring *ring)
{
	struct steered burst[BURST];
	struct drained sum = {0, 0};
	uint64_t begin = clock_ticks(), appended;
	unsigned count;

	count = rte_ring_sc_dequeue_burst_elem(ring->ring, burst, sizeof(burst[0]), BURST, NULL);
	if (count == 0)
		return 0;
	counter_set(&lcore->values[LCORE_held_packets], count);
	for (unsigned i = 0; i < count && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(burst[i].frame);
	for (unsigned i = 0; i < count; i++) {
		if (i + PREFETCH_AHEAD < count)
			rte_prefetch0(burst[i + PREFETCH_AHEAD].frame);
		append_steered(lcore, ring->partition, &burst[i], &sum);
	}
	count_appended(lcore, sum.offered, sum.taken);
	appended = lcore_stage(lcore, LCORE_append_cycles, begin);
	give_back(lcore, burst, count);
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
