// SPDX-License-Identifier: BSD-3-Clause
#include "sim.h"

static uint64_t state;

// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void sim_seed(uint64_t seed)
{
	state = mix(seed + 1);
}

uint64_t sim_random(void)
{
	return mix(state += 0x9e3779b97f4a7c15u);
}

uint64_t sim_hash(uint64_t a, uint64_t b)
{
	return mix(mix(a + 0x9e3779b97f4a7c15u) + b);
}

uint32_t sim_below(uint32_t n)
{
	return (uint32_t)(((sim_random() >> 32) * n) >> 32);
}

uint32_t sim_between(uint32_t low, uint32_t high)
{
	return low + sim_below(high - low + 1);
}

bool sim_chance(unsigned per_thousand)
{
	return sim_below(1000) < per_thousand;
}
