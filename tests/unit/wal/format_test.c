// SPDX-License-Identifier: BSD-3-Clause
#include "sample.h"
#include "wal/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT 8192u // where the block stands in its file

static struct wal_segment_header segment;
static uint8_t schema[WAL_SCHEMA_BYTES];

static int setup(void **)
{
	segment = sample_schema(schema);
	return 0;
}

// A closed block in a buffer of exactly its length, so that a sanitizer sees any byte too many.
struct block {
	uint8_t *bytes;
	uint32_t len;
};

static struct block make(uint32_t rows, uint32_t capacity)
{
	uint32_t size = 64 << 10;
	uint8_t *mem = malloc(size);
	struct wal_layout layout;
	struct wal_block_info info;
	struct block b;
	uint32_t bytes;

	memset(mem, 0xa5, size);
	wal_layout_init(&layout, capacity, size);
	bytes = sample_fill(mem, &layout, 1000, rows);
	info = sample_info(&segment, AT, 1000, rows, bytes);
	info.flags = WAL_FLAG_SEALED;
	wal_block_close(mem, &layout, &info);
	b.len = wal_block_len(&layout, bytes);
	b.bytes = realloc(mem, b.len);
	return b;
}

static enum wal_verdict check(const uint8_t *bytes, size_t avail, struct wal_block_view *view)
{
	return wal_block_check(bytes, avail, &segment, AT, view);
}

static void a_block_as_written_is_good(void **)
{
	struct block b = make(50, 80);
	struct wal_block_view view;

	assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_GOOD);
	assert_int_equal(view.len, b.len);
	assert_int_equal(view.layout.rows_max, 50);
	assert_int_equal(view.layout.payload_max, view.payload_bytes);
	assert_int_equal(view.trailer->rows, 50);
	assert_int_equal(view.trailer->first_seq, 1000);
	assert_memory_equal(
		view.block + view.layout.at[COL_SEQ], &(uint64_t){1000}, sizeof(uint64_t));
	// more bytes behind it are not its business
	assert_int_equal(wal_block_claimed_len(b.bytes), b.len);
	free(b.bytes);
}

static void a_block_laid_out_for_its_rows_equals_one_with_room(void **)
{
	struct block a = make(50, 50);
	struct block b = make(50, 200);
	struct wal_block_view va, vb;

	assert_int_equal(check(a.bytes, a.len, &va), WAL_BLOCK_GOOD);
	assert_int_equal(check(b.bytes, b.len, &vb), WAL_BLOCK_GOOD);
	for (int i = 0; i < WAL_COLUMNS; i++)
		assert_memory_equal(va.block + va.layout.at[i], vb.block + vb.layout.at[i],
			50u * wal_column_width[i]);
	assert_int_equal(va.payload_bytes, vb.payload_bytes);
	assert_memory_equal(
		va.block + va.layout.payload, vb.block + vb.layout.payload, va.payload_bytes);
	free(a.bytes);
	free(b.bytes);
}

static void any_byte_flipped_is_never_good(void **)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	struct block b = make(50, 50);
	struct wal_block_view view;

	for (uint32_t i = 0; i < b.len; i++) {
		for (unsigned f = 0; f < sizeof(flips); f++) {
			enum wal_verdict v;

			b.bytes[i] ^= flips[f];
			v = check(b.bytes, b.len, &view);
			assert_true(
				v == WAL_BLOCK_BAD || v == WAL_BLOCK_NONE || v == WAL_BLOCK_SHORT);
			assert_true(v != WAL_BLOCK_BAD || view.why[0]);
			b.bytes[i] ^= flips[f];
		}
	}
	assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_GOOD);
	free(b.bytes);
}

static void cut_anywhere_it_is_short_and_nothing_behind_is_read(void **)
{
	struct block b = make(50, 50);
	struct wal_block_view view;

	for (uint32_t len = 1; len < b.len; len += len < 700 ? 1 : 64 - len % 64) {
		uint8_t *cut = malloc(len);

		memcpy(cut, b.bytes, len);
		assert_int_equal(check(cut, len, &view), WAL_BLOCK_SHORT);
		free(cut);
	}
	assert_int_equal(check(b.bytes, 0, &view), WAL_BLOCK_NONE);
	assert_int_equal(check(b.bytes, b.len - 1, &view), WAL_BLOCK_SHORT);
	free(b.bytes);
}

