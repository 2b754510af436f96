// SPDX-License-Identifier: BSD-3-Clause
#include "sinks/files_roll.h"

#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_NS 50000000u // most between two looks for the next batch

struct roll {
	const struct config_sink *config;
	const struct wal_batch *first;
	char *listeners; // of the first batch's segment
	uint64_t last, bytes;
	uint64_t began; // ns of the monotonic clock
};

// What is left of the file's time. The clock of days may be set back, and is not waited for twice.
static uint64_t time_left(const struct roll *roll)
{
	uint64_t interval = roll->config->roll_interval_ns;
	int64_t age = clock_system_ns() - roll->first->received_min;
	uint64_t waited = clock_monotonic_ns() - roll->began;

	if (age > 0 && (uint64_t)age > waited)
		waited = (uint64_t)age;
	return waited < interval ? interval - waited : 0;
}

static bool takes(const struct roll *roll, const struct wal_batch *next, const char *listeners)
{
	const struct config_sink *config = roll->config;
	int64_t later = next->received_min - roll->first->received_min;

	if (next->number != roll->last + 1 || strcmp(listeners, roll->listeners) != 0)
		return false;
	if (later > 0 && (uint64_t)later >= config->roll_interval_ns)
		return false;
	return roll->bytes <= config->roll_bytes && next->bytes <= config->roll_bytes - roll->bytes;
}

static int fill(struct roll *roll, const struct sink_target *target, struct wal_batches *log)
{
	struct wal_batch next;

	while (roll->bytes < roll->config->roll_bytes) {
		uint64_t left;
		int r = wal_batches_next(log, &next);

		if (r == 1 && takes(roll, &next, wal_batches_listeners(log))) {
			roll->last = next.number;
			roll->bytes += next.bytes;
			continue;
		}
		// What can't be read now is met again behind this file, by who asks for it.
		if (r != 0)
			return 0;
		left = time_left(roll);
		if (left == 0)
			return 0;
		if (!sink_wait(target, left < WAIT_NS ? left : WAIT_NS))
			return -ECANCELED;
	}
	return 0;
}

int files_roll(const struct sink_target *target, struct wal_batches *log,
	const struct wal_batch *first, uint64_t *ret_last)
{
	struct roll roll = {.config = target->config,
		.first = first,
		.last = first->number,
		.bytes = first->bytes,
		.began = clock_monotonic_ns()};
	int r = 0;

	if (target->config->roll_interval_ns > 0) {
		roll.listeners = strdup(wal_batches_listeners(log));
		r = roll.listeners != NULL ? fill(&roll, target, log) : -ENOMEM;
		free(roll.listeners);
	}
	*ret_last = roll.last;
	return r;
}
