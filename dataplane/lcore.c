// SPDX-License-Identifier: BSD-3-Clause
// The loop of an lcore: poll, append, let the log go on, and step down when there is nothing to do.

#include "batching/batcher.h"
#include "common/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/fragments.h"
#include "dataplane/reliable.h"

#include <rte_pause.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

// A polling lcore starves the kernel's completion work on its CPU unless it lets it run.
#define YIELD_NS 20000
#define YIELD_GAP_FACTOR 4
// Rounds with next to nothing to do before the lcore sleeps at all, then before it sleeps twice as
// long.
#define SPIN_ROUNDS 512
#define SLEEP_ROUNDS 4
#define SLEEP_FIRST_NS 4000
// What a round may find without the sleep before it having been too long, or long enough: far from
// what the smallest queue holds.
#define PACKETS_MANY 32
#define PACKETS_FEW 8
// While writes are in flight their completion is looked for at least so often.
#define SLEEP_IN_FLIGHT_NS 50000
// Longest wait for a socket to have something; a stop is seen only after it.
#define WAKE_NS 100000000

static bool in_flight(const struct lcore *lcore)
{
	for (unsigned i = 0; i < lcore->partition_count; i++)
		if (batcher_in_flight(lcore->partitions[i]->batcher))
			return true;
	return false;
}

// The kernel's completion work takes microseconds. Where a yield takes longer, somebody else wants
// this CPU, too, and a kernel that takes a whole slice off whoever yields (seen on 6.18) makes 20
// us of polling cost milliseconds of waiting. Then the lcore yields so seldom that it keeps most of
// the CPU: beside a busy loop 2.07 instead of 0.32 M events/s, alone the same.
void lcore_yield_if_due(struct lcore *lcore, uint64_t ticks)
{
	uint64_t end;

	if (ticks - lcore->last_yield < lcore->yield_gap || !in_flight(lcore))
		return;
	ticks = clock_ticks();
	sched_yield();
	end = clock_ticks();
	lcore->yield_gap = clock_ns_to_ticks(YIELD_NS);
	if (end - ticks > lcore->yield_gap)
		lcore->yield_gap = YIELD_GAP_FACTOR * (end - ticks);
	counter_add(&lcore->values[LCORE_yields], 1);
	lcore->last_yield = end;
}

// How long nothing can be due by the clock.
static uint64_t until_deadline_ns(const struct lcore *lcore, uint64_t ticks)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < lcore->partition_count; i++) {
		uint64_t deadline = batcher_deadline(lcore->partitions[i]->batcher);
		if (deadline < first)
			first = deadline;
	}
	if (first != UINT64_MAX)
		first = first > ticks ? clock_ticks_to_ns(first - ticks) : 0;
	if (lcore->dp->answers != NULL) {
		uint64_t due = reliable_due_ns(lcore, ticks);

		first = due < first ? due : first;
	}
	return first;
}

// Sleeps that find few packets become longer, sleeps that find many shorter, so that a lcore takes
// about as much of its CPU as its load asks for, and its queue never fills while it sleeps. One
// that is held up found none, and is not idle for that.
static void adapt(struct lcore *lcore, unsigned packets)
{
	if (packets >= PACKETS_MANY)
		lcore->idle_rounds = 0;
	else if (packets < PACKETS_FEW && !lcore->held &&
		 lcore->idle_rounds < lcore->idle_rounds_max)
		lcore->idle_rounds++;
}

static void sleep_for(struct lcore *lcore, uint64_t ns)
{
	const struct timespec ts = {
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};

	nanosleep(&ts, NULL);
	counter_add(&lcore->values[LCORE_sleeps], 1);
}

// Until one of the sockets that feed this lcore has something. False when they can't tell (their
// device is gone).
static bool wait_for_socket(struct lcore *lcore, uint64_t ns)
{
	const struct timespec ts = {.tv_nsec = ns < WAKE_NS ? (long)ns : WAKE_NS};
	bool told = ppoll(lcore->wake, lcore->wake_count, &ts, NULL) >= 0;
	uint64_t count;

	counter_add(&lcore->values[LCORE_sleeps], 1);
	for (unsigned i = 0; i < lcore->wake_count; i++)
		told = told && (lcore->wake[i].revents & ~POLLIN) == 0;
	// The host thread's is the last.
	if (lcore->wake_fd >= 0 && (lcore->wake[lcore->wake_count - 1].revents & POLLIN) != 0)
		told = told && read(lcore->wake_fd, &count, sizeof(count)) > 0;
	return told;
}

