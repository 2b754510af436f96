// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Counters that one thread writes and anyone reads.
//
// A set is an array of uint64_t described by an equally long array of definitions. It belongs to
// one thread, which alone calls counter_add() and counter_set(); readers use counter_get() and may
// see a value that is a moment old, never a torn one. A definition is by itself a metric, a JSON
// field and a CLI row: nothing has to be declared a second time.

#include <stdint.h>

enum counter_kind {
	COUNTER_TOTAL, // only grows; exported as NAME_total
	COUNTER_GAUGE, // may go up and down
};

// How a counter enters the two identities that account for everything (docs/architecture.md):
//   packets: sum(PKT_IN) = sum(PKT_TAKEN) + sum(PKT_DROP) + sum(PKT_FLIGHT)
//   events:  sum(EV_IN)  = sum(EV_DURABLE) + sum(EV_DROP) + sum(EV_FLIGHT)
enum counter_role {
	ROLE_NONE,
	ROLE_PKT_IN,     // came in by the wire, drops below us included
	ROLE_PKT_TAKEN,  // its events were handed to a partition, or it was answered
	ROLE_PKT_DROP,   // one named drop reason
	ROLE_PKT_FLIGHT, // measured in rings and bursts
	ROLE_EV_IN,      // cut out of a datagram
	ROLE_EV_DURABLE, // in a durable block
	ROLE_EV_DROP,    // one named drop reason
	ROLE_EV_FLIGHT,  // in an open block or a block in flight
};

struct counter_def {
	const char *name; // snake_case with its unit: "rx_packets", "written_bytes"
	const char *help; // one sentence without a full stop
	enum counter_kind kind;
	enum counter_role role;
};

#define COUNTER_LABELS_MAX 128

struct counter_set {
	const char *subsystem; // metric prefix after "millrace_": "port", "lcore", "partition"
	const struct counter_def *defs; // static
	const uint64_t *values;         // one writer
	unsigned count;
	char labels[COUNTER_LABELS_MAX]; // 'partition="0"', ready for OpenMetrics; "" for none
	void (*refresh)(void *arg); // NULL, or called by a reader's thread before values are read
	void *arg;
	struct counter_set *next;
};

static inline void counter_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

static inline void counter_set(uint64_t *c, uint64_t v)
{
	__atomic_store_n(c, v, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

// The registry. Both calls are for the control thread; the set is not copied and must outlive the
// registration. Readers walk the list under the lock.
void counters_register(struct counter_set *set);
void counters_unregister(struct counter_set *set);

// Calls fn for every set in order of registration, refresh() done before. Any thread.
void counters_walk(void (*fn)(const struct counter_set *set, void *arg), void *arg);

// Sum of all counters of a role over all sets. Any thread.
uint64_t counters_sum(enum counter_role role);
