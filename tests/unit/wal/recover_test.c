// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/logbuilder.h"
#include "wal/recover.h"

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

static unsigned flushes; // fdatasync calls of the code under test

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	flushes++;
	return __real_fdatasync(fd);
}

static int setup(void **state)
{
	struct logbuilder *lb = malloc(sizeof(*lb));

	lb_init(lb);
	flushes = 0;
	*state = lb;
	return 0;
}

static int teardown(void **state)
{
	lb_done(*state);
	free(*state);
	return 0;
}

static struct wal_tail recovered(const struct logbuilder *lb)
{
	struct wal_tail tail = {0};
	char why[512];
	int r = wal_recover(lb->dir, lb->partition, &tail, why);

	if (r < 0)
		print_message("%s\n", why);
	assert_int_equal(r, 0);
	return tail;
}

// Refused, with nothing changed and all of the given words in the reason.
static void assert_refused(
	const struct logbuilder *lb, int error, const char *word, const char *name)
{
	uint64_t before = lb_digest(lb);
	struct wal_tail tail;
	char why[512];

	assert_int_equal(wal_recover(lb->dir, lb->partition, &tail, why), error);
	if (strstr(why, word) == NULL || strstr(why, name) == NULL)
		print_message("%s\n", why);
	assert_non_null(strstr(why, word));
	assert_non_null(strstr(why, name));
	assert_true(lb_digest(lb) == before);
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
		char path[128];
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

static void a_bad_block_that_a_later_one_knows_to_be_durable_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 100, 0);
	lb->durable_seq = 110;
	lb_block(lb, 5, 0);
	lb_flip(lb, lb->name, bad + WAL_PAGE + 77);
	assert_refused(lb, -EBADMSG, "log repair --yes", lb->name);
}

static void a_missing_block_that_a_later_one_knows_to_be_durable_is_damage(void **state)
{
	struct logbuilder *lb = *state;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_skip(lb, 100);
	lb_block(lb, 5, 0);
	lb->durable_seq = 11; // one row of the missing block is enough
	lb_block(lb, 5, 0);
	assert_refused(lb, -EBADMSG, "seq 10 is due", lb->name);
}

// Every byte of a durable block matters, wherever it lies.
static void one_bit_anywhere_in_a_durable_block_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t bad, len;

	lb_segment(lb);
	bad = lb_block(lb, 3, WAL_FLAG_SEALED);
	len = lb->offset - bad;
	lb->durable_seq = 3;
	lb_block(lb, 3, 0);
	for (uint64_t at = 0; at < len; at += at < 900 || at > len - 300 ? 7 : 501) {
		lb_flip(lb, lb->name, bad + at);
		assert_refused(lb, -EBADMSG, "offset 8192", lb->name);
		lb_flip(lb, lb->name, bad + at);
	}
	assert_int_equal(recovered(lb).report.next_seq, 6);
}

static void a_forged_block_in_the_payload_of_an_undurable_one_proves_nothing(void **state)
{
	struct logbuilder *lb = *state;
	uint8_t *forged = aligned_alloc(WAL_PAGE, 1u << 20);
	struct logbuilder liar;
	struct wal_tail tail;
	uint64_t end, at;
	uint32_t len;

	memset(forged, 0, 1u << 20);
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	end = lb->offset;
	lb->durable_seq = 10;
	lb_skip(lb, 7);
	// Where its payload will lie is learnt by writing it once.
	liar = *lb;
	len = lb_compose(&liar, forged, 0, 4, 0);
	at = lb_block_with(&liar, forged, len);
	liar = *lb;
	liar.durable_seq = 1000000;
	liar.seq += 50;
	lb_compose(&liar, forged, at, 4, 0);
	assert_int_equal(lb_block_with(lb, forged, len), at);
	free(forged);

	tail = recovered(lb);
	assert_int_equal(tail.report.next_seq, 10);
	assert_int_equal(tail.report.cut_intact_blocks, 1);
	assert_int_equal(tail.report.cut_intact_rows, 1);
	assert_int_equal(lb_size(lb, lb->name), end);
}

static void a_forged_block_in_a_block_with_a_wrong_crc_proves_nothing(void **state)
{
	struct logbuilder *lb = *state;
	uint8_t *forged = aligned_alloc(WAL_PAGE, 1u << 20);
	struct logbuilder liar;
	uint64_t at;
	uint32_t len;

	memset(forged, 0, 1u << 20);
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	liar = *lb;
	len = lb_compose(&liar, forged, 0, 4, 0);
	at = lb_block_with(&liar, forged, len);
	liar = *lb;
	liar.durable_seq = 1000000;
	lb_compose(&liar, forged, at, 4, 0);
	assert_int_equal(lb_block_with(lb, forged, len), at);
	free(forged);
	lb_flip(lb, lb->name, at - 8);
	assert_int_equal(recovered(lb).report.next_seq, 10);
}

static void damage_in_front_of_a_signed_end_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 10, 0);
	lb_end(lb);
	lb_flip(lb, lb->name, bad + 700);
	assert_refused(lb, -EBADMSG, "was durable", lb->name);
}

static void an_end_of_stream_without_signature_proves_nothing(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 10, 0);
	lb_eos(lb);
	lb_flip(lb, lb->name, bad + 700);
	assert_int_equal(recovered(lb).report.next_seq, 10);
}

static void a_signed_end_that_counts_more_rows_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t offset;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	offset = lb->offset;
	lb->seq += 5;
	lb_end(lb);
	lb->offset = offset;
	assert_refused(lb, -EBADMSG, "rows end at seq 15", lb->name);
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

