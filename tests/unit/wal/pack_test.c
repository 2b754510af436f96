// SPDX-License-Identifier: BSD-3-Clause

// Compressed blocks: what is packed unpacks to the same, what doesn't pay is left alone, and no
// length that a block states is trusted.

#include "common/crc32c.h"
#include "sample.h"
#include "wal/pack.h"

#include <errno.h>
#include <lz4frame.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT 8192u
#define SIZE (12u << 20) // frames of several LZ4 blocks, too

static struct wal_segment_header segment;
static uint8_t schema[WAL_SCHEMA_BYTES];

// A filled block, its packed form, and what is known of both.
struct packing {
	struct wal_packer *packer;
	struct wal_unpacked unpacked;
	uint8_t *plain, *packed;
	struct wal_fill fill;
	struct block_meta meta;
	bool tried;
	uint64_t noise;
};

static int setup(void **state)
{
	struct packing *p = calloc(1, sizeof(*p));

	segment = sample_schema(schema);
	p->plain = malloc(SIZE);
	p->packed = malloc(WAL_BLOCK_MAX);
	p->noise = 88172645463325252;
	assert_int_equal(wal_packer_new(&p->packer), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct packing *p = *state;

	wal_packer_free(p->packer);
	wal_unpacked_free(&p->unpacked);
	free(p->plain);
	free(p->packed);
	free(p);
	return 0;
}

static uint8_t noise(struct packing *p)
{
	p->noise ^= p->noise << 13;
	p->noise ^= p->noise >> 7;
	p->noise ^= p->noise << 17;
	return (uint8_t)(p->noise >> 24);
}

// Rows whose payloads are 'len' bytes each, of text or of noise.
static void fill(struct packing *p, uint32_t rows, uint32_t len, bool text)
{
	static const char words[] = "the receiver accepts the datagram and the log keeps it ";
	struct wal_layout *layout = &p->fill.layout;

	wal_layout_init(layout, rows, SIZE);
	assert_int_equal(layout->rows_max, rows);
	assert_true(rows * len <= layout->payload_max);
	sample_fill(p->plain, layout, 1000, rows);
	for (uint32_t i = 0; i <= rows; i++)
		memcpy(p->plain + layout->at[COL_PAYLOAD] + 4 * (size_t)i, &(uint32_t){i * len}, 4);
	for (uint32_t i = 0; i < rows * len; i++)
		p->plain[layout->payload + i] =
			text ? (uint8_t)words[(i + noise(p) % 3) % (sizeof(words) - 1)] : noise(p);
	p->fill.rows = rows;
	p->fill.payload_bytes = rows * len;
}

static bool pack(struct packing *p)
{
	return wal_pack(p->packer, p->plain, &p->fill, p->packed, &p->meta, &p->tried);
}

static void close_packed(struct packing *p)
{
	struct wal_block_info info =
		sample_info(&segment, AT, 1000, p->fill.rows, p->fill.payload_bytes);

	block_close(p->packed, &p->meta, &info);
}

static enum wal_verdict check(struct packing *p, struct wal_block_view *view)
{
	return wal_block_check(p->packed, p->meta.block_len, &segment, AT, view);
}

// Checks and unpacks; everything must be what was filled in.
static void assert_unpacks(struct packing *p)
{
	const struct wal_layout *layout = &p->fill.layout;
	struct wal_block_view view;

	assert_int_equal(check(p, &view), WAL_BLOCK_GOOD);
	assert_true(view.compressed);
	assert_null(view.columns);
	assert_int_equal(wal_unpack(&p->unpacked, &view), 0);
	assert_int_equal(view.payload_bytes, p->fill.payload_bytes);
	for (unsigned i = 0; i < WAL_COLUMNS; i++)
		assert_memory_equal(view.columns + view.layout.at[i], p->plain + layout->at[i],
			column_bytes(i, p->fill.rows));
	assert_memory_equal(view.columns + view.layout.payload, p->plain + layout->payload,
		p->fill.payload_bytes);
}

static void text_gets_shorter_and_unpacks_to_the_same(void **state)
{
	static const uint32_t shapes[][2] = {
		{1500, 600}, {8000, 60}, {100, 600}, {20, 1000}, {1, 90000}, {16000, 600}};
	struct packing *p = *state;

	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		fill(p, shapes[i][0], shapes[i][1], true);
		assert_true(pack(p));
		assert_true(p->meta.block_len <=
			    wal_block_len(&p->fill.layout, p->fill.payload_bytes) * 9ull / 10);
		close_packed(p);
		assert_unpacks(p);
	}
}

