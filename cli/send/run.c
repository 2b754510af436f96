// SPDX-License-Identifier: BSD-3-Clause
// Pacing.

#include "cli/send/send.h"
#include "common/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define NS 1000000000ull
// A sleep is worth its system call from here on, and ends so much before the due time.
#define SLEEP_LEAST_NS 20000u
#define SLEEP_EARLY_NS 5000u
#define SLEEP_MOST_NS 100000000u

uint64_t send_due_ns(const struct send_plan *plan, uint64_t i)
{
	if (plan->rate == 0)
		return 0;
	return (uint64_t)(((unsigned __int128)i * NS + plan->rate - 1) / plan->rate);
}

uint64_t send_due_count(const struct send_plan *plan, uint64_t ns)
{
	unsigned __int128 n = (unsigned __int128)ns * plan->rate / NS + 1;

	if (plan->rate == 0 || n > plan->count)
		return plan->count;
	return (uint64_t)n;
}

// Sleeping leaves the core to others, the kernel's own work for a receiver on this machine among
// them; only the last few microseconds are spun away.
uint64_t send_wait_until(uint64_t due, const volatile bool *stop)
{
	for (;;) {
		uint64_t now = clock_monotonic_ns();
		uint64_t left;
		struct timespec t = {0};

		if (now >= due || *stop)
			return now;
		left = due - now;
		if (left < SLEEP_LEAST_NS)
			continue;
		t.tv_nsec = left > SLEEP_MOST_NS ? SLEEP_MOST_NS : (long)(left - SLEEP_EARLY_NS);
		nanosleep(&t, NULL);
	}
}

static void note_late(const struct send_plan *plan, uint64_t first_event, uint64_t late,
	uint64_t since_start, struct send_tally *tally)
{
	uint64_t behind;

	if (plan->rate == 0)
		return;
	if (late > tally->late_max_ns)
		tally->late_max_ns = late;
	behind = send_due_count(plan, since_start) - first_event;
	if (behind > tally->behind_max)
		tally->behind_max = behind;
}

static uint64_t last_event(const struct send_plan *plan, uint64_t datagram)
{
	return datagram * plan->lines + send_datagram_events(plan, datagram) - 1;
}

void send_run(const struct send_plan *plan, struct send_wire *wire, const volatile bool *stop,
	send_run_progress progress, void *arg, struct send_tally *ret)
{
	uint64_t datagrams = (plan->count + plan->lines - 1) / plan->lines;
	uint64_t next = 0, start, report;

	memset(ret, 0, sizeof(*ret));
	prctl(PR_SET_TIMERSLACK, 1ul);
	start = clock_monotonic_ns();
	report = start + NS;
	while (next < datagrams && !*stop) {
		uint64_t left = datagrams - next;
		unsigned n = left < plan->burst ? (unsigned)left : plan->burst;
		uint64_t due = start + send_due_ns(plan, last_event(plan, next + n - 1));
		uint64_t now = send_wait_until(due, stop);

		if (*stop || (plan->rate == 0 && plan->duration_ns != 0 &&
				     now - start >= plan->duration_ns))
			break;
		note_late(plan, next * plan->lines, now - due, now - start, ret);
		wire->transmit(wire, next, n, ret);
		next += n;
		if (progress != NULL && now >= report) {
			ret->elapsed_ns = now - start;
			progress(ret, arg);
			report += NS;
		}
	}
	ret->elapsed_ns = clock_monotonic_ns() - start;
	ret->interrupted = *stop;
}