static void a_bad_tail_of_the_segment_before_is_damage_when_the_next_knows_it_durable(void **state)
{
	struct logbuilder *lb = *state;
	char first[40];
	uint64_t bad;

	lb_segment(lb);
	bad = lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	memcpy(first, lb->name, sizeof(first));
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb->durable_seq = 10;
	lb_block(lb, 5, 0);
	lb_zero(lb, first, bad, WAL_PAGE);
	assert_refused(lb, -EBADMSG, "was durable", first);
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

static void a_damaged_schema_page_in_front_of_durable_blocks_is_damage(void **state)
{
	struct logbuilder *lb = *state;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb->durable_seq = 15;
	lb_block(lb, 5, 0);
	lb_flip(lb, lb->name, 300);
	assert_refused(lb, -EBADMSG, "schema page", lb->name);
	lb_zero(lb, lb->name, 0, WAL_SCHEMA_BYTES);
	assert_refused(lb, -EBADMSG, "schema page", lb->name);
}

static void the_only_segment_with_a_damaged_schema_page_is_damage(void **state)
{
	struct logbuilder *lb = *state;

	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb->durable_seq = 5;
	lb_block(lb, 5, 0);
	lb_flip(lb, lb->name, 8000);
	assert_refused(lb, -EBADMSG, "schema page", lb->name);
}

static void an_older_file_without_schema_page_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	char first[40];

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	memcpy(first, lb->name, sizeof(first));
	lb->durable_seq = 10;
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb_zero(lb, first, 0, WAL_SCHEMA_BYTES);
	assert_refused(lb, -EBADMSG, "schema page", first);
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

static void a_missing_segment_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	char first[40], second[40];

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	memcpy(first, lb->name, sizeof(first));
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	memcpy(second, lb->name, sizeof(second));
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb->durable_seq = 25;
	lb_block(lb, 5, 0);
	lb_remove(lb, second);
	assert_refused(lb, -EBADMSG, "begins with seq 20", first);
}

static void a_newer_format_is_refused(void **state)
{
	struct logbuilder *lb = *state;
	uint32_t version = 2;
	char path[128];
	int fd;

	lb_segment(lb);
	snprintf(path, sizeof(path), "%s/%s", lb->dir, lb->name);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, &version, 4,
				 WAL_SCHEMA_BYTES - WAL_TRAILER_BYTES +
					 (off_t)offsetof(struct wal_segment_header, version)),
		4);
	close(fd);
	assert_refused(lb, -EPROTONOSUPPORT,
		"made by a newer Millrace (format 2); this one reads up to 1", lb->name);
}

static void segments_of_two_logs_are_refused(void **state)
{
	struct logbuilder *lb = *state;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	lb->log_id.bytes[3] ^= 1;
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	assert_refused(lb, -EBADMSG, "two logs", lb->name);
}

static void another_partitions_log_is_refused(void **state)
{
	struct logbuilder *lb = *state;

	lb->partition = 3;
	lb_segment(lb);
	lb->partition = 0;
	assert_refused(lb, -EINVAL, "partition 3", lb->name);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_directory_is_a_new_log),
		TEST(a_cleanly_closed_log_goes_on_behind_its_last_row),
		TEST(an_open_batch_ends_with_its_segment),
		TEST(an_open_tail_is_cut_in_front_of_zeros_and_of_foreign_bytes),
		TEST(a_recycled_file_is_cut_in_front_of_the_old_segments_blocks),
		TEST(a_torn_block_is_cut_and_told),
		TEST(intact_blocks_behind_one_that_never_came_are_cut_and_counted),
		TEST(a_bad_block_that_a_later_one_knows_to_be_durable_is_damage),
		TEST(a_missing_block_that_a_later_one_knows_to_be_durable_is_damage),
		TEST(one_bit_anywhere_in_a_durable_block_is_damage),
		TEST(a_forged_block_in_the_payload_of_an_undurable_one_proves_nothing),
		TEST(a_forged_block_in_a_block_with_a_wrong_crc_proves_nothing),
		TEST(damage_in_front_of_a_signed_end_is_damage),
		TEST(an_end_of_stream_without_signature_proves_nothing),
		TEST(a_signed_end_that_counts_more_rows_is_damage),
		TEST(the_tail_of_the_segment_before_is_recovered_too),
		TEST(a_bad_tail_of_the_segment_before_is_damage_when_the_next_knows_it_durable),
		TEST(a_segment_whose_end_page_was_in_flight_is_cut_at_its_end),
		TEST(a_newest_file_without_schema_page_is_a_segment_never_begun),
		TEST(blocks_without_their_schema_page_were_in_flight_with_it),
		TEST(a_damaged_schema_page_in_front_of_durable_blocks_is_damage),
		TEST(the_only_segment_with_a_damaged_schema_page_is_damage),
		TEST(an_older_file_without_schema_page_is_damage),
		TEST(an_empty_newest_segment_makes_room_for_its_name),
		TEST(a_log_whose_old_segments_were_retired_goes_on),
		TEST(a_second_recovery_finds_the_same),
		TEST(a_gap_that_a_repair_declared_is_passed_on),
		TEST(a_missing_segment_is_damage),
		TEST(a_newer_format_is_refused),
		TEST(segments_of_two_logs_are_refused),
		TEST(another_partitions_log_is_refused),
		TEST(what_is_kept_is_flushed),
		TEST(only_the_last_segment_is_read_after_a_clean_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
