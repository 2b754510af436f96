// SPDX-License-Identifier: BSD-3-Clause
// Writes a segment, with "lz4" a compressed one, that holds everything a reader may meet: blocks
// laid out for more rows than they have and for exactly as many, an empty seal block in between and
// at the end, and, behind the end-of-stream page, a stale block and noise. With "protocol" every
// fifth row is no event, the only one of the second block among them, and none of the third.
#include "sample.h"
#include "wal/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (256u << 10)

struct maker {
	FILE *file;
	struct wal_segment_header header;
	uint64_t offset, seq, batch;
	uint32_t prev_crc;
	uint8_t *block;
	uint8_t *packed;
	struct wal_packer *packer; // NULL: no compression
	bool protocol;
};

static void emit(struct maker *m, const void *bytes, uint32_t len)
{
	fwrite(bytes, 1, len, m->file);
	m->offset += len;
}

static void close_block(
	struct maker *m, const struct wal_layout *layout, const struct wal_block_info *info)
{
	struct wal_fill fill = {
		.layout = *layout, .rows = info->rows, .payload_bytes = info->payload_bytes};
	struct block_meta meta;
	bool tried;

	if (m->packer && wal_pack(m->packer, m->block, &fill, m->packed, &meta, &tried)) {
		m->prev_crc = block_close(m->packed, &meta, info);
		emit(m, m->packed, meta.block_len);
		return;
	}
	m->prev_crc = wal_block_close(m->block, layout, info);
	emit(m, m->block, wal_block_len(layout, info->payload_bytes));
}

// Rows whose seq is a multiple of 5 become the protocol's.
static void mark(struct maker *m, const struct wal_layout *layout, uint32_t count)
{
	static const uint16_t protocol = WAL_LISTENER_PROTOCOL;

	for (uint32_t row = 0; m->protocol && row < count; row++)
		if ((m->seq + row) % 5 == 0)
			memcpy(m->block + layout->at[COL_LISTENER] + 2 * row, &protocol, 2);
}

static void rows(struct maker *m, uint32_t count, uint32_t capacity, uint32_t flags)
{
	struct wal_layout layout;
	struct wal_block_info info;
	uint32_t bytes;

	memset(m->block, 0xa5, BLOCK_BYTES); // what an earlier block left
	wal_layout_init(&layout, capacity, BLOCK_BYTES);
	bytes = sample_fill(m->block, &layout, m->seq, count);
	if (count < 500)
		mark(m, &layout, count);
	info = sample_info(&m->header, m->offset, m->seq, count, bytes);
	info.flags = flags;
	info.batch = m->batch;
	info.prev_crc = m->prev_crc;
	close_block(m, &layout, &info);
	m->seq += count;
	m->batch += flags & WAL_FLAG_SEALED ? 1 : 0;
}

static void seal(struct maker *m)
{
	struct wal_block_info info = sample_info(&m->header, m->offset, m->seq, 0, 0);

	info.flags = WAL_FLAG_SEALED;
	info.batch = m->batch++;
	info.prev_crc = m->prev_crc;
	m->prev_crc = wal_block_empty(m->block, &info);
	emit(m, m->block, WAL_PAGE);
}

static void schema(struct maker *m)
{
	struct wal_segment_info info = sample_segment();

	if (m->packer)
		info.compression = "lz4";
	wal_schema_compose(m->block, &info);
	wal_schema_parse(m->block, &m->header);
}

static int make(struct maker *m)
{
	struct wal_segment_end end = {0};

	schema(m);
	m->prev_crc = m->header.crc;
	m->seq = SAMPLE_FIRST_SEQ;
	m->batch = m->header.first_batch;
	emit(m, m->block, WAL_SCHEMA_BYTES);
	rows(m, 100, 100, 0);
	rows(m, 1, 900, 0);
	seal(m);
	rows(m, 500, 501, WAL_FLAG_SEALED);
	rows(m, 33, 64, 0);
	seal(m);
	end.segment_id = m->header.segment_id;
	end.file_offset = m->offset;
	end.end_seq = end.next_seq = m->seq;
	end.next_batch = m->batch;
	wal_end_compose(m->block, &end);
	emit(m, m->block, WAL_PAGE);
	rows(m, 200, 200, 0);
	memset(m->block, 0x5a, WAL_PAGE);
	emit(m, m->block, WAL_PAGE);
	return ferror(m->file) ? -EIO : 0;
}

int main(int argc, char **argv)
{
	struct maker m = {
		.block = malloc(BLOCK_BYTES), .packed = malloc(BLOCK_BYTES + PACK_SLACK_BYTES)};
	int rc = 0;

	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: make_segment FILE [lz4] [protocol]\n");
		free(m.block);
		free(m.packed);
		return 2;
	}
	for (int i = 2; rc == 0 && i < argc; i++) {
		if (strcmp(argv[i], "protocol") == 0)
			m.protocol = true;
		else
			rc = wal_packer_new(&m.packer);
	}
	m.file = fopen(argv[1], "wb");
	if (rc == 0 && m.file && m.block && m.packed)
		rc = make(&m);
	else
		rc = -ENOMEM;
	if (m.file && fclose(m.file) != 0)
		rc = -errno;
	wal_packer_free(m.packer);
	free(m.block);
	free(m.packed);
	if (rc < 0)
		fprintf(stderr, "make_segment: %s: %s\n", argv[1], strerror(-rc));
	return rc < 0;
}
