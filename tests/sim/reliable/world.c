// SPDX-License-Identifier: BSD-3-Clause
#include "reliable.h"

#include <stdlib.h>

// More in one run is no run that ends.
#define STEPS_MAX 20000000u

struct happening {
	uint64_t when, order;
	world_fn *fn;
	void *arg;
	uint64_t tag;
};

static struct {
	uint64_t now, order, steps;
	struct happening *heap; // a binary heap: the earliest first
	size_t count, room;
} world;

static bool before(const struct happening *a, const struct happening *b)
{
	return a->when < b->when || (a->when == b->when && a->order < b->order);
}

void world_reset(uint64_t now)
{
	world.now = now;
	world.order = world.steps = 0;
	world.count = 0;
}

uint64_t world_now(void)
{
	return world.now;
}

void world_at(uint64_t when, world_fn *fn, void *arg, uint64_t tag)
{
	struct happening h = {when < world.now ? world.now : when, world.order++, fn, arg, tag};
	size_t at;

	if (world.count == world.room) {
		world.room = world.room ? 2 * world.room : 1024;
		world.heap = realloc(world.heap, world.room * sizeof(h));
		if (!world.heap)
			abort();
	}
	for (at = world.count++; at > 0 && before(&h, &world.heap[(at - 1) / 2]); at = (at - 1) / 2)
		world.heap[at] = world.heap[(at - 1) / 2];
	world.heap[at] = h;
}

static struct happening pop(void)
{
	struct happening top = world.heap[0], last = world.heap[--world.count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < world.count) {
		if (child + 1 < world.count && before(&world.heap[child + 1], &world.heap[child]))
			child++;
		if (!before(&world.heap[child], &last))
			break;
		world.heap[at] = world.heap[child];
		at = child;
	}
	if (world.count > 0)
		world.heap[at] = last;
	return top;
}

bool world_step(void)
{
	struct happening h;

	if (world.count == 0)
		return false;
	h = pop();
	world.now = h.when;
	require(++world.steps < STEPS_MAX, "spin", "the run does not end");
	h.fn(h.arg, h.tag);
	return true;
}
