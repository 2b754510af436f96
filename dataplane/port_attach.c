// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/bpf_log.h"
#include "dataplane/port.h"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AF_PACKET_FRAME 2048
#define AF_PACKET_BLOCK 65536
// Frames of the socket's ring for each rx descriptor asked for. The kernel fills the ring while the
// lcore sleeps or has lost its CPU: 16 for each of 1024 (32 MiB a queue) are 11 ms of smallest
// frames at 1 Gbit/s. With one for each, 4 to 19 % of 50,000 to 100,000 packets/s were lost on a
// busy machine of two cores.
#define AF_PACKET_FRAMES 16
#define AF_PACKET_FRAMES_ENOUGH 16384

static uint32_t power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static uint32_t ring_frames(uint32_t descriptors)
{
	uint32_t least = power_of_two(descriptors), frames = least * AF_PACKET_FRAMES;

	if (frames > AF_PACKET_FRAMES_ENOUGH)
		frames = AF_PACKET_FRAMES_ENOUGH;
	return frames > least ? frames : least;
}

// Drivers return plain -1 for whatever they have told by a line of their own.
static const char *reason(int err)
{
	if (err == -1)
		return "the driver refused it";
	// What EAL makes of a vdev that no driver wants.
	return err == -EFAULT ? "DPDK has no such driver" : strerror(err < 0 ? -err : err);
}

// Name and arguments of the vdev that stands for the port; a PCI device has none.
static void vdev_text(
	const struct port *port, enum port_driver driver, char *name, size_t len, char *args)
{
	const struct device *device = &port->device;

	args[0] = '\0';
	if (device->kind == DEVICE_VDEV) {
		snprintf(name, len, "%s", device->name);
		memcpy(args, device->args, sizeof(device->args));
	} else if (device->kind == DEVICE_PCI) {
		snprintf(name, len, "%s", device->name);
	} else if (driver == PORT_AF_XDP) {
		snprintf(name, len, "net_af_xdp%u", port->index);
		snprintf(args, CONFIG_DEVICE_MAX, "iface=%.15s,start_queue=0,queue_count=%u",
			device->name, port->config->rx_queues);
	} else {
		snprintf(name, len, "net_af_packet%u", port->index);
		snprintf(args, CONFIG_DEVICE_MAX,
			"iface=%.15s,qpairs=%u,blocksz=%u,framesz=%u,framecnt=%u,qdisc_bypass=1",
			device->name, port->config->rx_queues, AF_PACKET_BLOCK, AF_PACKET_FRAME,
			ring_frames(port->config->rx_descriptors));
	}
}

static int probe(struct port *port, enum port_driver driver, char *why)
{
	char name[CONFIG_DEVICE_MAX], args[CONFIG_DEVICE_MAX];
	int err;

	vdev_text(port, driver, name, sizeof(name), args);
	// A PCI device was allowed at EAL's start and probed there.
	if (port->device.kind != DEVICE_PCI) {
		err = rte_eal_hotplug_add("vdev", name, args);
		if (err != 0) {
			snprintf(why, PORT_WHY_MAX, "%.80s can't be made: %s", name, reason(err));
			return err < 0 ? err : -EIO;
		}
	}
	err = rte_eth_dev_get_port_by_name(name, &port->id);
	if (err != 0)
		snprintf(why, PORT_WHY_MAX, "%.80s is no port that DPDK has a driver for", name);
	return err;
}

// RSS over several queues where the device has it; checksums where it checks them; VLAN tags off
// and on where it can.
static void choose_features(
	struct port *port, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint64_t rss =
		info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);

	memset(conf, 0, sizeof(*conf));
	conf->rxmode.offloads = info->rx_offload_capa &
				(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
					RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	conf->txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	// AF_PACKET's driver does it, and doesn't say so.
	port->inserts_vlan = conf->txmode.offloads != 0 || port->driver == PORT_AF_PACKET;
	if (port->rx_queues > 1 && rss != 0) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = rss;
	}
	port->flow_queues = port->rx_queues > 1 && (rss != 0 || port->driver == PORT_AF_PACKET ||
							   port->driver == PORT_AF_XDP);
}

// A frame longer than an mbuf comes in several.
static int choose_mtu(struct port *port, const struct rte_eth_dev_info *info,
	struct rte_eth_conf *conf, char *why)
{
	uint16_t mtu = port->config->mtu;

