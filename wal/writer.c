// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "wal/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A segment must take one more full block, a block that seals, and the end-of-stream page.
static bool fits(const struct wal *wal, const struct segment *s)
{
	return s->offset + wal->options.log.block_bytes + 2 * WAL_PAGE <= s->size;
}

int wal_start_write(struct wal *wal, const struct pending *p)
{
	bool dsync = wal->options.log.durability == DURABILITY_DSYNC;
	uint64_t begin = clock_ticks();
	int r = wal->io->ops->write(wal->io, p->segment->fd, p->buf + p->done, p->len - p->done,
		p->offset + p->done, dsync, (uint64_t)(p - wal->queue));

	wal_stage(wal, WAL_submit_cycles, begin);
	if (r < 0)
		return r;
	wal->ops_in_flight++;

	return 0;
}

static int enqueue(struct wal *wal, const struct pending *p)
{
	struct pending *slot = wal_entry(wal, wal->tail);
	int r;

	*slot = *p;
	wal->tail++;
	p->segment->writes++;
	wal_count(wal, WAL_written_bytes, p->len);
	r = wal_start_write(wal, slot);
	if (r < 0)
		wal_fail(wal, r);

	return r;
}

static uint8_t *ctl_buffer(struct wal *wal, int32_t *ret_slot)
{
	uint32_t index = wal->free_ctl[--wal->free_ctl_count];

	*ret_slot = -1 - (int32_t)index;

	return wal->region + (size_t)index * WAL_CTL_BYTES;
}

static int begin_segment(struct wal *wal)
{
	struct segment *s = atomic_exchange(&wal->spare, NULL);
	struct wal_segment_info info = {
		.header =
			{
				.log_id = wal->log_id,
				.segment_id = s->id,
				.generation = wal->generation,
				.partition = wal->options.partition,
				.first_seq = wal->next_seq,
				.first_batch = wal->next_batch,
				.gap_from =
					wal->gap_from == UINT64_MAX ? wal->next_seq : wal->gap_from,
			},
		.receiver = wal->options.receiver,
		.listeners = wal->options.listeners,
		.compression = wal->packer ? "lz4" : "none",
	};
	struct pending p = {.kind = WRITE_SCHEMA,
		.segment = s,
		.len = WAL_SCHEMA_BYTES,
		.end_seq = wal->next_seq};
	struct wal_segment_header header = {0};
	int r;

	p.buf = ctl_buffer(wal, &p.slot);
	r = wal_schema_compose(p.buf, &info);
	if (r == 0)
		r = wal_schema_parse(p.buf, &header);
	if (r < 0) {
		wal_fail(wal, r);
		return r;
	}
	if (wal->current)
		wal_count(wal, WAL_segments_rotated, 1);
	wal->gap_from = UINT64_MAX;
	wal->prev_crc = header.crc;
	wal->current = s;
	atomic_store_explicit(&wal->spare_wanted, false, memory_order_relaxed);
	s->first_seq = wal->next_seq;
	s->offset = WAL_SCHEMA_BYTES;
	snprintf(s->name, sizeof(s->name), "%020llu.arrows", (unsigned long long)s->first_seq);
	atomic_store(&wal->to_name, s);
	wal_keeper_wake(wal);

	return enqueue(wal, &p);
}

// The end-of-stream page behind the last block. Signed only when every block before is durable:
// then a bad block found before it is damage, whatever else is there.
static int end_segment(struct wal *wal, bool all_durable)
{
	struct segment *s = wal->current;
	struct wal_segment_end end = {
		.segment_id = s->id,
		.file_offset = s->offset,
		.generation = wal->generation,
		.partition = wal->options.partition,
		.end_seq = wal->next_seq,
		.next_seq = wal->next_seq,
		// A batch that is still open ends with its segment.
		.next_batch = wal->next_batch + (wal->open_batch.blocks > 0),
	};
	struct pending p = {.kind = WRITE_EOS,
		.segment = s,
		.len = WAL_PAGE,
		.offset = s->offset,
		.end_seq = wal->next_seq};

	p.buf = ctl_buffer(wal, &p.slot);
	if (all_durable)
		wal_end_compose(p.buf, &end);
	else
		wal_eos_compose(p.buf);
	s->offset += WAL_PAGE;
	s->end_seq = wal->next_seq;
	s->closed = true;

	return enqueue(wal, &p);
}

