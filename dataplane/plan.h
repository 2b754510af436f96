// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Which lcore polls which queue and owns which partition, and how many mbufs that takes. A pure
// function of the configuration, so that preflight can check memory before EAL starts.

#include "common/config.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define BURST 64
#define MBUF_CACHE 512
#define QUEUES_MAX 64              // rx queues per port, as the configuration allows
#define ANSWERS 4096               // to the senders of reliable listeners, on their way
#define ANSWERS_BYTES (4ull << 20) // that their buffers take at most, and their rings
#define HOST_RING 512              // packets between an lcore and the host thread, each way
#define MBUF_HEADROOM 128          // RTE_PKTMBUF_HEADROOM
#define MBUF_DATA 2048             // bytes of a frame that one mbuf holds
#define MBUF_OVERHEAD 320 // struct rte_mbuf, private area, mempool's own header, rounded up

#define PLAN_FRAGMENTS 8  // of a datagram: RTE_LIBRTE_IP_FRAG_MAX_FRAG
#define FRAME_OVERHEAD 22 // Ethernet header and two VLAN tags, beside the MTU

struct plan {
	unsigned lcore_count;
	unsigned partition_count;
	bool pipeline;
	unsigned rx_lcore_count; // lcores 0..n-1 poll queues
	uint8_t queue_lcore[CONFIG_PORTS_MAX][QUEUES_MAX];
	uint8_t partition_lcore[CONFIG_PARTITIONS_MAX];
	uint32_t mbufs[CONFIG_PORTS_MAX]; // per port's pool
	uint32_t mbufs_needed[CONFIG_PORTS_MAX];
};

void plan_make(struct plan *ret, const struct config *config);

// How many lcores poll the port, hence how many tx queues it should have.
unsigned plan_port_lcores(const struct plan *plan, unsigned port, unsigned queues);

// Position of the lcore among those that poll the port: the number of its tx queue; -1: none.
int plan_tx_queue(const struct plan *plan, unsigned port, unsigned queues, unsigned lcore);

// Takes the lcores' CPUs out of those that are allowed, if that leaves any: where the threads that
// don't poll run.
void plan_leave_to_lcores(cpu_set_t *allowed, const struct config *config);

// The longest frame that the port is to take, and how many mbufs that is.
uint32_t plan_frame_bytes(const struct config_port *port);
unsigned plan_frame_mbufs(const struct config_port *port);

// Bytes of memory of one port's pool.
uint64_t plan_pool_bytes(uint32_t mbufs);

// Whether a listener is reliable.
bool plan_has_reliable(const struct config *config);

// Of each partition's last blocks in memory: none where nobody is configured to read them.
uint64_t plan_recent_bytes(const struct config *config);