static void rows_without_payload_are_packed(void **state)
{
	struct packing *p = *state;

	fill(p, 3000, 0, true);
	assert_true(pack(p));
	close_packed(p);
	assert_unpacks(p);
}

static void small_events_of_noise_keep_their_payload_beside_packed_columns(void **state)
{
	struct packing *p = *state;

	fill(p, 8000, 40, false);
	assert_true(pack(p));
	assert_int_equal(p->meta.payload_bytes, 8000 * 40 + PACK_PREFIX_BYTES);
	close_packed(p);
	assert_unpacks(p);
}

static void a_block_of_one_page_is_not_tried(void **state)
{
	struct packing *p = *state;

	fill(p, 5, 400, true);
	assert_false(pack(p));
	assert_false(p->tried);
}

static void noise_is_left_alone_and_soon_hardly_tried(void **state)
{
	struct packing *p = *state;
	unsigned tried = 0;

	fill(p, 700, 1200, false);
	for (unsigned i = 0; i < 4 + 160; i++) {
		assert_false(pack(p));
		tried += p->tried;
	}
	assert_int_equal(tried, 4 + 10);
}

static void text_after_noise_is_found_within_sixteen_blocks(void **state)
{
	struct packing *p = *state;
	unsigned blocks = 1;

	fill(p, 700, 1200, false);
	for (unsigned i = 0; i < 100; i++)
		assert_false(pack(p));
	fill(p, 700, 1200, true);
	while (!pack(p))
		blocks++;
	assert_true(blocks <= 16);
	assert_true(pack(p));
}

static void a_block_whose_samples_deceive_is_left_alone(void **state)
{
	struct packing *p = *state;
	uint8_t *payload;

	fill(p, 700, 1200, false);
	payload = p->plain + p->fill.layout.payload;
	memset(payload, 'a', 16u << 10);
	memset(payload + p->fill.payload_bytes / 2, 'a', 16u << 10);
	assert_false(pack(p));
	assert_true(p->tried);
	assert_true(p->meta.payload_bytes > 100000); // its payload was compressed, in vain
}

static void nothing_of_an_earlier_block_is_left_between_the_buffers(void **state)
{
	struct packing *p = *state;

	fill(p, 201, 299, true);
	memset(p->packed, 0xa5, SIZE);
	assert_true(pack(p));
	for (unsigned i = 0; i < WAL_COLUMNS; i++) {
		uint32_t end = i + 1 < WAL_COLUMNS ? p->meta.at[i + 1] : p->meta.payload;

		for (uint32_t at = p->meta.at[i] + p->meta.stored[i]; at < end; at++)
			assert_int_equal(p->packed[at], 0);
	}
}

static void no_byte_changed_is_read_wrongly(void **state)
{
	struct packing *p = *state;
	struct wal_block_view view;
	unsigned good = 0;

	fill(p, 60, 200, true);
	assert_true(pack(p));
	close_packed(p);
	p->packed = realloc(p->packed, p->meta.block_len); // a byte too many is seen
	for (uint32_t i = 0; i < p->meta.block_len - 4; i++) {
		enum wal_verdict v;

		p->packed[i] ^= 0x41;
		assert_int_not_equal(check(p, &view), WAL_BLOCK_GOOD);
		sample_fix_crc(p->packed, p->meta.block_len); // a forged one
		v = check(p, &view);
		if (v == WAL_BLOCK_GOOD)
			good += wal_unpack(&p->unpacked, &view) == 0;
		assert_true(v != WAL_BLOCK_BAD || view.why[0]);
		p->packed[i] ^= 0x41;
	}
	assert_true(good > 0); // content alone is whatever it is
	sample_fix_crc(p->packed, p->meta.block_len);
	assert_unpacks(p);
}

