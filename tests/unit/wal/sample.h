// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Segments made up for the tests: every value follows from the row's seq, so that whoever reads
// knows what must come (readers_test.py computes the same).

#include "wal/format.h"

#define SAMPLE_FIRST_SEQ 1000u

struct wal_segment_info sample_segment(void);

// Composes its schema page into a buffer of the caller's and returns the header as written.
struct wal_segment_header sample_schema(uint8_t *page);

uint32_t sample_payload_len(uint64_t seq);

// Fills the columns of 'rows' rows as by that layout and returns the payload's bytes.
uint32_t sample_fill(uint8_t *block, const struct wal_layout *layout, uint64_t seq, uint32_t rows);

// What belongs to such a block of the sample segment.
struct wal_block_info sample_info(const struct wal_segment_header *segment, uint64_t file_offset,
	uint64_t seq, uint32_t rows, uint32_t payload_bytes);

// The CRC of a block or a page whose other bytes were changed by hand, put right.
void sample_fix_crc(uint8_t *bytes, uint32_t len);
