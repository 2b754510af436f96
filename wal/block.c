// SPDX-License-Identifier: BSD-3-Clause
#include "common/crc32c.h"
#include "wal/format.h"
#include "wal/meta.h"
#include "wal/pack.h"

#include <stdio.h>
#include <string.h>

#define CRC_BYTES 4u

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void trailer_write(uint8_t *at, const struct wal_block_info *info, uint32_t len)
{
	struct wal_trailer t = {
		.magic = WAL_TRAILER_MAGIC,
		.segment_id = info->segment_id,
		.file_offset = info->file_offset,
		.block_len = len,
		.header_len = WAL_BLOCK_HEADER_BYTES,
		.generation = info->generation,
		.partition = info->partition,
		.first_seq = info->first_seq,
		.rows = info->rows,
		.flags = info->flags,
		.batch = info->batch,
		.durable_seq = info->durable_seq,
		.received_min = info->received_min,
		.received_max = info->received_max,
		.prev_crc = info->prev_crc,
	};

	memcpy(at, &t, sizeof(t));
}

uint32_t block_close(
	uint8_t *block, const struct block_meta *meta, const struct wal_block_info *info)
{
	uint32_t len = meta->block_len;
	uint32_t end = meta->payload + meta->payload_bytes;
	uint32_t crc;

	block_meta_write(block, meta);
	memset(block + end, 0, len - WAL_TRAILER_BYTES - end);
	trailer_write(block + len - WAL_TRAILER_BYTES, info, len);
	crc = crc32c(block, len - CRC_BYTES);
	memcpy(block + len - CRC_BYTES, &crc, CRC_BYTES);
	return crc;
}

uint32_t wal_block_close(
	uint8_t *block, const struct wal_layout *layout, const struct wal_block_info *info)
{
	struct block_meta meta = {
		.rows = info->rows,
		.payload_bytes = info->payload_bytes,
		.block_len = wal_block_len(layout, info->payload_bytes),
		.payload = layout->payload,
	};

	memcpy(meta.at, layout->at, sizeof(meta.at));
	return block_close(block, &meta, info);
}

uint32_t wal_block_empty(uint8_t *page, const struct wal_block_info *info)
{
	struct wal_block_info empty = *info;
	struct wal_layout layout;

	empty.rows = 0;
	empty.payload_bytes = 0;
	empty.received_min = 0;
	empty.received_max = 0;
	memset(page, 0, WAL_PAGE);
	wal_layout_init(&layout, 0, WAL_PAGE);
	return wal_block_close(page, &layout, &empty);
}

uint32_t wal_block_claimed_len(const uint8_t *block)
{
	struct block_meta meta;

	if (!block_meta_begins(block, 8) || !block_meta_read(block, &meta))
		return 0;
	if (meta.block_len > WAL_BLOCK_MAX || meta.block_len % WAL_PAGE != 0)
		return 0;
	return meta.block_len;
}

static enum wal_verdict bad(struct wal_block_view *view, const char *why)
{
	snprintf(view->why, sizeof(view->why), "%s", why);
	return WAL_BLOCK_BAD;
}

// Columns in their order, apart from each other, each on 8 bytes, all before the trailer. NULL or
// what is wrong. 64-bit arithmetic: nothing read was checked before.
static const char *plain_judge(const struct block_meta *meta)
{
	uint64_t next = WAL_BLOCK_HEADER_BYTES;
	uint64_t end = (uint64_t)meta->block_len - WAL_TRAILER_BYTES;

	for (unsigned i = 0; i < WAL_COLUMNS; i++) {
		if (meta->at[i] % 8 != 0 || meta->at[i] < next)
			return "columns overlap or are not aligned";
		next = meta->at[i] + column_bytes(i, meta->rows);
	}
	if (meta->payload % 8 != 0 || meta->payload < next)
		return "payload overlaps the columns or is not aligned";
#ifndef MUTANT_BLOCK_BOUNDS
	if ((uint64_t)meta->payload + meta->payload_bytes > end)
		return "columns reach past the block";
#else
	(void)end;
#endif
	return NULL;
}

static void view_plain(const struct block_meta *meta, struct wal_block_view *ret)
{
	ret->columns = ret->block;
	ret->payload_bytes = meta->payload_bytes;
	memcpy(ret->layout.at, meta->at, sizeof(meta->at));
	ret->layout.payload = meta->payload;
	ret->layout.payload_max = meta->payload_bytes;
	ret->layout.rows_max = meta->rows;
}

// The header must be what the template makes of what it states.
static const char *header_judge(const uint8_t *block, uint32_t version, struct wal_block_view *view)
{
	uint8_t expected[WAL_BLOCK_HEADER_BYTES];
	struct block_meta meta;
	const char *why;

	if (!wal_block_claimed_len(block) || !block_meta_read(block, &meta))
		return "block length impossible";
	if (meta.block_len < WAL_PAGE)
		return "block length impossible";
	if (meta.compressed && version < PACK_VERSION)
		return "a compressed block in a segment of version 1";
	why = meta.compressed ? packed_meta_judge(&meta) : plain_judge(&meta);
	if (why)
		return why;
#ifndef MUTANT_BLOCK_TEMPLATE
	block_meta_write(expected, &meta);
	if (memcmp(block, expected, sizeof(expected)) != 0)
		return "header is not one of ours";
#else
	(void)expected;
#endif

	view->len = meta.block_len;
	if (meta.compressed)
		packed_view(&meta, view);
	else
		view_plain(&meta, view);
	return NULL;
}

