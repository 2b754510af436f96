// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static unsigned flushes; // fdatasync calls of the code under test

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	flushes++;
	return __real_fdatasync(fd);
}

static void an_empty_directory_is_a_new_log(void **state)
{
	struct wal_tail tail = recovered(*state);

	assert_true(tail.report.created);
	assert_int_equal(tail.report.next_seq, 0);
	assert_int_equal(tail.report.generation, 1);
}

static void a_cleanly_closed_log_goes_on_behind_its_last_row(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;
	uint64_t size;

	lb_segment(lb);
	lb_block(lb, 10, 0);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	lb_end(lb);
	size = lb_size(lb, lb->name);
	tail = recovered(lb);
	assert_false(tail.report.created);
	assert_true(wal_id_equal(&tail.report.log_id, &lb->log_id));
	assert_int_equal(tail.report.next_seq, 15);
	assert_int_equal(tail.report.next_batch, 1);
	assert_int_equal(tail.report.generation, 2);
	assert_int_equal(tail.gap_from, 15);
	assert_string_equal(tail.report.cut_file, "");
	assert_int_equal(lb_size(lb, lb->name), size);
}

static void an_open_batch_ends_with_its_segment(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_block(lb, 5, 0);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_batch, 2);
	assert_int_equal(lb_size(lb, lb->name), lb->offset);
	assert_string_equal(tail.report.cut_file, "");
	assert_int_equal(tail.report.cut_bytes, 0);
}

static void an_open_tail_is_cut_in_front_of_zeros_and_of_foreign_bytes(void **state)
{
	struct logbuilder *lb = *state;

	lb_segment(lb);
	lb_block(lb, 10, 0);
	lb_noise(lb, lb->name, lb->offset, LB_SEGMENT - lb->offset);
	assert_int_equal(recovered(lb).report.next_seq, 10);
	assert_int_equal(lb_size(lb, lb->name), lb->offset);
}

// A recycled file: full of good blocks of the segment that it was before.
static void a_recycled_file_is_cut_in_front_of_the_old_segments_blocks(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;
	char old[40];

	lb->durable_seq = 1000;
	lb_segment(lb);
	memcpy(old, lb->name, sizeof(old));
	lb->seq = 0;
	for (unsigned i = 0; i < 6; i++)
		lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_copy(lb, lb->name, "spare.arrows");
	lb_remove(lb, lb->name);

	lb->seq = 60;
	lb->durable_seq = 60;
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	// the rest of the old file behind
	{
		char path[256];
		int from, to;
		char *bytes = malloc(LB_SEGMENT);

		snprintf(path, sizeof(path), "%s/spare.arrows", lb->dir);
		from = open(path, O_RDONLY);
		snprintf(path, sizeof(path), "%s/%s", lb->dir, lb->name);
		to = open(path, O_RDWR);
		assert_int_equal(pread(from, bytes, LB_SEGMENT, 0), LB_SEGMENT);
		assert_int_equal(
			pwrite(to, bytes + lb->offset, LB_SEGMENT - lb->offset, (off_t)lb->offset),
			LB_SEGMENT - lb->offset);
		close(from);
		close(to);
		free(bytes);
	}
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 70);
	assert_int_equal(tail.report.cut_intact_blocks, 0);
	assert_int_equal(lb_size(lb, lb->name), lb->offset);
}

static void a_torn_block_is_cut_and_told(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 100, 0);
	lb_zero(lb, lb->name, bad + WAL_PAGE, WAL_PAGE);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 10);
	assert_int_equal(tail.report.next_batch, 1);
	assert_string_equal(tail.report.cut_file, lb->name);
	assert_true(tail.report.cut_bytes > 0);
	assert_int_equal(lb_size(lb, lb->name), bad);
}

static void intact_blocks_behind_one_that_never_came_are_cut_and_counted(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;
	uint64_t end;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	end = lb->offset;
	lb->durable_seq = 10;
	lb_skip(lb, 7);
	lb_block(lb, 5, 0);
	lb_block(lb, 6, 0);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 10);
	assert_int_equal(tail.report.cut_intact_blocks, 2);
	assert_int_equal(tail.report.cut_intact_rows, 11);
	assert_int_equal(tail.report.cut_bytes, lb->offset - end);
	assert_int_equal(lb_size(lb, lb->name), end);
}

static void the_tail_of_the_segment_before_is_recovered_too(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;
	char first[40];
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	memcpy(first, lb->name, sizeof(first));
	lb->durable_seq = 10;
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb_block(lb, 5, 0);
	lb_zero(lb, first, bad, WAL_PAGE);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 10);
	assert_int_equal(tail.report.next_batch, 1);
	assert_int_equal(tail.report.cut_intact_blocks, 2);
	assert_int_equal(tail.report.cut_intact_rows, 10);
	assert_string_equal(tail.report.cut_file, first);
	assert_int_equal(lb_size(lb, first), bad);
	assert_true(lb_size(lb, lb->name) == UINT64_MAX);
}

static void a_segment_whose_end_page_was_in_flight_is_cut_at_its_end(void **state)
{
	struct logbuilder *lb = *state;
	char first[40];
	uint64_t end;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	end = lb->offset;
	memcpy(first, lb->name, sizeof(first));
	lb_noise(lb, first, end, LB_SEGMENT - end);
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb->durable_seq = 15;
	lb_block(lb, 5, 0);
	assert_int_equal(recovered(lb).report.next_seq, 20);
	assert_int_equal(lb_size(lb, first), end);
}

