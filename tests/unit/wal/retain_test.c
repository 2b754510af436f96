// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "tests/unit/wal/logbuilder.h"
#include "wal/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENTS 5

static void start(struct wal **ret, const struct logbuilder *lb, bool hold)
{
	struct wal_options options = {.dir = lb->dir,
		.receiver = "test",
		.listeners = "{}",
		.lock_fd = -1,
		.hold = hold,
		.log = {.segment_bytes = 16 << 20,
			.block_bytes = 128 << 10,
			.queue_depth = 4,
			.retain_bytes = 1}};
	struct wal_recovery report;
	char why[512];

	clock_init();
	assert_int_equal(wal_open(ret, &options, &report, why), 0);
}

static uint64_t wait_segments(const struct wal *wal, uint64_t segments)
{
	const uint64_t *count = &wal->counters[WAL_log_segments];

	for (unsigned i = 0; i < 1000 && counter_get(count) != segments; i++)
		usleep(10000);
	return counter_get(count);
}

static void a_segment_of_another_log_is_never_removed(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_id ours = lb->log_id;
	char names[SEGMENTS][40];
	struct wal *wal;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		lb->log_id = ours;
		lb->log_id.bytes[3] ^= i == 2;
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		memcpy(names[i], lb->name, sizeof(names[i]));
		lb_block(lb, 10, WAL_FLAG_SEALED);
		i + 1 < SEGMENTS ? lb_eos(lb) : lb_end(lb);
	}
	lb_zero(lb, names[1], 0, WAL_SCHEMA_BYTES); // damaged, but nobody else's
	start(&wal, lb, false);
	assert_int_equal(wait_segments(wal, 1), 1);
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 3);
	wal_close(wal);
	for (unsigned i = 0; i < SEGMENTS; i++)
		assert_int_equal(lb_size(lb, names[i]) != UINT64_MAX, i == 2 || i == 4);
}

static void what_is_held_is_kept(void **state)
{
	struct logbuilder *lb = *state;
	struct wal *wal;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		i + 1 < SEGMENTS ? lb_eos(lb) : lb_end(lb);
	}
	start(&wal, lb, true);
	usleep(500000); // more than two looks of the keeper's
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 0);
	// In the third segment.
	wal_hold(wal, 25);
	assert_int_equal(wait_segments(wal, 3), 3);
	usleep(500000);
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 2);
	wal_hold(wal, UINT64_MAX);
	assert_int_equal(wait_segments(wal, 1), 1);
	wal_close(wal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_segment_of_another_log_is_never_removed, lb_setup, lb_teardown),
		cmocka_unit_test_setup_teardown(what_is_held_is_kept, lb_setup, lb_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
