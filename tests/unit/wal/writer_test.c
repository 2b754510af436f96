// SPDX-License-Identifier: BSD-3-Clause

// The writer's rules of durability, on a disk that completes what the test says, when it says.

#include "common/clock.h"
#include "log_fixture.h"
#include "wal/internal.h"
#include "wal/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void open_log(struct log_fixture *f, bool fake)
{
	log_fixture_open(f, fake);
	assert_int_equal(wal_attach(f->wal), 0);
}

static struct wal_block *get_block(struct log_fixture *f)
{
	struct wal_block *b = NULL;

	for (int i = 0; i < 5000 && !b; i++) {
		b = wal_block_get(f->wal);
		if (!b)
			usleep(1000); // the keeper makes the spare
	}
	assert_non_null(b);

	return b;
}

static int put_block(struct log_fixture *f, struct wal_block *b, uint32_t rows, bool seal)
{
	struct wal_fill fill = {.rows = rows,
		.payload_bytes = rows,
		.seal = seal,
		.received_min = 5,
		.received_max = 6,
		.opened_at = clock_ticks()};

	wal_layout_init(&fill.layout, rows, b->size);
	memset(b->mem, 0, b->size);
	for (uint32_t i = 0; i < rows; i++) {
		((uint64_t *)(b->mem + fill.layout.at[COL_SEQ]))[i] = wal_next_seq(f->wal) + i;
		((int32_t *)(b->mem + fill.layout.at[COL_PAYLOAD]))[i + 1] = (int32_t)i + 1;
		b->mem[fill.layout.payload + i] = 'x';
	}

	return wal_submit(f->wal, b, &fill);
}

static void submit_rows(struct log_fixture *f, uint32_t rows, bool seal)
{
	assert_int_equal(put_block(f, get_block(f), rows, seal), 0);
}

// Completes the n-th open write in full.
static void complete_write(struct log_fixture *f, unsigned n)
{
	unsigned op = fake_find(f->disk, FAKE_WRITE, n);

	assert_int_not_equal(op, FAKE_OPS);
	fake_complete(f->disk, op, (int32_t)f->disk->ops[op].len);
}

static void complete_flush(struct log_fixture *f, int32_t result)
{
	unsigned op = fake_find(f->disk, FAKE_FLUSH, 0);

	assert_int_not_equal(op, FAKE_OPS);
	fake_complete(f->disk, op, result);
}

static uint64_t durable(struct log_fixture *f)
{
	return atomic_load(&wal_state(f->wal)->durable_seq);
}

static void wait_named(struct log_fixture *f)
{
	for (int i = 0; i < 5000 && !atomic_load(&f->wal->current->named); i++)
		usleep(1000);
	assert_true(atomic_load(&f->wal->current->named));
}

static void a_written_block_is_not_durable_before_a_flush(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, true);
	submit_rows(f, 10, false);
	wait_named(f);
	complete_write(f, 0); // schema page
	complete_write(f, 0);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 0);
	complete_flush(f, 0);
	assert_int_equal(wal_poll(f->wal), 1);
	assert_int_equal(durable(f), 10);
}

static void a_write_that_completes_during_a_flush_waits_for_the_next(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, true);
	submit_rows(f, 10, false);
	submit_rows(f, 5, false);
	wait_named(f);
	complete_write(f, 0);
	complete_write(f, 0);
	wal_poll(f->wal); // flush submitted: covers the first block
	complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, 0);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 10);
	complete_flush(f, 0);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 15);
}

static void completions_out_of_order_become_durable_in_order(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, true);
	submit_rows(f, 10, false);
	submit_rows(f, 5, false);
	wait_named(f);
	complete_write(f, 2); // the second block
	wal_poll(f->wal);
	assert_int_equal(fake_open_count(f->disk, FAKE_FLUSH), 0);
	complete_write(f, 0);
	complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, 0);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 15);
}

