// SPDX-License-Identifier: BSD-3-Clause

// A log of each format version lies in tests/golden and must be read for ever: a change that breaks
// this test breaks every log there is.

#include "sample.h"
#include "wal/reader.h"
#include "wal/recover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct row {
	int64_t received_at;
	uint16_t src_port, listener;
	uint8_t src_last; // last byte of the address
	uint32_t len;
	const char *begin;
};

static const struct row rows[] = {
	{1795556918430857675, 33232, 0, 2, 10, "first line"},
	{1795556918430857675, 33232, 0, 2, 11, "second line"},
	{1795556918937536934, 39740, 1, 2, 10, "a datagram"},
	{1795556918939272703, 40150, 1, 2, 8, "sechs v6"},
	{1795556919445668287, 46147, 1, 2, 1000, "zzzz"},
};

static void assert_row(const struct wal_row *is, const struct row *want, uint64_t seq)
{
	assert_int_equal(is->seq, seq);
	assert_int_equal(is->received_at, want->received_at);
	assert_int_equal(is->src_port, want->src_port);
	assert_int_equal(is->listener, want->listener);
	assert_int_equal(is->src_addr[15], want->src_last);
	assert_int_equal(is->source_id, 0);
	assert_int_equal(is->payload_len, want->len);
	assert_memory_equal(is->payload, want->begin, strlen(want->begin));
}

static void version_1_is_read_row_by_row(void **state)
{
	struct wal_reader *reader;
	struct wal_block_view view;
	struct wal_row row;
	uint64_t seq = 0;

	(void)state;
	assert_int_equal(wal_reader_open(&reader, GOLDEN_DIR "/v1/0", 0,
				 (struct wal_limit){.segment_first = UINT64_MAX}),
		0);
	while (wal_reader_next(reader, &view) == 1) {
		for (uint32_t i = 0; i < view.trailer->rows; i++, seq++) {
			assert_true(seq < sizeof(rows) / sizeof(rows[0]));
			wal_row_get(&view, i, &row);
			assert_row(&row, &rows[seq], seq);
		}
	}
	assert_int_equal(seq, sizeof(rows) / sizeof(rows[0]));
	wal_reader_close(reader);
}

// A segment of plain blocks and one of both kinds; the values follow from the seq.
static void version_2_is_read_row_by_row(void **state)
{
	struct wal_layout layout;
	struct wal_reader *reader;
	struct wal_block_view view;
	uint8_t block[8192];
	struct wal_row row, want;
	unsigned compressed = 0;
	uint64_t seq = 0;

	(void)state;
	wal_layout_init(&layout, 1, sizeof(block));
	assert_int_equal(wal_reader_open(&reader, GOLDEN_DIR "/v2/0", 0,
				 (struct wal_limit){.segment_first = UINT64_MAX}),
		0);
	while (wal_reader_next(reader, &view) == 1) {
		compressed += view.compressed;
		for (uint32_t i = 0; i < view.trailer->rows; i++, seq++) {
			struct wal_block_view one = {.columns = block, .layout = layout};

			one.payload_bytes = sample_fill(block, &layout, seq, 1);
			wal_row_get(&one, 0, &want);
			wal_row_get(&view, i, &row);
			assert_int_equal(row.seq, want.seq);
			assert_int_equal(row.received_at, want.received_at);
			assert_memory_equal(row.src_addr, want.src_addr, 16);
			assert_int_equal(row.src_port, want.src_port);
			assert_int_equal(row.listener, want.listener);
			assert_int_equal(row.source_id, want.source_id);
			assert_int_equal(row.source_epoch, want.source_epoch);
			assert_int_equal(row.source_seq, want.source_seq);
			assert_int_equal(row.payload_len, want.payload_len);
			assert_memory_equal(row.payload, want.payload, row.payload_len);
		}
	}
	assert_int_equal(seq, 718);
	assert_int_equal(compressed, 2);
	wal_reader_close(reader);
}

static void version_2_verifies(void **state)
{
	struct wal_verify_report report;

	(void)state;
	assert_int_equal(
		wal_verify(GOLDEN_DIR "/v2/0", (struct wal_limit){.segment_first = UINT64_MAX},
			&report, NULL, NULL),
		0);
	assert_false(report.damaged);
	assert_false(report.torn);
	assert_int_equal(report.segments, 2);
	assert_int_equal(report.next_seq, 718);
	assert_int_equal(report.batches, 4);
}

static void version_1_verifies(void **state)
{
	struct wal_verify_report report;

	(void)state;
	assert_int_equal(
		wal_verify(GOLDEN_DIR "/v1/0", (struct wal_limit){.segment_first = UINT64_MAX},
			&report, NULL, NULL),
		0);
	assert_false(report.damaged);
	assert_false(report.torn);
	assert_int_equal(report.next_seq, 5);
	assert_int_equal(report.batches, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_is_read_row_by_row),
		cmocka_unit_test(version_1_verifies),
		cmocka_unit_test(version_2_is_read_row_by_row),
		cmocka_unit_test(version_2_verifies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
