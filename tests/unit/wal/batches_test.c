// SPDX-License-Identifier: BSD-3-Clause

// Batches of logs that nobody writes, whole and broken.

#include "batches_check.h"
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

#define SEGMENTS 9u
#define EACH 5u // batches of a segment
#define ALL (SEGMENTS * EACH)

// Batch i has i % 3 + 1 blocks of 10 rows, and every fourth is sealed by a block of no rows.
static void build_segment(struct logbuilder *lb)
{
	lb->durable_seq = lb->seq;
	lb_segment(lb);
	for (unsigned i = 0; i < EACH; i++) {
		uint64_t number = lb->batch, blocks = number % 3 + 1;

		for (uint64_t k = 0; k < blocks; k++)
			lb_block(lb, 10, k + 1 == blocks && number % 4 ? WAL_FLAG_SEALED : 0);
		if (number % 4 == 0)
			lb_seal(lb);
	}
}

static void build(struct logbuilder *lb, char names[SEGMENTS][40])
{
	for (unsigned i = 0; i < SEGMENTS; i++) {
		build_segment(lb);
		memcpy(names[i], lb->name, 40);
		i + 1 < SEGMENTS ? lb_eos(lb) : lb_end(lb);
	}
}

static void every_batch_comes_once_and_whole(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];
	uint64_t memory, disk, seq = 0, blocks = 0;

	build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < ALL; i++) {
		struct wal_batch batch = batches_expect(batches, i, 0);

		assert_int_equal(batch.first_seq, seq);
		assert_int_equal(batch.end_seq - seq, 10 * (i % 3 + 1));
		assert_int_equal(batch.blocks, i % 3 + 1 + (i % 4 == 0));
		assert_int_equal(batch.received_min, 1000);
		assert_int_equal(batch.received_max, 1010);
		assert_true(wal_id_equal(&batch.log_id, &lb->log_id));
		seq = batch.end_seq;
		blocks += batch.blocks;
	}
	assert_int_equal(batches_ended(batches), 0);
	assert_int_equal(batches_ended(batches), 0);
	wal_batches_sources(batches, &memory, &disk);
	assert_int_equal(memory, 0);
	assert_int_equal(disk, blocks);
	wal_batches_close(batches);
}

static void blocks_need_not_be_read(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	struct wal_block_view view;
	struct wal_batch batch;
	char names[SEGMENTS][40];

	build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < ALL; i++) {
		if (i % 7 == 3) {
			batches_expect(batches, i, 0);
			continue;
		}
		assert_int_equal(wal_batches_next(batches, &batch), 1);
		assert_int_equal(batch.number, i);
		if (i % 2)
			assert_int_equal(wal_batches_block(batches, &view), 1);
	}
	wal_batches_close(batches);
}

static void reading_begins_and_goes_on_anywhere(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	build(lb, names);
	batches = batches_opened(lb->dir, NULL, ALL);
	assert_int_equal(batches_ended(batches), 0);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t number = (i * 2654435761u >> 7) % (ALL + 1);

		wal_batches_seek(batches, number);
		assert_int_equal(wal_batches_wanted(batches), number);
		for (uint64_t k = number; k < number + 3 && k < ALL; k++)
			batches_expect(batches, k, 0);
		if (number + 3 > ALL)
			assert_int_equal(batches_ended(batches), 0);
	}
	wal_batches_close(batches);
	for (uint64_t i = 0; i < ALL; i++) {
		batches = batches_opened(lb->dir, NULL, i);
		batches_expect(batches, i, 0);
		wal_batches_seek(batches, i);
		batches_expect(batches, i, 0);
		wal_batches_close(batches);
	}
}

static void a_log_that_begins_later_begins_with_its_oldest(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	build(lb, names);
	lb_remove(lb, names[0]);
	lb_remove(lb, names[1]);
	batches = batches_opened(lb->dir, NULL, 3);
	batches_expect(batches, 2 * EACH, 0);
	wal_batches_seek(batches, 1);
	batches_expect(batches, 2 * EACH, 0);
	wal_batches_close(batches);
}

