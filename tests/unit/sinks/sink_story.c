// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/sinks/sink_story.h"

#include "common/counters.h"
#include "common/logmsg.h"

#include <stdio.h>
#include <stdlib.h>

int story_setup(void **state)
{
	struct story *s = calloc(1, sizeof(*s));

	log_setup("kafka_driver_test", LOG_LEVEL_WARN);
	made_log_reset(7);
	mock_up();
	made_target_init(&s->made, mock.brokers);
	snprintf(s->made.config.topic, sizeof(s->made.config.topic), "events");
	made_target_set(&s->made, "linger.ms", "100"); // what a flush does not wait for
	s->log = made_log_open(0);
	*state = s;
	return 0;
}

int story_teardown(void **state)
{
	struct story *s = *state;

	sink_kafka.close(s->driver);
	wal_batches_close(s->log);
	made_target_done(&s->made);
	mock_down();
	free(s);
	return 0;
}

void story_open(struct story *s)
{
	int r = sink_kafka.open(&s->driver, &s->made.target);

	if (r != 0)
		print_message("%s\n", s->made.target.why);
	assert_int_equal(r, 0);
}

void story_reopen(struct story *s)
{
	sink_kafka.close(s->driver);
	s->made.target.cursor = s->cursor;
	s->made.target.has_cursor = s->cursor.batch > 0;
	story_open(s);
}

int story_deliver(struct story *s)
{
	struct wal_cursor cursor;
	struct wal_batch batch;
	uint64_t events;
	int r;

	wal_batches_seek(s->log, s->cursor.batch);
	assert_int_equal(wal_batches_next(s->log, &batch), 1);
	s->made.target.why[0] = '\0';
	r = sink_kafka.deliver(s->driver, s->log, &batch, &cursor, &events);
	if (r == 0) {
		s->cursor = cursor;
		s->events = events;
	} else {
		print_message("deliver: %d: %s\n", r, s->made.target.why);
	}
	return r;
}

void story_deliver_all(struct story *s)
{
	while (s->cursor.batch < made_log.batches)
		assert_int_equal(story_deliver(s), 0);
}

void story_check_once(struct story *s, uint64_t count)
{
	struct mock_seen seen = {0};

	(void)s;
	mock_read("events", &seen, NULL);
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(seen.times[i], 1);
	assert_int_equal(seen.messages, count);
}

struct wanted {
	const char *name;
	uint64_t value;
};

static void find(const struct counter_set *set, void *arg)
{
	struct wanted *wanted = arg;

	for (unsigned i = 0; i < set->count; i++)
		if (strcmp(set->subsystem, "sink_kafka") == 0 &&
			strcmp(set->defs[i].name, wanted->name) == 0)
			wanted->value = counter_get(&set->values[i]);
}

uint64_t story_counter(struct story *s, const char *name)
{
	struct wanted wanted = {.name = name, .value = UINT64_MAX};

	(void)s;
	counters_walk(find, &wanted);
	assert_true(wanted.value != UINT64_MAX);
	return wanted.value;
}
