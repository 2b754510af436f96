// SPDX-License-Identifier: BSD-3-Clause
#include "wal/pack.h"

#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SAVED_PERCENT 10 // of a block's length on disk, or it is written as it is
#define SAMPLES 2
#define SAMPLE_SHARE 32 // of a payload is tried, but no more than
#define SAMPLE_MOST (16u << 10)
#define SAMPLE_ABOVE (128u << 10) // a smaller payload is tried whole
#define MISSES_IN_A_ROW 4         // after so many ...
#define PAUSE_BLOCKS 15           // ... only every 16th block is tried

struct wal_packer {
	LZ4F_cctx *lz4;
	unsigned misses; // in a row
	unsigned pause;  // blocks not to be tried
};

// Blocks of 4 MiB: with smaller ones a mebibyte of text gets some percent longer, not faster. LZ4's
// fastest level but for acceleration, which loses more than it gains on a slow disk. autoFlush: LZ4
// keeps no copy of what it is given. No checksums: the block has one.
static const LZ4F_preferences_t preferences = {
	.frameInfo = {.blockSizeID = LZ4F_max4MB, .blockMode = LZ4F_blockIndependent},
	.autoFlush = 1,
};

// One frame of the bytes. Its length, or 0 when there is no room for it.
static size_t frame(LZ4F_cctx *lz4, uint8_t *to, size_t room, const uint8_t *from, size_t len)
{
	static const LZ4F_compressOptions_t options = {.stableSrc = 1};
	size_t at, n;

	at = LZ4F_compressBegin(lz4, to, room, &preferences);
	if (LZ4F_isError(at))
		return 0;
	n = LZ4F_compressUpdate(lz4, to + at, room - at, from, len, &options);
	if (LZ4F_isError(n))
		return 0;
	at += n;
	n = LZ4F_compressEnd(lz4, to + at, room - at, &options);
	return LZ4F_isError(n) ? 0 : at + n;
}

int wal_packer_new(struct wal_packer **ret)
{
	struct wal_packer *packer = calloc(1, sizeof(*packer));
	static const uint8_t byte;
	uint8_t out[64];

	if (packer == NULL)
		return -ENOMEM;
	if (LZ4F_isError(LZ4F_createCompressionContext(&packer->lz4, LZ4F_VERSION)))
		goto err;
	// LZ4 allocates its tables at a context's first use.
	if (frame(packer->lz4, out, sizeof(out), &byte, 1) == 0)
		goto err;
	*ret = packer;
	return 0;

err:
	wal_packer_free(packer);
	return -ENOMEM;
}

void wal_packer_free(struct wal_packer *packer)
{
	if (packer == NULL)
		return;
	LZ4F_freeCompressionContext(packer->lz4);
	free(packer);
}

// The block being composed.
struct packing {
	LZ4F_cctx *lz4;
	uint8_t *to;
	uint32_t at, room; // where the next buffer goes, and what there is in all
};

// Stores one buffer; its length.
static uint32_t store(struct packing *p, const uint8_t *from, uint32_t len, bool compress)
{
	uint8_t *to = p->to + p->at;
	int64_t prefix = len;
	uint32_t end;
	size_t n = 0;

	if (len == 0)
		return 0;
	if (compress)
		n = frame(p->lz4, to + PACK_PREFIX_BYTES, p->room - p->at - PACK_PREFIX_BYTES, from,
			len);
	if (n == 0 || n >= len) {
		prefix = -1;
		n = len;
		memcpy(to + PACK_PREFIX_BYTES, from, len);
	}
	memcpy(to, &prefix, sizeof(prefix));
	n += PACK_PREFIX_BYTES;
	end = p->at + (uint32_t)n;
	p->at = (uint32_t)wal_align_up(end, PACK_ALIGN);
	memset(p->to + end, 0, p->at - end);
	return (uint32_t)n;
}

static bool pays(uint32_t before, uint64_t after)
{
	return after * 100 <= (uint64_t)before * (100 - LEAST_SAVED_PERCENT);
}

// Bytes of a payload as pieces of it let expect them; their frames go where the payload's will.
static uint64_t expect(const struct packing *p, const uint8_t *payload, uint32_t len)
{
	uint32_t apart = len / SAMPLES, piece = apart / SAMPLE_SHARE;
	uint64_t sum = 0;

	if (len <= SAMPLE_ABOVE)
		return 0;
	if (piece > SAMPLE_MOST)
		piece = SAMPLE_MOST;
	for (unsigned i = 0; i < SAMPLES; i++) {
		size_t n =
			frame(p->lz4, p->to + p->at, p->room - p->at, payload + i * apart, piece);

		sum += n == 0 || n > piece ? piece : n;
	}
	return sum * len / (SAMPLES * piece);
}

static bool pack(struct packing *p, const uint8_t *block, const struct wal_fill *fill,
	struct block_meta *ret)
{
	uint32_t plain = wal_block_len(&fill->layout, fill->payload_bytes);
	const uint8_t *payload = block + fill->layout.payload;
	uint64_t expected;

	for (unsigned i = 0; i < WAL_COLUMNS; i++) {
		ret->at[i] = p->at;
		ret->stored[i] = store(
			p, block + fill->layout.at[i], (uint32_t)column_bytes(i, fill->rows), true);
	}
	ret->payload = p->at;
	expected = expect(p, payload, fill->payload_bytes);
	if (!pays(plain, p->at + expected + WAL_TRAILER_BYTES))
		return false;
	// A payload of noise is copied beside columns that shrink enough for both.
	ret->payload_bytes =
		store(p, payload, fill->payload_bytes, pays(fill->payload_bytes, expected));
	ret->block_len = (uint32_t)wal_align_up(
		ret->payload + ret->payload_bytes + WAL_TRAILER_BYTES, WAL_PAGE);
	return pays(plain, ret->block_len);
}

static void learn(struct wal_packer *packer, bool paid)
{
	packer->misses = paid ? 0 : packer->misses + 1;
	if (packer->misses >= MISSES_IN_A_ROW)
		packer->pause = PAUSE_BLOCKS;
}

bool wal_pack(struct wal_packer *packer, const uint8_t *block, const struct wal_fill *fill,
	uint8_t *to, struct block_meta *ret, bool *ret_tried)
{
	struct packing p = {.lz4 = packer->lz4, .to = to, .at = WAL_BLOCK_HEADER_BYTES};
	bool paid;

	p.room = wal_block_len(&fill->layout, fill->payload_bytes) + PACK_SLACK_BYTES;
	*ret_tried = false;
	if (fill->rows == 0 || p.room <= WAL_PAGE + PACK_SLACK_BYTES)
		return false; // no page to be saved
	if (packer->pause > 0) {
		packer->pause--;
		return false;
	}
	*ret_tried = true;
	*ret = (struct block_meta){.compressed = true, .rows = fill->rows};
	paid = pack(&p, block, fill, ret);
	learn(packer, paid);
	return paid;
}