// No longer than until a NIC's queue may be half full: descriptors of a fast link fill soon.
static uint64_t longest_sleep(const struct lcore *lcore)
{
	uint64_t most = lcore->dp->config->idle_sleep_ns;

	for (unsigned i = 0; i < lcore->queue_count; i++) {
		uint64_t port = atomic_load_explicit(
			&lcore->queues[i].port->sleep_max_ns, memory_order_relaxed);

		if (port < most)
			most = port;
	}
	return most;
}

static void sleep_now(struct lcore *lcore, uint64_t ticks)
{
	uint64_t most = longest_sleep(lcore);
	uint64_t due = until_deadline_ns(lcore, ticks);
	uint64_t ns = (uint64_t)SLEEP_FIRST_NS << (lcore->idle_rounds - SPIN_ROUNDS) / SLEEP_ROUNDS;
	bool flight = in_flight(lcore);

	if (due == 0)
		return;
	if (ns >= most && !flight && lcore->wake_count > 0 && wait_for_socket(lcore, due))
		return;
	if (flight && ns > SLEEP_IN_FLIGHT_NS)
		ns = SLEEP_IN_FLIGHT_NS;
	ns = ns < most ? ns : most;
	sleep_for(lcore, ns < due ? ns : due);
}

// Spins, then sleeps longer and longer.
static uint64_t step_down(struct lcore *lcore, uint64_t ticks)
{
	if (lcore->idle_rounds < SPIN_ROUNDS || lcore->dp->config->idle_sleep_ns == 0) {
		lcore_yield_if_due(lcore, ticks);
		return ticks;
	}
	sleep_now(lcore, ticks);
	lcore->last_yield = clock_ticks();
	counter_add(&lcore->values[LCORE_idle_cycles], lcore->last_yield - ticks);
	return lcore->last_yield;
}

// One round; returns the ticks at its end.
static uint64_t round_once(struct lcore *lcore, uint64_t begin, bool receive)
{
	unsigned packets;
	bool idle;
	uint64_t end;

	atomic_store_explicit(&lcore->rounds, lcore->rounds + 1, memory_order_release);
	packets = receive ? rx_poll(lcore) : 0;
	packets += pipeline_drain(lcore);
	down_poll(lcore);
	if (lcore->fragments != NULL)
		fragments_expire(lcore, begin);
	idle = !batchers_poll(lcore, clock_ticks()) && packets == 0;
	if (lcore->dp->answers != NULL)
		idle &= !reliable_poll(lcore, clock_ticks());
	adapt(lcore, packets);
	if (idle)
		rte_pause();
	end = clock_ticks();
	counter_add(&lcore->values[idle ? LCORE_idle_cycles : LCORE_busy_cycles], end - begin);
	return step_down(lcore, end);
}

// The step on which the longest sleep is reached.
static unsigned last_step(uint64_t idle_sleep_ns)
{
	unsigned doublings = 0;

	while ((uint64_t)SLEEP_FIRST_NS << doublings < idle_sleep_ns)
		doublings++;
	return SPIN_ROUNDS + doublings * SLEEP_ROUNDS;
}

static int attach(struct lcore *lcore)
{
	int err = 0;

	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	lcore->idle_rounds_max = last_step(lcore->dp->config->idle_sleep_ns);
	for (unsigned i = 0; err == 0 && i < lcore->partition_count; i++)
		err = batcher_attach(lcore->partitions[i]->batcher);
	lcore->last_yield = clock_ticks();
	return err;
}

static int finish(struct lcore *lcore)
{
	int first = 0;

	for (unsigned i = 0; i < lcore->partition_count; i++) {
		int err = batcher_finish(lcore->partitions[i]->batcher);
		if (first == 0)
			first = err;
	}
	return first;
}

int lcore_run(void *arg)
{
	struct lcore *lcore = arg;
	struct dataplane *dp = lcore->dp;
	uint64_t ticks;
	int err = attach(lcore);

	atomic_store(&lcore->error, err);
	atomic_store(&lcore->attached, true);
	if (err != 0) {
		atomic_fetch_sub(&dp->rx_running, 1);
		return err;
	}
	ticks = clock_ticks();
	while (!atomic_load_explicit(&dp->stop, memory_order_relaxed))
		ticks = round_once(lcore, ticks, true);
	// What was taken off a queue lies in a ring by now, and no more will come once all are
	// here.
	atomic_fetch_sub(&dp->rx_running, 1);
	while (atomic_load(&dp->rx_running) > 0 || !pipeline_empty(lcore))
		ticks = round_once(lcore, ticks, false);
	err = finish(lcore);
	atomic_store(&lcore->error, err);
	return err;
}
