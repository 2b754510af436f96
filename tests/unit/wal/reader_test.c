// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/logbuilder.h"
#include "wal/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct wal_limit no_limit = {.segment_first = UINT64_MAX};

static struct wal_reader *opened(const struct logbuilder *lb, uint64_t from, struct wal_limit limit)
{
	struct wal_reader *reader = NULL;

	assert_int_equal(wal_reader_open(&reader, lb->dir, from, limit), 0);
	return reader;
}

// Reads on to the end: returns the seq behind the last row and checks that none is missing from
// 'seq' on.
static uint64_t drained(struct wal_reader *reader, uint64_t seq)
{
	struct wal_block_view view;
	struct wal_row row;
	int r;

	while ((r = wal_reader_next(reader, &view)) == 1) {
		for (uint32_t i = 0; i < view.trailer->rows; i++) {
			wal_row_get(&view, i, &row);
			assert_int_equal(row.seq, view.trailer->first_seq + i);
			assert_int_equal(row.payload_len, 100);
			assert_int_equal(row.payload[99], 'a' + view.trailer->first_seq % 26);
			assert_int_equal(row.received_at, 1000 + i);
		}
		assert_true(view.trailer->first_seq <= seq);
		seq = view.trailer->first_seq + view.trailer->rows;
	}
	if (r < 0)
		print_message("%s\n", wal_reader_why(reader));
	assert_int_equal(r, 0);
	return seq;
}

// Three segments of 30 rows, in blocks of 10; the last is open.
static void build(struct logbuilder *lb, char names[3][40])
{
	for (unsigned i = 0; i < 3; i++) {
		lb_segment(lb);
		memcpy(names[i], lb->name, 40);
		for (unsigned b = 0; b < 3; b++)
			lb_block(lb, 10, WAL_FLAG_SEALED);
		if (i < 2)
			lb_eos(lb);
	}
}

static void no_segment_is_told(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_reader *reader;

	assert_int_equal(wal_reader_open(&reader, lb->dir, 0, no_limit), -ENOENT);
}

static void every_row_is_read_over_all_segments(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_reader *reader;
	char names[3][40];

	build(lb, names);
	reader = opened(lb, 0, no_limit);
	assert_int_equal(drained(reader, 0), 90);
	assert_string_equal(wal_reader_segment_name(reader), names[2]);
	wal_reader_close(reader);
}

static void reading_begins_with_the_block_that_holds_the_seq(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;
	char names[3][40];

	build(lb, names);
	for (uint64_t from = 0; from < 90; from += 7) {
		reader = opened(lb, from, no_limit);
		assert_int_equal(wal_reader_next(reader, &view), 1);
		assert_int_equal(view.trailer->first_seq, from / 10 * 10);
		wal_reader_close(reader);
	}
	reader = opened(lb, 90, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), 0);
	lb_block(lb, 10, 0);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(view.trailer->first_seq, 90);
	wal_reader_close(reader);
}

