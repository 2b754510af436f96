// SPDX-License-Identifier: BSD-3-Clause
#include "control/mesos/backoff.h"

#include "common/clock.h"

#include <sys/random.h>

void mesos_backoff_init(struct mesos_backoff *b, uint64_t base_ns, uint64_t max_ns)
{
	*b = (struct mesos_backoff){.base_ns = base_ns, .max_ns = max_ns};
	if (getrandom(&b->seed, sizeof(b->seed), GRND_NONBLOCK) != sizeof(b->seed))
		b->seed = clock_kernel_ns(CLOCK_BOOTTIME);
}

// SplitMix64: https://prng.di.unimi.it/splitmix64.c has the constants.
static uint64_t any_number(struct mesos_backoff *b)
{
	uint64_t z = b->seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t mesos_backoff_next(struct mesos_backoff *b)
{
	uint64_t bound = b->base_ns < b->max_ns ? b->base_ns : b->max_ns;

	for (unsigned i = 0; i < b->failures && bound < b->max_ns; i++)
		bound = bound > b->max_ns / 2 ? b->max_ns : bound * 2;
	b->failures++;
	return (uint64_t)((unsigned __int128)any_number(b) * bound >> 64);
}