static void a_newest_file_without_schema_page_is_a_segment_never_begun(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;
	char first[40];

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	memcpy(first, lb->name, sizeof(first));
	lb_segment(lb);
	lb_zero(lb, lb->name, 0, WAL_SCHEMA_BYTES);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 10);
	assert_true(lb_size(lb, lb->name) == UINT64_MAX);
	assert_int_equal(lb_size(lb, first), LB_SEGMENT);
	assert_string_equal(tail.report.cut_file, "");
}

static void blocks_without_their_schema_page_were_in_flight_with_it(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb->durable_seq = 10;
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb_block(lb, 5, 0);
	lb_zero(lb, lb->name, WAL_PAGE, WAL_PAGE);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 10);
	assert_int_equal(tail.report.cut_intact_blocks, 2);
	assert_string_equal(tail.report.cut_file, lb->name);
	assert_true(lb_size(lb, lb->name) == UINT64_MAX);
}

static void an_empty_newest_segment_makes_room_for_its_name(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	lb->generation = 5;
	lb_segment(lb);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 10);
	assert_int_equal(tail.report.next_batch, 1);
	assert_int_equal(tail.report.generation, 6);
	assert_true(lb_size(lb, lb->name) == UINT64_MAX);
}

static void a_log_whose_old_segments_were_retired_goes_on(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;

	lb->seq = 1000000;
	lb->batch = 77;
	lb->durable_seq = 1000000;
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 1000010);
	assert_int_equal(tail.report.next_batch, 78);
}

static void a_second_recovery_finds_the_same(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail one, two;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_skip(lb, 7);
	lb_block(lb, 6, 0);
	one = recovered(lb);
	two = recovered(lb);
	assert_int_equal(one.report.next_seq, two.report.next_seq);
	assert_int_equal(one.report.next_batch, two.report.next_batch);
	assert_string_equal(two.report.cut_file, "");
}

static void a_gap_that_a_repair_declared_is_passed_on(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_tail tail;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	lb->gap_from = 10;
	lb->seq = 25;
	lb_segment(lb);
	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 25);
	assert_int_equal(tail.gap_from, 10);
}

static void what_is_kept_is_flushed(void **state)
{
	struct logbuilder *lb = *state;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_truncate(lb, lb->name, lb->offset); // nothing to cut, yet perhaps only in a cache
	flushes = 0;
	recovered(lb);
	assert_true(flushes > 0);
}

static void only_the_last_segment_is_read_after_a_clean_stop(void **state)
{
	struct logbuilder *lb = *state;

	for (unsigned i = 0; i < 4; i++) {
		lb_segment(lb);
		lb_block(lb, 1000, WAL_FLAG_SEALED);
		lb_eos(lb);
		lb->durable_seq = lb->seq;
	}
	lb_segment(lb);
	lb_block(lb, 1, 0);
	lb_end(lb);
	assert_int_equal(recovered(lb).report.verified_bytes, lb->offset);
}

// Five segments, the one at 'foreign' of another log.
static void build_with_foreign(struct logbuilder *lb, unsigned foreign)
{
	struct wal_id ours = lb->log_id;

	for (unsigned i = 0; i < 5; i++) {
		lb->log_id = ours;
		lb->log_id.bytes[0] ^= i == foreign;
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		i < 4 ? lb_eos(lb) : lb_end(lb);
	}
}

static void only_the_schema_pages_of_the_newest_and_the_oldest_are_looked_at(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_verify_report report;

	build_with_foreign(lb, 2);
	assert_int_equal(recovered(lb).report.next_seq, 50);
	assert_int_equal(wal_verify(lb->dir, (struct wal_limit){.segment_first = UINT64_MAX},
				 &report, NULL, NULL),
		-EBADMSG);
}

static void a_foreign_segment_before_the_newest_is_refused(void **state)
{
	build_with_foreign(*state, 3);
	assert_refused(*state, -EBADMSG, "two logs", "00000000000000000030.arrows");
}

static void a_foreign_oldest_segment_is_refused(void **state)
{
	build_with_foreign(*state, 0);
	assert_refused(*state, -EBADMSG, "two logs", "00000000000000000000.arrows");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_directory_is_a_new_log),
		TEST(a_cleanly_closed_log_goes_on_behind_its_last_row),
		TEST(an_open_batch_ends_with_its_segment),
		TEST(an_open_tail_is_cut_in_front_of_zeros_and_of_foreign_bytes),
		TEST(a_recycled_file_is_cut_in_front_of_the_old_segments_blocks),
		TEST(a_torn_block_is_cut_and_told),
		TEST(intact_blocks_behind_one_that_never_came_are_cut_and_counted),
		TEST(the_tail_of_the_segment_before_is_recovered_too),
		TEST(a_segment_whose_end_page_was_in_flight_is_cut_at_its_end),
		TEST(a_newest_file_without_schema_page_is_a_segment_never_begun),
		TEST(blocks_without_their_schema_page_were_in_flight_with_it),
		TEST(an_empty_newest_segment_makes_room_for_its_name),
		TEST(a_log_whose_old_segments_were_retired_goes_on),
		TEST(a_second_recovery_finds_the_same),
		TEST(a_gap_that_a_repair_declared_is_passed_on),
		TEST(what_is_kept_is_flushed),
		TEST(only_the_last_segment_is_read_after_a_clean_stop),
		TEST(only_the_schema_pages_of_the_newest_and_the_oldest_are_looked_at),
		TEST(a_foreign_segment_before_the_newest_is_refused),
		TEST(a_foreign_oldest_segment_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
