// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Two clocks. Monotonic: the TSC, in ticks, for intervals; clock_ticks_per_second() ticks make a
// second. Real time: nanoseconds since 1970 in UTC, from the TSC by a calibration that the control
// thread renews about once a second, so that reading it is no system call.

#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

// Measures the TSC against CLOCK_MONOTONIC (about 20 ms) and sets the first calibration. Once per
// process, before any other call here.
void clock_init(void);

// Renews the calibration of real time. Control thread only.
void clock_recalibrate(void);

uint64_t clock_ticks_per_second(void);

static inline uint64_t clock_ticks(void)
{
	return __rdtsc();
}

// Real time of a TSC value in ns; may go back when the system's clock is set. Any thread.
uint64_t clock_real_ns(uint64_t ticks);

// The kernel's clocks, by a system call each: for threads that don't poll, and for programs that
// never called clock_init().
static inline uint64_t clock_kernel_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t clock_monotonic_ns(void)
{
	return clock_kernel_ns(CLOCK_MONOTONIC);
}

// Since 1970 in UTC.
static inline int64_t clock_system_ns(void)
{
	return (int64_t)clock_kernel_ns(CLOCK_REALTIME);
}

static inline uint64_t clock_ns_to_ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * clock_ticks_per_second() / 1000000000u);
}

static inline uint64_t clock_ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * 1000000000u / clock_ticks_per_second());
}
