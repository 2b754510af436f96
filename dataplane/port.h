// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A port: one configured device, brought up as a DPDK port with its pool, and what it counts.
// Control thread, but for port_refresh(), which any thread may call.

#include "common/config.h"
#include "common/counters.h"
#include "dataplane/below.h"
#include "dataplane/device.h"
#include "dataplane/packet.h"
#include "dataplane/plan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct neighbours;
struct rte_mempool;

// How a driver's counters are to be understood.
enum port_driver {
	PORT_AF_PACKET,
	PORT_AF_XDP,
	PORT_LOSSY_NOMBUF, // a packet that finds no mbuf is lost (pcap, tap); elsewhere it waits
	PORT_OTHER,
};

// below_packets enters PKT_IN so that packets that never reached an lcore stand on both sides.
#define PORT_COUNTERS(X) \
	X(rx_packets, TOTAL, NONE, "packets that the driver handed over") \
	X(rx_bytes, TOTAL, NONE, "bytes of them, as the driver counts") \
	X(tx_packets, TOTAL, NONE, "answers sent (ARP, ND, echo)") \
	X(tx_bytes, TOTAL, NONE, "bytes of them") \
	X(tx_errors, TOTAL, NONE, "answers that the driver could not send") \
	X(below_packets, TOTAL, PKT_IN, "packets lost below us, by the reasons beside this") \
	X(missed, TOTAL, PKT_DROP, "dropped by the device: no descriptor was free (imissed)") \
	X(errors, TOTAL, PKT_DROP, "refused by the driver as erroneous (ierrors)") \
	X(nombuf, TOTAL, NONE, "times that the driver found no mbuf (rx_nombuf)") \
	X(socket_full, TOTAL, PKT_DROP, "AF_PACKET: the socket's ring was full (tp_drops)") \
	X(device_dropped, TOTAL, PKT_DROP, "AF_PACKET: dropped by the kernel before the socket") \
	X(xdp_dropped, TOTAL, PKT_DROP, "AF_XDP: no frame was free, or it was too long") \
	X(xdp_ring_full, TOTAL, PKT_DROP, "AF_XDP: the rx ring was full") \
	X(link_up, GAUGE, NONE, "1 while the link is up") \
	X(mbufs, GAUGE, NONE, "mbufs of the port's pool") \
	X(mbufs_in_use, GAUGE, NONE, "mbufs out of the pool")

enum port_counter {
#define X(name, kind, role, help) PORT_##name,
	PORT_COUNTERS(X)
#undef X
		PORT_COUNTER_COUNT
};

// What of the device's own counts is used.
enum port_stats {
	STATS_IPACKETS,
	STATS_IBYTES,
	STATS_OPACKETS,
	STATS_OBYTES,
	STATS_OERRORS,
	STATS_IMISSED,
	STATS_IERRORS,
	STATS_NOMBUF,
	PORT_STATS
};

struct port {
	unsigned index; // in the configuration
	const struct config_port *config;
	struct device device;
	enum port_driver driver;
	uint16_t id;          // DPDK's
	unsigned ifindex;     // of a network device, 0: none
	char driver_name[32]; // "net_af_xdp"
	const char *mode;     // "zero_copy", "copy", or NULL
	char fallback[192];   // why AF_XDP was not obtained, "" when nothing was tried in vain
	struct rte_mempool *pool;
	uint32_t pool_mbufs;
	uint16_t rx_queues, tx_queues;
	struct rte_ring *acks; // to who has the first tx queue, of lcores that have none here
	unsigned rx_lcores;    // that poll it
	uint16_t rx_descriptors, tx_descriptors;
	bool inserts_vlan;             // puts a tag on what is sent, when told so by the mbuf
	bool flow_queues;              // the device keeps a flow on one queue
	bool answers;                  // ARP, ND and echo are answered here
	bool exception;                // the kernel gets what is not ours
	struct neighbours *neighbours; // the host thread's; NULL: none
	struct host_identity host;
	_Atomic bool gone; // the device was removed; control thread writes
	_Atomic uint64_t
		conflict_until;        // monotonic ns: somebody uses an address of it; host thread
	_Atomic bool removed;          // the driver says so; its interrupt thread writes
	_Atomic bool reset_wanted;     // the same
	_Atomic bool paused;           // lcores leave the port alone; control thread writes
	_Atomic bool link_up;          // control thread writes
	_Atomic uint32_t link_mbps;    // 0: unknown
	_Atomic uint64_t sleep_max_ns; // until its queues may be half full; control thread writes
	int ears_fd;                   // by which the kernel's device takes all groups; -1: none
	bool opened;

	pthread_mutex_t lock; // of what follows
	struct below below;
	struct below_drops drops;
	uint64_t device_dropped_seen, backlog_dropped_seen;
	uint64_t device_dropped;
	uint64_t stats_before[PORT_STATS]; // counted before the last reset
	uint64_t values[PORT_COUNTER_COUNT];

	struct counter_def defs[PORT_COUNTER_COUNT];
	struct counter_set set;
};

// Brings the port up. Logs what was obtained, or why nothing was.
int port_open(
	struct port *port, unsigned index, const struct config *config, const struct plan *plan);

// Takes NULL-initialised ports too.
void port_close(struct port *port);

// Looks whether the device is still there and its link up. True when that changed.
bool port_check(struct port *port);

// Brings the counters up to now. Any thread.
void port_refresh(struct port *port);

// Between port_open() and its return: tries to have the device by one driver. Negative errno with
// 'why' filled (192 bytes) when it can't be had; everything is undone then.
int port_attach(struct port *port, enum port_driver driver, char *why);
void port_detach(struct port *port);

// Stops the device, resets it where its driver can, and brings it up again as it was. The lcores
// must leave it alone meanwhile.
int port_restart(struct port *port);

// What the driver tells by its interrupt thread.
void port_watch(struct port *port);
void port_unwatch(struct port *port);

// Fills the counters' definitions by driver and registers them.
void port_counters_start(struct port *port);
void port_counters_stop(struct port *port);
// Keeps the device's counts over a reset, which loses them. Under the port's lock.
void port_counters_carry(struct port *port);

#define PORT_WHY_MAX 192
