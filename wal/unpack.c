// SPDX-License-Identifier: BSD-3-Clause
#include "wal/pack.h"

#include <errno.h>
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// 64-bit arithmetic: nothing read was checked before. What the rows unpack to must fit in a block.
const char *packed_meta_judge(const struct block_meta *meta)
{
	uint64_t next = WAL_BLOCK_HEADER_BYTES;
	struct wal_layout unpacked;

	wal_layout_init(&unpacked, meta->rows, WAL_BLOCK_MAX);
	if (meta->rows == 0 || unpacked.rows_max != meta->rows)
		return "a compressed block of impossible rows";
	for (unsigned i = 0; i < WAL_COLUMNS; i++) {
		uint64_t most = PACK_PREFIX_BYTES + column_bytes(i, meta->rows);

		if (meta->at[i] != next)
			return "compressed columns overlap or are apart";
		if (meta->stored[i] <= PACK_PREFIX_BYTES || meta->stored[i] > most)
			return "length of a compressed column impossible";
		next = wal_align_up(next + meta->stored[i], PACK_ALIGN);
	}
	if (meta->payload != next ||
		(meta->payload_bytes > 0 && meta->payload_bytes <= PACK_PREFIX_BYTES))
		return "compressed payload impossible";
	next += meta->payload_bytes + WAL_TRAILER_BYTES;
	if (wal_align_up(next, WAL_PAGE) != meta->block_len)
		return "compressed columns don't fill the block";
	return NULL;
}

void packed_view(const struct block_meta *meta, struct wal_block_view *ret)
{
	ret->compressed = true;
	for (unsigned i = 0; i < WAL_COLUMNS; i++)
		ret->stored[i] = (struct wal_stored){meta->at[i], meta->stored[i]};
	ret->stored[WAL_COLUMNS] = (struct wal_stored){meta->payload, meta->payload_bytes};
	wal_layout_init(&ret->layout, meta->rows, WAL_BLOCK_MAX);
}

// What a stored buffer says that it unpacks to, -1 when that can't be. *ret_plain: it is stored as
// it is.
static int64_t unpacked_len(const struct wal_block_view *view, unsigned buffer, bool *ret_plain)
{
	const struct wal_stored *stored = &view->stored[buffer];
	int64_t len;

	*ret_plain = stored->len == 0;
	if (stored->len == 0)
		return 0;
	memcpy(&len, view->block + stored->at, sizeof(len));
	*ret_plain = len == -1;
	if (len == -1)
		return stored->len - PACK_PREFIX_BYTES;
	return len <= (int64_t)(stored->len - PACK_PREFIX_BYTES) ? -1 : len;
}

const char *packed_body_judge(struct wal_block_view *view)
{
	bool plain;
	int64_t len;

	for (unsigned i = 0; i < WAL_COLUMNS; i++)
		if (unpacked_len(view, i, &plain) !=
			(int64_t)column_bytes(i, view->layout.rows_max))
			return "a compressed column has another length than its rows";
	len = unpacked_len(view, WAL_COLUMNS, &plain);
	if (len < 0)
		return "a compressed payload is longer than what it unpacks to";
#ifndef MUTANT_UNPACK_UNBOUNDED
	if (len > view->layout.payload_max)
		return "a compressed payload is larger than a block";
#endif
	view->payload_bytes = (uint32_t)len;
	return NULL;
}

static int make_room(struct wal_unpacked *u, size_t want)
{
	uint8_t *mem;

	if (want <= u->room)
		return 0;
	want = wal_align_up(want, WAL_PAGE);
	mem = aligned_alloc(WAL_PAGE, want);
	if (mem == NULL)
		return -ENOMEM;
	free(u->mem);
	u->mem = mem;
	u->room = want;
	return 0;
}

// One whole frame that gives 'len' bytes and no more.
static bool unpack_frame(
	LZ4F_dctx *lz4, const uint8_t *from, size_t stored, uint8_t *to, size_t len)
{
	size_t taken = stored, given = len;
	size_t r = LZ4F_decompress(lz4, to, &given, from, &taken, NULL);

	return r == 0 && taken == stored && given == len;
}

static bool unpack_buffer(
	LZ4F_dctx *lz4, const struct wal_block_view *view, unsigned buffer, uint8_t *to)
{
	const struct wal_stored *stored = &view->stored[buffer];
	const uint8_t *from = view->block + stored->at + PACK_PREFIX_BYTES;
	bool plain;
	int64_t len = unpacked_len(view, buffer, &plain);

	if (!plain)
		return unpack_frame(lz4, from, stored->len - PACK_PREFIX_BYTES, to, (size_t)len);
	if (len > 0)
		memcpy(to, from, (size_t)len);
	return true;
}

static int bad(struct wal_block_view *view, const char *why)
{
	snprintf(view->why, sizeof(view->why), "%s", why);
	return -EBADMSG;
}

int wal_unpack(struct wal_unpacked *unpacked, struct wal_block_view *view)
{
	const struct wal_layout *layout = &view->layout;
	const char *why;
	int r;

	if (!view->compressed)
		return 0;
	r = make_room(unpacked, (size_t)layout->payload + view->payload_bytes);
	if (r == 0 && unpacked->lz4 == NULL &&
		LZ4F_isError(LZ4F_createDecompressionContext(
			(LZ4F_dctx **)&unpacked->lz4, LZ4F_VERSION)))
		r = -ENOMEM;
	if (r < 0)
		return r;

	LZ4F_resetDecompressionContext(unpacked->lz4);
	for (unsigned i = 0; i < WAL_BUFFERS; i++) {
		uint32_t at = i == WAL_COLUMNS ? layout->payload : layout->at[i];

		if (!unpack_buffer(unpacked->lz4, view, i, unpacked->mem + at))
			return bad(view, "a compressed buffer is no LZ4 frame of its length");
	}
	view->columns = unpacked->mem;
	why = block_offsets_judge(view);
	return why ? bad(view, why) : 0;
}

void wal_unpacked_free(struct wal_unpacked *unpacked)
{
	LZ4F_freeDecompressionContext(unpacked->lz4);
	free(unpacked->mem);
	*unpacked = (struct wal_unpacked){0};
}