static void assert_refused(struct packing *p, const char *why)
{
	struct wal_block_view view;

	close_packed(p);
	assert_int_equal(check(p, &view), WAL_BLOCK_BAD);
	assert_string_equal(view.why, why);
}

// The block as packed, for the next lie.
static void fresh(struct packing *p)
{
	assert_true(pack(p));
	close_packed(p);
}

static void lengths_that_our_packing_never_has_are_refused(void **state)
{
	struct packing *p = *state;

	fill(p, 200, 300, true);
	fresh(p);
	p->meta.stored[COL_SEQ] = (uint32_t)column_bytes(COL_SEQ, 200) + 9;
	assert_refused(p, "length of a compressed column impossible");
	fresh(p);
	p->meta.stored[COL_LISTENER] = 8;
	assert_refused(p, "length of a compressed column impossible");
	fresh(p);
	p->meta.at[COL_SRC_ADDR] += 64;
	assert_refused(p, "compressed columns overlap or are apart");
	fresh(p);
	p->meta.at[COL_SRC_ADDR] -= 64;
	assert_refused(p, "compressed columns overlap or are apart");
	fresh(p);
	p->meta.payload -= 64;
	assert_refused(p, "compressed payload impossible");
	fresh(p);
	p->meta.payload_bytes = 8;
	assert_refused(p, "compressed payload impossible");
	fresh(p);
	p->meta.block_len += WAL_PAGE;
	assert_refused(p, "compressed columns don't fill the block");
}

static void more_rows_than_a_block_can_hold_are_refused(void **state)
{
	struct packing *p = *state;

	fill(p, 200, 300, true);
	fresh(p);
	p->meta.rows = WAL_BLOCK_MAX / WAL_ROW_BYTES;
	assert_refused(p, "a compressed block of impossible rows");
	p->meta.rows = 0;
	assert_refused(p, "a compressed block of impossible rows");
}

static void set_prefix(struct packing *p, uint32_t at, int64_t value)
{
	memcpy(p->packed + at, &value, sizeof(value));
}

static void a_buffer_that_states_another_length_is_refused(void **state)
{
	static const int64_t lies[] = {0, 1, 1599, 1601, -1, -2, INT64_MIN, INT64_MAX};
	struct packing *p = *state;

	fill(p, 200, 300, true);
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		fresh(p);
		set_prefix(p, p->meta.at[COL_SEQ], lies[i]);
		assert_refused(p, "a compressed column has another length than its rows");
	}
	fresh(p);
	set_prefix(p, p->meta.payload, 5);
	assert_refused(p, "a compressed payload is longer than what it unpacks to");
	fresh(p);
	set_prefix(p, p->meta.payload, -7);
	assert_refused(p, "a compressed payload is longer than what it unpacks to");
}

// Puts a frame of 'len' bytes in the payload's place, that states 'stated'.
static void forge_payload(struct packing *p, const void *from, size_t len, int64_t stated)
{
	size_t n = LZ4F_compressFrame(p->packed + p->meta.payload + PACK_PREFIX_BYTES,
		LZ4F_compressFrameBound(len, NULL), from, len, NULL);

	assert_false(LZ4F_isError(n));
	set_prefix(p, p->meta.payload, stated);
	p->meta.payload_bytes = (uint32_t)n + PACK_PREFIX_BYTES;
	p->meta.block_len =
		(p->meta.payload + p->meta.payload_bytes + WAL_TRAILER_BYTES + WAL_PAGE - 1) /
		WAL_PAGE * WAL_PAGE;
}

static void a_payload_larger_than_any_block_is_refused(void **state)
{
	struct packing *p = *state;
	size_t len = WAL_BLOCK_MAX;
	uint8_t *zeros = calloc(1, len);

	p->packed = realloc(p->packed, 2 * (size_t)WAL_BLOCK_MAX);
	fill(p, 200, 300, true);
	fresh(p);
	forge_payload(p, zeros, len, (int64_t)len);
	assert_refused(p, "a compressed payload is larger than a block");
	free(zeros);
}

