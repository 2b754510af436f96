// SPDX-License-Identifier: BSD-3-Clause

// The log of one partition: rows in an open block, blocks under way to a disk, durable rows.

#include "reliable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void log_new(struct log *log, unsigned index)
{
	log_free(log);
	*log = (struct log){.index = index};
	for (unsigned i = 0; i < sizeof(log->id); i++)
		log->id[i] = (uint8_t)draw_below(DRAW_DISK, 256);
	books_forget(index);
}

static void cut(struct log *log, uint64_t count)
{
	for (uint64_t i = count; i < log->count; i++)
		free(log->rows[i].opening);
	log->count = count;
}

void log_free(struct log *log)
{
	cut(log, 0);
	free(log->rows);
	log->rows = NULL;
}

static uint64_t open_rows(const struct log *log)
{
	return log->count - log->submitted;
}

bool log_is_full(const struct log *log)
{
	return open_rows(log) >= plan.block_rows;
}

unsigned log_takes(const struct log *log, unsigned count)
{
	uint64_t left = plan.block_rows - open_rows(log);

	if (world_now() < log->full_until && !plan.calm)
		return count > 1 ? draw_below(DRAW_DISK, count) : 0;
	if (log_is_full(log))
		return 0;
	return plan.splits && left < count ? (unsigned)left : count;
}

static struct row *new_row(struct log *log)
{
	if (log->count == log->room) {
		log->room = log->room ? 2 * log->room : 256;
		log->rows = realloc(log->rows, log->room * sizeof(*log->rows));
		if (!log->rows)
			abort();
	}
	return &log->rows[log->count];
}

void log_append(struct log *log, const struct received *event)
{
	struct row *row = new_row(log);

	*row = (struct row){.source = books_find(event->source),
		.seq = event->seq,
		.epoch = event->epoch,
		.len = event->len};
	require(row->source, "foreign", "source %" PRIx64 " is nobody", event->source);
	if (event->is_opening) {
		row->opening = malloc(RECEIVE_OPENING);
		require(row->opening && event->len == RECEIVE_OPENING, "opening",
			"%" PRIu32 " bytes", event->len);
		memcpy(row->opening, event->payload, RECEIVE_OPENING);
		trace("log %u: opening of %" PRIx64 " epoch %" PRIu32, log->index, event->source,
			event->epoch);
	}
	if (open_rows(log) == 0)
		log->open_since = world_now();
	books_append(log->index, row, event->payload, log->count);
	log->count++;
}

// When the open block is to be submitted; UINT64_MAX: there is none, or no room for another.
static uint64_t submit_at(const struct log *log)
{
	uint64_t at = log->open_since + plan.commit_ns;

	if (open_rows(log) == 0 || log->flight_count == plan.flights)
		return UINT64_MAX;
	if (open_rows(log) >= plan.block_rows)
		at = 0;
	return at;
}

bool log_wants_submit(const struct log *log)
{
	return submit_at(log) <= world_now();
}

static uint64_t disk_time(void)
{
	return plan.disk_ns / 2 + draw_time(DRAW_DISK, 0, plan.disk_ns);
}

void log_submitted(struct log *log)
{
	struct block *block = &log->flights[log->flight_count++];
	uint64_t begin = world_now();

	if (begin < log->stall_until && !plan.calm)
		begin = log->stall_until;
	block->end = log->submitted = log->count;
	block->done_at = begin + disk_time();
	if (log->flight_count > 1 && block->done_at < block[-1].done_at)
		block->done_at = block[-1].done_at;
	tally(TALLY_blocks);
}

static void rows_durable(struct log *log, uint64_t end)
{
	for (; log->durable < end; log->durable++)
		books_durable(log->index, &log->rows[log->durable]);
}

bool log_finish(struct log *log)
{
	if (log->flight_count == 0 || log->flights[0].done_at > world_now())
		return false;
	rows_durable(log, log->flights[0].end);
	log->flight_count--;
	memmove(log->flights, log->flights + 1, log->flight_count * sizeof(*log->flights));
	trace("log %u: durable up to row %" PRIu64 " of %" PRIu64, log->index, log->durable,
		log->count);
	return true;
}

uint64_t log_due(const struct log *log)
{
	uint64_t at = submit_at(log);

	return log->flight_count > 0 && log->flights[0].done_at < at ? log->flights[0].done_at : at;
}

void log_crash(struct log *log)
{
	uint32_t landed = draw_below(DRAW_DISK, log->flight_count + 1);
	uint64_t end = landed > 0 ? log->flights[landed - 1].end : log->durable;

	if (end > log->durable)
		tally(TALLY_landed);
	tally_add(TALLY_rows_cut, log->count - end);
	trace("log %u: of %" PRIu64 " rows %" PRIu64 " were durable, %" PRIu64 " are left",
		log->index, log->count, log->durable, end);
	rows_durable(log, end);
	cut(log, end);
	log->submitted = end;
	log->flight_count = 0;
	log->full_until = log->stall_until = 0;
	books_forget(log->index);
	for (uint64_t i = 0; i < log->count; i++)
		books_again(log->index, &log->rows[i], i);
}
