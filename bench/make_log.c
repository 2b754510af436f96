// SPDX-License-Identifier: BSD-3-Clause
// make_log DIR SEGMENTS SEGMENT_MIB LAST_MIB [open]: a valid log of any size within a moment. Each
// closed segment holds two blocks and its end-of-stream page, and is a hole behind that; the newest
// holds LAST_MIB of blocks, and is stopped cleanly or, 'open', as a crash leaves it. Prints the seq
// with which the log goes on.

#include "common/file.h"
#include "common/units.h"
#include "wal/format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (1u << 20)
#define PAYLOAD_BYTES 600u
#define OPENED_AT 1750000000000000000 // any time will do; one that is the same each time

struct maker {
	const char *dir;
	uint64_t segment_bytes;
	struct wal_segment_header header;
	struct wal_layout layout;
	uint8_t *block; // rows and payload stay; header, seqs and trailer are made anew
	int fd;
	uint64_t offset, seq, batch;
	uint32_t prev_crc;
};

static int write_page(struct maker *m, const uint8_t *bytes, size_t len)
{
	int r = file_write_at(m->fd, bytes, len, m->offset);

	m->offset += len;
	return r;
}

static void fill(struct maker *m)
{
	uint32_t rows = wal_rows_for(BLOCK_BYTES, PAYLOAD_BYTES);

	wal_layout_init(&m->layout, rows, BLOCK_BYTES);
	memset(m->block, 'x', BLOCK_BYTES);
	for (uint32_t i = 0; i < COL_PAYLOAD; i++)
		memset(m->block + m->layout.at[i], 0, (size_t)rows * wal_column_width[i]);
	for (uint32_t i = 0; i <= rows; i++) {
		uint32_t at = i * PAYLOAD_BYTES;

		memcpy(m->block + m->layout.at[COL_PAYLOAD] + (size_t)i * 4, &at, 4);
	}
}

static int add_block(struct maker *m)
{
	uint32_t rows = m->layout.rows_max, bytes = rows * PAYLOAD_BYTES;
	struct wal_block_info info = {
		.segment_id = m->header.segment_id,
		.file_offset = m->offset,
		.generation = 1,
		.partition = m->header.partition,
		.first_seq = m->seq,
		.rows = rows,
		.flags = WAL_FLAG_SEALED,
		.batch = m->batch++,
		.durable_seq = m->seq,
		.received_min = OPENED_AT,
		.received_max = OPENED_AT,
		.prev_crc = m->prev_crc,
		.payload_bytes = bytes,
	};

	for (uint32_t i = 0; i < rows; i++) {
		uint64_t seq = m->seq + i, at = OPENED_AT;

		memcpy(m->block + m->layout.at[COL_SEQ] + (size_t)i * 8, &seq, 8);
		memcpy(m->block + m->layout.at[COL_RECEIVED_AT] + (size_t)i * 8, &at, 8);
	}
	m->seq += rows;
	m->prev_crc = wal_block_close(m->block, &m->layout, &info);
	return write_page(m, m->block, wal_block_len(&m->layout, bytes));
}

static int begin(struct maker *m)
{
	uint8_t page[WAL_SCHEMA_BYTES];
	char path[PATH_MAX];
	struct wal_segment_info info = {
		.header = m->header, .receiver = "bench", .listeners = "{}", .compression = "none"};
	int r;

	info.header.first_seq = info.header.gap_from = m->seq;
	info.header.first_batch = m->batch;
	r = wal_id_random(&info.header.segment_id);
	if (r == 0)
		r = wal_schema_compose(page, &info);
	if (r == 0)
		r = wal_schema_parse(page, &m->header);
	if (r < 0)
		return r;
	m->prev_crc = m->header.crc;
	m->offset = 0;
	snprintf(path, sizeof(path), "%s/%020" PRIu64 ".arrows", m->dir, m->seq);
	m->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)m->segment_bytes) < 0)
		return -errno;
	return write_page(m, page, sizeof(page));
}

// As rotation ends a segment, or, 'stopped', a stop.
static int end(struct maker *m, bool stopped)
{
	struct wal_segment_end last = {
		.segment_id = m->header.segment_id,
		.file_offset = m->offset,
		.generation = 1,
		.partition = m->header.partition,
		.end_seq = m->seq,
		.next_seq = m->seq,
		.next_batch = m->batch,
	};
	uint8_t page[WAL_PAGE];
	int r;

	if (stopped)
		wal_end_compose(page, &last);
	else
		wal_eos_compose(page);
	r = write_page(m, page, sizeof(page));
	if (r == 0 && stopped && ftruncate(m->fd, (off_t)m->offset) < 0)
		r = -errno;
	return r;
}

static int make(struct maker *m, uint64_t segments, uint64_t last_bytes, bool open_end)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < segments; i++) {
		bool newest = i + 1 == segments;

		r = begin(m);
		for (unsigned n = 0; r == 0 && (newest ? m->offset < last_bytes : n < 2); n++)
			r = add_block(m);
		if (r == 0 && !(newest && open_end))
			r = end(m, newest);
		if (m->fd >= 0)
			close(m->fd);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct maker m = {.fd = -1};
	uint64_t segments, segment_mib, last_mib;
	const char *slash;
	uint64_t partition = 0;
	int r;

	if (argc < 5 || !units_parse_uint(argv[2], &segments) ||
		!units_parse_uint(argv[3], &segment_mib) || !units_parse_uint(argv[4], &last_mib) ||
		segment_mib < 16 || last_mib + 2 > segment_mib) {
		fprintf(stderr, "usage: make_log DIR SEGMENTS SEGMENT_MIB LAST_MIB [open]\n"
				"DIR ends with the partition's number\n");
		return 2;
	}
	m.dir = argv[1];
	slash = strrchr(m.dir, '/');
	units_parse_uint(slash != NULL ? slash + 1 : m.dir, &partition);
	m.header.partition = (uint32_t)partition;
	m.header.generation = 1;
	m.segment_bytes = segment_mib << 20;
	m.block = aligned_alloc(WAL_PAGE, BLOCK_BYTES);
	r = m.block != NULL ? file_make_dirs(m.dir) : -ENOMEM;
	if (r == 0)
		r = wal_id_random(&m.header.log_id);
	if (r == 0) {
		fill(&m);
		r = make(&m, segments, last_mib << 20, argc > 5);
	}
	free(m.block);
	if (r < 0)
		fprintf(stderr, "make_log: %s: %s\n", m.dir, strerror(-r));
	else
		printf("%" PRIu64 "\n", m.seq);
	return r < 0;
}
