// SPDX-License-Identifier: BSD-3-Clause

// What an application's event is: its length and bytes follow from the run, the application and its
// index there, so that nobody need keep them.

#include "reliable.h"
#include "tests/sim/sim.h"

#include <string.h>

static uint64_t key_of(const struct source *source, uint64_t seq)
{
	uint64_t index = source->first_index + (seq - source->first_seq);

	return sim_hash(sim_hash(draw_run(), source->place), index);
}

uint32_t payload_len(const struct source *source, uint64_t seq)
{
	uint64_t key = key_of(source, seq);
	uint32_t kind = (uint32_t)(key % 1000), size = (uint32_t)(key >> 40);
	uint32_t most = plan.receive.event_max;
	uint32_t large = most < 200000 ? most : 200000;

	if (kind < plan.huge)
		return size % 4 == 0 ? most : size % (most + 1);
	kind -= plan.huge;
	if (kind < plan.large)
		return size % (large + 1);
	kind -= plan.large;
	return kind < plan.empty ? 0 : 1 + size % plan.small_max;
}

const uint8_t *payload_of(const struct source *source, uint64_t seq)
{
	static uint64_t bytes[WIRE_EVENT_MAX / 8 + 1];
	uint64_t key = key_of(source, seq), x = key | 1;
	uint32_t words = (payload_len(source, seq) + 7) / 8;

	for (uint32_t i = 0; i < words; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		bytes[i] = x ^ x >> 29;
	}
	if (words > 1) // for people
		bytes[0] = (uint64_t)source->place << 32 | (seq - source->first_seq);
	return (const uint8_t *)bytes;
}