// The one number that the header states only once: where the payload begins. Elsewhere in the slack
// it is another layout and as good; no byte outside the block may be reached by it.
#define PAYLOAD_OFFSET_AT 528u

static void assert_harmless(uint32_t at, unsigned width, const struct wal_block_view *view)
{
	assert_true(at < PAYLOAD_OFFSET_AT + 8 && at + width > PAYLOAD_OFFSET_AT);
	assert_int_equal(view->layout.payload % 8, 0);
	assert_true(view->layout.payload >= view->layout.at[COL_PAYLOAD] + 4u * 51);
	assert_true(view->layout.payload + view->payload_bytes <= view->len - WAL_TRAILER_BYTES);
}

// With the CRC put right: what is then not refused by the comparison with the template would be
// walked by a reader.
static void no_extreme_number_in_the_header_is_taken(void **)
{
	static const uint64_t extremes[] = {0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff,
		0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, WAL_BLOCK_MAX,
		WAL_BLOCK_MAX + 4096ull};
	struct block b = make(50, 50);
	struct wal_block_view view;

	for (uint32_t at = 0; at + 8 <= WAL_BLOCK_HEADER_BYTES; at += 2) {
		for (unsigned e = 0; e < sizeof(extremes) / sizeof(extremes[0]); e++) {
			for (unsigned width = 2; width <= 8; width *= 2) {
				uint8_t kept[8];

				memcpy(kept, b.bytes + at, 8);
				memcpy(b.bytes + at, &extremes[e], width);
				if (memcmp(kept, b.bytes + at, 8) != 0) {
					sample_fix_crc(b.bytes, b.len);
					if (check(b.bytes, b.len, &view) == WAL_BLOCK_GOOD)
						assert_harmless(at, width, &view);
				}
				memcpy(b.bytes + at, kept, 8);
			}
		}
	}
	free(b.bytes);
}

static struct wal_trailer *trailer_of(struct block b)
{
	return (struct wal_trailer *)(b.bytes + b.len) - 1;
}

// A block that is whole, but not for this place: the CRC alone would let it through.
#define assert_refused(b, verdict, change) \
	do { \
		struct wal_block_view view_; \
		struct wal_trailer kept_ = *trailer_of(b); \
		struct wal_trailer *t = trailer_of(b); \
		change; \
		sample_fix_crc((b).bytes, (b).len); \
		assert_int_equal(check((b).bytes, (b).len, &view_), verdict); \
		*t = kept_; \
		assert_int_equal(check((b).bytes, (b).len, &view_), WAL_BLOCK_GOOD); \
	} while (0)

static void a_whole_block_of_another_place_is_refused(void **)
{
	struct block b = make(50, 50);

	assert_refused(b, WAL_BLOCK_NONE, t->segment_id.bytes[15]++);
	assert_refused(b, WAL_BLOCK_BAD, t->magic++);
	assert_refused(b, WAL_BLOCK_BAD, t->file_offset += WAL_PAGE);
	assert_refused(b, WAL_BLOCK_BAD, t->block_len += WAL_PAGE);
	assert_refused(b, WAL_BLOCK_BAD, t->header_len += 8);
	assert_refused(b, WAL_BLOCK_BAD, t->generation++);
	assert_refused(b, WAL_BLOCK_BAD, t->partition++);
	assert_refused(b, WAL_BLOCK_BAD, t->rows++);
	assert_refused(b, WAL_BLOCK_BAD, t->rows = 1u << 28);
	assert_refused(b, WAL_BLOCK_BAD, t->flags |= 2);
	assert_refused(b, WAL_BLOCK_BAD, t->zero[0] = 1);
	assert_refused(b, WAL_BLOCK_BAD, t->zero[23] = 1);
	assert_refused(b, WAL_BLOCK_BAD, t->first_seq = UINT64_MAX);
	assert_refused(b, WAL_BLOCK_BAD, t->durable_seq = t->first_seq + 1);
	assert_refused(b, WAL_BLOCK_BAD, t->received_min = t->received_max + 1);
	free(b.bytes);
}

