// SPDX-License-Identifier: BSD-3-Clause
// What another hand's decoder makes of our bytes.
#include "sample.h"
#include "wal/pack.h"

#include <nanoarrow/nanoarrow_ipc.h>

#include <lz4frame.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_BYTES (64u << 10)

static struct ArrowIpcDecoder decoder;
static struct ArrowSchema schema;
static struct wal_segment_header segment;
static uint8_t page[WAL_SCHEMA_BYTES];
static uint8_t *block;

static struct ArrowBufferView view_of(const void *data, int64_t len)
{
	return (struct ArrowBufferView){.data.data = data, .size_bytes = len};
}

static int setup(void **)
{
	struct ArrowError error;

	block = aligned_alloc(64, BLOCK_BYTES);
	segment = sample_schema(page);
	return ArrowIpcDecoderInit(&decoder) ||
	       ArrowIpcDecoderVerifyHeader(&decoder, view_of(page, sizeof(page)), &error) ||
	       ArrowIpcDecoderDecodeHeader(&decoder, view_of(page, sizeof(page)), &error) ||
	       ArrowIpcDecoderDecodeSchema(&decoder, &schema, &error) ||
	       ArrowIpcDecoderSetSchema(&decoder, &schema, &error);
}

static int teardown(void **)
{
	ArrowSchemaRelease(&schema);
	ArrowIpcDecoderReset(&decoder);
	free(block);
	return 0;
}

static void the_schema_message_fills_its_page(void **)
{
	struct ArrowIpcDecoder d;
	struct ArrowError error;

	assert_int_equal(ArrowIpcDecoderInit(&d), 0);
	assert_int_equal(ArrowIpcDecoderVerifyHeader(&d, view_of(page, sizeof(page)), &error), 0);
	assert_int_equal(d.header_size_bytes, WAL_SCHEMA_BYTES);
	assert_int_equal(d.body_size_bytes, 0);
	assert_int_equal(d.metadata_version, NANOARROW_IPC_METADATA_VERSION_V5);
	assert_int_equal(d.message_type, NANOARROW_IPC_MESSAGE_TYPE_SCHEMA);
	ArrowIpcDecoderReset(&d);
}

static void the_columns_have_their_names_and_types(void **)
{
	static const char *const columns[WAL_COLUMNS][2] = {{"seq", "L"},
		{"received_at", "tsn:UTC"}, {"src_addr", "w:16"}, {"src_port", "S"},
		{"listener", "S"}, {"source_id", "L"}, {"source_epoch", "I"}, {"source_seq", "L"},
		{"payload", "z"}};

	assert_int_equal(schema.n_children, WAL_COLUMNS);
	for (int i = 0; i < WAL_COLUMNS; i++) {
		assert_string_equal(schema.children[i]->name, columns[i][0]);
		assert_string_equal(schema.children[i]->format, columns[i][1]);
		assert_false(schema.children[i]->flags & ARROW_FLAG_NULLABLE);
	}
}

static void the_metadata_names_the_segment(void **)
{
	static const char *const pairs[][2] = {{"format_version", "2"},
		{"log_id", "11111111111111111111111111111111"},
		{"segment_id", "22222222222222222222222222222222"}, {"generation", "3"},
		{"first_seq", "1000"}, {"receiver", "slave-1"}, {"partition", "2"},
		{"listeners", "{\"0\":{\"name\":\"syslog\",\"port\":514}}"},
		{"compression", "none"}};

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct ArrowStringView value = {0};

		assert_int_equal(
			ArrowMetadataGetValue(schema.metadata, ArrowCharView(pairs[i][0]), &value),
			0);
		assert_int_equal(value.size_bytes, strlen(pairs[i][1]));
		assert_memory_equal(value.data, pairs[i][1], (size_t)value.size_bytes);
	}
}

// Our block through the verifier and the decoder, to a validated array.
static void decode(uint32_t len, struct ArrowArray *ret)
{
	struct ArrowBufferView header = view_of(block, len);
	struct ArrowError error;

	assert_int_equal(ArrowIpcDecoderVerifyHeader(&decoder, header, &error), 0);
	assert_int_equal(decoder.header_size_bytes, WAL_BLOCK_HEADER_BYTES);
	assert_int_equal(decoder.body_size_bytes, len - WAL_BLOCK_HEADER_BYTES);
	assert_int_equal(decoder.message_type, NANOARROW_IPC_MESSAGE_TYPE_RECORD_BATCH);
	assert_int_equal(ArrowIpcDecoderDecodeHeader(&decoder, header, &error), 0);
	assert_int_equal(ArrowIpcDecoderDecodeArray(&decoder,
				 view_of(block + WAL_BLOCK_HEADER_BYTES, decoder.body_size_bytes),
				 -1, ret, NANOARROW_VALIDATION_LEVEL_FULL, &error),
		0);
}

