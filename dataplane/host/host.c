// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/host.h"

#include "common/clock.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "dataplane/host/tap.h"
#include "dataplane/wire.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define MS_NS 1000000ull
// How long the rings wait for a look: while packets come, and else.
#define BUSY_WAIT_NS (MS_NS / 2)
#define IDLE_WAIT_NS (5 * MS_NS)
#define BUSY_NS (100 * MS_NS) // packets are expected for so long after the last one
#define CONFLICT_TELL_NS (60000 * MS_NS)
#define SEGMENTS_MAX 64
#define FRAME_MAX GROUPS_FRAME_MAX // of what is composed here

static void count(struct host *host, enum host_counter counter, uint64_t n)
{
	counter_add(&host->values[counter], n);
}

static void wake(int fd)
{
	const uint64_t one = 1;

	// Full means that it is about to wake.
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

// To the lcore that sends for the port. Takes the mbuf.
static bool send_mbuf(struct host_port *hp, struct rte_mbuf *m)
{
	if (hp->down == NULL || rte_ring_sp_enqueue(hp->down, m) != 0) {
		rte_pktmbuf_free(m);
		return false;
	}
	wake(hp->wake_fd);
	return true;
}

static void send_frame(struct host *host, struct host_port *hp, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(host->pool);

	if (m == NULL)
		return;
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	send_mbuf(hp, m);
}

static void tell_conflict(struct host_port *hp, const struct neighbour_news *news, uint64_t now)
{
	struct config_address address = {.is_ip4 = address_is_ip4(news->address)};
	char text[INET6_ADDRSTRLEN];

	if (hp->told_conflict_at != 0 && now - hp->told_conflict_at < CONFLICT_TELL_NS)
		return;
	hp->told_conflict_at = now;
	memcpy(&address.ip, news->address, sizeof(address.ip));
	log_err("port %s: " MAC_TEXT " uses the address %s of this port, too; "
		"mend: give one of the two another",
		hp->port->config->name, MAC_BYTES(news->mac),
		config_address_text(&address, text, sizeof(text)));
}

static void take_news(struct host *host, struct host_port *hp, const uint8_t *frame,
	const struct packet *packet, uint64_t now)
{
	struct neighbour_news news;

	neighbour_news(frame, packet, &news);
	if (memcmp(news.mac, hp->port->host.mac, sizeof(news.mac)) == 0)
		return;
	if (!announce_defend(&hp->announcer, news.address, now)) {
		neighbours_heard(&hp->neighbours, &news, now);
		return;
	}
	count(host, HOST_conflicts, 1);
	atomic_store(&hp->port->conflict_until, now + CONFLICT_TELL_NS);
	tell_conflict(hp, &news, now);
}

static void take_message(struct host *host, struct host_port *hp, const uint8_t *frame,
	const struct packet *packet, uint64_t now)
{
	if (packet->kind == PACKET_NEIGHBOUR)
		take_news(host, hp, frame, packet, now);
	if (packet->kind != PACKET_GROUP_QUERY)
		return;
	if (groups_query(&hp->groups, frame, packet, now))
		count(host, HOST_group_queries, 1);
}

// Writes a frame to the TAP, the tag that the device took off put back.
static bool write_tap(const struct host_port *hp, struct rte_mbuf *m)
{
	struct iovec pieces[SEGMENTS_MAX];
	unsigned n = 0;

	if ((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 && rte_vlan_insert(&m) != 0)
		return false;
	if (m->nb_segs > SEGMENTS_MAX)
		return false;
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next)
		pieces[n++] = (struct iovec){rte_pktmbuf_mtod(s, void *), s->data_len};
	return writev(hp->tap, pieces, (int)n) == (ssize_t)m->pkt_len;
}

static struct host_port *port_of(struct host *host, unsigned index)
{
	for (unsigned i = 0; i < host->port_count; i++)
		if (host->ports[i].port->index == index)
			return &host->ports[i];
	return NULL;
}

static void take_packet(struct host *host, struct rte_mbuf *m, uint64_t now)
{
	struct host_port *hp = port_of(host, m->port);
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	enum host_counter counted = HOST_protocol_packets;
	struct packet packet;

	// The lcore has looked at the checksums.
	packet_parse(frame, m->data_len, CHECKSUM_GOOD, CHECKSUM_GOOD, &hp->port->host,
		&host->dp->listeners, &packet);
	if (hp->port->neighbours != NULL)
		take_message(host, hp, frame, &packet, now);
	if (hp->tap >= 0)
		counted = write_tap(hp, m) ? HOST_kernel_packets : HOST_kernel_refused;
	count(host, counted, 1);
}

// A round of an lcore's ring; returns how many packets it was. Once the lcores have ended their
// mbufs are freed here.
static unsigned take_ring(struct host *host, struct lcore *lcore, uint64_t now, bool ended)
{
	struct rte_mbuf *burst[BURST];
	unsigned n, room;

	if (lcore->up == NULL)
		return 0;
	room = rte_ring_free_count(lcore->back);
	n = rte_ring_sc_dequeue_burst(
		lcore->up, (void **)burst, room < BURST && !ended ? room : BURST, NULL);
	for (unsigned i = 0; i < n; i++)
		take_packet(host, burst[i], now);
	if (ended)
		rte_pktmbuf_free_bulk(burst, n);
	else if (n > 0)
		rte_ring_sp_enqueue_bulk(lcore->back, (void **)burst, n, NULL);
	return n;
}

// What the kernel sends. A frame that the host's pool has no mbuf for stays in the TAP's queue.
static unsigned take_tap(struct host *host, struct host_port *hp)
{
	unsigned n = 0;

	for (; n < BURST; n++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(host->pool);
		ssize_t len;

		if (m == NULL)
			break;
		len = read(hp->tap, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
		if (len <= 0) {
			rte_pktmbuf_free(m);
			break;
		}
		rte_pktmbuf_append(m, (uint16_t)len);
		count(host, HOST_from_kernel, 1);
		if (!send_mbuf(hp, m))
			count(host, HOST_from_kernel_lost, 1);
	}
	return n;
}

static void keep_time(struct host *host, struct host_port *hp, uint64_t now)
{
	bool up = atomic_load(&hp->port->link_up);
	uint8_t frame[FRAME_MAX];
	uint32_t len;

	if (hp->port->neighbours == NULL)
		return;
	if (up && !hp->was_up) {
		announce_all(&hp->announcer, now);
		groups_announce(&hp->groups, now);
	}
	hp->was_up = up;
	neighbours_take_wanted(&hp->neighbours, now);
	if (!up)
		return;
	while ((len = announce_next(&hp->announcer, now, frame)) > 0) {
		send_frame(host, hp, frame, len);
		count(host, HOST_announcements, 1);
	}
	while ((len = neighbours_next(&hp->neighbours, now, frame)) > 0) {
		send_frame(host, hp, frame, len);
		count(host, HOST_solicitations, 1);
	}
	while ((len = groups_next(&hp->groups, now, frame)) > 0) {
		send_frame(host, hp, frame, len);
		count(host, HOST_group_reports, 1);
	}
}

// Without a lcore any more: its tx queue is free.
static void leave_groups(struct host *host, struct host_port *hp)
{
	uint64_t now = clock_monotonic_ns();
	uint8_t frame[FRAME_MAX];
	uint32_t len;

	if (hp->port->neighbours == NULL || !atomic_load(&hp->port->link_up))
		return;
	groups_leave(&hp->groups, now);
	while ((len = groups_next(&hp->groups, now, frame)) > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(host->pool);

		if (m == NULL)
			return;
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
		if (rte_eth_tx_burst(hp->port->id, 0, &m, 1) != 1)
			rte_pktmbuf_free(m);
	}
}

static unsigned round_once(struct host *host, uint64_t now, bool ended)
{
	unsigned n = 0;

	for (unsigned l = 0; l < host->dp->lcore_count; l++)
		n += take_ring(host, &host->dp->lcores[l], now, ended);
	for (unsigned i = 0; i < host->port_count && !ended; i++) {
		if (host->ports[i].tap >= 0)
			n += take_tap(host, &host->ports[i]);
		keep_time(host, &host->ports[i], now);
	}
	return n;
}

static void wait_for_work(struct host *host, uint64_t now)
{
	const struct timespec ts = {
		.tv_nsec = now < host->busy_until ? BUSY_WAIT_NS : IDLE_WAIT_NS};
	struct pollfd taps[CONFIG_PORTS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < host->port_count; i++)
		if (host->ports[i].tap >= 0)
			taps[n++] = (struct pollfd){.fd = host->ports[i].tap, .events = POLLIN};
	ppoll(taps, n, &ts, NULL);
}

static void *run(void *arg)
{
	struct host *host = arg;

	while (!atomic_load(&host->stop)) {
		uint64_t now = clock_monotonic_ns();

		if (round_once(host, now, false) > 0)
			host->busy_until = now + BUSY_NS;
		wait_for_work(host, now);
	}
	return NULL;
}

int host_start(struct host *host)
{
	int err;

	if (host->port_count == 0)
		return 0;
	err = thread_start(&host->thread, "host", run, host);
	host->started = err == 0;
	if (err != 0)
		log_err("the host thread can't be started: %s", strerror(-err));
	return err;
}

void host_stop(struct host *host)
{
	if (host == NULL)
		return;
	atomic_store(&host->stop, true);
	if (host->started)
		pthread_join(host->thread, NULL);
	host->started = false;
	while (round_once(host, clock_monotonic_ns(), true) > 0)
		;
	for (unsigned i = 0; i < host->port_count && host->pool != NULL; i++)
		leave_groups(host, &host->ports[i]);
}
