// SPDX-License-Identifier: BSD-3-Clause
// What a source of packets costs by itself: takes bursts off a DPDK port and frees them, nothing
// else, and prints packets per second and cycles per packet.
//
//   rxonly [--no-huge] [--cpu N] DEVICE SECONDS

#include "bench/port.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 64u

static volatile bool stop;

struct count {
	uint64_t packets, bytes;
	uint64_t first, last; // ticks of the first and the last burst that held something
	uint64_t busy;        // ticks of such bursts
};

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

static void receive(uint16_t port, uint64_t ticks, struct count *c)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t now = rte_rdtsc(), end = now + ticks;

	memset(c, 0, sizeof(*c));
	while (now < end && !stop) {
		uint64_t begin = now;
		uint16_t n = rte_eth_rx_burst(port, 0, mbufs, BURST);

		for (uint16_t i = 0; i < n; i++)
			c->bytes += mbufs[i]->pkt_len;
		rte_pktmbuf_free_bulk(mbufs, n);
		now = rte_rdtsc();
		if (n == 0)
			continue;
		c->packets += n;
		c->busy += now - begin;
		c->first = c->first == 0 ? begin : c->first;
		c->last = now;
	}
}

static void print(const struct count *c)
{
	double seconds = (double)(c->last - c->first) / (double)rte_get_tsc_hz();

	printf("{\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"packets_per_second\": %.0f, \"cycles_per_packet\": %.1f}\n",
		c->packets, c->bytes, seconds > 0 ? (double)c->packets / seconds : 0,
		c->packets > 0 ? (double)c->busy / (double)c->packets : 0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"no-huge", no_argument, NULL, 'H'},
		{"cpu", required_argument, NULL, 'c'},
		{0},
	};
	const char *cpu = "0";
	struct rte_mempool *pool;
	bool no_huge = false;
	struct count count;
	double seconds;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'H')
			no_huge = true;
		else if (c == 'c')
			cpu = optarg;
		else
			return 2;
	}
	if (argc - optind != 2 || (seconds = strtod(argv[optind + 1], NULL)) <= 0) {
		fprintf(stderr, "usage: rxonly [--no-huge] [--cpu N] DEVICE SECONDS\n");
		return 2;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (bench_eal_start("rxonly", argv[optind], cpu, no_huge) < 0 ||
		bench_port_setup(0, &pool) != 0 || rte_eth_dev_start(0) != 0) {
		fprintf(stderr, "rxonly: '%s' doesn't start: %s\n", argv[optind],
			rte_strerror(rte_errno));
		return 1;
	}
	receive(0, (uint64_t)(seconds * (double)rte_get_tsc_hz()), &count);
	print(&count);
	rte_eth_dev_stop(0);
	rte_eal_cleanup();
	return 0;
}
