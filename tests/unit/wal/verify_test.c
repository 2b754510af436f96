// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/logbuilder.h"
#include "wal/recover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct wal_limit no_limit = {.segment_first = UINT64_MAX};

static struct wal_verify_report verified(const struct logbuilder *lb, struct wal_limit limit)
{
	struct wal_verify_report report;
	uint64_t before = lb_digest(lb);
	int r = wal_verify(lb->dir, limit, &report, NULL, NULL);

	if (r < 0)
		print_message("%s\n", report.why);
	assert_int_equal(r, 0);
	assert_true(lb_digest(lb) == before);
	return report;
}

// Three segments of two blocks, the last one open.
static void build(struct logbuilder *lb, char names[3][40])
{
	for (unsigned i = 0; i < 3; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		memcpy(names[i], lb->name, 40);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		lb->durable_seq = lb->seq;
		lb_block(lb, 5, 0);
		if (i < 2)
			lb_eos(lb);
	}
}

static void a_whole_log_is_counted(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	char names[3][40];

	build(lb, names);
	report = verified(lb, no_limit);
	assert_false(report.torn || report.damaged);
	assert_int_equal(report.segments, 3);
	assert_int_equal(report.blocks, 6);
	assert_int_equal(report.rows, 45);
	assert_int_equal(report.batches, 6);
	assert_int_equal(report.first_seq, 0);
	assert_int_equal(report.next_seq, 45);
}

static void an_empty_directory_is_no_damage(void **state)
{
	struct wal_verify_report report = verified(*state, no_limit);

	assert_false(report.torn || report.damaged);
	assert_int_equal(report.segments, 0);
}

static void damage_in_an_old_segment_is_found(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	char names[3][40];

	build(lb, names);
	lb_flip(lb, names[1], WAL_SCHEMA_BYTES + 1000);
	report = verified(lb, no_limit);
	assert_true(report.damaged);
	assert_false(report.torn);
	assert_string_equal(report.file, names[1]);
	assert_int_equal(report.offset, WAL_SCHEMA_BYTES);
	assert_int_equal(report.seq, 15);
	assert_non_null(strstr(report.why, "log repair --yes"));
}

static void a_torn_tail_is_no_damage(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	char names[3][40];

	build(lb, names);
	lb_flip(lb, names[2], lb->last + 1000);
	report = verified(lb, no_limit);
	assert_true(report.torn);
	assert_false(report.damaged);
	assert_int_equal(report.next_seq, 40);
}

static void bad_blocks_below_the_durable_position_are_damage(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	struct wal_limit limit;
	char names[3][40];

	build(lb, names);
	limit = (struct wal_limit){.segment_first = 30, .offset = lb->offset};
	assert_false(verified(lb, limit).damaged);
	lb_flip(lb, names[2], lb->last + 1000);
	report = verified(lb, limit);
	assert_true(report.damaged);
	assert_int_equal(report.offset, lb->last);
}

static void zeros_below_the_durable_position_are_damage(void **state)
{
	struct logbuilder *lb = *state;
	char names[3][40];

	build(lb, names);
	assert_true(verified(lb, (struct wal_limit){30, lb->offset + WAL_PAGE}).damaged);
}

static void what_a_writer_does_beyond_the_durable_position_is_not_judged(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	char names[3][40];
	uint64_t durable;

	build(lb, names);
	durable = lb->offset;
	lb_block(lb, 10, 0);
	lb_flip(lb, names[2], lb->last + 1000);
	report = verified(lb, (struct wal_limit){30, durable});
	assert_false(report.torn || report.damaged);
	assert_int_equal(report.next_seq, 45);

	// A segment that is begun and not durable yet.
	lb_zero(lb, names[2], 0, WAL_SCHEMA_BYTES);
	report = verified(lb, (struct wal_limit){30, 0});
	assert_false(report.torn || report.damaged);
	assert_int_equal(report.next_seq, 30);
}

static void a_missing_segment_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	char names[3][40];

	build(lb, names);
	lb_remove(lb, names[1]);
	report = verified(lb, no_limit);
	assert_true(report.damaged);
	assert_int_equal(report.seq, 15);
}

static void a_segment_of_an_earlier_start_behind_a_later_one_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	char names[3][40];

	lb->generation = 2;
	build(lb, names);
	lb->generation = 1;
	lb_segment(lb);
	lb_block(lb, 10, 0);
	assert_true(verified(lb, no_limit).damaged);
}

static void rows_that_are_there_twice_are_damage(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	char names[3][40];

	build(lb, names);
	lb->seq = 40;
	lb_segment(lb);
	lb_block(lb, 10, 0);
	report = verified(lb, no_limit);
	assert_true(report.damaged);
	assert_int_equal(report.offset, 0);
	assert_string_equal(report.file, lb->name);
}

static void a_torn_segment_in_front_of_a_later_start_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	uint64_t bad;

	lb_segment(lb);
	bad = lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_flip(lb, lb->name, bad + 1000);
	lb_truncate(lb, lb->name, lb->offset);
	lb->generation = 2;
	lb_segment(lb);
	report = verified(lb, no_limit);
	assert_true(report.damaged);
	assert_non_null(strstr(report.why, "later start"));
}