static void an_empty_log_has_no_batch(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches = batches_opened(lb->dir, NULL, 0);

	assert_int_equal(batches_ended(batches), 0);
	assert_string_equal(wal_batches_listeners(batches), "{}");
	lb_segment(lb);
	assert_int_equal(batches_ended(batches), 0);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	batches_expect(batches, 0, 0);
	wal_batches_close(batches);
}

// As two crashes leave it: the open batch ended with its segment, cut behind its last block.
static void a_batch_that_was_open_at_a_crash_ends_with_its_segment(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;

	for (unsigned i = 0; i < 3; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		lb_block(lb, 10, 0);
		lb_block(lb, 10, 0);
		lb_truncate(lb, lb->name, lb->offset);
		lb->generation++;
	}
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(batches_expect(batches, i, 0).blocks, 1 + i % 2);
	assert_int_equal(batches_ended(batches), 0);
	for (uint64_t i = 6; i-- > 0;) {
		wal_batches_seek(batches, i);
		batches_expect(batches, i, 0);
		// Again, from right behind it.
		wal_batches_seek(batches, i);
		batches_expect(batches, i, 0);
	}
	wal_batches_close(batches);
}

static void numbers_jump_where_a_repair_took_batches(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;
	struct wal_batches *batches;
	char names[SEGMENTS][40], why[512];
	uint64_t first[3];

	// Batches 2 and 3 of the second segment go, and with them half of batch 1.
	for (unsigned i = 0; i < 3; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		memcpy(names[i], lb->name, 40);
		first[i] = lb->batch;
		lb_block(lb, 10, WAL_FLAG_SEALED);
		lb_block(lb, 10, 0);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		if (i == 1)
			lb_flip(lb, lb->name, lb->last + 1000);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		i < 2 ? lb_eos(lb) : lb_end(lb);
	}
	batches = batches_opened(lb->dir, NULL, first[1]);
	batches_expect(batches, first[1], 0);
	assert_int_equal(wal_repair(lb->dir, &report, why), 0);
	assert_string_equal(report.file, names[1]);
	wal_batches_seek(batches, first[1]);
	batches_expect(batches, first[1], 0);
	assert_int_equal(batches_expect(batches, first[1] + 1, 0).blocks, 1);
	batches_expect(batches, first[2], 0);
	// From a number that is no more, too.
	wal_batches_seek(batches, first[1] + 2);
	batches_expect(batches, first[2], 0);
	wal_batches_close(batches);
}

static void a_bad_body_is_told_with_its_place_and_stays(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	struct wal_block_view view;
	struct wal_batch batch;
	char place[100];

	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_block(lb, 10, 0);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_flip(lb, lb->name, lb->last + 1000);
	snprintf(place, sizeof(place), "%s: bad block at offset %llu, where seq 20 is due",
		lb->name, (unsigned long long)lb->last);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	batches = batches_opened(lb->dir, NULL, 1);
	assert_int_equal(wal_batches_next(batches, &batch), 1);
	assert_int_equal(batch.number, 1);
	assert_int_equal(wal_batches_block(batches, &view), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(wal_batches_block(batches, &view), -EBADMSG);
		assert_non_null(strstr(wal_batches_why(batches), place));
	}
	batches_expect(batches, 2, 0);
	wal_batches_seek(batches, 1);
	assert_int_equal(wal_batches_next(batches, &batch), 1);
	assert_int_equal(batches_read(batches, &batch, 0), -EBADMSG);
	wal_batches_close(batches);
}

// Nor a batch that ends early, as one does that was open at a crash.
static void blocks_missing_at_the_end_of_a_segment_are_damage(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	uint64_t missing;

	lb_segment(lb);
	lb_block(lb, 10, 0);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	missing = lb->last;
	lb_eos(lb);
	lb_zero(lb, lb->name, missing, 2 * WAL_PAGE);
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	batches = batches_opened(lb->dir, NULL, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(batches_ended(batches), -EBADMSG);
		assert_non_null(strstr(wal_batches_why(batches), "where seq 10 is due"));
		assert_int_equal(wal_batches_wanted(batches), 0);
	}
	wal_batches_close(batches);
}