// Room for the next write: the current segment, or a spare to begin.
static bool segment_ready(struct wal *wal)
{
	bool ready = (wal->current && !wal->current->closed) ||
		     atomic_load_explicit(&wal->spare, memory_order_acquire);

	if (!ready && !wal->waiting_for_spare)
		wal_count(wal, WAL_segment_waits, 1);
	wal->waiting_for_spare = !ready;

	return ready;
}

struct wal_block *wal_block_get(struct wal *wal)
{
	if (wal_failed(wal) || wal->free_block_count + wal->recent_blocks <= wal->kept_blocks ||
		wal->free_ctl_count < 4 || !segment_ready(wal))
		return NULL;
	wal_recent_take(wal);

	return &wal->blocks[wal->free_blocks[--wal->free_block_count]];
}

uint64_t wal_next_seq(const struct wal *wal)
{
	return wal->next_seq;
}

uint64_t wal_next_batch(const struct wal *wal)
{
	return wal->next_batch;
}

static void batch_add(struct wal *wal, const struct wal_fill *fill,
	const struct wal_block_info *info, uint32_t len)
{
	struct wal_batch_info *b = &wal->open_batch;

	if (b->blocks == 0)
		*b = (struct wal_batch_info){
			.number = wal->next_batch,
			.first_seq = wal->next_seq,
			.received_min = fill->received_min,
			.received_max = fill->received_max,
			.segment_first = wal->current->first_seq,
			.offset = info->file_offset,
			.prev_crc = info->prev_crc,
		};
	b->blocks++;
	b->bytes += len;
	if (fill->rows == 0)
		return;
	b->rows += fill->rows;
	if (fill->received_min < b->received_min)
		b->received_min = fill->received_min;
	if (fill->received_max > b->received_max)
		b->received_max = fill->received_max;
}

static void batch_seal(struct wal *wal, struct pending *p)
{
	p->seals = true;
	p->batch = wal->open_batch;
	wal->open_batch = (struct wal_batch_info){0};
	wal->next_batch++;
	wal_count(wal, WAL_batches_sealed, 1);
}

static struct wal_block_info block_info(const struct wal *wal, const struct wal_fill *fill)
{
	const struct segment *s = wal->current;

	return (struct wal_block_info){
		.segment_id = s->id,
		.file_offset = s->offset,
		.generation = wal->generation,
		.partition = wal->options.partition,
		.first_seq = wal->next_seq,
		.rows = fill->rows,
		.flags = fill->seal ? WAL_FLAG_SEALED : 0,
		.batch = wal->next_batch,
		.durable_seq = wal->durable_seq,
		.received_min = fill->received_min,
		.received_max = fill->received_max,
		.prev_crc = wal->prev_crc,
		.payload_bytes = fill->payload_bytes,
	};
}

// Counts a composed block, moves the log's ends behind it and submits it; then, when no further
// full block would fit, closes the segment.
static int submit_block(struct wal *wal, struct pending *p, const struct wal_fill *fill,
	const struct wal_block_info *info)
{
	int r;

	batch_add(wal, fill, info, p->len);
	if (fill->seal)
		batch_seal(wal, p);
	wal->next_seq += fill->rows;
	p->end_seq = wal->next_seq;
	wal->current->offset += p->len;
	wal_count(wal, WAL_blocks, 1);
	wal_count(wal, WAL_rows_submitted, fill->rows);
	wal_count(wal, WAL_rows_in_flight, fill->rows);
	wal_count(wal, WAL_payload_bytes, fill->payload_bytes);
	atomic_store_explicit(&wal->state.next_seq, wal->next_seq, memory_order_relaxed);
	atomic_fetch_add_explicit(&wal->state.in_flight, 1, memory_order_relaxed);

	if (wal->current->offset > wal->current->size / 4 * 3)
		atomic_store_explicit(&wal->spare_wanted, true, memory_order_relaxed);

	r = enqueue(wal, p);
	if (r == 0 && !fits(wal, wal->current))
		r = end_segment(wal, false);

	return r;
}

static int ensure_segment(struct wal *wal)
{
	if (wal->current && !wal->current->closed)
		return 0;

	return begin_segment(wal);
}

