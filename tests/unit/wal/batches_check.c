// SPDX-License-Identifier: BSD-3-Clause
#include "batches_check.h"

#include "log_fixture.h"
#include "wal/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct wal_batches *batches_opened(const char *dir, const struct wal *wal, uint64_t number)
{
	struct wal_batches *batches = NULL;

	assert_int_equal(wal_batches_open(&batches, dir, wal, number), 0);
	assert_int_equal(wal_batches_wanted(batches), number);
	return batches;
}

static void check_payload(const struct wal_row *row, uint32_t payload)
{
	assert_int_equal(row->payload_len, payload);
	for (uint32_t i = 0; i < payload; i++)
		if (row->payload[i] != log_fixture_byte(row->seq, i))
			fail_msg("seq %llu, byte %u", (unsigned long long)row->seq, i);
}

int batches_read(struct wal_batches *batches, const struct wal_batch *batch, uint32_t payload)
{
	struct wal_block_view view;
	uint64_t seq = batch->first_seq, bytes = 0;
	unsigned blocks = 0;
	uint32_t crc = 0;
	int r;

	while ((r = wal_batches_block(batches, &view)) == 1) {
		assert_int_equal(view.trailer->batch, batch->number);
		assert_int_equal(view.trailer->first_seq, seq);
		for (uint32_t i = 0; i < view.trailer->rows; i++, seq++) {
			struct wal_row row;

			wal_row_get(&view, i, &row);
			assert_int_equal(row.seq, seq);
			if (payload > 0)
				check_payload(&row, payload);
		}
		blocks++;
		bytes += view.len;
		crc = view.trailer->crc;
	}
	if (r < 0)
		return r;
	assert_int_equal(seq, batch->end_seq);
	assert_int_equal(blocks, batch->blocks);
	assert_int_equal(bytes, batch->bytes);
	assert_int_equal(crc, batch->crc);
	return 1;
}

struct wal_batch batches_expect(struct wal_batches *batches, uint64_t number, uint32_t payload)
{
	struct wal_batch batch;
	int r = wal_batches_next(batches, &batch);

	if (r == 1)
		r = batches_read(batches, &batch, payload);
	if (r != 1)
		print_error("batch %llu: %d: %s\n", (unsigned long long)number, r,
			wal_batches_why(batches));
	assert_int_equal(r, 1);
	assert_int_equal(batch.number, number);
	assert_int_equal(wal_batches_wanted(batches), number + 1);
	return batch;
}

int batches_ended(struct wal_batches *batches)
{
	struct wal_block_view view;
	struct wal_batch batch;
	int r = wal_batches_next(batches, &batch);

	assert_int_not_equal(r, 1);
	assert_int_equal(wal_batches_block(batches, &view), 0);
	return r;
}
