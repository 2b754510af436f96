// SPDX-License-Identifier: BSD-3-Clause
// A DPDK port as the wire. Every mbuf of the pool holds the template's frame from the start, and no
// driver changes it, so that sending one means patching what differs.

#include "cli/send/frame.h"
#include "cli/send/send.h"
#include "common/clock.h"

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POOL_MBUFS 32767u // above what a driver may keep: zero-copy memif holds its whole ring
#define POOL_CACHE 512u
#define RX_MBUFS 1023u
#define TX_DESCRIPTORS 1024u
#define RX_DESCRIPTORS 256u
#define DRAIN_TIMEOUT_NS 2000000000ull
// How long a port stays open behind the last frame: who receives by shared memory still has to
// take what lies in the ring.
#define LINGER_NS 500000000ull

struct port_wire {
	struct send_wire wire;
	const struct send_plan *plan;
	struct rte_mempool *pool;
	struct frame_template template;
	uint16_t port;
	bool started;
	bool used;                      // some frame was accepted
	uint32_t bytes[SEND_BURST_MAX]; // payload of each frame of the burst
	uint32_t events[SEND_BURST_MAX];
};

static void pause_ms(long ms)
{
	const struct timespec t = {.tv_nsec = ms * 1000000};

	nanosleep(&t, NULL);
}

static uint8_t *frame_of(struct rte_mbuf *m)
{
	return (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
}

static void set_len(struct rte_mbuf *m, uint32_t payload)
{
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = (uint16_t)(FRAME_HEADER_BYTES + payload);
	m->pkt_len = m->data_len;
}

static void compose_events(struct port_wire *w, struct rte_mbuf **mbufs, uint64_t first, unsigned n)
{
	const struct send_plan *plan = w->plan;
	uint32_t flow = (uint32_t)(first % plan->flows);
	uint8_t digits[10];

	send_digits_set(digits, first);
	for (unsigned i = 0; i < n; i++) {
		uint32_t size = send_event_size(plan, first + i);

		set_len(mbufs[i], size);
		frame_patch_event(&w->template, frame_of(mbufs[i]), size, flow, digits);
		send_digits_next(digits);
		w->bytes[i] = size;
		w->events[i] = 1;
		if (++flow == plan->flows)
			flow = 0;
	}
}

static void compose_lines(struct port_wire *w, struct rte_mbuf **mbufs, uint64_t first, unsigned n)
{
	const struct send_plan *plan = w->plan;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *frame = frame_of(mbufs[i]);
		uint32_t len = send_datagram_write(
			plan, first + i, frame + FRAME_HEADER_BYTES, &w->bytes[i]);

		w->events[i] = send_datagram_events(plan, first + i);
		set_len(mbufs[i], len);
		frame_patch(&w->template, frame, len, (uint32_t)((first + i) % plan->flows));
	}
}

static void count_refused(
	const struct send_plan *plan, uint64_t first, unsigned n, struct send_tally *tally)
{
	for (unsigned i = 0; i < n; i++)
		tally->refused += send_datagram_events(plan, first + i);
}

static void port_transmit(
	struct send_wire *wire, uint64_t first, unsigned n, struct send_tally *tally)
{
	struct port_wire *w = (struct port_wire *)wire;
	struct rte_mbuf *mbufs[SEND_BURST_MAX];
	unsigned sent;

	if (rte_mempool_get_bulk(w->pool, (void **)mbufs, n) != 0) {
		// Gives the driver the occasion to return what it holds.
		rte_eth_tx_burst(w->port, 0, mbufs, 0);
		count_refused(w->plan, first, n, tally);
		return;
	}
	if (w->plan->lines == 1)
		compose_events(w, mbufs, first, n);
	else
		compose_lines(w, mbufs, first, n);
	sent = rte_eth_tx_burst(w->port, 0, mbufs, (uint16_t)n);
	for (unsigned i = 0; i < sent; i++) {
		tally->sent += w->events[i];
		tally->bytes += w->bytes[i];
	}
	tally->datagrams += sent;
	w->used = w->used || sent > 0;
	if (sent < n) {
		count_refused(w->plan, first + sent, n - sent, tally);
		rte_mempool_put_bulk(w->pool, (void **)(mbufs + sent), n - sent);
	}
}

