// SPDX-License-Identifier: BSD-3-Clause
// Exports in memory: which bytes come of which blocks. Who else reads them: export_readers_test.py.
#include "sample.h"
#include "wal/export.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_BYTES (64u << 10)
#define ROWS 50u

static struct sink {
	uint8_t bytes[4 * BLOCK_BYTES];
	size_t len;
	int fails; // what a write returns; 0: all is well
} sink;

static int take(void *arg, const void *data, size_t len)
{
	assert_ptr_equal(arg, &sink);
	if (sink.fails < 0)
		return sink.fails;
	assert_true(len <= sizeof(sink.bytes) - sink.len);
	memcpy(sink.bytes + sink.len, data, len);
	sink.len += len;
	return 0;
}

static struct wal_export_info info(void)
{
	return (struct wal_export_info){
		.receiver = "r", .listeners = "{}", .first_batch = 7, .last_batch = 7};
}

// A block of the sample; 'left' is what its memory held before, 'every': so many rows are one of
// the protocol's.
static void make(
	uint8_t *block, uint32_t capacity, int left, uint32_t every, struct wal_block_view *ret)
{
	static uint8_t page[WAL_SCHEMA_BYTES];
	struct wal_segment_header header = sample_schema(page);
	static const uint16_t protocol = WAL_LISTENER_PROTOCOL;
	struct wal_block_info block_info;
	struct wal_layout layout;
	uint32_t bytes;

	memset(block, left, BLOCK_BYTES);
	wal_layout_init(&layout, capacity, BLOCK_BYTES);
	bytes = sample_fill(block, &layout, SAMPLE_FIRST_SEQ, ROWS);
	for (uint32_t row = 0; every > 0 && row < ROWS; row += every)
		memcpy(block + layout.at[COL_LISTENER] + 2 * row, &protocol, 2);
	block_info = sample_info(&header, WAL_SCHEMA_BYTES, SAMPLE_FIRST_SEQ, ROWS, bytes);
	wal_block_close(block, &layout, &block_info);
	assert_int_equal(wal_block_check(block, BLOCK_BYTES, &header, WAL_SCHEMA_BYTES, ret),
		WAL_BLOCK_GOOD);
}

static uint32_t export_one(struct wal_export *export, uint32_t capacity, int left, uint32_t every)
{
	static uint8_t block[BLOCK_BYTES] __attribute__((aligned(4096)));
	struct wal_export_info i = info();
	struct wal_block_view view;
	uint32_t events = 999;

	sink.len = 0;
	make(block, capacity, left, every, &view);
	assert_int_equal(wal_export_begin(export, &i), 0);
	assert_int_equal(wal_export_block(export, &view, &events), 0);
	assert_int_equal(wal_export_end(export), 0);
	return events;
}

static int setup(void **state)
{
	memset(&sink, 0, sizeof(sink));
	return wal_export_new((struct wal_export **)state, WAL_EXPORT_FILE, take, &sink);
}

static int teardown(void **state)
{
	wal_export_free(*state);
	return 0;
}

// Neither the block's capacity nor what its memory held before is to be seen.
static void test_same_bytes(void **state)
{
	static struct sink first;

	assert_int_equal(export_one(*state, ROWS, 0, 0), ROWS);
	first = sink;
	assert_int_equal(export_one(*state, 4 * ROWS, 0xa5, 0), ROWS);
	assert_int_equal(sink.len, first.len);
	assert_memory_equal(sink.bytes, first.bytes, first.len);

	assert_int_equal(export_one(*state, ROWS, 0, 7), ROWS - 8);
	first = sink;
	assert_int_equal(export_one(*state, 4 * ROWS, 0xa5, 7), ROWS - 8);
	assert_int_equal(sink.len, first.len);
	assert_memory_equal(sink.bytes, first.bytes, first.len);
}

static void test_no_trailer(void **state)
{
	static const uint64_t magic = WAL_TRAILER_MAGIC;

	export_one(*state, ROWS, 0, 0);
	assert_null(memmem(sink.bytes, sink.len, &magic, sizeof(magic)));
}

// A block of the protocol's rows alone is not there at all.
static void test_no_events(void **state)
{
	struct wal_export_info i = info();
	static struct sink empty;

	assert_int_equal(wal_export_begin(*state, &i), 0);
	assert_int_equal(wal_export_end(*state), 0);
	empty = sink;
	assert_int_equal(export_one(*state, ROWS, 0, 1), 0);
	assert_int_equal(sink.len, empty.len);
	assert_memory_equal(sink.bytes, empty.bytes, empty.len);
}

static void test_seal_block(void **state)
{
	static uint8_t page[WAL_SCHEMA_BYTES], block[WAL_PAGE];
	struct wal_segment_header header = sample_schema(page);
	struct wal_block_info seal = sample_info(&header, WAL_SCHEMA_BYTES, SAMPLE_FIRST_SEQ, 0, 0);
	struct wal_export_info i = info();
	struct wal_block_view view;
	uint32_t events = 999;
	size_t before;

	seal.flags = WAL_FLAG_SEALED;
	wal_block_empty(block, &seal);
	assert_int_equal(wal_block_check(block, sizeof(block), &header, WAL_SCHEMA_BYTES, &view),
		WAL_BLOCK_GOOD);
	assert_int_equal(wal_export_begin(*state, &i), 0);
	before = sink.len;
	assert_int_equal(wal_export_block(*state, &view, &events), 0);
	assert_int_equal(events, 0);
	assert_int_equal(sink.len, before);
}

static void test_packed_is_refused(void **state)
{
	static uint8_t block[BLOCK_BYTES] __attribute__((aligned(4096)));
	struct wal_export_info i = info();
	struct wal_block_view view;

	make(block, ROWS, 0, 0, &view);
	view.columns = NULL; // as that of a compressed block before wal_unpack()
	assert_int_equal(wal_export_begin(*state, &i), 0);
	assert_int_equal(wal_export_block(*state, &view, NULL), -EINVAL);
}

static void test_write_error(void **state)
{
	static uint8_t block[BLOCK_BYTES] __attribute__((aligned(4096)));
	struct wal_export_info i = info();
	struct wal_block_view view;

	make(block, ROWS, 0, 0, &view);
	assert_int_equal(wal_export_begin(*state, &i), 0);
	sink.fails = -ENOSPC;
	assert_int_equal(wal_export_begin(*state, &i), -ENOSPC);
	assert_int_equal(wal_export_block(*state, &view, NULL), -ENOSPC);
	assert_int_equal(wal_export_end(*state), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_trailer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seal_block, setup, teardown),
		cmocka_unit_test_setup_teardown(test_packed_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
