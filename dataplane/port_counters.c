// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/netdev.h"
#include "dataplane/port.h"

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <net/if.h>
#include <stdio.h>
#include <string.h>

static const struct counter_def port_defs[PORT_COUNTER_COUNT] = {
#define X(name, kind, role, help) {#name, help, COUNTER_##kind, ROLE_##role},
	PORT_COUNTERS(X)
#undef X
};

// How far a count has moved; it goes back when a device is made anew under the same name.
static uint64_t moved(uint64_t *seen, uint64_t now)
{
	uint64_t before = *seen;

	*seen = now;
	return now > before ? now - before : 0;
}

// Neither count alone is that of packets lost before the socket: the device's has packets that the
// socket did get, the backlog's has those of other devices. What both have seen is the most that it
// can be, and exact while only one of the two reasons is at work.
static void read_device_dropped(struct port *port)
{
	uint64_t device, backlog;

	if (port->ifindex == 0 || if_nametoindex(port->device.name) != port->ifindex)
		return;
	device = moved(&port->device_dropped_seen, netdev_rx_dropped(port->device.name));
	backlog = moved(&port->backlog_dropped_seen, netdev_backlog_dropped());
	port->device_dropped += device < backlog ? device : backlog;
}

// What the device has counted, before and after resets.
static void read_stats(const struct port *port, uint64_t ret[PORT_STATS])
{
	struct rte_eth_stats stats = {0};

	rte_eth_stats_get(port->id, &stats);
	ret[STATS_IPACKETS] = stats.ipackets;
	ret[STATS_IBYTES] = stats.ibytes;
	ret[STATS_OPACKETS] = stats.opackets;
	ret[STATS_OBYTES] = stats.obytes;
	ret[STATS_OERRORS] = stats.oerrors;
	ret[STATS_IMISSED] = stats.imissed;
	ret[STATS_IERRORS] = stats.ierrors;
	ret[STATS_NOMBUF] = stats.rx_nombuf;
	for (unsigned i = 0; i < PORT_STATS; i++)
		ret[i] += port->stats_before[i];
}

void port_counters_carry(struct port *port)
{
	uint64_t stats[PORT_STATS];

	read_stats(port, stats);
	memcpy(port->stats_before, stats, sizeof(stats));
}

// The reasons that this driver has, each packet under one of them only.
static void set_drops(struct port *port, const uint64_t stats[PORT_STATS])
{
	uint64_t *v = port->values;

	if (port->driver == PORT_AF_PACKET) {
		below_read_packet(&port->below, &port->drops);
		read_device_dropped(port);
	} else if (port->driver == PORT_AF_XDP) {
		// The PMD's imissed is a part of what the sockets tell.
		below_read_xdp(&port->below, &port->drops);
	} else {
		counter_set(&v[PORT_missed], stats[STATS_IMISSED]);
		counter_set(&v[PORT_errors], stats[STATS_IERRORS]);
	}
	counter_set(&v[PORT_nombuf], stats[STATS_NOMBUF]);
	counter_set(&v[PORT_socket_full], port->drops.packet_drops);
	counter_set(&v[PORT_device_dropped], port->device_dropped);
	counter_set(&v[PORT_xdp_dropped], port->drops.xdp_dropped);
	counter_set(&v[PORT_xdp_ring_full], port->drops.xdp_ring_full);
}

static uint64_t sum_drops(const struct port *port)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < PORT_COUNTER_COUNT; i++)
		if (port->defs[i].role == ROLE_PKT_DROP)
			sum += port->values[i];
	return sum;
}

void port_refresh(struct port *port)
{
	uint64_t stats[PORT_STATS], *v = port->values;

	pthread_mutex_lock(&port->lock);
	read_stats(port, stats);
	counter_set(&v[PORT_rx_packets], stats[STATS_IPACKETS]);
	counter_set(&v[PORT_rx_bytes], stats[STATS_IBYTES]);
	counter_set(&v[PORT_tx_packets], stats[STATS_OPACKETS]);
	counter_set(&v[PORT_tx_bytes], stats[STATS_OBYTES]);
	counter_set(&v[PORT_tx_errors], stats[STATS_OERRORS]);
	set_drops(port, stats);
	counter_set(&v[PORT_below_packets], sum_drops(port));
	counter_set(&v[PORT_link_up], atomic_load(&port->link_up));
	counter_set(&v[PORT_mbufs], port->pool_mbufs);
	counter_set(&v[PORT_mbufs_in_use], rte_mempool_in_use_count(port->pool));
	pthread_mutex_unlock(&port->lock);
}

static void refresh(void *arg)
{
	port_refresh(arg);
}

void port_counters_start(struct port *port)
{
	memcpy(port->defs, port_defs, sizeof(port->defs));
	if (port->driver == PORT_LOSSY_NOMBUF)
		port->defs[PORT_nombuf].role = ROLE_PKT_DROP;
	rte_eth_stats_reset(port->id);
	if (port->driver == PORT_AF_PACKET && port->ifindex != 0) {
		port->device_dropped_seen = netdev_rx_dropped(port->device.name);
		port->backlog_dropped_seen = netdev_backlog_dropped();
	}
	port->set = (struct counter_set){
		.subsystem = "port",
		.defs = port->defs,
		.values = port->values,
		.count = PORT_COUNTER_COUNT,
		.refresh = refresh,
		.arg = port,
	};
	snprintf(port->set.labels, sizeof(port->set.labels), "port=\"%s\"", port->config->name);
	counters_register(&port->set);
}

void port_counters_stop(struct port *port)
{
	counters_unregister(&port->set);
	port->set.defs = NULL;
}
