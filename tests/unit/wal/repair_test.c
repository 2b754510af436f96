// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/logbuilder.h"
#include "wal/recover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct wal_limit no_limit = {.segment_first = UINT64_MAX};

static struct wal_repair_report repaired(const struct logbuilder *lb)
{
	struct wal_repair_report report;
	char why[512];
	int r = wal_repair(lb->dir, &report, why);

	if (r < 0)
		print_message("%s\n", why);
	assert_int_equal(r, 0);
	return report;
}

// After a repair the log verifies, starts, and goes on with this seq.
static void assert_mended(const struct logbuilder *lb, uint64_t next_seq, uint64_t gap_from)
{
	struct wal_verify_report verify;
	struct wal_tail tail = {0};
	char why[512];

	assert_int_equal(wal_verify(lb->dir, no_limit, &verify, NULL, NULL), 0);
	if (verify.damaged)
		print_message("%s\n", verify.why);
	assert_false(verify.damaged || verify.torn);
	assert_int_equal(wal_recover(lb->dir, 0, &tail, why), 0);
	assert_int_equal(tail.report.next_seq, next_seq);
	assert_int_equal(tail.gap_from, gap_from);
	assert_string_equal(tail.report.cut_file, "");
}

static uint64_t quarantined(
	const struct logbuilder *lb, const char *name, uint64_t offset, const char *suffix)
{
	char path[120];

	snprintf(path, sizeof(path), "quarantine/%.20s-%llu.%s", name, (unsigned long long)offset,
		suffix);
	return lb_size(lb, path);
}

static void a_log_without_damage_is_left_alone(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t before;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_skip(lb, 5);
	lb_block(lb, 10, 0); // a torn tail is recovery's
	before = lb_digest(lb);
	assert_string_equal(repaired(lb).file, "");
	assert_true(lb_digest(lb) == before);
}

static void damage_in_the_last_segment_leaves_a_declared_gap(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;
	uint64_t bad, intact, end;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 100, 0);
	lb->durable_seq = 110;
	intact = lb_block(lb, 5, 0);
	lb_block(lb, 6, 0);
	end = lb->offset;
	lb_flip(lb, lb->name, bad + 1000);
	report = repaired(lb);
	assert_string_equal(report.file, lb->name);
	assert_int_equal(report.offset, bad);
	assert_int_equal(report.lost_from, 10);
	assert_int_equal(report.lost_to, 121);
	assert_int_equal(report.intact_blocks, 2);
	assert_int_equal(report.intact_rows, 11);
	assert_int_equal(report.quarantined_bytes, LB_SEGMENT - bad);
	assert_int_equal(quarantined(lb, lb->name, bad, "raw"), LB_SEGMENT - bad);
	assert_int_equal(quarantined(lb, lb->name, bad, "arrows"),
		WAL_SCHEMA_BYTES + (end - intact) + WAL_PAGE);
	assert_mended(lb, 121, 10);
}

static void damage_in_an_old_segment_keeps_the_later_ones(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;
	char first[40];
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	memcpy(first, lb->name, sizeof(first));
	lb->durable_seq = 30;
	lb_segment(lb);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb_flip(lb, first, bad + 100);
	report = repaired(lb);
	assert_int_equal(report.lost_from, 10);
	assert_int_equal(report.lost_to, 30);
	assert_int_equal(report.intact_rows, 10);
	assert_int_equal(lb_size(lb, first), bad + 2 * WAL_PAGE); // the end page, twice
	assert_mended(lb, 35, 35);
}

static void a_segment_with_a_damaged_schema_page_is_taken_out_whole(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;
	char second[40];

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb->durable_seq = 10;
	lb_segment(lb);
	memcpy(second, lb->name, sizeof(second));
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb->durable_seq = 20;
	lb_segment(lb);
	lb_block(lb, 7, WAL_FLAG_SEALED);
	lb_flip(lb, second, 8100);
	report = repaired(lb);
	assert_string_equal(report.file, second);
	assert_int_equal(report.offset, 0);
	assert_int_equal(report.intact_rows, 10);
	assert_int_equal(report.lost_from, 10);
	assert_int_equal(report.lost_to, 20);
	assert_int_equal(quarantined(lb, second, 0, "raw"), LB_SEGMENT);
	assert_true(quarantined(lb, second, 0, "arrows") != UINT64_MAX);
	assert_true(lb_size(lb, second) == UINT64_MAX);
	assert_mended(lb, 27, 27);
}

static void a_newest_segment_with_a_damaged_schema_page_is_taken_out(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb->durable_seq = 10;
	lb_segment(lb);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb->durable_seq = 15;
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb_flip(lb, lb->name, 8100);
	report = repaired(lb);
	assert_int_equal(report.intact_rows, 10);
	assert_int_equal(report.lost_from, 10);
	assert_int_equal(report.lost_to, 20);
	assert_mended(lb, 20, 10);
}

static void a_missing_segment_becomes_a_declared_gap(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;
	char second[40];

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb_segment(lb);
	memcpy(second, lb->name, sizeof(second));
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb_segment(lb);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb->durable_seq = 25;
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb_remove(lb, second);
	report = repaired(lb);
	assert_int_equal(report.lost_from, 10);
	assert_int_equal(report.lost_to, 20);
	assert_int_equal(report.quarantined_bytes, 0);
	assert_mended(lb, 30, 30);
}

static void rows_that_are_there_twice_leave_the_log(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	lb->seq = 4;
	lb_segment(lb);
	lb_block(lb, 6, WAL_FLAG_SEALED);
	report = repaired(lb);
	assert_string_equal(report.file, lb->name);
	assert_true(lb_size(lb, lb->name) == UINT64_MAX);
	assert_mended(lb, 10, 10);
}

static void every_repair_mends_one_place(void **state)
{
	struct logbuilder *lb = *state;
	char names[3][40];
	uint64_t bad[3];

	for (unsigned i = 0; i < 3; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		memcpy(names[i], lb->name, 40);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		bad[i] = lb_block(lb, 10, WAL_FLAG_SEALED);
		lb->durable_seq = lb->seq;
		lb_block(lb, 10, WAL_FLAG_SEALED);
	}
	for (unsigned i = 0; i < 3; i++)
		lb_flip(lb, names[i], bad[i] + 640);
	for (unsigned i = 0; i < 3; i++)
		assert_string_equal(repaired(lb).file, names[i]);
	assert_string_equal(repaired(lb).file, "");
	assert_mended(lb, 90, 70);
}

static void what_is_no_damage_of_ours_is_refused(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;
	uint64_t before;
	char why[512];

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	lb->log_id.bytes[0] ^= 1;
	lb_segment(lb);
	before = lb_digest(lb);
	assert_int_equal(wal_repair(lb->dir, &report, why), -EBADMSG);
	assert_non_null(strstr(why, "two logs"));
	assert_true(lb_digest(lb) == before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lb_setup, lb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_log_without_damage_is_left_alone),
		TEST(damage_in_the_last_segment_leaves_a_declared_gap),
		TEST(damage_in_an_old_segment_keeps_the_later_ones),
		TEST(a_segment_with_a_damaged_schema_page_is_taken_out_whole),
		TEST(a_newest_segment_with_a_damaged_schema_page_is_taken_out),
		TEST(a_missing_segment_becomes_a_declared_gap),
		TEST(rows_that_are_there_twice_leave_the_log),
		TEST(every_repair_mends_one_place),
		TEST(what_is_no_damage_of_ours_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
