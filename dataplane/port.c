// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port.h"

#include "common/logmsg.h"
#include "dataplane/netdev.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_node(const char *fmt, const char *name)
{
	char path[384];
	int node = -1;
	FILE *f;

	snprintf(path, sizeof(path), fmt, name);
	f = fopen(path, "re");
	if (f == NULL)
		return SOCKET_ID_ANY;
	if (fscanf(f, "%d", &node) != 1 || node < 0)
		node = SOCKET_ID_ANY;
	fclose(f);
	return node;
}

static int device_node(const struct device *device)
{
	if (device->kind == DEVICE_PCI)
		return read_node("/sys/bus/pci/devices/%s/numa_node", device->name);
	if (device->kind == DEVICE_NETDEV)
		return read_node("/sys/class/net/%s/device/numa_node", device->name);
	return SOCKET_ID_ANY;
}

// As rte_pktmbuf_pool_create(), but with the objects side by side whatever the pages. AF_XDP's
// driver takes the pool for one area of count times the object's size; without hugepages the usual
// pool leaves the end of each page empty and reaches beyond that area, and the kernel swallows each
// frame there: the port went silent after one round of the pool.
static struct rte_mempool *packed_pool(const char *name, uint32_t mbufs, int node)
{
	struct rte_pktmbuf_pool_private sizes = {
		.mbuf_data_room_size = RTE_PKTMBUF_HEADROOM + MBUF_DATA,
	};
	struct rte_mempool *pool = rte_mempool_create_empty(name, mbufs,
		sizeof(struct rte_mbuf) + sizes.mbuf_priv_size + sizes.mbuf_data_room_size,
		MBUF_CACHE, sizeof(sizes), node, RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (pool == NULL)
		return NULL;
	if (rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL) != 0)
		goto err;
	rte_pktmbuf_pool_init(pool, &sizes);
	if (rte_mempool_populate_default(pool) < 0)
		goto err;
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;

err:
	rte_mempool_free(pool);
	return NULL;
}

static int make_pool(struct port *port, uint32_t mbufs)
{
	int node = device_node(&port->device);
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "port%u", port->index);
	if (port->device.kind == DEVICE_NETDEV)
		port->pool = packed_pool(name, mbufs, node);
	else
		port->pool = rte_pktmbuf_pool_create(
			name, mbufs, MBUF_CACHE, 0, RTE_PKTMBUF_HEADROOM + MBUF_DATA, node);
	port->pool_mbufs = mbufs;
	if (port->pool != NULL)
		return 0;
	log_err("port %s: no memory for a pool of %u mbufs", port->config->name, mbufs);
	return -ENOMEM;
}

// A network device: AF_XDP where it can, else AF_PACKET, unless one is forced.
static int attach_netdev(struct port *port, char *why)
{
	int err;

	port->ifindex = if_nametoindex(port->device.name);
	if (port->ifindex == 0) {
		snprintf(why, PORT_WHY_MAX, "no network device %.15s here", port->device.name);
		return -ENODEV;
	}
	if (port->device.forced == DRIVER_AF_PACKET)
		return port_attach(port, PORT_AF_PACKET, why);
	err = port_attach(port, PORT_AF_XDP, why);
	if (err == 0 || port->device.forced == DRIVER_AF_XDP)
		return err;
	snprintf(port->fallback, sizeof(port->fallback), "%.190s", why);
	return port_attach(port, PORT_AF_PACKET, why);
}

static enum port_driver vdev_driver(const char *name)
{
	if (strncmp(name, "net_pcap", 8) == 0 || strncmp(name, "net_tap", 7) == 0)
		return PORT_LOSSY_NOMBUF;
	if (strncmp(name, "net_af_packet", 13) == 0)
		return PORT_AF_PACKET;
	if (strncmp(name, "net_af_xdp", 10) == 0)
		return PORT_AF_XDP;
	return PORT_OTHER;
}

static int attach(struct port *port, char *why)
{
	if (port->device.kind == DEVICE_NETDEV)
		return attach_netdev(port, why);
	if (port->device.kind == DEVICE_VDEV)
		return port_attach(port, vdev_driver(port->device.name), why);
	return port_attach(port, PORT_OTHER, why);
}

// Every interface with IPv6 has a link-local address (RFC 4291, 2.1), from the MAC where none is
// configured (RFC 2464, 5).
static void add_link_local(struct host_identity *host)
{
	struct config_address *last = &host->addresses[host->address_count];
	const uint8_t *mac = host->mac;
	const uint8_t ip[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff,
		0xfe, mac[3], mac[4], mac[5]};
	bool any = false;

	for (unsigned i = 0; i < host->address_count; i++) {
		if (IN6_IS_ADDR_LINKLOCAL(&host->addresses[i].ip))
			return;
		any |= !host->addresses[i].is_ip4;
	}
	if (!any)
		return;
	*last = (struct config_address){.prefix_len = 64};
	memcpy(&last->ip, ip, sizeof(ip));
	host->address_count++;
}

