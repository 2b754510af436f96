// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The host thread: what a host does on the wire beside taking datagrams, off the lcores. It
// announces the ports' addresses, keeps their next hops, reports their multicast groups, and
// carries what is the kernel's between the wire and a TAP device.
//
//	lcore ─ up ring, its own ──────────────▶ host thread ─▶ TAP ─▶ kernel
//	      ◀─ back ring: the mbufs, to free ─┘      │
//	lcore of the port's first tx queue ◀─ down ring, the port's ◀─ TAP ◀─ kernel
//
// All rings have one producer and one consumer. The thread never touches an rx pool: preempted
// there it would hold up the lcores.

#include "common/counters.h"
#include "dataplane/dataplane.h"
#include "dataplane/host/announce.h"
#include "dataplane/host/groups.h"
#include "dataplane/host/neighbours.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HOST_COUNTERS(X) \
	X(up_packets, GAUGE, PKT_FLIGHT, "packets on their way to the host thread") \
	X(kernel_packets, TOTAL, PKT_TAKEN, "packets given to the kernel by exception devices") \
	X(protocol_packets, TOTAL, PKT_TAKEN, "messages of neighbours and queriers taken") \
	X(kernel_refused, TOTAL, PKT_DROP, "packets that the exception device did not take") \
	X(from_kernel, TOTAL, NONE, "packets that the kernel sent by exception devices") \
	X(from_kernel_lost, TOTAL, NONE, "the same that found no room on the way to the port") \
	X(announcements, TOTAL, NONE, "addresses announced (gratuitous ARP, unsolicited NA)") \
	X(solicitations, TOTAL, NONE, "next hops asked for (ARP request, NS)") \
	X(conflicts, TOTAL, NONE, "messages by which somebody else uses an address of ours") \
	X(group_queries, TOTAL, NONE, "questions for multicast groups (IGMP, MLD)") \
	X(group_reports, TOTAL, NONE, "groups reported, joined and left")

enum host_counter {
#define X(name, kind, role, help) HOST_##name,
	HOST_COUNTERS(X)
#undef X
		HOST_COUNTER_COUNT
};

struct host_port {
	struct port *port;
	int tap; // -1: none
	struct rte_ring *down;
	int wake_fd; // of the lcore that sends
	bool was_up;
	uint64_t told_conflict_at;
	struct announcer announcer;
	struct neighbours neighbours;
	struct groups groups;
};

struct host {
	struct dataplane *dp;
	pthread_t thread;
	bool started;
	_Atomic bool stop;
	uint64_t busy_until; // ns: it looks often until then
	struct rte_mempool *pool;
	unsigned port_count;
	struct host_port *ports; // those that answer or have an exception device
	uint64_t values[HOST_COUNTER_COUNT];
	struct counter_set set;
};

// Control thread, in this order: makes what the open ports need, before the lcores are made; starts
// the thread; ends it, after the lcores have ended; frees what is left.
int host_make(struct dataplane *dp);
int host_start(struct host *host);
void host_stop(struct host *host);
void host_free(struct dataplane *dp);

// What the lcore has to do with it: its rings, and the frames that it sends. Control thread.
int host_give_lcore(struct host *host, struct lcore *lcore);