static bool once(uint64_t done, uint64_t all, void *arg)
{
	unsigned *calls = arg;

	assert_true(done <= all);
	return ++*calls < 2;
}

static void verification_ends_when_it_is_told_to(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;
	unsigned calls = 0;
	char names[3][40];

	build(lb, names);
	assert_int_equal(wal_verify(lb->dir, no_limit, &report, once, &calls), -ECANCELED);
	assert_int_equal(calls, 2);
}

// Two segments; the marker at the end of the first is gone.
static struct wal_verify_report verified_without_end(struct logbuilder *lb, bool known_durable)
{
	uint64_t end;
	char name[40];

	lb_segment(lb);
	memcpy(name, lb->name, sizeof(name));
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	end = lb->last;
	lb->durable_seq = lb->seq;
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	if (known_durable)
		lb->durable_seq = lb->seq;
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_flip(lb, name, end);
	return verified(lb, no_limit);
}

static void a_segment_without_its_end_is_mended_without_losing_a_row(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report = verified_without_end(lb, true);
	struct wal_repair_report repair;
	char why[512];

	assert_true(report.damaged);
	assert_int_equal(report.seq, 10);
	assert_int_equal(wal_repair(lb->dir, &repair, why), 0);
	assert_string_equal(repair.file, report.file);
	assert_int_equal(repair.lost_from, repair.lost_to);
	report = verified(lb, no_limit);
	assert_false(report.damaged || report.torn);
	assert_int_equal(report.rows, 30);
}

static void an_end_that_was_in_flight_is_not_missed(void **state)
{
	struct wal_verify_report report = verified_without_end(*state, false);

	assert_false(report.damaged || report.torn);
	assert_int_equal(report.rows, 30);
}

struct retention {
	struct logbuilder *lb;
	char (*names)[40];
	unsigned count, calls;
};

// Takes the oldest while the first is being read, whose file becomes another segment's.
static bool retire(uint64_t done, uint64_t all, void *arg)
{
	struct retention *retention = arg;

	(void)done, (void)all;
	if (retention->calls++ > 0)
		return true;
	lb_zero(retention->lb, retention->names[0], 0, LB_SEGMENT);
	for (unsigned i = 0; i < retention->count; i++)
		lb_remove(retention->lb, retention->names[i]);
	return true;
}

static void verify_under_retention(struct logbuilder *lb, unsigned count)
{
	struct wal_verify_report report;
	char names[3][40];
	struct retention retention = {.lb = lb, .names = names, .count = count};

	for (unsigned i = 0; i < 3; i++) {
		lb_segment(lb);
		memcpy(names[i], lb->name, 40);
		for (unsigned block = 0; block < 16; block++)
			lb_block(lb, 1000, WAL_FLAG_SEALED);
		lb_eos(lb);
	}
	assert_int_equal(wal_verify(lb->dir, (struct wal_limit){32000, lb->offset}, &report, retire,
				 &retention),
		0);
	assert_false(report.damaged || report.torn);
	assert_int_equal(report.next_seq, 48000);
}

static void a_segment_recycled_while_it_is_verified_is_no_damage(void **state)
{
	verify_under_retention(*state, 1);
}

static void a_segment_retired_before_its_turn_is_no_damage(void **state)
{
	verify_under_retention(*state, 2);
}

static void a_file_that_ends_within_a_page_is_read_to_its_end(void **state)
{
	struct logbuilder *lb = *state;
	char names[3][40];

	build(lb, names);
	lb_truncate(lb, names[2], lb->offset - 777);
	assert_true(verified(lb, no_limit).torn);
	lb_truncate(lb, names[2], WAL_SCHEMA_BYTES - 777);
	assert_false(verified(lb, no_limit).damaged);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lb_setup, lb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_whole_log_is_counted),
		TEST(an_empty_directory_is_no_damage),
		TEST(damage_in_an_old_segment_is_found),
		TEST(a_torn_tail_is_no_damage),
		TEST(bad_blocks_below_the_durable_position_are_damage),
		TEST(zeros_below_the_durable_position_are_damage),
		TEST(what_a_writer_does_beyond_the_durable_position_is_not_judged),
		TEST(a_missing_segment_is_damage),
		TEST(a_segment_of_an_earlier_start_behind_a_later_one_is_damage),
		TEST(rows_that_are_there_twice_are_damage),
		TEST(a_torn_segment_in_front_of_a_later_start_is_damage),
		TEST(verification_ends_when_it_is_told_to),
		TEST(a_segment_without_its_end_is_mended_without_losing_a_row),
		TEST(an_end_that_was_in_flight_is_not_missed),
		TEST(a_segment_recycled_while_it_is_verified_is_no_damage),
		TEST(a_segment_retired_before_its_turn_is_no_damage),
		TEST(a_file_that_ends_within_a_page_is_read_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