static void a_short_write_is_continued_before_it_counts(void **state)
{
	struct log_fixture *f = *state;
	unsigned op;

	open_log(f, true);
	submit_rows(f, 1000, false);
	wait_named(f);
	complete_write(f, 0);
	op = fake_find(f->disk, FAKE_WRITE, 0);
	fake_complete(f->disk, op, WAL_PAGE + 512);
	wal_poll(f->wal);
	assert_int_equal(fake_open_count(f->disk, FAKE_WRITE), 1);
	op = fake_find(f->disk, FAKE_WRITE, 0);
	assert_int_equal(f->disk->ops[op].offset, WAL_SCHEMA_BYTES + WAL_PAGE);
	complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, 0); // covered the schema page
	wal_poll(f->wal);
	assert_int_equal(durable(f), 0);
	complete_flush(f, 0);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 1000);
}

static void nothing_is_durable_in_a_segment_without_a_synced_name(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, true);
	submit_rows(f, 10, false);
	wait_named(f);
	atomic_store(&f->wal->current->named, false);
	complete_write(f, 0);
	complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, 0);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 0);
	atomic_store(&f->wal->current->named, true);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 10);
}

static void a_failed_flush_fails_the_log_for_good(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, true);
	submit_rows(f, 10, false);
	wait_named(f);
	complete_write(f, 0);
	complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, -EIO);
	wal_poll(f->wal);
	assert_int_equal(wal_state(f->wal)->failed, -EIO);
	assert_int_equal(fake_open_count(f->disk, FAKE_FLUSH), 0); // never tried again
	assert_int_equal(durable(f), 0);
	assert_int_equal(f->wal->counters[WAL_rows_lost], 10);
	assert_int_equal(f->wal->counters[WAL_rows_in_flight], 0);
	assert_null(wal_block_get(f->wal));
}

static void a_failed_write_loses_only_what_was_not_durable(void **state)
{
	struct log_fixture *f = *state;
	unsigned op;

	open_log(f, true);
	submit_rows(f, 10, false);
	wait_named(f);
	complete_write(f, 0);
	complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, 0);
	wal_poll(f->wal);
	submit_rows(f, 7, false);
	op = fake_find(f->disk, FAKE_WRITE, 0);
	fake_complete(f->disk, op, -ENOSPC);
	wal_poll(f->wal);
	assert_int_equal(durable(f), 10);
	assert_int_equal(f->wal->counters[WAL_rows_lost], 7);
}

static void blocks_run_out_and_come_back(void **state)
{
	struct log_fixture *f = *state;
	struct wal_block *last;

	open_log(f, true);
	for (int i = 0; i < 5; i++)
		submit_rows(f, 1, false);
	assert_null(wal_block_get(f->wal));
	wait_named(f);
	for (int i = 0; i < 6; i++)
		complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, 0);
	wal_poll(f->wal);
	last = wal_block_get(f->wal);
	assert_non_null(last);
	assert_int_equal(put_block(f, last, 1, false), 0);
}

static void a_full_segment_is_sealed_and_the_next_begins(void **state)
{
	struct log_fixture *f = *state;
	struct wal_segment_file *files;
	unsigned n;
	uint64_t rows = 0;

	open_log(f, false);
	for (int i = 0; i < 200; i++) {
		struct wal_block *b;

		while (!(b = wal_block_get(f->wal)))
			wal_poll(f->wal);
		assert_int_equal(put_block(f, b, 1900, false), 0);
		rows += 1900;
		wal_poll(f->wal);
	}
	assert_int_equal(wal_detach(f->wal), 0);
	assert_int_equal(durable(f), rows);
	assert_int_equal(wal_list_segments(f->dir, &files, &n), 0);
	assert_true(n >= 2);
	assert_int_equal(f->wal->counters[WAL_segments_rotated], n - 1);
	assert_true(f->wal->counters[WAL_batches_sealed] >= n - 1);
	free(files);
}