// Compresses the block into a free buffer, which takes its place in 'p', and frees its own. False:
// it is to be written as it is.
static bool pack(struct wal *wal, const struct wal_block *block, const struct wal_fill *fill,
	struct pending *p, struct block_meta *ret)
{
	uint32_t index;
	bool tried, packed;

	wal_recent_take(wal);
	if (wal->free_block_count == 0)
		return false;
	index = wal->free_blocks[wal->free_block_count - 1];
	packed = wal_pack(wal->packer, block->mem, fill, wal->blocks[index].mem, ret, &tried);
	wal_count(wal, WAL_compression_tries, tried);
	if (!packed)
		return false;
	wal_count(wal, WAL_compressed_blocks, 1);
	wal_count(wal, WAL_compressed_from_bytes, p->len);
	wal_count(wal, WAL_compressed_to_bytes, ret->block_len);
	wal->free_blocks[wal->free_block_count - 1] = block->index;
	p->slot = (int32_t)index;
	p->buf = wal->blocks[index].mem;
	p->len = ret->block_len;

	return true;
}

int wal_submit(struct wal *wal, struct wal_block *block, const struct wal_fill *fill)
{
	struct wal_fill f = *fill;
	struct wal_block_info info;
	struct block_meta meta;
	struct pending p = {.kind = WRITE_BLOCK,
		.slot = (int32_t)block->index,
		.buf = block->mem,
		.rows = fill->rows,
		.opened_at = fill->opened_at};
	int r = wal_failed(wal) ? wal->state.failed : ensure_segment(wal);
	uint64_t ticks;
	bool packed;

	if (r < 0) {
		wal->free_blocks[wal->free_block_count++] = block->index;
		wal_count(wal, WAL_rows_lost, fill->rows);
		return r;
	}
	p.segment = wal->current;
	p.offset = wal->current->offset;
	p.len = wal_block_len(&f.layout, f.payload_bytes);
	ticks = clock_ticks();
	packed = wal->packer && pack(wal, block, &f, &p, &meta);
	if (wal->packer)
		ticks = wal_stage(wal, WAL_compress_cycles, ticks);
	// A batch never spans two segments: the last block that fits seals it.
	if (p.offset + p.len + wal->options.log.block_bytes + 2 * WAL_PAGE > wal->current->size)
		f.seal = true;
	info = block_info(wal, &f);
	wal->prev_crc = packed ? block_close(p.buf, &meta, &info)
			       : wal_block_close(block->mem, &f.layout, &info);
	wal_stage(wal, WAL_checksum_cycles, ticks);

	return submit_block(wal, &p, &f, &info);
}

int wal_seal_empty(struct wal *wal)
{
	struct wal_fill fill = {.seal = true};
	struct pending p = {.kind = WRITE_BLOCK, .len = WAL_PAGE};
	struct wal_block_info info;

	if (wal_failed(wal))
		return wal->state.failed;
	if (wal->open_batch.blocks == 0)
		return 0;
	if (wal->free_ctl_count < 4)
		return -EAGAIN;
	p.segment = wal->current; // open: it holds the batch's blocks, and no batch spans two
	p.offset = wal->current->offset;
	p.opened_at = clock_ticks();
	p.buf = ctl_buffer(wal, &p.slot);
	info = block_info(wal, &fill);
	wal->prev_crc = wal_block_empty(p.buf, &info);

	return submit_block(wal, &p, &fill, &info);
}

static int drain(struct wal *wal)
{
	while (wal->head != wal->tail || wal->ops_in_flight > 0) {
		int r = 0;

		wal_poll(wal);
		if (wal->ops_in_flight > 0)
			r = wal->io->ops->wait(wal->io);
		else if (wal->head != wal->tail)
			usleep(100); // the keeper still syncs the directory
		if (r < 0)
			wal_fail(wal, r);
		if (wal_failed(wal) && wal->ops_in_flight == 0)
			break;
	}
	if (wal_failed(wal))
		wal_lose(wal);

	return wal->state.failed;
}

int wal_detach(struct wal *wal)
{
	struct segment *s = wal->current;
	int r = drain(wal);

	if (r == 0 && s && !s->closed) {
		r = end_segment(wal, true);
		if (r == 0)
			r = drain(wal);
		if (r == 0 && (ftruncate(s->fd, (off_t)s->offset) < 0 || fdatasync(s->fd) < 0))
			r = -errno;
	}
	wal->io->ops->close(wal->io);
	wal->io = NULL;

	return r;
}
