// SPDX-License-Identifier: BSD-3-Clause
// The loop of an lcore: poll, append, let the log go on, and step down when there is nothing to do.

#include "batching/batcher.h"
#include "common/clock.h"
#include "dataplane/dataplane.h"

#include <rte_pause.h>

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

// A polling lcore starves the kernel's completion work on its CPU unless it lets it run.
#define YIELD_NS 20000
#define YIELD_GAP_FACTOR 4
// Rounds without work before the lcore sleeps at all.
#define SPIN_ROUNDS 512
#define SLEEP_FIRST_NS 4000
#define SLEEP_DOUBLINGS_MAX 20
// While writes are in flight their completion is looked for at least so often.
#define SLEEP_IN_FLIGHT_NS 50000

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
	if (first == UINT64_MAX)
		return UINT64_MAX;
	return first > ticks ? clock_ticks_to_ns(first - ticks) : 0;
}

static uint64_t sleep_ns(const struct lcore *lcore, uint64_t ticks)
{
	unsigned doublings = (lcore->idle_rounds - SPIN_ROUNDS) / 4;
	uint64_t most = lcore->dp->config->idle_sleep_ns;
	uint64_t due = until_deadline_ns(lcore, ticks);
	uint64_t ns;

	if (doublings > SLEEP_DOUBLINGS_MAX)
		doublings = SLEEP_DOUBLINGS_MAX;
	ns = (uint64_t)SLEEP_FIRST_NS << doublings;
	if (most > SLEEP_IN_FLIGHT_NS && in_flight(lcore))
		most = SLEEP_IN_FLIGHT_NS;
	if (ns > most)
		ns = most;
	return ns < due ? ns : due;
}

// Spins, then yields, then sleeps longer and longer.
static void step_down(struct lcore *lcore, uint64_t ticks)
{
	struct timespec ts = {0};
	uint64_t ns;

	lcore->idle_rounds++;
	if (lcore->idle_rounds < SPIN_ROUNDS || lcore->dp->config->idle_sleep_ns == 0) {
		rte_pause();
		lcore_yield_if_due(lcore, ticks);
		return;
	}
	ns = sleep_ns(lcore, ticks);
	if (ns == 0)
		return;
	ts.tv_sec = (time_t)(ns / 1000000000u);
	ts.tv_nsec = (long)(ns % 1000000000u);
	nanosleep(&ts, NULL);
	lcore->last_yield = clock_ticks();
	counter_add(&lcore->values[LCORE_sleeps], 1);
}

// One round; returns the ticks at its end.
static uint64_t round_once(struct lcore *lcore, uint64_t begin, bool receive)
{
	unsigned packets = receive ? rx_poll(lcore) : 0;
	bool worked;
	uint64_t end;

	packets += pipeline_drain(lcore);
	worked = batchers_poll(lcore, clock_ticks());
	if (packets > 0 || worked) {
		lcore->idle_rounds = 0;
		end = clock_ticks();
		lcore_yield_if_due(lcore, end);
		counter_add(&lcore->values[LCORE_busy_cycles], end - begin);
	} else {
		step_down(lcore, clock_ticks());
		end = clock_ticks();
		counter_add(&lcore->values[LCORE_idle_cycles], end - begin);
	}
	return end;
}

static int attach(struct lcore *lcore)
{
	int err = 0;

	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
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