// Reads all there is. Returns the first error, and a checksum over what came before it.
static int digest(
	const struct logbuilder *lb, uint64_t *ret_batches, uint64_t *ret_sums, unsigned max)
{
	struct wal_batches *batches = batches_opened(lb->dir, NULL, 0);
	struct wal_block_view view;
	struct wal_batch batch;
	uint64_t n = 0;
	int r;

	while ((r = wal_batches_next(batches, &batch)) == 1) {
		uint64_t sum = batch.number * 31 + batch.first_seq * 7 + batch.end_seq * 3 +
			       batch.blocks + batch.bytes + (uint64_t)batch.received_max;

		while ((r = wal_batches_block(batches, &view)) == 1)
			sum = sum * 31 + view.trailer->crc;
		if (r < 0)
			break;
		assert_true(n < max);
		ret_sums[n++] = sum;
	}
	*ret_batches = n;
	wal_batches_close(batches);
	return r;
}

static void a_flipped_bit_never_gives_another_batch(void **state)
{
	struct logbuilder *lb = *state;
	uint64_t good[16], sums[16], n, all, end;
	char name[40];

	lb_segment(lb);
	memcpy(name, lb->name, sizeof(name));
	lb_block(lb, 3, WAL_FLAG_SEALED);
	lb_block(lb, 3, 0);
	lb_block(lb, 3, 0);
	lb_seal(lb);
	lb_block(lb, 3, WAL_FLAG_SEALED);
	end = lb->offset + WAL_PAGE;
	lb_end(lb);
	lb->durable_seq = lb->seq;
	lb_segment(lb);
	lb_block(lb, 3, WAL_FLAG_SEALED);
	lb_end(lb);
	assert_int_equal(digest(lb, &all, good, 16), 0);
	assert_int_equal(all, 4);
	for (uint64_t at = 0; at < end;
		at += at % WAL_PAGE < 700 || at % WAL_PAGE > 3950 ? 1 : 61) {
		int r;

		lb_flip(lb, name, at);
		r = digest(lb, &n, sums, 16);
		assert_true(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
		assert_true(n <= all);
		assert_memory_equal(sums, good, n * sizeof(sums[0]));
		if (r == 0)
			assert_int_equal(n, all);
		lb_flip(lb, name, at);
	}
}

static void batches_deleted_before_they_were_read_are_told_once(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	batches_expect(batches, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		lb_remove(lb, names[i]); // the open file still holds its batches
	for (uint64_t i = 1; i < EACH; i++)
		batches_expect(batches, i, 0);
	assert_int_equal(batches_ended(batches), -ESTALE);
	assert_non_null(strstr(wal_batches_why(batches), "batches 5 to 19"));
	assert_int_equal(wal_batches_wanted(batches), 4 * EACH);
	for (uint64_t i = 4 * EACH; i < ALL; i++)
		batches_expect(batches, i, 0);
	wal_batches_close(batches);
}

static void rename_segment(const struct logbuilder *lb, const char *name)
{
	char from[256], to[256];

	snprintf(from, sizeof(from), "%s/%s", lb->dir, name);
	snprintf(to, sizeof(to), "%s/spare.arrows", lb->dir);
	assert_int_equal(rename(from, to), 0);
}

static void a_segment_recycled_under_the_reader_is_noticed(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	struct wal_block_view view;
	struct wal_batch batch;
	char names[SEGMENTS][40];
	int r;

	// Between the batch's head and its blocks, of which none was read ahead.
	lb_segment(lb);
	memcpy(names[0], lb->name, 40);
	for (unsigned i = 0; i < 30; i++)
		lb_block(lb, 700, i % 3 == 2 ? WAL_FLAG_SEALED : 0);
	lb_eos(lb);
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	batches = batches_opened(lb->dir, NULL, 0);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(wal_batches_next(batches, &batch), 1);
	rename_segment(lb, names[0]);
	lb_noise(lb, "spare.arrows", 0, LB_SEGMENT);
	assert_int_equal(wal_batches_block(batches, &view), -ESTALE);
	assert_non_null(strstr(wal_batches_why(batches), "batch 8 is no longer"));
	assert_int_equal(wal_batches_block(batches, &view), 0);
	r = batches_ended(batches);
	assert_int_equal(r, -ESTALE);
	assert_non_null(strstr(wal_batches_why(batches), "batches 9 to 9"));
	batches_expect(batches, 10, 0);
	// As if opened there, nothing is missed.
	wal_batches_seek(batches, 3);
	batches_expect(batches, 10, 0);
	wal_batches_close(batches);
}

// What a recycled file holds may look like an end.
static void a_recycled_segment_ends_no_batch(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	struct wal_batch batch;
	char name[40];
	uint64_t second;

	lb_segment(lb);
	memcpy(name, lb->name, 40);
	lb_block(lb, 1000, WAL_FLAG_SEALED);
	lb_block(lb, 1000, 0);
	second = lb->offset;
	lb_block(lb, 1000, WAL_FLAG_SEALED);
	lb_eos(lb);
	lb_segment(lb);
	lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	batches = batches_opened(lb->dir, NULL, 0);
	assert_int_equal(wal_batches_next(batches, &batch), 1);
	rename_segment(lb, name);
	lb_zero(lb, "spare.arrows", second, LB_SEGMENT - second);
	assert_int_equal(batches_ended(batches), -ESTALE);
	batches_expect(batches, 2, 0);
	wal_batches_close(batches);
}

static void a_log_that_was_wiped_is_told(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	batches_expect(batches, 0, 0);
	for (unsigned i = 0; i < SEGMENTS; i++)
		lb_remove(lb, names[i]);
	for (uint64_t i = 1; i < EACH; i++)
		batches_expect(batches, i, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(batches_ended(batches), -ENOENT);
		assert_non_null(strstr(wal_batches_why(batches), lb->dir));
	}
	wal_batches_close(batches);
}

static void another_log_in_its_place_is_not_read(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	batches_expect(batches, 0, 0);
	for (unsigned i = 0; i < SEGMENTS; i++)
		lb_remove(lb, names[i]);
	lb->log_id.bytes[0] ^= 1;
	build_segment(lb);
	lb_end(lb);
	for (uint64_t i = 1; i < EACH; i++)
		batches_expect(batches, i, 0);
	assert_int_equal(batches_ended(batches), -EBADMSG);
	assert_non_null(strstr(wal_batches_why(batches), "take it away"));
	wal_batches_close(batches);
}

static void a_segment_of_another_log_stops_the_reader(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;

	build_segment(lb);
	lb_eos(lb);
	lb->log_id.bytes[0] ^= 1;
	build_segment(lb);
	lb_end(lb);
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < EACH; i++)
		batches_expect(batches, i, 0);
	assert_int_equal(batches_ended(batches), -EBADMSG);
	assert_non_null(strstr(wal_batches_why(batches), "take it away"));
	assert_int_equal(batches_ended(batches), -EBADMSG);
	wal_batches_close(batches);
}

static void damaged_first_pages_hide_no_other_segment(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	build(lb, names);
	lb_zero(lb, names[3], 0, WAL_SCHEMA_BYTES);
	lb_zero(lb, names[4], 0, WAL_SCHEMA_BYTES);
	for (uint64_t i = 0; i < ALL; i++) {
		batches = batches_opened(lb->dir, NULL, i);
		if (i / EACH == 3 || i / EACH == 4)
			assert_int_equal(batches_ended(batches), -EBADMSG);
		else
			batches_expect(batches, i, 0);
		wal_batches_close(batches);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lb_setup, lb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_batch_comes_once_and_whole),
		TEST(blocks_need_not_be_read),
		TEST(reading_begins_and_goes_on_anywhere),
		TEST(a_log_that_begins_later_begins_with_its_oldest),
		TEST(an_empty_log_has_no_batch),
		TEST(a_batch_that_was_open_at_a_crash_ends_with_its_segment),
		TEST(numbers_jump_where_a_repair_took_batches),
		TEST(a_bad_body_is_told_with_its_place_and_stays),
		TEST(blocks_missing_at_the_end_of_a_segment_are_damage),
		TEST(a_flipped_bit_never_gives_another_batch),
		TEST(batches_deleted_before_they_were_read_are_told_once),
		TEST(a_segment_recycled_under_the_reader_is_noticed),
		TEST(a_recycled_segment_ends_no_batch),
		TEST(a_log_that_was_wiped_is_told),
		TEST(another_log_in_its_place_is_not_read),
		TEST(a_segment_of_another_log_stops_the_reader),
		TEST(damaged_first_pages_hide_no_other_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
