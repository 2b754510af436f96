// SPDX-License-Identifier: BSD-3-Clause
// Makes what the host thread needs, and takes it down. Control thread.

#include "common/clock.h"
#include "common/logmsg.h"
#include "dataplane/host/host.h"
#include "dataplane/host/tap.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct counter_def host_defs[HOST_COUNTER_COUNT] = {
#define X(name, kind, role, help) {#name, help, COUNTER_##kind, ROLE_##role},
	HOST_COUNTERS(X)
#undef X
};

static void refresh(void *arg)
{
	struct host *host = arg;
	uint64_t sum = 0;

	for (unsigned l = 0; l < host->dp->lcore_count; l++)
		if (host->dp->lcores[l].up != NULL)
			sum += rte_ring_count(host->dp->lcores[l].up);
	counter_set(&host->values[HOST_up_packets], sum);
}

static struct rte_ring *make_ring(const char *kind, unsigned index, unsigned size)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "host_%s_%u", kind, index);
	return rte_ring_create(name, size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

// By AF_PACKET the kernel sees everything itself.
static bool shares_with_kernel(const struct port *port)
{
	return port->driver == PORT_AF_PACKET && port->ifindex != 0;
}

static int open_tap(struct host_port *hp)
{
	struct port *port = hp->port;
	uint16_t mtu = RTE_ETHER_MTU;

	hp->tap = -1;
	if (port->config->exception[0] == '\0')
		return 0;
	if (shares_with_kernel(port)) {
		log_warn("port %s: no exception device: by AF_PACKET the kernel sees all of %s "
			 "itself",
			port->config->name, port->device.name);
		return 0;
	}
	rte_eth_dev_get_mtu(port->id, &mtu);
	hp->tap = tap_open(port->config->name, port->config->exception, &port->host, mtu);
	port->exception = hp->tap >= 0;
	return hp->tap < 0 ? hp->tap : 0;
}

static int make_port(struct host *host, struct port *port)
{
	struct host_port *hp;

	if (!port->answers && port->config->exception[0] == '\0')
		return 0;
	hp = &host->ports[host->port_count++];
	hp->port = port;
	hp->wake_fd = -1;
	announce_init(&hp->announcer, &port->host);
	neighbours_init(&hp->neighbours, &port->host, port->config);
	groups_init(&hp->groups, &port->host, (uint32_t)clock_ticks());
	if (port->answers)
		port->neighbours = &hp->neighbours;
	hp->down = make_ring("down", port->index, HOST_RING);
	return hp->down != NULL ? open_tap(hp) : -ENOMEM;
}

// The kernel's frames are read into one mbuf, so the longest must fit.
static int make_pool(struct host *host)
{
	uint32_t most = MBUF_DATA;

	for (unsigned i = 0; i < host->port_count; i++) {
		uint32_t frame = plan_frame_bytes(host->ports[i].port->config);

		most = frame > most ? frame : most;
	}
	host->pool = rte_pktmbuf_pool_create("host", 2 * HOST_RING, 0, 0,
		(uint16_t)(RTE_PKTMBUF_HEADROOM + most), SOCKET_ID_ANY);
	return host->pool != NULL ? 0 : -ENOMEM;
}

int host_make(struct dataplane *dp)
{
	struct host *host = calloc(1, sizeof(*host));
	int err = 0;

	if (host == NULL)
		return -ENOMEM;
	dp->host = host;
	host->dp = dp;
	host->ports = calloc(dp->port_count, sizeof(*host->ports));
	if (host->ports == NULL)
		return -ENOMEM;
	for (unsigned p = 0; err == 0 && p < dp->port_count; p++)
		err = make_port(host, &dp->ports[p]);
	if (err == 0 && host->port_count > 0)
		err = make_pool(host);
	if (err == -ENOMEM)
		log_err("no memory for the host thread");
	host->set = (struct counter_set){
		.subsystem = "host",
		.defs = host_defs,
		.values = host->values,
		.count = HOST_COUNTER_COUNT,
		.refresh = refresh,
		.arg = host,
	};
	counters_register(&host->set);
	return err;
}

// The lcore sends for each port whose first tx queue it has.
static int give_down(struct lcore *lcore, struct host_port *hp)
{
	for (unsigned q = 0; q < lcore->queue_count; q++) {
		const struct rx_queue *queue = &lcore->queues[q];

		if (queue->port != hp->port || queue->tx_queue != 0)
			continue;
		lcore->down[lcore->down_count++] = (struct down){hp->down, hp->port};
		if (lcore->wake_fd < 0)
			lcore->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		hp->wake_fd = lcore->wake_fd;
		return lcore->wake_fd < 0 ? -errno : 0;
	}
	return 0;
}

int host_give_lcore(struct host *host, struct lcore *lcore)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < host->port_count; i++)
		err = give_down(lcore, &host->ports[i]);
	if (err != 0 || host->port_count == 0 || lcore->queue_count == 0)
		return err;
	lcore->up = make_ring("up", lcore->index, HOST_RING);
	lcore->back = make_ring("back", lcore->index, HOST_RING);
	return lcore->up != NULL && lcore->back != NULL ? 0 : -ENOMEM;
}

void host_free(struct dataplane *dp)
{
	struct host *host = dp->host;

	if (host == NULL)
		return;
	for (unsigned i = 0; i < host->port_count; i++) {
		struct host_port *hp = &host->ports[i];

		hp->port->neighbours = NULL;
		if (hp->tap >= 0)
			close(hp->tap);
		rte_ring_free(hp->down);
	}
	if (host->set.defs != NULL)
		counters_unregister(&host->set);
	rte_mempool_free(host->pool);
	free(host->ports);
	free(host);
	dp->host = NULL;
}
