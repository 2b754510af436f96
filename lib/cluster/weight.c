// SPDX-License-Identifier: BSD-3-Clause
#include "lib/cluster/weight.h"

// The finalizer of splitmix64.
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

// FNV-1a of 64 bits.
static uint64_t hash_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
	return hash;
}

uint64_t cluster_weight(uint64_t source, const char *receiver)
{
	return mix(mix(source) ^ hash_of(receiver));
}

uint64_t cluster_spread(uint64_t source, uint64_t span)
{
	return span > 0 ? mix(source ^ 0x9e3779b97f4a7c15u) % span : 0;
}
