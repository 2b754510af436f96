// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The columns of the open block: where they lie, and what is left to do when it is submitted.

#include "batching/batcher.h"

// Largest payload that a block buffer of this size can hold as its only row.
uint32_t block_payload_max(uint32_t block_bytes);

// Points 'open' at the columns of an empty block.
void block_open(struct wal_block *block, const struct wal_layout *layout, struct open_block *open);

// Before append_row(): the three columns of a reliable event; the first one in a block makes the
// rows before it those of plain events.
void block_append_source(struct open_block *open, const struct event *event);

// Fills what is the same for all rows or known only now (seqs, the zeros of plain events), and,
// when less than 90 % of the buffer is used, moves the columns together; *layout then says where
// they are.
void block_finish(struct wal_block *block, struct wal_layout *layout, const struct open_block *open,
	uint64_t first_seq);
