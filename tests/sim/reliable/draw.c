// SPDX-License-Identifier: BSD-3-Clause
#include "reliable.h"
#include "tests/sim/sim.h"

#include <sodium.h>
#include <string.h>

static uint64_t run, bases[DRAW_CONCERNS], counts[DRAW_CONCERNS];

void draw_seed(uint64_t seed)
{
	run = seed;
	for (unsigned i = 0; i < DRAW_CONCERNS; i++) {
		bases[i] = sim_hash(seed, i);
		counts[i] = 0;
	}
}

uint64_t draw_run(void)
{
	return run;
}

uint64_t draw(unsigned concern)
{
	return sim_hash(bases[concern], counts[concern]++);
}

uint32_t draw_below(unsigned concern, uint32_t n)
{
	return (uint32_t)(((draw(concern) >> 32) * n) >> 32);
}

uint32_t draw_between(unsigned concern, uint32_t low, uint32_t high)
{
	return low + draw_below(concern, high - low + 1);
}

bool draw_chance(unsigned concern, unsigned per_thousand)
{
	return draw_below(concern, 1000) < per_thousand;
}

uint64_t draw_time(unsigned concern, uint64_t low, uint64_t high)
{
	uint64_t span = high - low;

	// A random number of halvings: every scale has its turn.
	span >>= draw_below(concern, 8);
	return low + draw(concern) % (span + 1);
}

static const char *sodium_name(void)
{
	return "simulated";
}

static uint32_t sodium_random(void)
{
	return (uint32_t)draw(DRAW_SODIUM);
}

static void sodium_buf(void *const to, const size_t size)
{
	uint8_t *p = to;

	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = draw(DRAW_SODIUM);

		memcpy(p + at, &word, size - at < 8 ? size - at : 8);
	}
}

void draw_sodium_setup(void)
{
	static randombytes_implementation simulated = {
		.implementation_name = sodium_name, .random = sodium_random, .buf = sodium_buf};

	randombytes_set_implementation(&simulated);
}