static void a_seq_older_than_the_log_begins_with_the_oldest(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;
	char names[3][40];

	build(lb, names);
	lb_remove(lb, names[0]);
	reader = opened(lb, 3, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(view.trailer->first_seq, 30);
	wal_reader_close(reader);
}

static void nothing_is_read_at_or_beyond_the_limit(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_reader *reader;
	char names[3][40];
	uint64_t third;

	build(lb, names);
	third = lb->last;
	lb_noise(lb, names[2], third, WAL_PAGE); // still being written
	reader = opened(lb, 0, (struct wal_limit){60, third});
	assert_int_equal(drained(reader, 0), 80);
	assert_int_equal(drained(reader, 80), 80);
	wal_reader_close(reader);
}

static void reading_goes_on_when_the_limit_moves(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_reader *reader;
	uint64_t seq = 0;

	lb_segment(lb);
	lb_block(lb, 10, 0);
	reader = opened(lb, 0, (struct wal_limit){0, lb->offset});
	assert_int_equal(seq = drained(reader, 0), 10);
	for (unsigned i = 0; i < 50; i++) {
		struct wal_limit limit;

		if (i % 10 == 9) {
			lb_eos(lb);
			lb_segment(lb);
		}
		lb_block(lb, 10, WAL_FLAG_SEALED);
		limit = (struct wal_limit){lb->header.first_seq, lb->offset};
		lb_block(lb, 3, WAL_FLAG_SEALED); // not durable yet
		wal_reader_set_limit(reader, limit);
		assert_int_equal(drained(reader, seq), lb->seq - 3);
		seq = lb->seq - 3;
	}
	wal_reader_close(reader);
}

static void a_segment_that_is_not_durable_yet_is_not_opened(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_reader *reader;
	char names[3][40];

	build(lb, names);
	lb_zero(lb, names[2], 0, WAL_SCHEMA_BYTES);
	reader = opened(lb, 0, (struct wal_limit){60, 0});
	assert_int_equal(drained(reader, 0), 60);
	wal_reader_close(reader);
}

static void a_bad_block_stops_the_reader(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_flip(lb, lb->name, lb->last + 1000);
	reader = opened(lb, 0, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
	assert_non_null(strstr(wal_reader_why(reader), "seq 10"));
	assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
	wal_reader_close(reader);
}

// Not to be taken for retention, which would go on with the next segment.
static void blocks_missing_at_the_end_of_a_segment_stop_the_reader(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;
	char names[3][40];

	build(lb, names);
	lb_zero(lb, names[1], WAL_SCHEMA_BYTES + 2 * WAL_PAGE, WAL_PAGE);
	reader = opened(lb, 0, no_limit);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(wal_reader_next(reader, &view), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
		assert_non_null(strstr(wal_reader_why(reader), names[1]));
		assert_non_null(
			strstr(wal_reader_why(reader), "offset 16384, where seq 50 is due"));
	}
	wal_reader_close(reader);
}

static void what_is_missing_below_the_limit_stops_the_reader(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;
	struct wal_limit limit;
	char names[3][40];

	build(lb, names);
	limit = (struct wal_limit){60, lb->offset};
	lb_zero(lb, names[2], lb->last, WAL_PAGE);
	reader = opened(lb, 80, limit);
	assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
	assert_non_null(strstr(wal_reader_why(reader), "seq 80 is due"));
	wal_reader_close(reader);

	lb_truncate(lb, names[2], lb->last);
	reader = opened(lb, 80, limit);
	assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
	wal_reader_close(reader);

	lb_zero(lb, names[2], 0, WAL_SCHEMA_BYTES);
	assert_int_equal(wal_reader_open(&reader, lb->dir, 80, limit), -EBADMSG);
}

static void rows_deleted_before_they_were_read_are_told_once(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;
	char names[3][40];

	build(lb, names);
	reader = opened(lb, 0, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	lb_remove(lb, names[0]); // the open file still holds its rows
	lb_remove(lb, names[1]);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(view.trailer->first_seq, 20);
	assert_int_equal(wal_reader_next(reader, &view), -ESTALE);
	assert_non_null(strstr(wal_reader_why(reader), "30 to 59"));
	assert_int_equal(drained(reader, 60), 90);
	wal_reader_close(reader);
}

static void a_segment_recycled_under_the_reader_is_noticed(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;
	char names[3][40], from[256], to[256];
	int r;

	build(lb, names);
	reader = opened(lb, 0, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	// Same inode, another name, other bytes.
	snprintf(from, sizeof(from), "%s/%s", lb->dir, names[0]);
	snprintf(to, sizeof(to), "%s/spare.arrows", lb->dir);
	assert_int_equal(rename(from, to), 0);
	lb_noise(lb, "spare.arrows", 0, LB_SEGMENT);
	wal_reader_set_limit(reader, no_limit);
	// What was read ahead may still come; then the rest is told to be gone.
	do
		r = wal_reader_next(reader, &view);
	while (r == 1 && view.trailer->first_seq < 30);
	if (r == -ESTALE)
		assert_int_equal(drained(reader, 30), 90);
	else
		assert_int_equal(view.trailer->first_seq, 30);
	wal_reader_close(reader);

	// Read on from a place whose bytes nobody has read ahead.
	reader = opened(lb, 30, (struct wal_limit){30, WAL_SCHEMA_BYTES + WAL_PAGE});
	assert_int_equal(wal_reader_next(reader, &view), 1);
	snprintf(from, sizeof(from), "%s/%s", lb->dir, names[1]);
	assert_int_equal(rename(from, to), 0);
	lb_noise(lb, "spare.arrows", 0, LB_SEGMENT);
	wal_reader_set_limit(reader, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), -ESTALE);
	assert_non_null(strstr(wal_reader_why(reader), "40 to 59"));
	assert_int_equal(drained(reader, 60), 90);
	wal_reader_close(reader);
}

static void a_declared_gap_is_passed_without_a_word(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb->gap_from = 10;
	lb->seq = 25;
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	reader = opened(lb, 0, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(view.trailer->first_seq, 25);
	assert_int_equal(drained(reader, 35), 35);
	wal_reader_close(reader);
}

static void other_files_are_no_segments(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_segment_file *files;
	unsigned count;

	lb_segment(lb);
	lb_copy(lb, lb->name, "spare.arrows");
	lb_copy(lb, lb->name, "spare-2.arrows");
	lb_copy(lb, lb->name, "0.arrows");
	lb_copy(lb, lb->name, "00000000000000000000.arrow");
	lb_copy(lb, lb->name, "00000000000000000000.arrowsx");
	lb_copy(lb, lb->name, "99999999999999999999.arrows"); // more than 64 bits
	lb_copy(lb, lb->name, "+0000000000000000001.arrows");
	lb_copy(lb, lb->name, "18446744073709551615.arrows");
	assert_int_equal(wal_list_segments(lb->dir, &files, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(files[0].first_seq, 0);
	assert_true(files[1].first_seq == UINT64_MAX);
	assert_int_equal(files[0].size, LB_SEGMENT);
	free(files);
}

static void a_segment_of_another_log_is_not_read(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_block_view view;
	struct wal_reader *reader;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb->log_id.bytes[0] ^= 1;
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	reader = opened(lb, 0, no_limit);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
	assert_non_null(strstr(wal_reader_why(reader), "take it away"));
	assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
	wal_reader_close(reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lb_setup, lb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(no_segment_is_told),
		TEST(every_row_is_read_over_all_segments),
		TEST(reading_begins_with_the_block_that_holds_the_seq),
		TEST(a_seq_older_than_the_log_begins_with_the_oldest),
		TEST(nothing_is_read_at_or_beyond_the_limit),
		TEST(reading_goes_on_when_the_limit_moves),
		TEST(a_segment_that_is_not_durable_yet_is_not_opened),
		TEST(a_bad_block_stops_the_reader),
		TEST(blocks_missing_at_the_end_of_a_segment_stop_the_reader),
		TEST(what_is_missing_below_the_limit_stops_the_reader),
		TEST(rows_deleted_before_they_were_read_are_told_once),
		TEST(a_segment_recycled_under_the_reader_is_noticed),
		TEST(a_declared_gap_is_passed_without_a_word),
		TEST(a_segment_of_another_log_is_not_read),
		TEST(other_files_are_no_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