static void port_close(struct send_wire *wire)
{
	struct port_wire *w = (struct port_wire *)wire;
	struct rte_mbuf *none = NULL;
	uint64_t until = clock_monotonic_ns() + DRAIN_TIMEOUT_NS;

	if (w == NULL)
		return;
	if (w->used) {
		while (rte_mempool_in_use_count(w->pool) > 0 && clock_monotonic_ns() < until) {
			rte_eth_tx_burst(w->port, 0, &none, 0);
			pause_ms(1);
		}
		pause_ms(LINGER_NS / 1000000);
	}
	if (w->started) {
		rte_eth_dev_stop(w->port);
		rte_eth_dev_close(w->port);
	}
	rte_eal_cleanup();
	rmdir(rte_eal_get_runtime_dir()); // EAL leaves it behind
	free(w);
}

static void prepare_mbuf(struct rte_mempool *pool, void *arg, void *obj, unsigned index)
{
	struct port_wire *w = (struct port_wire *)arg;
	uint8_t *frame = frame_of((struct rte_mbuf *)obj);
	uint32_t bytes;

	(void)pool;
	(void)index;
	memcpy(frame, w->template.header, FRAME_HEADER_BYTES);
	if (w->plan->lines == 1) {
		// As long as any event gets: a shorter one is a prefix of it but for its digits.
		struct send_plan longest = *w->plan;

		longest.size_min = longest.size_max;
		send_datagram_write(&longest, 0, frame + FRAME_HEADER_BYTES, &bytes);
	}
}

// The cpus that this process may use, as the EAL wants to have them: the sender's only lcore runs
// on any of them.
static void lcores_text(char *buf, size_t size)
{
	cpu_set_t cpus;
	size_t at = (size_t)snprintf(buf, size, "--lcores=0@(");
	const char *comma = "";

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
		CPU_ZERO(&cpus);
		CPU_SET(0, &cpus);
	}
	for (int i = 0; i < CPU_SETSIZE && at + 8 < size; i++) {
		if (!CPU_ISSET(i, &cpus))
			continue;
		at += (size_t)snprintf(buf + at, size - at, "%s%d", comma, i);
		comma = ",";
	}
	snprintf(buf + at, size - at, ")");
}

static bool is_vdev(const char *device)
{
	return strncmp(device, "net_", 4) == 0 || strncmp(device, "eth_", 4) == 0;
}

static int start_eal(const struct send_port_options *options, char *why)
{
	char lcores[512], device[512];
	char *argv[16];
	int argc = 0;

	lcores_text(lcores, sizeof(lcores));
	snprintf(device, sizeof(device), "%s=%s", is_vdev(options->device) ? "--vdev" : "--allow",
		options->device);
	argv[argc++] = (char *)"millrace-send";
	argv[argc++] = lcores;
	argv[argc++] = device;
	argv[argc++] = (char *)"--no-telemetry";
	argv[argc++] = (char *)"--log-level=error";
	argv[argc++] = (char *)"--log-level=pmd.net.memif:critical";
	if (is_vdev(options->device))
		argv[argc++] = (char *)"--no-pci";
	// Either way no file is left behind, not even by a sender that was killed.
	if (options->no_huge) {
		argv[argc++] = (char *)"--no-shconf";
		argv[argc++] = (char *)"--no-huge";
		argv[argc++] = (char *)"-m256";
	} else {
		argv[argc++] = (char *)"--in-memory";
		// What zero-copy memif wants to have.
		argv[argc++] = (char *)"--single-file-segments";
	}
	if (rte_eal_init(argc, argv) < 0) {
		snprintf(why, SEND_WHY_BYTES, "EAL doesn't start: %s%s", rte_strerror(rte_errno),
			rte_errno == ENOMEM && !options->no_huge
				? "; without hugepages use --no-huge"
				: "");
		return -ENODEV;
	}
	return 0;
}

