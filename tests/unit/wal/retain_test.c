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

// Ten rows in each segment.
static void build(struct logbuilder *lb)
{
	for (unsigned i = 0; i < SEGMENTS; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		i + 1 < SEGMENTS ? lb_eos(lb) : lb_end(lb);
	}
}

static void what_is_held_is_kept(void **state)
{
	struct logbuilder *lb = *state;
	struct wal *wal;

	build(lb);
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

static void rows_of_any_holder_are_kept(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_holder slow = {.seq = 15}, fast = {.seq = 45};
	struct wal *wal;

	build(lb);
	start(&wal, lb, true);
	wal_holder_add(wal, &slow);
	wal_holder_add(wal, &fast);
	wal_hold(wal, UINT64_MAX);
	assert_int_equal(wait_segments(wal, 4), 4);
	usleep(500000); // more than two looks of the keeper's
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 1);
	// Row 20 is the first of the third segment.
	atomic_store(&slow.seq, 20);
	assert_int_equal(wait_segments(wal, 3), 3);
	usleep(500000);
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 2);
	// What reliable listeners hold is apart.
	wal_hold(wal, 35);
	wal_holder_remove(wal, &slow);
	assert_int_equal(wait_segments(wal, 2), 2);
	usleep(500000);
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 3);
	wal_hold(wal, UINT64_MAX);
	assert_int_equal(wait_segments(wal, 1), 1);
	assert_int_equal(atomic_load(&slow.overrun), 0);
	assert_int_equal(atomic_load(&fast.overrun), 0);
	wal_holder_remove(wal, &fast);
	wal_holder_remove(wal, &slow); // once more is no harm
	wal_close(wal);
}

static void what_a_holder_gives_up_for_its_bound_is_told(void **state)
{
	struct logbuilder *lb = *state;
	// The spare and four segments of five (the last is short), so the first one goes.
	struct wal_holder bound = {.seq = 5, .bytes = (16 << 20) + 3 * LB_SEGMENT + (1 << 20)};
	struct wal_holder behind = {.seq = 10, .bytes = 1ull << 40};
	struct wal *wal;

	build(lb);
	start(&wal, lb, true);
	wal_holder_add(wal, &bound);
	wal_holder_add(wal, &behind);
	wal_hold(wal, UINT64_MAX);
	assert_int_equal(wait_segments(wal, 4), 4);
	usleep(500000);
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 1);
	assert_int_equal(atomic_load(&bound.overrun), 10);
	assert_int_equal(atomic_load(&behind.overrun), 0);
	// Its bound is kept, now that the log is small enough, but behind what is gone.
	atomic_store(&behind.seq, 1000);
	usleep(500000);
	assert_int_equal(counter_get(&wal->counters[WAL_segments_retired]), 1);
	atomic_store(&bound.bytes, 1);
	assert_int_equal(wait_segments(wal, 1), 1);
	assert_int_equal(atomic_load(&bound.overrun), 40);
	assert_int_equal(atomic_load(&behind.overrun), 0);
	wal_close(wal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_segment_of_another_log_is_never_removed, lb_setup, lb_teardown),
		cmocka_unit_test_setup_teardown(what_is_held_is_kept, lb_setup, lb_teardown),
		cmocka_unit_test_setup_teardown(rows_of_any_holder_are_kept, lb_setup, lb_teardown),
		cmocka_unit_test_setup_teardown(
			what_a_holder_gives_up_for_its_bound_is_told, lb_setup, lb_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
