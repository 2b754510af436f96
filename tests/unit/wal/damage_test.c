// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

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
	liar.durable_seq = liar.seq = 1000000;
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
	liar.durable_seq = liar.seq = 1000000;
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

// No block of the segment says so, only its end.
static void a_damaged_schema_page_in_front_of_a_signed_end_is_damage(void **state)
{
	struct logbuilder *lb = *state;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb_segment(lb);
	lb_block(lb, 5, 0);
	lb_end(lb);
	lb_flip(lb, lb->name, 300);
	assert_refused(lb, -EBADMSG, "the end", lb->name);
}

// Recovery would remove it, and with it the only proof.
static void damage_before_a_segment_of_a_later_start_without_blocks_is_damage(void **state)
{
	struct logbuilder *lb = *state;
	char first[40];
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	bad = lb_block(lb, 5, 0);
	lb_truncate(lb, lb->name, lb->offset);
	memcpy(first, lb->name, sizeof(first));
	lb->generation++;
	lb_segment(lb);
	lb_flip(lb, first, bad + 700);
	assert_refused(lb, -EBADMSG, "later start", first);
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
	uint32_t version = WAL_FORMAT_VERSION + 1;
	char path[256];
	int fd;

	lb_segment(lb);
	lb_flip(lb, lb->name, 300); // or it would be a damaged page of this format
	snprintf(path, sizeof(path), "%s/%s", lb->dir, lb->name);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, &version, 4,
				 WAL_SCHEMA_BYTES - WAL_TRAILER_BYTES +
					 (off_t)offsetof(struct wal_segment_header, version)),
		4);
	close(fd);
	assert_refused(lb, -EPROTONOSUPPORT,
		"made by a newer Millrace (format 3); this one reads up to 2", lb->name);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bad_block_that_a_later_one_knows_to_be_durable_is_damage),
		TEST(a_missing_block_that_a_later_one_knows_to_be_durable_is_damage),
		TEST(one_bit_anywhere_in_a_durable_block_is_damage),
		TEST(a_forged_block_in_the_payload_of_an_undurable_one_proves_nothing),
		TEST(a_forged_block_in_a_block_with_a_wrong_crc_proves_nothing),
		TEST(damage_in_front_of_a_signed_end_is_damage),
		TEST(an_end_of_stream_without_signature_proves_nothing),
		TEST(a_signed_end_that_counts_more_rows_is_damage),
		TEST(a_bad_tail_of_the_segment_before_is_damage_when_the_next_knows_it_durable),
		TEST(a_damaged_schema_page_in_front_of_durable_blocks_is_damage),
		TEST(the_only_segment_with_a_damaged_schema_page_is_damage),
		TEST(a_damaged_schema_page_in_front_of_a_signed_end_is_damage),
		TEST(damage_before_a_segment_of_a_later_start_without_blocks_is_damage),
		TEST(an_older_file_without_schema_page_is_damage),
		TEST(a_missing_segment_is_damage),
		TEST(a_newer_format_is_refused),
		TEST(segments_of_two_logs_are_refused),
		TEST(another_partitions_log_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