// Those of the listeners, where there is an address to join them from.
static void add_groups(struct host_identity *host, const struct config *config)
{
	bool families[2] = {false, false};

	for (unsigned i = 0; i < host->address_count; i++)
		families[host->addresses[i].is_ip4] = true;
	for (unsigned i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		if (!listener->any_address && config_is_multicast(&listener->address) &&
			families[listener->address.is_ip4] && host->group_count < HOST_GROUPS_MAX)
			host->groups[host->group_count++] = listener->address.ip;
	}
}

static void set_identity(struct port *port, const struct config *config)
{
	struct rte_ether_addr mac = {0};

	rte_eth_macaddr_get(port->id, &mac);
	memcpy(port->host.mac, mac.addr_bytes, sizeof(port->host.mac));
	port->host.address_count = port->config->address_count;
	memcpy(port->host.addresses, port->config->addresses, sizeof(port->config->addresses));
	add_link_local(&port->host);
	add_groups(&port->host, config);
	port->host.promiscuous = port->host.address_count == 0;
	port->answers = !port->host.promiscuous;
	// What AF_XDP takes the kernel never sees; by AF_PACKET both see everything.
	if (port->driver == PORT_AF_PACKET && port->ifindex != 0 &&
		netdev_has_any(port->device.name, port->config)) {
		port->answers = false;
		log_warn("port %s: the kernel has one of its addresses on %s too and answers for "
			 "it; it should carry no address of its own",
			port->config->name, port->device.name);
	}
}

// Devices that know no such thing refuse it, which doesn't matter.
static void open_ears(struct port *port)
{
	if (port->host.promiscuous)
		rte_eth_promiscuous_enable(port->id);
	else
		rte_eth_allmulticast_enable(port->id);
	if (port->ifindex != 0 && !port->host.promiscuous)
		port->ears_fd = netdev_hear_groups(port->ifindex);
}

static void tell(const struct port *port)
{
	log_notice("port %s: %s %s by %s%s%s, %u rx queues of %u", port->config->name,
		device_kind_text(port->device.kind), port->device.name, port->driver_name,
		port->mode != NULL ? ", " : "", port->mode != NULL ? port->mode : "",
		port->rx_queues, port->rx_descriptors);
	if (port->fallback[0] != '\0')
		log_warn("port %s: AF_XDP was not to be had: %s", port->config->name,
			port->fallback);
}

int port_open(
	struct port *port, unsigned index, const struct config *config, const struct plan *plan)
{
	char why[PORT_WHY_MAX] = "";
	int err;

	memset(port, 0, sizeof(*port));
	pthread_mutex_init(&port->lock, NULL);
	port->index = index;
	port->config = &config->ports[index];
	port->opened = true;
	port->ears_fd = -1;
	port->rx_queues = port->config->rx_queues;
	port->rx_lcores = plan_port_lcores(plan, index, port->rx_queues);
	port->tx_queues = (uint16_t)port->rx_lcores;
	err = device_parse(port->config->device, &port->device);
	if (err != 0)
		return err;
	err = make_pool(port, plan->mbufs[index]);
	if (err != 0)
		return err;
	err = attach(port, why);
	if (err != 0) {
		log_err("port %s: %s", port->config->name, why);
		return err;
	}
	set_identity(port, config);
	open_ears(port);
	tell(port);
	port_counters_start(port);
	port_watch(port);
	port_check(port);
	return 0;
}

void port_close(struct port *port)
{
	if (!port->opened)
		return;
	if (port->set.defs != NULL)
		port_counters_stop(port);
	if (port->driver_name[0] != '\0') {
		port_unwatch(port);
		port_detach(port);
	}
	if (port->ears_fd >= 0)
		close(port->ears_fd);
	rte_mempool_free(port->pool);
	pthread_mutex_destroy(&port->lock);
	memset(port, 0, sizeof(*port));
}

// Whether the link is up, and its speed in Mbit/s, 0: unknown.
static bool read_link(const struct port *port, uint32_t *mbps)
{
	struct rte_eth_link link = {0};
	bool up;

	if (port->ifindex != 0) {
		netdev_link(port->device.name, &up, mbps);
		return up;
	}
	rte_eth_link_get_nowait(port->id, &link);
	*mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	return link.link_status == RTE_ETH_LINK_UP;
}

// How long a NIC's queue takes to be half full of the smallest frames, which with preamble and gap
// are 84 bytes on the wire. Kernel sockets wake who sleeps; other virtual devices push back.
static uint64_t sleep_max_ns(const struct port *port, uint32_t mbps)
{
	if (port->device.kind != DEVICE_PCI || mbps == 0)
		return UINT64_MAX;
	return (uint64_t)port->rx_descriptors / 2 * 84 * 8 * 1000 / mbps;
}

bool port_check(struct port *port)
{
	bool gone = atomic_load(&port->removed) ||
		    (port->ifindex != 0 && if_nametoindex(port->device.name) != port->ifindex);
	uint32_t mbps = 0;
	bool up = !gone && read_link(port, &mbps);
	bool changed = up != atomic_load(&port->link_up) || gone != atomic_load(&port->gone);

	if (atomic_load(&port->removed))
		atomic_store(&port->paused, true);
	atomic_store(&port->gone, gone);
	atomic_store(&port->link_up, up);
	atomic_store(&port->link_mbps, mbps);
	atomic_store(&port->sleep_max_ns, sleep_max_ns(port, mbps));
	return changed;
}
