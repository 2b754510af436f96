// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Everything that carries packets: ports, lcores, the rings between them, and the partitions that
// they append to. Built and taken down by the control thread; in between each lcore owns its own
// struct lcore and the batchers of its partitions.
//
//	rx queue ─▶ lcore (polls it) ─┬─ partition it owns: appended at once
//	                              └─ ring (lcore, partition) ─▶ lcore that owns it: appended

#include "common/clock.h"
#include "common/config.h"
#include "common/counters.h"
#include "dataplane/packet.h"
#include "dataplane/plan.h"
#include "dataplane/port.h"
#include "dataplane/steer.h"
#include "wal/wal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct batcher;
struct filter;
struct fragments;
struct event;
struct event_piece;
struct host;
struct pollfd;
struct reliable;
struct rte_mempool;
struct saver;
struct rte_mbuf;
struct rte_ring;
struct source_table;
struct wal_scrub;

struct partition {
	unsigned number;
	unsigned lcore; // of the plan; owner of batcher
	struct wal *wal;
	struct batcher *batcher;
	struct wal_recovery recovery;
	int64_t time;              // received_at set last; owner
	struct reliable *reliable; // NULL: no listener is reliable; owner
	// What required sinks have confirmed, where acknowledgements wait for that; else NULL.
	// Their threads write it.
	const _Atomic uint64_t *confirmed;
};

// One rx queue, as the lcore that polls it sees it.
struct rx_queue {
	struct port *port;
	uint16_t port_id;
	uint16_t queue;
	int tx_queue;        // of this lcore on that port, -1: none
	int fixed_partition; // the device keeps flows on queues: all go there; -1: by hash
	bool one_pool;       // every mbuf comes from the port's pool
};

#define LCORE_COUNTERS(X) \
	X(rx_packets, TOTAL, PKT_IN, "packets taken off the rx queues") \
	X(rx_bursts, TOTAL, NONE, "polls that brought packets") \
	X(rx_empty, TOTAL, NONE, "polls that brought none") \
	X(datagrams, TOTAL, PKT_TAKEN, "datagrams whose events were handed to a partition") \
	X(answers, TOTAL, PKT_TAKEN, "inquiries answered (ARP, ND, echo)") \
	X(acks, TOTAL, NONE, "datagrams sent to the senders of reliable listeners") \
	X(unsent_acks, TOTAL, NONE, "the same that found no buffer or tx queue; asked for again") \
	X(handed_up, TOTAL, NONE, "packets passed to the host thread") \
	X(sent_down, TOTAL, NONE, "packets of the host thread and the kernel that were sent") \
	X(unsent_down, TOTAL, NONE, "the same that found the tx queue full") \
	X(steered, TOTAL, NONE, "datagrams passed on to another lcore") \
	X(held_packets, GAUGE, PKT_FLIGHT, "packets of the burst in hand") \
	X(held_fragments, GAUGE, PKT_FLIGHT, "fragments that wait for the others") \
	X(joined_fragments, TOTAL, PKT_TAKEN, \
		"fragments that became part of another packet: all but one of each datagram") \
	X(busy_cycles, TOTAL, NONE, "TSC cycles of rounds that found work") \
	X(idle_cycles, TOTAL, NONE, "TSC cycles of rounds that found none, sleep included") \
	X(rx_cycles, TOTAL, NONE, "TSC cycles of the driver: polls that brought packets") \
	X(parse_cycles, TOTAL, NONE, "TSC cycles of parsing and filtering") \
	X(append_cycles, TOTAL, NONE, \
		"TSC cycles of steering and appending, blocks closed on the way and waits " \
		"included") \
	X(wait_cycles, TOTAL, NONE, \
		"TSC cycles of waiting for a free block: the disk is the limit") \
	X(free_cycles, TOTAL, NONE, "TSC cycles of giving packet buffers back") \
	X(yields, TOTAL, NONE, "times that the CPU was yielded") \
	X(sleeps, TOTAL, NONE, "times that the lcore slept") \
	X(burst_1, TOTAL, NONE, "bursts of 1 packet") \
	X(burst_2_7, TOTAL, NONE, "bursts of 2 to 7 packets") \
	X(burst_8_15, TOTAL, NONE, "bursts of 8 to 15 packets") \
	X(burst_16_31, TOTAL, NONE, "bursts of 16 to 31 packets") \
	X(burst_32_63, TOTAL, NONE, "bursts of 32 to 63 packets") \
	X(burst_64, TOTAL, NONE, "full bursts of 64 packets")

enum lcore_counter {
#define X(name, kind, role, help) LCORE_##name,
	LCORE_COUNTERS(X)
#undef X
	// The drops follow in the order of enum pkt_drop.
	LCORE_DROPS,
	LCORE_COUNTER_COUNT = LCORE_DROPS + DROP_COUNT
};

// A ring from this lcore to a partition that another owns.
struct steer_ring {
	struct rte_ring *ring;
	struct partition *partition;
	unsigned room;         // there was, behind the last burst; the receiving side's
	unsigned staged_count; // this burst's, enqueued together
	struct steered staged[BURST];
	uint64_t values[2]; // used_packets, size_packets; written by readers under the registry's
			    // lock
	struct counter_set set;
};

// Frames of others that this lcore sends: it alone has the port's first tx queue.
struct down {
	struct rte_ring *ring;
	const struct port *port;
};