static void assert_row(const struct ArrowArray *a, uint32_t row, uint64_t seq)
{
	const void *const *fixed[WAL_COLUMNS];
	const uint32_t *offsets = a->children[COL_PAYLOAD]->buffers[1];
	const uint8_t *payload = a->children[COL_PAYLOAD]->buffers[2];

	for (int i = 0; i < WAL_COLUMNS; i++)
		fixed[i] = a->children[i]->buffers;
	assert_int_equal(((const uint64_t *)fixed[COL_SEQ][1])[row], seq);
	assert_int_equal(((const uint64_t *)fixed[COL_RECEIVED_AT][1])[row],
		1700000000000000000 + seq * 1000);
	assert_int_equal(((const uint8_t *)fixed[COL_SRC_ADDR][1])[16 * row + 15], (uint8_t)seq);
	assert_int_equal(((const uint16_t *)fixed[COL_SRC_PORT][1])[row], 1024 + seq % 1000);
	assert_int_equal(((const uint16_t *)fixed[COL_LISTENER][1])[row], seq % 3);
	assert_int_equal(((const uint64_t *)fixed[COL_SOURCE_ID][1])[row], seq * 1000003);
	assert_int_equal(((const uint32_t *)fixed[COL_SOURCE_EPOCH][1])[row], seq % 5);
	assert_int_equal(((const uint64_t *)fixed[COL_SOURCE_SEQ][1])[row], seq + 5);
	assert_int_equal(offsets[row + 1] - offsets[row], sample_payload_len(seq));
	for (uint32_t i = 0; i < sample_payload_len(seq); i++)
		assert_int_equal(payload[offsets[row] + i], (uint8_t)(seq + i));
}

static void every_row_of_a_block_is_decoded(void **)
{
	static const uint32_t shapes[][2] = {{1, 1}, {1, 300}, {50, 50}, {64, 300}, {300, 300}};

	for (unsigned s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
		struct wal_layout layout;
		struct wal_block_info info;
		struct ArrowArray array;
		uint32_t bytes;

		memset(block, 0xa5, BLOCK_BYTES);
		wal_layout_init(&layout, shapes[s][1], BLOCK_BYTES);
		bytes = sample_fill(block, &layout, 1000, shapes[s][0]);
		info = sample_info(&segment, 8192, 1000, shapes[s][0], bytes);
		wal_block_close(block, &layout, &info);
		decode(wal_block_len(&layout, bytes), &array);
		assert_int_equal(array.length, shapes[s][0]);
		for (uint32_t row = 0; row < shapes[s][0]; row++)
			assert_row(&array, row, 1000 + row);
		ArrowArrayRelease(&array);
	}
}

// nanoarrow's own is left out of our build of it.
static ArrowErrorCode unpack(
	struct ArrowBufferView from, uint8_t *to, int64_t len, struct ArrowError *)
{
	size_t given = (size_t)len, taken = (size_t)from.size_bytes, r;
	LZ4F_dctx *lz4;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)))
		return ENOMEM;
	r = LZ4F_decompress(lz4, to, &given, from.data.data, &taken, NULL);
	LZ4F_freeDecompressionContext(lz4);
	return r == 0 && given == (size_t)len && taken == (size_t)from.size_bytes ? 0 : EIO;
}

static void set_decompressor(void)
{
	struct ArrowIpcDecompressor decompressor;

	assert_int_equal(ArrowIpcSerialDecompressor(&decompressor), 0);
	assert_int_equal(ArrowIpcSerialDecompressorSetFunction(
				 &decompressor, NANOARROW_IPC_COMPRESSION_TYPE_LZ4_FRAME, unpack),
		0);
	assert_int_equal(ArrowIpcDecoderSetDecompressor(&decoder, &decompressor), 0);
}

static void every_row_of_a_compressed_block_is_decoded(void **)
{
	static const uint32_t rows[] = {64, 300, 700};
	uint8_t *plain = malloc(BLOCK_BYTES);
	struct wal_packer *packer;

	set_decompressor();
	assert_int_equal(wal_packer_new(&packer), 0);
	for (unsigned s = 0; s < sizeof(rows) / sizeof(rows[0]); s++) {
		struct wal_fill fill = {.rows = rows[s]};
		struct wal_block_info info;
		struct block_meta meta;
		struct ArrowArray array;
		bool tried;

		wal_layout_init(&fill.layout, rows[s], BLOCK_BYTES);
		fill.payload_bytes = sample_fill(plain, &fill.layout, 1000, rows[s]);
		info = sample_info(&segment, 8192, 1000, rows[s], fill.payload_bytes);
		assert_true(wal_pack(packer, plain, &fill, block, &meta, &tried));
		block_close(block, &meta, &info);
		decode(meta.block_len, &array);
		assert_int_equal(decoder.codec, NANOARROW_IPC_COMPRESSION_TYPE_LZ4_FRAME);
		assert_int_equal(array.length, rows[s]);
		for (uint32_t row = 0; row < rows[s]; row++)
			assert_row(&array, row, 1000 + row);
		ArrowArrayRelease(&array);
	}
	wal_packer_free(packer);
	free(plain);
}

static void the_empty_block_is_a_batch_of_no_rows(void **)
{
	struct wal_block_info info = sample_info(&segment, 8192, 1000, 0, 0);
	struct ArrowArray array;

	info.flags = WAL_FLAG_SEALED;
	wal_block_empty(block, &info);
	decode(WAL_PAGE, &array);
	assert_int_equal(array.length, 0);
	assert_int_equal(array.n_children, WAL_COLUMNS);
	ArrowArrayRelease(&array);
}

static void the_end_is_the_end_of_the_stream(void **)
{
	struct ArrowError error;
	int32_t prefix;

	wal_eos_compose(block);
	assert_int_equal(
		ArrowIpcDecoderPeekHeader(&decoder, view_of(block, WAL_PAGE), &prefix, &error),
		ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_schema_message_fills_its_page),
		cmocka_unit_test(the_columns_have_their_names_and_types),
		cmocka_unit_test(the_metadata_names_the_segment),
		cmocka_unit_test(every_row_of_a_block_is_decoded),
		cmocka_unit_test(every_row_of_a_compressed_block_is_decoded),
		cmocka_unit_test(the_empty_block_is_a_batch_of_no_rows),
		cmocka_unit_test(the_end_is_the_end_of_the_stream),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