	// A network device has its MTU from the kernel.
	if (mtu == 0 || port->device.kind == DEVICE_NETDEV)
		return 0;
	if (info->max_mtu != 0 && mtu > info->max_mtu) {
		snprintf(why, PORT_WHY_MAX, "mtu is %u, the device has at most %u", mtu,
			info->max_mtu);
		return -ERANGE;
	}
	conf->rxmode.mtu = mtu;
	if (plan_frame_mbufs(port->config) == 1)
		return 0;
	if ((info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) == 0) {
		snprintf(why, PORT_WHY_MAX,
			"mtu is %u, and the driver can't scatter frames: %u at most", mtu,
			MBUF_DATA - FRAME_OVERHEAD);
		return -ENOTSUP;
	}
	conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	return 0;
}

static int configure(struct port *port, char *why)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	int err = rte_eth_dev_info_get(port->id, &info);

	if (err != 0)
		return err;
	if (port->rx_queues > info.max_rx_queues) {
		snprintf(why, PORT_WHY_MAX, "rx_queues is %u, the device has at most %u",
			port->rx_queues, info.max_rx_queues);
		return -ERANGE;
	}
	snprintf(port->driver_name, sizeof(port->driver_name), "%s", info.driver_name);
	if (port->tx_queues > info.max_tx_queues)
		port->tx_queues = info.max_tx_queues;
	choose_features(port, &info, &conf);
	err = choose_mtu(port, &info, &conf, why);
	if (err != 0)
		return err;
	err = rte_eth_dev_configure(port->id, port->rx_queues, port->tx_queues, &conf);
	if (err != 0)
		return err;
	port->rx_descriptors = port->config->rx_descriptors;
	port->tx_descriptors = port->config->tx_descriptors;
	return rte_eth_dev_adjust_nb_rx_tx_desc(
		port->id, &port->rx_descriptors, &port->tx_descriptors);
}

static int set_up_queues(struct port *port)
{
	int node = rte_eth_dev_socket_id(port->id);
	int err = 0;

	for (uint16_t q = 0; err == 0 && q < port->rx_queues; q++)
		err = rte_eth_rx_queue_setup(
			port->id, q, port->rx_descriptors, (unsigned)node, NULL, port->pool);
	for (uint16_t q = 0; err == 0 && q < port->tx_queues; q++)
		err = rte_eth_tx_queue_setup(
			port->id, q, port->tx_descriptors, (unsigned)node, NULL);
	return err;
}

static void claim_sockets(struct port *port)
{
	if (port->driver == PORT_AF_PACKET)
		below_claim_packet(&port->below, port->ifindex);
	if (port->driver == PORT_AF_XDP) {
		below_claim_xdp(&port->below);
		port->mode = below_xdp_mode(&port->below);
	}
}

static int bring_up(struct port *port, char *why)
{
	int err = configure(port, why);

	if (err == 0)
		err = set_up_queues(port);
	if (err == 0)
		err = rte_eth_dev_start(port->id);
	if (err != 0 && why[0] == '\0')
		snprintf(why, PORT_WHY_MAX, "%.80s refused its queues: %s",
			port->driver_name[0] != '\0' ? port->driver_name : port->device.name,
			reason(err));
	if (err == 0)
		claim_sockets(port);
	return err;
}

int port_restart(struct port *port)
{
	char why[PORT_WHY_MAX] = "";
	int err;

	pthread_mutex_lock(&port->lock);
	port_counters_carry(port);
	below_release(&port->below);
	rte_eth_dev_stop(port->id);
	err = rte_eth_dev_reset(port->id);
	if (err == 0 || err == -ENOTSUP)
		err = bring_up(port, why);
	rte_eth_stats_reset(port->id);
	pthread_mutex_unlock(&port->lock);
	return err;
}

// What the kernel refused is known to the libraries only.
static void add_complaint(char *why)
{
	size_t len = strlen(why);

	if (bpf_log_last()[0] != '\0')
		snprintf(why + len, PORT_WHY_MAX - len, " (%s)", bpf_log_last());
}

int port_attach(struct port *port, enum port_driver driver, char *why)
{
	int err;

	why[0] = '\0';
	if (driver == PORT_AF_XDP)
		bpf_log_take();
	port->driver = driver;
	port->driver_name[0] = '\0';
	err = probe(port, driver, why);
	if (err == 0) {
		err = bring_up(port, why);
		if (err != 0)
			port_detach(port);
	}
	if (err != 0 && driver == PORT_AF_XDP)
		add_complaint(why);
	return err;
}

void port_detach(struct port *port)
{
	char name[RTE_ETH_NAME_MAX_LEN] = "";

	below_release(&port->below);
	rte_eth_dev_get_name_by_port(port->id, name);
	rte_eth_dev_stop(port->id);
	rte_eth_dev_close(port->id);
	if (port->device.kind != DEVICE_PCI && name[0] != '\0')
		rte_eal_hotplug_remove("vdev", name);
	port->driver_name[0] = '\0';
}