static void assert_no_frame(struct packing *p)
{
	struct wal_block_view view;

	close_packed(p);
	assert_int_equal(check(p, &view), WAL_BLOCK_GOOD);
	assert_int_equal(wal_unpack(&p->unpacked, &view), -EBADMSG);
	assert_string_equal(view.why, "a compressed buffer is no LZ4 frame of its length");
	assert_null(view.columns);
	fresh(p);
	assert_unpacks(p); // nothing of the bad one is left
}

static void a_frame_of_another_length_than_stated_is_refused(void **state)
{
	struct packing *p = *state;
	const uint8_t *payload;

	fill(p, 200, 300, true);
	payload = p->plain + p->fill.layout.payload;
	fresh(p);
	forge_payload(p, payload, 60000, 59999);
	assert_no_frame(p);
	forge_payload(p, payload, 60000, 60001);
	assert_no_frame(p);
}

static void a_truncated_frame_is_refused(void **state)
{
	struct packing *p = *state;
	uint32_t cut;

	fill(p, 200, 300, true);
	for (cut = 1; cut < 64; cut++) {
		fresh(p);
		p->meta.payload_bytes -= cut;
		p->meta.block_len = (p->meta.payload + p->meta.payload_bytes + WAL_TRAILER_BYTES +
					    WAL_PAGE - 1) /
				    WAL_PAGE * WAL_PAGE;
		assert_no_frame(p);
	}
}

static void bytes_behind_a_frame_are_refused(void **state)
{
	struct packing *p = *state;

	fill(p, 200, 300, true);
	fresh(p);
	memset(p->packed + p->meta.payload + p->meta.payload_bytes, 0, 8);
	p->meta.payload_bytes += 8;
	p->meta.block_len =
		(p->meta.payload + p->meta.payload_bytes + WAL_TRAILER_BYTES + WAL_PAGE - 1) /
		WAL_PAGE * WAL_PAGE;
	assert_no_frame(p);
}

static void payload_offsets_out_of_order_are_found_by_unpacking(void **state)
{
	struct packing *p = *state;
	struct wal_block_view view;

	fill(p, 200, 300, true);
	memset(p->plain + p->fill.layout.at[COL_PAYLOAD] + 400, 0xff, 4);
	fresh(p);
	assert_int_equal(check(p, &view), WAL_BLOCK_GOOD);
	assert_int_equal(wal_unpack(&p->unpacked, &view), -EBADMSG);
	assert_string_equal(view.why, "payload offsets out of order");
}

static void a_segment_of_version_1_has_no_compressed_blocks(void **state)
{
	struct packing *p = *state;
	struct wal_segment_header first = segment;
	struct wal_block_view view;

	fill(p, 200, 300, true);
	fresh(p);
	first.version = 1;
	assert_int_equal(
		wal_block_check(p->packed, p->meta.block_len, &first, AT, &view), WAL_BLOCK_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(text_gets_shorter_and_unpacks_to_the_same),
		T(rows_without_payload_are_packed),
		T(small_events_of_noise_keep_their_payload_beside_packed_columns),
		T(a_block_of_one_page_is_not_tried),
		T(noise_is_left_alone_and_soon_hardly_tried),
		T(text_after_noise_is_found_within_sixteen_blocks),
		T(a_block_whose_samples_deceive_is_left_alone),
		T(nothing_of_an_earlier_block_is_left_between_the_buffers),
		T(no_byte_changed_is_read_wrongly),
		T(lengths_that_our_packing_never_has_are_refused),
		T(more_rows_than_a_block_can_hold_are_refused),
		T(a_buffer_that_states_another_length_is_refused),
		T(a_payload_larger_than_any_block_is_refused),
		T(a_frame_of_another_length_than_stated_is_refused),
		T(a_truncated_frame_is_refused),
		T(bytes_behind_a_frame_are_refused),
		T(payload_offsets_out_of_order_are_found_by_unpacking),
		T(a_segment_of_version_1_has_no_compressed_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
