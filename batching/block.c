// SPDX-License-Identifier: BSD-3-Clause
#include "batching/block.h"

#define COMPACT_BELOW_PERCENT 90

uint32_t block_payload_max(uint32_t block_bytes)
{
	struct wal_layout one;

	wal_layout_init(&one, 1, block_bytes);

	return one.payload_max;
}

void block_open(struct wal_block *block, const struct wal_layout *layout, struct open_block *open)
{
	uint8_t *mem = block->mem;
	const uint32_t *at = layout->at;

	open->rows = 0;
	open->rows_max = layout->rows_max;
	open->payload_bytes = 0;
	open->payload_max = layout->payload_max;
	open->received = (int64_t *)(mem + at[COL_RECEIVED_AT]);
	open->src_addr = mem + at[COL_SRC_ADDR];
	open->src_port = (uint16_t *)(mem + at[COL_SRC_PORT]);
	open->listener = (uint16_t *)(mem + at[COL_LISTENER]);
	open->source_id = (uint64_t *)(mem + at[COL_SOURCE_ID]);
	open->source_epoch = (uint32_t *)(mem + at[COL_SOURCE_EPOCH]);
	open->source_seq = (uint64_t *)(mem + at[COL_SOURCE_SEQ]);
	open->offsets = (int32_t *)(mem + at[COL_PAYLOAD]);
	open->payload = mem + layout->payload;
	open->reliable = false;
	open->offsets[0] = 0;
}

static void zero_sources(const struct open_block *open, uint32_t rows)
{
	memset(open->source_id, 0, rows * sizeof(*open->source_id));
	memset(open->source_epoch, 0, rows * sizeof(*open->source_epoch));
	memset(open->source_seq, 0, rows * sizeof(*open->source_seq));
}

void block_append_source(struct open_block *open, const struct event *event)
{
	if (!open->reliable)
		zero_sources(open, open->rows);
	open->reliable = true;
	open->source_id[open->rows] = event->source_id;
	open->source_epoch[open->rows] = event->source_epoch;
	open->source_seq[open->rows] = event->source_seq;
}

// Columns keep their order in every layout and only move towards the begin: moved in ascending
// order none overwrites one that is still to be moved.
static void compact(
	struct wal_block *block, struct wal_layout *layout, const struct open_block *open)
{
	uint8_t *mem = block->mem;
	struct wal_layout to;
	bool moved[WAL_COLUMNS] = {false};

	wal_layout_init(&to, open->rows, block->size);
	for (unsigned n = 0; n < WAL_COLUMNS; n++) {
		unsigned next = WAL_COLUMNS;

		for (unsigned c = 0; c < WAL_COLUMNS; c++)
			if (!moved[c] && (next == WAL_COLUMNS || layout->at[c] < layout->at[next]))
				next = c;
		moved[next] = true;
		memmove(mem + to.at[next], mem + layout->at[next],
			(size_t)wal_column_width[next] * (open->rows + (next == COL_PAYLOAD)));
	}
	memmove(mem + to.payload, mem + layout->payload, open->payload_bytes);
	*layout = to;
}

void block_finish(struct wal_block *block, struct wal_layout *layout, const struct open_block *open,
	uint64_t first_seq)
{
	uint64_t *seq = (uint64_t *)(block->mem + layout->at[COL_SEQ]);
	uint64_t used = (uint64_t)open->rows * WAL_ROW_BYTES + open->payload_bytes;

	for (uint32_t i = 0; i < open->rows; i++)
		seq[i] = first_seq + i;
	if (!open->reliable)
		zero_sources(open, open->rows);
	if (used * 100 < (uint64_t)block->size * COMPACT_BELOW_PERCENT)
		compact(block, layout, open);
}