static void payload_offsets_out_of_order_are_refused(void **)
{
	static const struct {
		uint32_t row, value;
	} changes[] = {{0, 1}, {50, 1u << 31}, {50, 3}, {25, 1u << 30}, {25, 0xffffffff},
		{49, 1u << 20}, {25, 0}};
	struct block b = make(50, 50);
	struct wal_block_view view;
	uint8_t *offsets;

	assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_GOOD);
	offsets = b.bytes + view.layout.at[COL_PAYLOAD];
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint8_t kept[4];

		memcpy(kept, offsets + 4 * changes[i].row, 4);
		memcpy(offsets + 4 * changes[i].row, &changes[i].value, 4);
		sample_fix_crc(b.bytes, b.len);
		assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_BAD);
		memcpy(offsets + 4 * changes[i].row, kept, 4);
	}
	free(b.bytes);
}

// The layout that a writer of another version might choose: columns first to last shifted, where
// WAL_COLUMNS is the payload's bytes.
static struct block relaid(int first, int last, int32_t shift)
{
	uint32_t size = 64 << 10;
	uint8_t *mem = calloc(1, size);
	struct wal_layout layout;
	struct wal_block_info info;
	struct block b = {.bytes = mem};
	uint32_t bytes;

	wal_layout_init(&layout, 80, size);
	for (int i = first; i < WAL_COLUMNS && i <= last; i++)
		layout.at[i] = (uint32_t)((int32_t)layout.at[i] + shift);
	if (last == WAL_COLUMNS)
		layout.payload = (uint32_t)((int32_t)layout.payload + shift);
	bytes = sample_fill(mem, &layout, 1000, 50);
	info = sample_info(&segment, AT, 1000, 50, bytes);
	wal_block_close(mem, &layout, &info);
	b.len = wal_block_len(&layout, bytes);
	return b;
}

static void columns_may_lie_on_any_8_bytes_that_are_free(void **)
{
	struct wal_block_view view;

	for (int column = 0; column <= WAL_COLUMNS; column++) {
		struct block b = relaid(column, WAL_COLUMNS, 8);

		assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_GOOD);
		free(b.bytes);
		b = relaid(column, column, 4);
		assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_BAD);
		free(b.bytes);
	}
}

static void overlapping_columns_are_refused(void **)
{
	struct wal_block_view view;

	for (int column = 0; column <= WAL_COLUMNS; column++) {
		struct block b = relaid(column, WAL_COLUMNS, -512);

		assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_BAD);
		free(b.bytes);
	}
}

static void what_is_no_block_is_told_apart(void **)
{
	struct wal_block_view view;
	uint8_t page[WAL_PAGE] = {0};

	assert_int_equal(check(page, sizeof(page), &view), WAL_BLOCK_NONE);
	assert_int_equal(wal_block_claimed_len(page), 0);
	memset(page, 0xff, sizeof(page));
	assert_int_equal(check(page, sizeof(page), &view), WAL_BLOCK_NONE);
	wal_eos_compose(page);
	assert_int_equal(check(page, sizeof(page), &view), WAL_BLOCK_EOS);
	assert_int_equal(check(page, 8, &view), WAL_BLOCK_EOS);
	assert_int_equal(wal_block_claimed_len(page), 0);
	assert_int_equal(check(schema, sizeof(schema), &view), WAL_BLOCK_NONE);
}

static void the_empty_block_is_one_page_and_seals(void **)
{
	struct wal_block_info info = sample_info(&segment, AT, 1000, 5, 77);
	struct block b = {.bytes = malloc(WAL_PAGE), .len = WAL_PAGE};
	struct wal_block_view view;

	info.flags = WAL_FLAG_SEALED;
	memset(b.bytes, 0xa5, WAL_PAGE);
	wal_block_empty(b.bytes, &info);
	assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_GOOD);
	assert_int_equal(view.len, WAL_PAGE);
	assert_int_equal(view.trailer->rows, 0);
	assert_int_equal(view.trailer->received_min, 0);
	assert_int_equal(view.payload_bytes, 0);
	assert_refused(b, WAL_BLOCK_BAD, t->flags = 0);
	free(b.bytes);
}

static void what_an_earlier_block_left_behind_the_payload_is_cleared(void **)
{
	struct block b = make(50, 50);
	struct wal_block_view view;

	assert_int_equal(check(b.bytes, b.len, &view), WAL_BLOCK_GOOD);
	for (uint32_t i = view.layout.payload + view.payload_bytes; i < b.len - WAL_TRAILER_BYTES;
		i++)
		assert_int_equal(b.bytes[i], 0);
	free(b.bytes);
}

