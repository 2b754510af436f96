// SPDX-License-Identifier: BSD-3-Clause
#include "log_fixture.h"

#include "common/clock.h"
#include "wal/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void log_fixture_init(struct log_fixture *f)
{
	clock_init();
	memset(f, 0, sizeof(*f));
	snprintf(f->data, sizeof(f->data), "/tmp/millrace-log-XXXXXX");
	assert_non_null(mkdtemp(f->data));
	snprintf(f->dir, sizeof(f->dir), "%s/0", f->data);
	f->options = (struct wal_options){
		.dir = f->dir,
		.receiver = "test",
		.listeners = "{}",
		.lock_fd = -1,
		.log = {.segment_bytes = FIXTURE_SEGMENT,
			.block_bytes = FIXTURE_BLOCK,
			.queue_depth = 4,
			.direct = true},
	};
}

void log_fixture_done(struct log_fixture *f)
{
	char command[128];

	wal_close(f->wal);
	snprintf(command, sizeof(command), "rm -rf %s", f->data);
	assert_int_equal(system(command), 0);
}

void log_fixture_open(struct log_fixture *f, bool fake)
{
	int r = wal_open(&f->wal, &f->options, &f->report, f->why);

	if (r < 0)
		print_error("wal_open: %s %s\n", strerror(-r), f->why);
	assert_int_equal(r, 0);
	f->disk = NULL;
	if (fake) {
		f->disk = fake_disk_new();
		wal_set_io(f->wal, &f->disk->io);
	}
}

static struct wal_block *free_block(struct log_fixture *f)
{
	struct wal_block *b = NULL;

	for (int i = 0; i < 100000 && !b; i++) {
		wal_poll(f->wal);
		b = wal_block_get(f->wal);
		if (!b)
			usleep(100);
	}
	assert_non_null(b);
	return b;
}

// Text of few letters, so that it compresses.
uint8_t log_fixture_byte(uint64_t seq, uint32_t at)
{
	return (uint8_t)('a' + (seq * 7 + at / 5) % 23);
}

void log_fixture_submit(struct log_fixture *f, uint32_t rows, uint32_t payload, bool seal)
{
	struct wal_block *b = free_block(f);
	struct wal_fill fill = {.rows = rows,
		.payload_bytes = rows * payload,
		.seal = seal,
		.received_min = 5,
		.received_max = 6,
		.opened_at = clock_ticks()};
	uint64_t first = wal_next_seq(f->wal);

	wal_layout_init(&fill.layout, rows, b->size);
	assert_true(fill.payload_bytes <= fill.layout.payload_max);
	memset(b->mem, 0, fill.layout.payload);
	for (uint32_t i = 0; i < rows; i++) {
		uint64_t seq = first + i;
		uint32_t end = (i + 1) * payload;

		memcpy(b->mem + fill.layout.at[COL_SEQ] + 8 * (size_t)i, &seq, 8);
		memcpy(b->mem + fill.layout.at[COL_PAYLOAD] + 4 * (size_t)(i + 1), &end, 4);
		for (uint32_t at = 0; at < payload; at++)
			b->mem[fill.layout.payload + i * payload + at] = log_fixture_byte(seq, at);
	}
	assert_int_equal(wal_submit(f->wal, b, &fill), 0);
}

void log_fixture_settle(struct log_fixture *f)
{
	for (int i = 0; i < 100000 && wal_busy(f->wal) && !wal_failed(f->wal); i++) {
		wal_poll(f->wal);
		usleep(100);
	}
	assert_false(wal_failed(f->wal));
	assert_false(wal_busy(f->wal));
}

void log_fixture_stop(struct log_fixture *f)
{
	assert_int_equal(wal_detach(f->wal), 0);
	wal_close(f->wal);
	f->wal = NULL;
}

int log_fixture_setup(void **state)
{
	struct log_fixture *f = malloc(sizeof(*f));

	log_fixture_init(f);
	*state = f;
	return 0;
}

int log_fixture_teardown(void **state)
{
	log_fixture_done(*state);
	free(*state);
	return 0;
}
