// SPDX-License-Identifier: BSD-3-Clause
// A wire in front of a port that always has packets: they come at a steady rate, whether anybody
// takes them or not, into a queue of so many descriptors, and what finds it full is lost and
// counted. So a source that is pulled becomes one that is open-loop, as a NIC's is.
//
//   MILLRACE_BENCH_RATE     packets per second over all queues; unset: as fast as they are taken
//   MILLRACE_BENCH_QUEUE    descriptors of a queue (1024)
//   MILLRACE_BENCH_WARM_UP  seconds after the start that aren't counted (0)
//
// When the port stops, what was counted goes to stderr: "pace: offered N lost N late_max_ns N".

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUES_MAX 16

int __real_rte_eth_dev_start(uint16_t port);
int __wrap_rte_eth_dev_start(uint16_t port);
int __real_rte_eth_dev_stop(uint16_t port);
int __wrap_rte_eth_dev_stop(uint16_t port);

// One queue of the only port; the lcore's that polls it. All in ticks.
struct queue {
	void *real;
	uint64_t begin;     // when packet 0 is due
	uint64_t taken;     // packets taken or lost
	uint64_t uncounted; // those of the warm-up
	uint64_t lost;
	uint64_t behind; // the longest that a packet waited
	bool counted;    // the warm-up is over
} __attribute__((aligned(64)));

static struct queue queues[QUEUES_MAX];
static eth_rx_burst_t real_burst;
static double packets_per_tick; // of one queue
static uint64_t descriptors, warm_up;

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t due_by(const struct queue *q, uint64_t now)
{
	return (uint64_t)((double)(now - q->begin) * packets_per_tick);
}

static void end_warm_up(struct queue *q)
{
	q->counted = true;
	q->uncounted = q->taken;
	q->lost = q->behind = 0;
}

// What didn't fit into the queue is lost, oldest first: a NIC would lose the newest, as many.
static void lose(struct queue *q, uint64_t due)
{
	uint64_t lost = due - q->taken - descriptors;

	q->lost += lost;
	q->taken += lost;
}

static uint16_t paced_burst(void *handle, struct rte_mbuf **mbufs, uint16_t room)
{
	struct queue *q = handle;
	uint64_t now = rte_rdtsc(), due, waited;
	uint16_t n;

	if (q->begin > now)
		return 0;
	due = due_by(q, now);
	if (due == q->taken)
		return 0;
	if (due - q->taken > descriptors)
		lose(q, due);
	if (!q->counted && now - q->begin >= warm_up)
		end_warm_up(q);
	waited = (uint64_t)((double)(due - q->taken) / packets_per_tick);
	if (waited > q->behind)
		q->behind = waited;
	n = due - q->taken < room ? (uint16_t)(due - q->taken) : room;
	n = real_burst(q->real, mbufs, n);
	q->taken += n;
	return n;
}

// The fast path of the port goes through here from now on.
static void take_over(uint16_t port, double rate)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port];
	struct rte_eth_dev_info info;
	void **handles = calloc(QUEUES_MAX, sizeof(*handles));

	if (handles == NULL || rte_eth_dev_info_get(port, &info) != 0 ||
		info.nb_rx_queues > QUEUES_MAX)
		exit(1);
	packets_per_tick = rate / info.nb_rx_queues / (double)rte_get_tsc_hz();
	descriptors = env_number("MILLRACE_BENCH_QUEUE", 1024);
	warm_up = env_number("MILLRACE_BENCH_WARM_UP", 0) * rte_get_tsc_hz();
	for (unsigned i = 0; i < info.nb_rx_queues; i++) {
		queues[i].real = ops->rxq.data[i];
		queues[i].begin = rte_rdtsc() + rte_get_tsc_hz() / 2; // everything else has started
		handles[i] = &queues[i];
	}
	real_burst = ops->rx_pkt_burst;
	ops->rxq.data = handles;
	ops->rx_pkt_burst = paced_burst;
}

int __wrap_rte_eth_dev_start(uint16_t port)
{
	uint64_t rate = env_number("MILLRACE_BENCH_RATE", 0);
	int r = __real_rte_eth_dev_start(port);

	if (r == 0 && rate > 0)
		take_over(port, (double)rate);
	return r;
}

int __wrap_rte_eth_dev_stop(uint16_t port)
{
	uint64_t offered = 0, lost = 0, behind = 0;

	for (unsigned i = 0; i < QUEUES_MAX; i++) {
		offered += queues[i].taken - queues[i].uncounted;
		lost += queues[i].lost;
		if (queues[i].behind > behind)
			behind = queues[i].behind;
	}
	if (packets_per_tick > 0)
		fprintf(stderr, "pace: offered %" PRIu64 " lost %" PRIu64 " late_max_ns %.0f\n",
			offered, lost, (double)behind * 1e9 / (double)rte_get_tsc_hz());
	return __real_rte_eth_dev_stop(port);
}
