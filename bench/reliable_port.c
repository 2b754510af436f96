// SPDX-License-Identifier: BSD-3-Clause
// The sender's half of the reliable protocol on a DPDK port: what libmillrace does with a socket
// and threads, by one that polls. The events are those of `millrace send`.
//
//   reliable_port [--cpu N] [--rate N] [--size BYTES] [--id HEX8] DEVICE IPv4:PORT SECONDS
//
// Without --rate as fast as it goes. Ends when all is acknowledged, or nothing was for 10 s; prints
// one JSON object.

#include "bench/options.h"
#include "bench/port.h"
#include "cli/send/frame.h"
#include "common/clock.h"
#include "common/hist.h"
#include "transport/send.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull
#define BURST 64u
#define GIVE 128u // events at a time; then answers are looked for
#define FROM "198.18.0.1:40000"
#define FROM_PORT 40000u
#define KEPT (64ull << 20)   // bytes, as libmillrace
#define IN_FLIGHT (1u << 20) // events whose hand-over is remembered: more than KEPT holds
#define PATIENCE_NS (10 * SECOND_NS)
#define LINK_NS (10 * SECOND_NS)
#define NAP_NS 10000
#define LINGER_US 500000u // until the other end has taken what lies in the ring

_Static_assert(
	SEND_PORT_MAX + FRAME_HEADER_BYTES <= RTE_MBUF_DEFAULT_BUF_SIZE - RTE_PKTMBUF_HEADROOM,
	"a frame fits an mbuf");

struct sender {
	struct send_plan plan;
	struct frame_template frame;
	struct send_half *half;
	struct rte_mempool *pool;
	uint16_t port;
	uint64_t start, now, last_ack; // ns
	uint64_t given, acknowledged;  // events
	uint64_t *given_at;            // ns, by event modulo IN_FLIGHT
	struct hist latency;
	struct rte_mbuf *out[BURST]; // [out_at, out_n): what the port had no room for yet
	unsigned out_at, out_n;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

// The UDP payload of an answer to us; NULL: it is something else.
static uint8_t *payload_of(struct rte_mbuf *m, uint32_t *len)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(ether + 1);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(ip + 1);
	uint32_t udp_len;

	if (m->data_len < FRAME_HEADER_BYTES ||
		ether->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
		ip->version_ihl != RTE_IPV4_VHL_DEF || ip->next_proto_id != IPPROTO_UDP ||
		udp->dst_port != rte_cpu_to_be_16(FROM_PORT))
		return NULL;
	udp_len = rte_be_to_cpu_16(udp->dgram_len);
	if (udp_len < sizeof(*udp) || udp_len - sizeof(*udp) + FRAME_HEADER_BYTES > m->data_len)
		return NULL;
	*len = udp_len - (uint32_t)sizeof(*udp);
	return rte_pktmbuf_mtod_offset(m, uint8_t *, FRAME_HEADER_BYTES);
}

// True: there was something.
static bool take_answers(struct sender *s)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t n = rte_eth_rx_burst(s->port, 0, mbufs, BURST);
	uint8_t *payload;
	uint32_t len;

	for (uint16_t i = 0; i < n; i++)
		if ((payload = payload_of(mbufs[i], &len)) != NULL)
			send_take(s->half, payload, len, s->now);
	rte_pktmbuf_free_bulk(mbufs, n);
	for (; s->acknowledged < send_durable(s->half); s->acknowledged++) {
		hist_add(&s->latency, s->now - s->given_at[s->acknowledged % IN_FLIGHT]);
		s->last_ack = s->now;
	}
	return n > 0;
}

static void give_events(struct sender *s)
{
	uint64_t due = s->plan.count;
	uint8_t event[SEND_PORT_MAX];
	uint64_t seq;

	if (s->now - s->start >= s->plan.duration_ns)
		return;
	if (s->plan.rate != 0)
		due = send_due_count(&s->plan, s->now - s->start);
	for (unsigned i = 0; i < GIVE && s->given < due; i++) {
		uint32_t bytes, len = send_datagram_write(&s->plan, s->given, event, &bytes);

		if (send_event(s->half, event, len, &seq) != 0)
			return;
		s->given_at[s->given++ % IN_FLIGHT] = s->now;
	}
}

static struct rte_mbuf *next_frame(struct sender *s)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->pool);
	uint8_t *frame;
	uint32_t len;

	if (m == NULL)
		return NULL;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	len = send_next(s->half, s->now, frame + FRAME_HEADER_BYTES);
	if (len == 0) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(frame, s->frame.header, FRAME_HEADER_BYTES);
	frame_patch(&s->frame, frame, len, 0);
	m->data_len = (uint16_t)(FRAME_HEADER_BYTES + len);
	m->pkt_len = m->data_len;
	return m;
}

// True: something left.
static bool give_datagrams(struct sender *s)
{
	struct rte_mbuf *m;
	uint16_t sent;

	if (s->out_at == s->out_n) {
		s->out_at = s->out_n = 0;
		while (s->out_n < BURST && (m = next_frame(s)) != NULL)
			s->out[s->out_n++] = m;
	}
	s->out_at +=
		rte_eth_tx_burst(s->port, 0, s->out + s->out_at, (uint16_t)(s->out_n - s->out_at));
}

