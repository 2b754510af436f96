// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"

#include <stdbool.h>
#include <time.h>

#define SECOND_NS 1000000000u
#define SLEW_MAX_NS 1000000    // a larger error of real time is a step of the system's clock
#define RATE_TICKS_MIN_DIV 10u // the rate is measured anew over at least a tenth of a second

// Real time as a line through (ticks, ns): ns + (t - ticks) * rate / 2^32.
struct line {
	uint64_t ticks;
	int64_t ns;
	uint64_t rate;
};

static uint64_t ticks_per_second = SECOND_NS;

// Written by the control thread only; 'line_seq' is odd while it writes, and readers who see that,
// or a change, read again.
static struct line line;
static uint32_t line_seq;

// The last point measured, which the line need not pass through. Control thread only.
static struct line measured;

static uint64_t timespec_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

// A clock's value and the ticks in the middle of reading it; the tightest of several tries, so that
// a preemption in between doesn't count.
static uint64_t sample(clockid_t clock, uint64_t *ret_ticks)
{
	uint64_t best = UINT64_MAX;
	uint64_t ns = 0;

	for (int i = 0; i < 8; i++) {
		uint64_t before = clock_ticks();
		uint64_t now = timespec_ns(clock);
		uint64_t width = clock_ticks() - before;

		if (width < best) {
			best = width;
			ns = now;
			*ret_ticks = before + width / 2;
		}
	}
	return ns;
}

static void line_publish(const struct line *l)
{
	__atomic_store_n(&line_seq, line_seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&line.ticks, l->ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&line.ns, l->ns, __ATOMIC_RELAXED);
	__atomic_store_n(&line.rate, l->rate, __ATOMIC_RELAXED);
	__atomic_store_n(&line_seq, line_seq + 1, __ATOMIC_RELEASE);
}

static struct line line_read(void)
{
	struct line l;
	uint32_t seq;

	do {
		seq = __atomic_load_n(&line_seq, __ATOMIC_ACQUIRE);
		l.ticks = __atomic_load_n(&line.ticks, __ATOMIC_RELAXED);
		l.ns = __atomic_load_n(&line.ns, __ATOMIC_RELAXED);
		l.rate = __atomic_load_n(&line.rate, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq & 1 || seq != __atomic_load_n(&line_seq, __ATOMIC_RELAXED));
	return l;
}

static int64_t line_at(const struct line *l, uint64_t ticks)
{
	return l->ns + (int64_t)(((__int128)(int64_t)(ticks - l->ticks) * (__int128)l->rate) >> 32);
}

void clock_init(void)
{
	struct timespec pause = {.tv_nsec = 20000000};
	uint64_t t0 = 0;
	uint64_t t1 = 0;
	uint64_t ns0 = sample(CLOCK_MONOTONIC, &t0);
	uint64_t ns1;

	nanosleep(&pause, NULL);
	ns1 = sample(CLOCK_MONOTONIC, &t1);
	ticks_per_second =
		(uint64_t)((unsigned __int128)(t1 - t0) * SECOND_NS / (ns1 > ns0 ? ns1 - ns0 : 1));
	measured.ns = (int64_t)sample(CLOCK_REALTIME, &measured.ticks);
	measured.rate = (uint64_t)(((unsigned __int128)SECOND_NS << 32) / ticks_per_second);
	line_publish(&measured);
}

// A small error is steered away over the next second instead of jumped over, so that real time does
// not go back by some nanoseconds at each calibration.
void clock_recalibrate(void)
{
	struct line now = {.rate = measured.rate};
	struct line next;
	int64_t error;

	now.ns = (int64_t)sample(CLOCK_REALTIME, &now.ticks);
	error = now.ns - line_at(&line, now.ticks);
	next = now;
	if (error < SLEW_MAX_NS && error > -SLEW_MAX_NS) {
		if (now.ticks - measured.ticks > ticks_per_second / RATE_TICKS_MIN_DIV)
			now.rate = (uint64_t)(((unsigned __int128)(now.ns - measured.ns) << 32) /
					      (now.ticks - measured.ticks));
		next.ns = now.ns - error;
		next.rate = now.rate + (uint64_t)((__int128)error * ((int64_t)1 << 32) /
						  (int64_t)ticks_per_second);
	}
	measured = now;
	line_publish(&next);
}

uint64_t clock_ticks_per_second(void)
{
	return ticks_per_second;
}

uint64_t clock_real_ns(uint64_t ticks)
{
	struct line l = line_read();

	return (uint64_t)line_at(&l, ticks);
}