struct lcore {
	unsigned index; // in the plan
	struct dataplane *dp;
	unsigned queue_count;
	struct rx_queue *queues;
	uint8_t *linear; // room for one datagram
	unsigned partition_count;
	struct partition *partitions[CONFIG_PARTITIONS_MAX]; // owned
	struct steer_ring *to[CONFIG_PARTITIONS_MAX];        // by partition; NULL: own, or no rx
	unsigned from_count;
	struct steer_ring **from; // rings that end here
	unsigned wake_count;      // the sockets that feed it; 0: it can't be woken, only sleep
	struct pollfd *wake;
	int wake_fd;                 // eventfd among them, by which the host thread wakes it; or -1
	struct fragments *fragments; // NULL: none are put together
	struct source_table *sources; // who sent how much; NULL: no listener asks
	struct rte_ring *up;          // packets to the host thread; NULL: polls no queue
	struct rte_ring *back; // the same mbufs, to be freed here: only lcores touch the pools
	uint64_t up_times[2];  // ticks up to which each class has used what it is allowed
	unsigned down_count;
	struct down down[2 * CONFIG_PORTS_MAX]; // of the host thread, and of other lcores' answers
	unsigned idle_rounds, idle_rounds_max;
	bool held;               // did not poll: its rings are full
	uint64_t last_yield;     // ticks
	uint64_t yield_gap;      // ticks until the next yield
	_Atomic uint64_t rounds; // begun; the lcore writes
	_Atomic int error;       // why it ended early, 0: it didn't
	_Atomic bool attached;
	struct counter_set set;
	uint64_t values[LCORE_COUNTER_COUNT] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

struct dataplane {
	const struct config *config;
	struct plan plan;
	struct listener_table listeners;
	unsigned port_count; // opened
	struct port ports[CONFIG_PORTS_MAX];
	unsigned partition_count; // opened
	struct partition partitions[CONFIG_PARTITIONS_MAX];
	struct wal_scrub *scrub; // NULL: off
	unsigned lcore_count;
	struct lcore *lcores;
	struct filter *filter;       // NULL: every listener takes every source
	struct saver *saver;         // of what reliable listeners know; NULL: there are none
	struct rte_mempool *answers; // of reliable listeners; NULL: there are none
	struct host *host;           // NULL: before it is made
	_Atomic bool stop;           // control thread writes
	_Atomic unsigned rx_running; // lcores that may still take packets off a queue
};

// Control thread. Partitions and ports must be open.
int lcores_make(struct dataplane *dp);
int lcores_launch(struct dataplane *dp); // returns when all have attached, or one has failed
int lcores_join(struct dataplane *dp);   // after stop; 0, or the first error of any
void lcores_free(struct dataplane *dp);

// Opens all partitions' logs below the data directory. Logs what recovery did, or why it refused.
int partitions_open(struct dataplane *dp, int lock_fd);
// Scrubs their logs in the background from now on, unless that is turned off.
int partitions_scrub(struct dataplane *dp);
void partitions_close(struct dataplane *dp);

int ports_open(struct dataplane *dp);
// Gives a device that has asked for it its reset, while the lcores leave it alone.
void port_reset_if_wanted(struct dataplane *dp, struct port *port);
void ports_close(struct dataplane *dp);

// What follows is the lcore's own.

int lcore_run(void *lcore); // its thread

// Polls all queues once; returns how many packets came.
unsigned rx_poll(struct lcore *lcore);
// Takes a burst that came by a queue: parses, appends, steers, answers, drops; frees or hands on
// every mbuf.
void rx_take_burst(
	struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf **burst, unsigned count);
// Passes a packet that is no datagram and was not answered to the host thread. False: it stays with
// the caller, who drops it for *reason.
bool up_take(struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf *m,
	const struct packet *packet, enum pkt_drop *reason);
// Sends what the host thread has for the wire and frees what it is done with.
void down_poll(struct lcore *lcore);
// Appends what others passed on; returns how many packets it was.
unsigned pipeline_drain(struct lcore *lcore);
bool pipeline_empty(const struct lcore *lcore);
// Offers an event again and again until there is a block for it.
int pipeline_wait(struct lcore *lcore, struct partition *partition, const struct event *event,
	const struct event_piece *pieces);
// Appends each line of a datagram. False when there was none.
bool pipeline_append_lines(struct lcore *lcore, struct partition *partition, const uint8_t *frame,
	const struct packet *packet);
void pipeline_free(struct port *one_pool_of, struct rte_mbuf **list, unsigned count);
// Polls the batchers of this lcore; true when one had something to do.
bool batchers_poll(struct lcore *lcore, uint64_t ticks);
// Lets the kernel run on this CPU when writes are in flight and it is time.
void lcore_yield_if_due(struct lcore *lcore, uint64_t ticks);

// Adds what passed since 'begin' to a stage of the burst; returns the ticks now.
static inline uint64_t lcore_stage(struct lcore *lcore, enum lcore_counter stage, uint64_t begin)
{
	uint64_t now = clock_ticks();

	counter_add(&lcore->values[stage], now - begin);
	return now;
}

static inline void count_drop(struct lcore *lcore, enum pkt_drop drop, unsigned n)
{
#ifdef MUTANT_DROP_UNCOUNTED
	if (drop == DROP_ring_full || drop == DROP_udp_bad_checksum)
		return;
#endif
	counter_add(&lcore->values[LCORE_DROPS + drop], n);
}