static void take_leave(struct sender *s)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->pool);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = send_close(s->half, frame + FRAME_HEADER_BYTES);

	memcpy(frame, s->frame.header, FRAME_HEADER_BYTES);
	frame_patch(&s->frame, frame, len, 0);
	m->pkt_len = m->data_len = (uint16_t)(FRAME_HEADER_BYTES + len);
	if (len == 0 || rte_eth_tx_burst(s->port, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
	usleep(LINGER_US);
}

// With nothing to do it sleeps, for the kernel's workers want the CPU: who polls without an end,
// even one that yields, holds up the writes that it waits for.
static void run(struct sender *s)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	bool busy;

	s->start = s->now = s->last_ack = clock_monotonic_ns();
	while (!stop && s->now - s->last_ack < PATIENCE_NS &&
		(s->now - s->start < s->plan.duration_ns || s->acknowledged < s->given)) {
		s->now = clock_monotonic_ns();
		busy = take_answers(s);
		give_events(s);
		if (!give_datagrams(s) && !busy)
			nanosleep(&nap, NULL);
	}
	take_leave(s);
}

static int wait_for_link(uint16_t port)
{
	uint64_t until = clock_monotonic_ns() + LINK_NS;
	struct rte_eth_link link = {0};
	bool started = false;

	// A memif client doesn't even start before its server is there.
	while (!stop && clock_monotonic_ns() < until) {
		started = started || rte_eth_dev_start(port) == 0;
		if (started && rte_eth_link_get_nowait(port, &link) == 0 &&
			link.link_status == RTE_ETH_LINK_UP)
			return 0;
		usleep(10000);
	}
	rte_errno = ETIMEDOUT;
	return -1;
}

static int make_half(struct sender *s)
{
	struct send_config config = {
		.epoch = 1,
		.mtu = WIRE_MTU_MIN,
		.mtu_probe = SEND_PORT_MAX,
		.bytes_max = KEPT,
	};

	if (sodium_init() < 0)
		return -EIO;
	while (config.source == 0)
		randombytes_buf(&config.source, sizeof(config.source));
	s->given_at = calloc(IN_FLIGHT, sizeof(*s->given_at));
	if (s->given_at == NULL)
		return -ENOMEM;
	return send_make(&s->half, &config, clock_monotonic_ns());
}

static void print(const struct sender *s)
{
	double seconds = (double)(s->last_ack - s->start) / 1e9;
	struct send_stats stats;

	send_stats(s->half, &stats);
	printf("{\"sent\": %" PRIu64 ", \"acknowledged\": %" PRIu64 ", \"retransmitted\": %" PRIu64
	       ", \"datagrams\": %" PRIu64 ", \"datagrams_lost\": %" PRIu64
	       ", \"events_per_second\": %.1f, \"rtt_ns\": %" PRIu64
	       ", \"ack_latency_ns\": {\"p50\": %" PRIu64 ", \"p99\": %" PRIu64
	       ", \"max\": %" PRIu64 "}}\n",
		s->given, s->acknowledged, stats.events_again, stats.datagrams, stats.lost,
		seconds > 0 ? (double)s->acknowledged / seconds : 0, stats.rtt_ns,
		hist_quantile(&s->latency, 0.5), hist_quantile(&s->latency, 0.99), s->latency.max);
}

static int start(struct sender *s, const struct bench_options *o, char *why)
{
	struct rte_ether_addr mac = {0};
	int r;

	if (bench_eal_start("reliable_port", o->words[0], o->cpu, false) < 0 ||
		bench_port_setup(s->port, &s->pool) != 0 || wait_for_link(s->port) != 0) {
		snprintf(why, SEND_WHY_BYTES, "'%s' doesn't start: %s", o->words[0],
			rte_strerror(rte_errno));
		return -ENODEV;
	}
	rte_eth_macaddr_get(s->port, &mac);
	r = frame_template_init(&s->frame, &s->plan, mac.addr_bytes, NULL, FROM, o->words[1], why);
	if (r == 0 && (r = make_half(s)) != 0)
		snprintf(why, SEND_WHY_BYTES, "%s", strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	static struct sender s;
	struct bench_options options;
	char why[SEND_WHY_BYTES] = "";

	if (!bench_options_read(&options, 2, SEND_PORT_MAX, argc, argv)) {
		fprintf(stderr, "usage: reliable_port [--cpu N] [--rate N] [--size BYTES] [--id "
				"HEX8] DEVICE IPv4:PORT SECONDS\n");
		return 2;
	}
	s.plan = options.plan;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	prctl(PR_SET_TIMERSLACK, 1ul);
	if (start(&s, &options, why) != 0) {
		fprintf(stderr, "reliable_port: %s\n", why);
		return 1;
	}
	run(&s);
	print(&s);
	send_free(s.half);
	free(s.given_at);
	rte_eth_dev_stop(s.port);
	rte_eal_cleanup();
	return s.acknowledged == s.given ? 0 : 1;
}
