// SPDX-License-Identifier: BSD-3-Clause

// Batches of logs that are damaged, or taken away while they are read.

#include "batches_check.h"
#include "batches_log.h"
#include "tests/unit/wal/logbuilder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static void a_batch_comes_whole_once_its_damage_is_mended(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, 10, 0);
	bad = lb_block(lb, 10, WAL_FLAG_SEALED);
	lb_end(lb);
	batches = batches_opened(lb->dir, NULL, 0);
	lb_flip(lb, lb->name, bad + 100);
	assert_int_equal(batches_ended(batches), -EBADMSG);
	assert_int_equal(batches_ended(batches), -EBADMSG);
	lb_flip(lb, lb->name, bad + 100);
	assert_int_equal(batches_expect(batches, 0, 0).blocks, 2);
	wal_batches_close(batches);
}

// The batch would not be what it was said to be. Its first block reaches behind what is read ahead.
static void a_block_that_is_another_than_was_looked_at_is_not_handed_out(void **state)
{
	struct logbuilder *lb = *state, before;
	struct wal_batches *batches;
	struct wal_block_view view;
	struct wal_batch batch;

	lb_segment(lb);
	for (unsigned i = 0; i < 4; i++)
		lb_block(lb, 5000, 0);
	before = *lb;
	lb_block(lb, 10, WAL_FLAG_SEALED);
	batches = batches_opened(lb->dir, NULL, 0);
	assert_int_equal(wal_batches_next(batches, &batch), 1);
	before.durable_seq = 5;
	lb_block(&before, 10, WAL_FLAG_SEALED);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(wal_batches_block(batches, &view), 1);
	assert_int_equal(wal_batches_block(batches, &view), -EBADMSG);
	assert_int_equal(wal_batches_block(batches, &view), -EBADMSG);
	wal_batches_seek(batches, 0);
	batches_expect(batches, 0, 0);
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

	batches_build(lb, names);
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

	batches_build(lb, names);
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

	batches_build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	batches_expect(batches, 0, 0);
	for (unsigned i = 0; i < SEGMENTS; i++)
		lb_remove(lb, names[i]);
	lb->log_id.bytes[0] ^= 1;
	batches_build_segment(lb);
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

	batches_build_segment(lb);
	lb_eos(lb);
	lb->log_id.bytes[0] ^= 1;
	batches_build_segment(lb);
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

	batches_build(lb, names);
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
		TEST(a_bad_body_is_told_with_its_place_and_stays),
		TEST(a_batch_comes_whole_once_its_damage_is_mended),
		TEST(a_block_that_is_another_than_was_looked_at_is_not_handed_out),
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