static void retention_by_bytes_recycles_the_oldest(void **state)
{
	struct log_fixture *f = *state;
	struct wal_segment_file *files;
	unsigned n;

	f->options.log.retain_bytes = 4ull * FIXTURE_SEGMENT;
	open_log(f, false);
	for (int i = 0; i < 2000; i++) {
		struct wal_block *b;

		while (!(b = wal_block_get(f->wal)))
			wal_poll(f->wal);
		assert_int_equal(put_block(f, b, 1900, false), 0);
		wal_poll(f->wal);
	}
	assert_int_equal(wal_detach(f->wal), 0);
	wal_close(f->wal);
	f->wal = NULL;
	assert_int_equal(wal_list_segments(f->dir, &files, &n), 0);
	assert_in_range(n, 2, 4);
	assert_true(files[0].first_seq > 0);
	free(files);
}

static void a_restart_goes_on_behind_what_was_durable(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, false);
	submit_rows(f, 10, true);
	submit_rows(f, 10, false);
	assert_int_equal(wal_detach(f->wal), 0);
	wal_close(f->wal);
	open_log(f, false);
	assert_false(f->report.created);
	assert_int_equal(f->report.next_seq, 20);
	assert_int_equal(f->report.cut_bytes, 0);
	assert_int_equal(wal_next_batch(f->wal), 2);
	submit_rows(f, 1, false);
	assert_int_equal(wal_detach(f->wal), 0);
	assert_int_equal(durable(f), 21);
}

static void a_sealed_batch_is_known_once_it_is_durable(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batch_info info;

	open_log(f, true);
	submit_rows(f, 10, false);
	assert_int_equal(wal_seal_empty(f->wal), 0);
	assert_int_equal(wal_seal_empty(f->wal), 0); // an empty batch is not sealed
	assert_int_equal(wal_next_batch(f->wal), 1);
	wait_named(f);
	assert_int_equal(wal_batch_info(f->wal, 0, &info), -ENOENT);
	for (int i = 0; i < 3; i++)
		complete_write(f, 0);
	wal_poll(f->wal);
	complete_flush(f, 0);
	wal_poll(f->wal);
	assert_int_equal(wal_batch_info(f->wal, 0, &info), 0);
	assert_int_equal(info.rows, 10);
	assert_int_equal(info.blocks, 2);
	assert_int_equal(atomic_load(&wal_state(f->wal)->durable_batch), 1);
}

static void listeners_that_fit_no_first_page_are_refused_at_the_start(void **state)
{
	struct log_fixture *f = *state;
	static char listeners[20000];

	memset(listeners, 'x', sizeof(listeners) - 1);
	f->options.listeners = listeners;
	assert_int_equal(wal_open(&f->wal, &f->options, &f->report, f->why), -E2BIG);
	assert_non_null(strstr(f->why, "listeners"));
	f->wal = NULL;
}

static void the_first_page_keeps_texts_that_the_caller_has_freed(void **state)
{
	struct log_fixture *f = *state;
	char listeners[] = "{\"0\":{\"name\":\"kept\"}}";
	unsigned op;

	f->options.listeners = listeners;
	open_log(f, true);
	memset(listeners, 'x', sizeof(listeners) - 1);
	submit_rows(f, 1, false);
	op = fake_find(f->disk, FAKE_WRITE, 0);
	assert_int_equal(f->disk->ops[op].offset, 0);
	assert_non_null(memmem(f->disk->ops[op].buf, WAL_SCHEMA_BYTES, "\"kept\"", 6));
}

#define T(name) cmocka_unit_test_setup_teardown(name, log_fixture_setup, log_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_written_block_is_not_durable_before_a_flush),
		T(a_write_that_completes_during_a_flush_waits_for_the_next),
		T(completions_out_of_order_become_durable_in_order),
		T(a_short_write_is_continued_before_it_counts),
		T(nothing_is_durable_in_a_segment_without_a_synced_name),
		T(a_failed_flush_fails_the_log_for_good),
		T(a_failed_write_loses_only_what_was_not_durable),
		T(blocks_run_out_and_come_back),
		T(a_full_segment_is_sealed_and_the_next_begins),
		T(retention_by_bytes_recycles_the_oldest),
		T(a_restart_goes_on_behind_what_was_durable),
		T(a_sealed_batch_is_known_once_it_is_durable),
		T(the_first_page_keeps_texts_that_the_caller_has_freed),
		T(listeners_that_fit_no_first_page_are_refused_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
