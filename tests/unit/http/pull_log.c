// SPDX-License-Identifier: BSD-3-Clause

#include "pull_log.h"

#include "common/clock.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1700000000000000000

static void must(int r, const char *what, const char *why)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s %s\n", what, strerror(-r), why);
	abort();
}

void pull_log_open(struct pull_log_fixture *f, const char *dir, uint64_t retain_bytes)
{
	char why[512] = "";

	clock_init();
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	f->options = (struct wal_options){
		.dir = f->dir,
		.receiver = "test",
		.listeners = "{\"0\":{\"name\":\"lines\",\"port\":514}}",
		.lock_fd = -1,
		.hold = true, // until consumers are known
		.log = {.segment_bytes = PULL_LOG_SEGMENT,
			.block_bytes = PULL_LOG_BLOCK,
			.queue_depth = 4,
			.retain_bytes = retain_bytes,
			.direct = true},
	};
	must(wal_open(&f->wal, &f->options, &f->report, why), "wal_open", why);
	must(wal_attach(f->wal), "wal_attach", "");
	f->written = f->report.next_seq;
}

static void fill(const struct pull_log_fixture *f, struct wal_block *block,
	const struct wal_layout *layout, uint32_t rows, uint32_t payload)
{
	uint64_t *seqs = (uint64_t *)(void *)(block->mem + layout->at[COL_SEQ]);
	int64_t *times = (int64_t *)(void *)(block->mem + layout->at[COL_RECEIVED_AT]);
	int32_t *ends = (int32_t *)(void *)(block->mem + layout->at[COL_PAYLOAD]);

	memset(block->mem, 0, block->size);
	for (uint32_t i = 0; i < rows; i++) {
		uint64_t seq = f->written + i;

		seqs[i] = seq;
		times[i] = NOW;
		ends[i + 1] = (int32_t)((i + 1) * payload);
		memcpy(block->mem + layout->payload + (size_t)i * payload, &seq, sizeof(seq));
	}
}

void pull_log_write(struct pull_log_fixture *f, uint32_t rows, uint32_t payload, bool seal)
{
	struct wal_fill filled = {.rows = rows,
		.payload_bytes = rows * payload,
		.received_min = NOW,
		.received_max = NOW,
		.seal = seal,
		.opened_at = clock_ticks()};
	struct wal_block *block;

	while ((block = wal_block_get(f->wal)) == NULL) {
		wal_poll(f->wal);
		sched_yield(); // a segment's file is being made
	}
	wal_layout_init(&filled.layout, rows, block->size);
	fill(f, block, &filled.layout, rows, payload);
	must(wal_submit(f->wal, block, &filled), "wal_submit", "");
	while (wal_busy(f->wal))
		wal_poll(f->wal);
	f->written += rows;
}

void pull_log_close(struct pull_log_fixture *f)
{
	must(wal_detach(f->wal), "wal_detach", "");
	wal_close(f->wal);
	f->wal = NULL;
}

int pull_log_serve(struct pull_log_fixture *f, const char *socket_path, char *why)
{
	struct wal_live partition = {.wal = f->wal, .dir = f->dir, .log_id = f->report.log_id};
	struct http_options options = {
		.socket_path = socket_path, .receiver = "test", .api = &f->api, .tick = pull_tick};
	int r;

	must(pull_new(&f->pull, &f->api, "test", &partition, 1), "pull_new", "");
	wal_hold(f->wal, UINT64_MAX);
	options.more_routes = pull_routes(f->pull);
	options.tick_arg = f->pull;
	r = http_start_with(&f->http, &options, why);
	if (r < 0) {
		pull_free(f->pull);
		f->pull = NULL;
	}
	return r;
}

void pull_log_stop(struct pull_log_fixture *f)
{
	http_stop(f->http);
	pull_free(f->pull);
	f->http = NULL;
	f->pull = NULL;
}
