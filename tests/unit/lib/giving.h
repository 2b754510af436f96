// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Threads that give events to a handle, and what must be in the logs afterwards.

#include "include/millrace.h"
#include "receiver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define THREADS 2u
#define WAIT_MS 20000

static const struct receiver_options plain = {.log = 1}, lossy = {.loss = 5, .log = 1};

static inline struct millrace *open_handle(
	const char *receivers, uint64_t bytes_max, uint32_t flags)
{
	const struct millrace_options options = {.size = sizeof(options),
		.receivers = receivers,
		.bytes_max = bytes_max,
		.failover_after_ms = 1000,
		.flags = flags};
	struct millrace *m = NULL;
	char why[MILLRACE_TEXT];

	if (millrace_open(&m, &options, why) != 0)
		fail_msg("open: %s", why);
	return m;
}

static inline void pause_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

// An event tells its giver and its number; its length varies.
struct giver {
	struct millrace *m;
	uint32_t number, first, count;
	pthread_t thread;
};

static inline uint32_t make_event(uint8_t *event, uint32_t giver, uint32_t number)
{
	uint32_t len = 8 + number % 97;

	memset(event, (int)number, len);
	memcpy(event, &giver, 4);
	memcpy(event + 4, &number, 4);
	return len;
}

static inline void *give(void *arg)
{
	struct giver *g = arg;
	uint8_t event[256];

	for (uint32_t i = g->first; i < g->first + g->count; i++) {
		uint32_t len = make_event(event, g->number, i);

		if (millrace_send_wait(g->m, event, len, WAIT_MS, NULL) != 0)
			return g;
	}
	return NULL;
}

static inline void give_all(struct millrace *m, uint32_t first, uint32_t count)
{
	struct giver givers[THREADS];

	for (uint32_t i = 0; i < THREADS; i++) {
		givers[i] = (struct giver){.m = m, .number = i, .first = first, .count = count};
		assert_int_equal(pthread_create(&givers[i].thread, NULL, give, &givers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		void *failed;

		pthread_join(givers[i].thread, &failed);
		assert_null(failed);
	}
}

// Every event of every giver is durable in the logs, and each seq once in a log.
static inline void check_logs(
	struct receiver *const *receivers, unsigned logs, uint64_t source, uint32_t count)
{
	uint8_t *heard = calloc(THREADS, count), *seen = calloc(THREADS, count);
	uint8_t event[256];
	uint32_t giver, number, found = 0;

	for (unsigned l = 0; l < logs; l++) {
		const struct receiver *r = receivers[l];

		memset(seen, 0, (size_t)THREADS * count);
		for (unsigned i = 0; i < r->durable_rows; i++) {
			const struct receiver_row *row = &r->rows[i];

			if (row->is_opening)
				continue;
			assert_int_equal(row->source, source);
			memcpy(&giver, row->payload, 4);
			memcpy(&number, row->payload + 4, 4);
			assert_true(giver < THREADS && number < count);
			assert_int_equal(make_event(event, giver, number), row->len);
			assert_memory_equal(event, row->payload, row->len);
			assert_true(row->seq < (uint64_t)THREADS * count);
			if (seen[row->seq]++ != 0)
				fail_msg("seq %lu is twice in log %u", (unsigned long)row->seq, l);
			if (heard[giver * count + number]++ != 0)
				fail_msg("event %u of %u twice", number, giver);
		}
	}
	for (uint32_t i = 0; i < THREADS * count; i++)
		found += heard[i] != 0;
	assert_int_equal(found, THREADS * count);
	free(heard);
	free(seen);
}
