// SPDX-License-Identifier: BSD-3-Clause
#include "sample.h"

#include "common/crc32c.h"

#include <string.h>

struct wal_segment_info sample_segment(void)
{
	struct wal_segment_info info = {
		.header = {.generation = 3,
			.partition = 2,
			.first_seq = SAMPLE_FIRST_SEQ,
			.first_batch = 7,
			.gap_from = SAMPLE_FIRST_SEQ},
		.receiver = "slave-1",
		.listeners = "{\"0\":{\"name\":\"syslog\",\"port\":514}}",
		.compression = "none",
	};

	memset(info.header.log_id.bytes, 0x11, 16);
	memset(info.header.segment_id.bytes, 0x22, 16);
	return info;
}

struct wal_segment_header sample_schema(uint8_t *page)
{
	struct wal_segment_info info = sample_segment();
	struct wal_segment_header header = {0};

	if (wal_schema_compose(page, &info) == 0)
		wal_schema_parse(page, &header);
	return header;
}

uint32_t sample_payload_len(uint64_t seq)
{
	return (uint32_t)(seq * 7 % 41);
}

static void put(uint8_t *block, const struct wal_layout *layout, enum wal_column column,
	uint32_t row, const void *value)
{
	uint32_t width = wal_column_width[column];

	memcpy(block + layout->at[column] + (size_t)row * width, value, width);
}

static void fill_row(uint8_t *block, const struct wal_layout *layout, uint64_t seq, uint32_t row)
{
	int64_t received = (int64_t)(1700000000000000000 + seq * 1000);
	uint8_t addr[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = (uint8_t)seq};
	uint16_t port = (uint16_t)(1024 + seq % 1000);
	uint16_t listener = (uint16_t)(seq % 3);
	uint64_t source_id = seq * 1000003;
	uint32_t epoch = (uint32_t)(seq % 5);
	uint64_t source_seq = seq + 5;

	put(block, layout, COL_SEQ, row, &seq);
	put(block, layout, COL_RECEIVED_AT, row, &received);
	put(block, layout, COL_SRC_ADDR, row, addr);
	put(block, layout, COL_SRC_PORT, row, &port);
	put(block, layout, COL_LISTENER, row, &listener);
	put(block, layout, COL_SOURCE_ID, row, &source_id);
	put(block, layout, COL_SOURCE_EPOCH, row, &epoch);
	put(block, layout, COL_SOURCE_SEQ, row, &source_seq);
}

uint32_t sample_fill(uint8_t *block, const struct wal_layout *layout, uint64_t seq, uint32_t rows)
{
	uint32_t bytes = 0;

	for (uint32_t row = 0; row < rows; row++, seq++) {
		uint32_t len = sample_payload_len(seq);

		put(block, layout, COL_PAYLOAD, row, &bytes);
		fill_row(block, layout, seq, row);
		for (uint32_t i = 0; i < len; i++)
			block[layout->payload + bytes + i] = (uint8_t)(seq + i);
		bytes += len;
	}
	put(block, layout, COL_PAYLOAD, rows, &bytes);
	return bytes;
}

struct wal_block_info sample_info(const struct wal_segment_header *segment, uint64_t file_offset,
	uint64_t seq, uint32_t rows, uint32_t payload_bytes)
{
	return (struct wal_block_info){
		.segment_id = segment->segment_id,
		.file_offset = file_offset,
		.generation = segment->generation,
		.partition = segment->partition,
		.first_seq = seq,
		.rows = rows,
		.batch = segment->first_batch,
		.durable_seq = seq,
		.received_min = (int64_t)(1700000000000000000 + seq * 1000),
		.received_max = (int64_t)(1700000000000000000 + (seq + rows) * 1000),
		.prev_crc = segment->crc,
		.payload_bytes = payload_bytes,
	};
}

void sample_fix_crc(uint8_t *bytes, uint32_t len)
{
	uint32_t crc = crc32c(bytes, len - 4);

	memcpy(bytes + len - 4, &crc, 4);
}