static void assert_sound(const struct wal_layout *l, uint32_t size)
{
	uint64_t next = WAL_BLOCK_HEADER_BYTES;

	for (int i = 0; i < WAL_COLUMNS; i++) {
		assert_int_equal(l->at[i] % 64, 0);
		assert_true(l->at[i] >= next);
		next = l->at[i] +
		       (uint64_t)(l->rows_max + (i == COL_PAYLOAD)) * wal_column_width[i];
	}
	assert_int_equal(l->payload % 64, 0);
	assert_true(l->payload >= next);
	assert_true((uint64_t)l->payload + l->payload_max + WAL_TRAILER_BYTES <= size);
	assert_true(wal_block_len(l, l->payload_max) <= size);
}

static void layouts_hold_from_no_row_to_more_than_fit(void **)
{
	static const uint32_t sizes[] = {4096, 8192, 128 << 10, 1 << 20, WAL_BLOCK_MAX};
	static const uint32_t rows[] = {0, 1, 2, 63, 64, 1000, 1u << 20, 1u << 30, UINT32_MAX};
	struct wal_layout l;

	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
			wal_layout_init(&l, rows[r], sizes[s]);
			assert_true(l.rows_max <= rows[r]);
			assert_sound(&l, sizes[s]);
		}
	}
	wal_layout_init(&l, 0, WAL_PAGE);
	assert_int_equal(wal_block_len(&l, 0), WAL_PAGE);
	wal_layout_init(&l, 5, 256);
	assert_int_equal(l.payload_max, 0);
	assert_int_equal(l.rows_max, 0);
}

static void as_many_rows_as_are_promised_fit(void **)
{
	static const uint32_t means[] = {0, 1, 18, 64, 600, 1472, 60000, 1u << 24, UINT32_MAX};
	struct wal_layout l;

	for (uint32_t size = 4096; size <= WAL_BLOCK_MAX; size *= 4) {
		for (unsigned m = 0; m < sizeof(means) / sizeof(means[0]); m++) {
			uint32_t n = wal_rows_for(size, means[m]);

			assert_true(n >= 1);
			wal_layout_init(&l, n, size);
			assert_int_equal(l.rows_max, n);
			assert_sound(&l, size);
			if (n > 1)
				assert_true((uint64_t)n * means[m] <= l.payload_max);
		}
	}
	// not wasteful: 18 bytes of payload and 60 of columns leave little over
	assert_true(wal_rows_for(1 << 20, 18) * 78ull > (1 << 20) * 99ull / 100);
}

static void ids_are_told_apart_and_written_as_hex(void **)
{
	struct wal_id a, b, c = {{0x00, 0x01, 0xfe, [15] = 0xa5}};
	char text[33];

	assert_int_equal(wal_id_random(&a), 0);
	assert_int_equal(wal_id_random(&b), 0);
	assert_false(wal_id_equal(&a, &b));
	b = a;
	assert_true(wal_id_equal(&a, &b));
	b.bytes[15]++;
	assert_false(wal_id_equal(&a, &b));
	wal_id_text(&c, text);
	assert_string_equal(text, "0001fe000000000000000000000000a5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_as_written_is_good),
		cmocka_unit_test(a_block_laid_out_for_its_rows_equals_one_with_room),
		cmocka_unit_test(any_byte_flipped_is_never_good),
		cmocka_unit_test(cut_anywhere_it_is_short_and_nothing_behind_is_read),
		cmocka_unit_test(no_extreme_number_in_the_header_is_taken),
		cmocka_unit_test(a_whole_block_of_another_place_is_refused),
		cmocka_unit_test(payload_offsets_out_of_order_are_refused),
		cmocka_unit_test(columns_may_lie_on_any_8_bytes_that_are_free),
		cmocka_unit_test(overlapping_columns_are_refused),
		cmocka_unit_test(what_is_no_block_is_told_apart),
		cmocka_unit_test(the_empty_block_is_one_page_and_seals),
		cmocka_unit_test(what_an_earlier_block_left_behind_the_payload_is_cleared),
		cmocka_unit_test(layouts_hold_from_no_row_to_more_than_fit),
		cmocka_unit_test(as_many_rows_as_are_promised_fit),
		cmocka_unit_test(ids_are_told_apart_and_written_as_hex),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
