// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The bytes before a block's body: a flatbuffer that is the same in every block but for its
// lengths and offsets, and for naming the compression where there is one.

#include "wal/format.h"

// What of a header differs from block to block.
struct block_meta {
	uint32_t rows;
	uint32_t payload_bytes; // as stored
	uint32_t block_len;
	bool compressed;
	uint32_t stored[WAL_COLUMNS]; // bytes of each column in a compressed block
	uint32_t at[WAL_COLUMNS];     // offsets from the block's first byte, as in wal_layout
	uint32_t payload;
};

static inline uint64_t wal_align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

// Bytes of a column of so many rows; for the payload, of its offsets.
static inline uint64_t column_bytes(unsigned column, uint32_t rows)
{
	return ((uint64_t)rows + (column == COL_PAYLOAD)) * wal_column_width[column];
}

// Writes WAL_BLOCK_HEADER_BYTES bytes.
void block_meta_write(uint8_t *header, const struct block_meta *meta);

// Reads what a header states, without judging it: false where a number does not even fit its
// field. Only block_meta_write() of the result, giving the same bytes, makes it a header of ours.
bool block_meta_read(const uint8_t *header, struct block_meta *ret);

// Whether the bytes begin like a header: the first min(avail, 8) of them.
bool block_meta_begins(const uint8_t *header, size_t avail);

// Finishes a block whose body is filled: header, slack behind the payload zeroed, trailer, CRC.
// Returns the CRC.
uint32_t block_close(
	uint8_t *block, const struct block_meta *meta, const struct wal_block_info *info);

// Of a block's columns: NULL, or what is wrong with the offsets into the payload.
const char *block_offsets_judge(const struct wal_block_view *view);