// What the trailer says of the place it was written for. Foreign blocks are told by the caller.
static const char *trailer_judge(const struct wal_trailer *t,
	const struct wal_segment_header *segment, uint64_t file_offset,
	const struct wal_block_view *view)
{
	static const uint8_t zero[sizeof(t->zero)];

	if (t->file_offset != file_offset)
		return "written for another offset";
	if (t->block_len != view->len || t->header_len != WAL_BLOCK_HEADER_BYTES)
		return "trailer and header differ in length";
	if (t->generation != segment->generation || t->partition != segment->partition)
		return "of another generation or partition";
	if (t->rows != view->layout.rows_max)
		return "trailer and header differ in rows";
	if (t->flags & ~WAL_FLAG_SEALED || memcmp(t->zero, zero, sizeof(zero)) != 0)
		return "unknown flags";
	if (t->rows == 0 && !(t->flags & WAL_FLAG_SEALED))
		return "no rows and no seal";
	if (t->first_seq + t->rows < t->first_seq || t->received_min > t->received_max)
		return "seq or time out of order";
	if (t->durable_seq > t->first_seq)
		return "knows itself to be durable";
	return NULL;
}

const char *block_offsets_judge(const struct wal_block_view *view)
{
	const uint8_t *at = view->columns + view->layout.at[COL_PAYLOAD];
	uint32_t rows = view->trailer->rows;
	uint32_t wrong = le32(at) | (le32(at + 4 * (size_t)rows) ^ view->payload_bytes);

	for (uint32_t i = 0; i < rows; i++)
		wrong |= le32(at + 4 * (size_t)i) > le32(at + 4 * (size_t)i + 4);
	return wrong ? "payload offsets out of order" : NULL;
}

static enum wal_verdict place_judge(const struct wal_trailer *t,
	const struct wal_segment_header *segment, uint64_t file_offset, struct wal_block_view *view)
{
	const char *why;

	if (t->magic != WAL_TRAILER_MAGIC)
		return bad(view, "no trailer at its end");
	if (!wal_id_equal(&t->segment_id, &segment->segment_id))
		return WAL_BLOCK_NONE;
	why = trailer_judge(t, segment, file_offset, view);
	return why ? bad(view, why) : WAL_BLOCK_GOOD;
}

static enum wal_verdict body_judge(
	const struct wal_segment_header *segment, uint64_t file_offset, struct wal_block_view *view)
{
	const struct wal_trailer *t = (const struct wal_trailer *)(view->block + view->len) - 1;
	enum wal_verdict verdict = place_judge(t, segment, file_offset, view);
	const char *why;

	if (verdict != WAL_BLOCK_GOOD)
		return verdict;
#if !defined(MUTANT_BLOCK_CRC) && !defined(MUTANT_RECENT_GUARD)
	if (crc32c(view->block, view->len - CRC_BYTES) != t->crc)
		return bad(view, "CRC differs");
#endif
	view->trailer = t;
	// Last of all, when the CRC has shown that the bytes are the writer's.
	why = view->compressed ? packed_body_judge(view) : block_offsets_judge(view);
	return why ? bad(view, why) : WAL_BLOCK_GOOD;
}

enum wal_verdict wal_block_look(const uint8_t *header, const struct wal_trailer *trailer,
	const struct wal_segment_header *segment, uint64_t file_offset, char *why)
{
	struct wal_block_view view = {.block = header};
	const char *wrong = header_judge(header, segment->version, &view);
	enum wal_verdict verdict =
		wrong ? bad(&view, wrong) : place_judge(trailer, segment, file_offset, &view);

	snprintf(why, sizeof(view.why), "%s", view.why);
	return verdict;
}

enum wal_verdict wal_block_check(const uint8_t *block, size_t avail,
	const struct wal_segment_header *segment, uint64_t file_offset, struct wal_block_view *ret)
{
	static const uint8_t eos[8] = {0xff, 0xff, 0xff, 0xff};
	const char *why;

	memset(ret, 0, sizeof(*ret));
	ret->block = block;
	if (avail >= sizeof(eos) && memcmp(block, eos, sizeof(eos)) == 0)
		return WAL_BLOCK_EOS;
	if (avail == 0 || !block_meta_begins(block, avail))
		return WAL_BLOCK_NONE;
	if (avail < WAL_BLOCK_HEADER_BYTES)
		return WAL_BLOCK_SHORT;
	why = header_judge(block, segment->version, ret);
	if (why)
		return bad(ret, why);
	if (ret->len > avail)
		return WAL_BLOCK_SHORT;
	return body_judge(segment, file_offset, ret);
}