static int find_port(struct port_wire *w, const char *device, char *why)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	size_t len = strcspn(device, ",");

	snprintf(name, sizeof(name), "%.*s", (int)len, device);
	if (rte_eth_dev_get_port_by_name(name, &w->port) != 0) {
		snprintf(why, SEND_WHY_BYTES, "no port came of '%s'", device);
		return -ENODEV;
	}
	return 0;
}

static int make_pool(struct port_wire *w, const struct send_plan *plan)
{
	uint16_t room =
		(uint16_t)(RTE_PKTMBUF_HEADROOM +
			   RTE_ALIGN_CEIL(FRAME_HEADER_BYTES + send_datagram_max(plan), 64));

	w->pool = rte_pktmbuf_pool_create("send", POOL_MBUFS, POOL_CACHE, 0, room, SOCKET_ID_ANY);
	return w->pool == NULL ? -ENOMEM : 0;
}

// Some drivers want a receiving queue, and some have none.
static int setup_queues(struct port_wire *w)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	struct rte_mempool *rx_pool;
	uint16_t rx, rxd = RX_DESCRIPTORS, txd = TX_DESCRIPTORS;
	int r = rte_eth_dev_info_get(w->port, &info);

	if (r != 0)
		return r;
	rx = info.max_rx_queues > 0 ? 1 : 0;
	r = rte_eth_dev_configure(w->port, rx, 1, &conf);
	if (r == 0)
		r = rte_eth_dev_adjust_nb_rx_tx_desc(w->port, &rxd, &txd);
	if (r == 0)
		r = rte_eth_tx_queue_setup(w->port, 0, txd, SOCKET_ID_ANY, NULL);
	if (r != 0 || rx == 0)
		return r;
	rx_pool = rte_pktmbuf_pool_create(
		"send-rx", RX_MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (rx_pool == NULL)
		return -ENOMEM;
	return rte_eth_rx_queue_setup(w->port, 0, rxd, SOCKET_ID_ANY, NULL, rx_pool);
}

// A memif client doesn't even start before its server is there.
static int start_device(struct port_wire *w, uint64_t timeout_ns, const volatile bool *stop)
{
	uint64_t until = clock_monotonic_ns() + timeout_ns;
	struct rte_eth_link link;

	for (;;) {
		if (!w->started)
			w->started = rte_eth_dev_start(w->port) == 0;
		if (w->started && rte_eth_link_get_nowait(w->port, &link) == 0 &&
			link.link_status == RTE_ETH_LINK_UP)
			return 0;
		if (*stop)
			return -EINTR;
		if (clock_monotonic_ns() >= until)
			return -ETIMEDOUT;
		pause_ms(10);
	}
}

static int start_port(struct port_wire *w, const struct send_port_options *options,
	const volatile bool *stop, char *why)
{
	struct rte_ether_addr mac = {0};
	int r = find_port(w, options->device, why);

	if (r != 0)
		return r;
	rte_eth_macaddr_get(w->port, &mac);
	r = frame_template_init(&w->template, w->plan, mac.addr_bytes, options->dst_mac,
		options->from, options->to, why);
	if (r != 0)
		return r;
	r = make_pool(w, w->plan);
	if (r == 0)
		r = setup_queues(w);
	if (r == 0) {
		rte_mempool_obj_iter(w->pool, prepare_mbuf, w);
		r = start_device(w, options->link_timeout_ns, stop);
	}
	if (r == -ETIMEDOUT)
		snprintf(why, SEND_WHY_BYTES, "%s: %s; is the other side there?", options->device,
			w->started ? "no link" : "doesn't start");
	else if (r != 0)
		snprintf(why, SEND_WHY_BYTES, "%s: %s", options->device, strerror(-r));
	return r;
}

int send_port_open(struct send_wire **ret, const struct send_plan *plan,
	const struct send_port_options *options, const volatile bool *stop, char *why)
{
	struct port_wire *w = (struct port_wire *)calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	w->wire = (struct send_wire){.transmit = port_transmit, .close = port_close};
	w->plan = plan;
	r = start_eal(options, why);
	if (r != 0) {
		free(w);
		return r;
	}
	r = start_port(w, options, stop, why);
	if (r != 0) {
		w->wire.close(&w->wire);
		return r;
	}
	*ret = &w->wire;
	return 0;
}
