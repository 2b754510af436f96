// SPDX-License-Identifier: BSD-3-Clause

// The batching worker on a real log, over a real file or a disk that completes at once. What was
// appended is read back through the reader.

#include "../wal/log_fixture.h"
#include "batching/batcher.h"
#include "batching/block.h"
#include "common/clock.h"
#include "wal/internal.h"
#include "wal/reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCK FIXTURE_BLOCK
#define SECOND 1000000000ull

struct fixture {
	struct log_fixture log;
	struct batcher *batcher;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct config_log *log = &f->log.options.log;

	log_fixture_init(&f->log);
	log->commit_interval_ns = 3600 * SECOND;
	log->seal_interval_ns = 3600 * SECOND;
	log->seal_bytes = UINT64_MAX / 2;
	log->seal_events = UINT64_MAX / 2;
	*state = f;

	return 0;
}

static void start(struct fixture *f, bool fake)
{
	log_fixture_open(&f->log, fake);
	if (fake)
		f->log.disk->instant = 1;
	assert_int_equal(batcher_new(&f->batcher, f->log.wal, 0, &f->log.options.log), 0);
	assert_int_equal(batcher_attach(f->batcher), 0);
	batcher_set_time(f->batcher, 1000);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	batcher_free(f->batcher);
	log_fixture_done(&f->log);
	free(f);

	return 0;
}

static struct event event_of(const void *payload, uint32_t len)
{
	struct event e = {.payload = payload, .payload_len = len, .src_port = 7, .listener = 2};

	memset(e.src_addr, 0xab, sizeof(e.src_addr));

	return e;
}

static void append(struct fixture *f, const struct event *e)
{
	for (int i = 0; i < 20000; i++) {
		if (batcher_append(f->batcher, e) == 0)
			return;
		batcher_poll(f->batcher, clock_ticks());
		usleep(100);
	}
	fail_msg("the append never went through");
}

static void append_text(struct fixture *f, const char *text)
{
	struct event e = event_of(text, (uint32_t)strlen(text));

	append(f, &e);
}

struct wanted {
	const char *name;
	uint64_t value;
};

static void find_value(const struct counter_set *set, void *arg)
{
	struct wanted *w = arg;

	for (unsigned i = 0; i < set->count; i++)
		if (!strcmp(set->defs[i].name, w->name))
			w->value = counter_get(&set->values[i]);
}

static uint64_t value(const char *name)
{
	struct wanted w = {name, UINT64_MAX};

	counters_walk(find_value, &w);
	assert_int_not_equal(w.value, UINT64_MAX);

	return w.value;
}

static void assert_events_balance(void)
{
	assert_int_equal(counters_sum(ROLE_EV_IN), counters_sum(ROLE_EV_DURABLE) +
							   counters_sum(ROLE_EV_DROP) +
							   counters_sum(ROLE_EV_FLIGHT));
}

static void a_block_waits_for_its_commit_interval(void **state)
{
	struct fixture *f = *state;

	f->log.options.log.commit_interval_ns = 10 * SECOND;
	start(f, true);
	append_text(f, "one");
	batcher_poll(f->batcher, clock_ticks() + clock_ns_to_ticks(9 * SECOND));
	assert_int_equal(value("blocks"), 0);
	assert_int_equal(value("events_open"), 1);
	batcher_poll(f->batcher, clock_ticks() + clock_ns_to_ticks(11 * SECOND));
	assert_int_equal(value("blocks"), 1);
	assert_int_equal(value("events_open"), 0);
	assert_events_balance();
}

static void a_clock_read_before_the_block_was_opened_does_no_harm(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	start(f, true);
	before = clock_ticks();
	append_text(f, "one");
	batcher_poll(f->batcher, before - 1000);
	assert_int_equal(value("blocks"), 0);
}

static void an_open_block_takes_the_seal_as_a_flag(void **state)
{
	struct fixture *f = *state;

	f->log.options.log.seal_interval_ns = SECOND;
	start(f, true);
	append_text(f, "one");
	batcher_poll(f->batcher, clock_ticks() + clock_ns_to_ticks(2 * SECOND));
	assert_int_equal(value("blocks"), 1);
	assert_int_equal(value("batches_sealed"), 1);
}

static void a_batch_without_an_open_block_is_sealed_by_one_of_no_rows(void **state)
{
	struct fixture *f = *state;

	f->log.options.log.commit_interval_ns = SECOND;
	f->log.options.log.seal_interval_ns = 5 * SECOND;
	start(f, true);
	append_text(f, "one");
	batcher_poll(f->batcher, clock_ticks() + clock_ns_to_ticks(2 * SECOND));
	assert_int_equal(value("batches_sealed"), 0);
	batcher_poll(f->batcher, clock_ticks() + clock_ns_to_ticks(6 * SECOND));
	assert_int_equal(value("blocks"), 2);
	assert_int_equal(value("batches_sealed"), 1);
	batcher_poll(f->batcher, clock_ticks() + clock_ns_to_ticks(60 * SECOND));
	assert_int_equal(value("blocks"), 2); // a batch without rows is never sealed
	assert_int_equal(value("batches_sealed"), 1);
}

static void a_batch_is_sealed_at_its_limit_of_events(void **state)
{
	struct fixture *f = *state;

	f->log.options.log.seal_events = 1;
	f->log.options.log.commit_interval_ns = 0;
	start(f, true);
	for (int i = 0; i < 3; i++) {
		append_text(f, "x");
		batcher_poll(f->batcher, clock_ticks());
	}
	assert_int_equal(value("batches_sealed"), 3);
}

static void a_batch_is_sealed_at_its_limit_of_bytes(void **state)
{
	struct fixture *f = *state;

	f->log.options.log.seal_bytes = 2 * WAL_PAGE;
	f->log.options.log.commit_interval_ns = 0;
	start(f, true);
	for (int i = 0; i < 4; i++) {
		append_text(f, "x");
		batcher_poll(f->batcher, clock_ticks());
	}
	assert_int_equal(value("batches_sealed"), 2);
}

static void received_at_never_goes_back(void **state)
{
	struct fixture *f = *state;
	struct wal_reader *reader;
	struct wal_block_view view;
	struct wal_row row;

	start(f, false);
	append_text(f, "a");
	batcher_set_time(f->batcher, 500);
	append_text(f, "b");
	batcher_set_time(f->batcher, 2000);
	append_text(f, "c");
	assert_int_equal(value("clock_steps"), 1);
	assert_int_equal(batcher_finish(f->batcher), 0);
	assert_int_equal(
		wal_reader_open(&reader, f->log.dir, 0, (struct wal_limit){UINT64_MAX, 0}), 0);
	assert_int_equal(wal_reader_next(reader, &view), 1);
	wal_row_get(&view, 1, &row);
	assert_int_equal(row.received_at, 1000);
	wal_row_get(&view, 2, &row);
	assert_int_equal(row.received_at, 2000);
	assert_int_equal(view.trailer->received_min, 1000);
	assert_int_equal(view.trailer->received_max, 2000);
	wal_reader_close(reader);
}

static uint32_t payload_of(uint32_t i, uint32_t *seed, uint8_t *buf)
{
	uint32_t len;

	*seed = *seed * 1664525u + 1013904223u;
	// Runs of small events, then of large ones, with an empty one now and then.
	len = i % 97 == 0 ? 0 : i / 500 % 2 ? 20000 + *seed % 45000 : 18 + *seed % 60;
	for (uint32_t k = 0; k < len; k++)
		buf[k] = (uint8_t)(i * 31 + k * 7);

	return len;
}

static void assert_read_back(struct fixture *f, uint32_t count, uint64_t source_every)
{
	static uint8_t want[65536];
	struct wal_reader *reader;
	struct wal_block_view view;
	struct wal_row row;
	uint32_t seen = 0, seed = 1;

	assert_int_equal(
		wal_reader_open(&reader, f->log.dir, 0, (struct wal_limit){UINT64_MAX, 0}), 0);
	while (wal_reader_next(reader, &view) == 1) {
		for (uint32_t i = 0; i < view.trailer->rows; i++, seen++) {
			uint32_t len = payload_of(seen, &seed, want);
			bool source = source_every && seen % source_every == 0;

			wal_row_get(&view, i, &row);
			assert_int_equal(row.seq, seen);
			assert_int_equal(row.payload_len, len);
			assert_memory_equal(row.payload, want, len);
			assert_int_equal(row.src_port, 7);
			assert_int_equal(row.listener, 2);
			assert_int_equal(row.src_addr[15], 0xab);
			assert_int_equal(row.source_id, source ? seen + 1 : 0);
			assert_int_equal(row.source_epoch, source ? 3 : 0);
			assert_int_equal(row.source_seq, source ? seen + 2 : 0);
		}
	}
	assert_int_equal(seen, count);
	wal_reader_close(reader);
}

static void append_mixed(struct fixture *f, uint32_t count, uint64_t source_every)
{
	static uint8_t buf[65536];
	uint32_t seed = 1;

	for (uint32_t i = 0; i < count; i++) {
		struct event e = event_of(buf, payload_of(i, &seed, buf));

		if (source_every && i % source_every == 0) {
			e.source_id = i + 1;
			e.source_epoch = 3;
			e.source_seq = i + 2;
		}
		append(f, &e);
	}
}

static void mixed_sizes_come_back_as_they_were(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	append_mixed(f, 2600, 0);
	assert_int_equal(batcher_finish(f->batcher), 0);
	assert_events_balance();
	assert_int_equal(value("rows_durable"), 2600);
	assert_read_back(f, 2600, 0);
}

static void reliable_and_plain_events_share_a_block(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	append_mixed(f, 2600, 5);
	assert_int_equal(batcher_finish(f->batcher), 0);
	assert_read_back(f, 2600, 5);
}

static void append_reliable(struct fixture *f)
{
	struct event e = event_of("r", 1);

	e.source_id = 1;
	append(f, &e);
}

static void a_reliable_event_waits_only_for_a_commit_in_flight(void **state)
{
	struct fixture *f = *state;

	start(f, true);
	append_text(f, "plain");
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("blocks"), 0);
	f->log.disk->instant = 0;
	append_reliable(f);
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("blocks"), 1); // both events
	append_reliable(f);
	append_reliable(f);
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("blocks"), 1);
	f->log.disk->instant = 1;
	while (fake_find(f->log.disk, FAKE_WRITE, 0) != FAKE_OPS) {
		unsigned n = fake_find(f->log.disk, FAKE_WRITE, 0);

		fake_complete(f->log.disk, n, (int32_t)f->log.disk->ops[n].len);
	}
	for (int i = 0; i < 2000 && value("blocks") < 2; i++) {
		batcher_poll(f->batcher, clock_ticks());
		usleep(1000);
	}
	assert_int_equal(value("blocks"), 2);
	assert_int_equal(value("rows_submitted"), 4);
	assert_events_balance();
}

static void a_block_that_is_full_needs_no_further_event(void **state)
{
	struct fixture *f = *state;
	struct open_block *o;

	start(f, true);
	append_text(f, "");
	o = batcher_open_block(f->batcher);
	while (o->rows < o->rows_max)
		append_text(f, "");
	assert_int_equal(value("blocks"), 0);
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("blocks"), 1);
}

// Fills the same rows into a block laid out for many and returns the layout it was left with.
static struct wal_layout finish_rows(uint8_t *mem, uint32_t rows, bool reliable)
{
	struct wal_block block = {.mem = mem, .size = BLOCK};
	struct open_block open = {.received_at = 1000};
	struct wal_layout layout;

	memset(mem, 0xa5, BLOCK);
	wal_layout_init(&layout, wal_rows_for(BLOCK, 40), BLOCK);
	block_open(&block, &layout, &open);
	for (uint32_t i = 0; i < rows; i++) {
		uint8_t text[80];
		struct event e = event_of(text, 1 + i % 79);

		memset(text, (int)i, sizeof(text));
		e.src_port = (uint16_t)i;
		e.source_id = reliable && i > 2 ? i : 0;
		open.received_at++;
		if (e.source_id)
			block_append_source(&open, &e);
		append_row(&open, &e);
	}
	block_finish(&block, &layout, &open, 77);
	return layout;
}

// The same rows, some in a block nearly full, which stays as it is, and some in one that is not.
static void compaction_changes_no_row(void **state)
{
	static _Alignas(64) uint8_t few[BLOCK], many[BLOCK];
	uint32_t full = wal_rows_for(BLOCK, 40);
	struct wal_layout as_it_was;

	(void)state;
	wal_layout_init(&as_it_was, full, BLOCK);
	for (uint32_t rows = 1; rows < full / 2; rows = rows * 3 + 1) {
		bool reliable = rows % 2 == 0; // 4, 40, 364
		struct wal_layout a = finish_rows(few, rows, reliable);
		struct wal_layout b = finish_rows(many, full, reliable);

		assert_memory_equal(b.at, as_it_was.at, sizeof(b.at));
		assert_true(a.payload < b.payload);
		for (int c = 0; c < WAL_COLUMNS; c++)
			assert_memory_equal(few + a.at[c], many + b.at[c],
				(size_t)wal_column_width[c] * (rows + (c == COL_PAYLOAD)));
		assert_memory_equal(few + a.payload, many + b.payload,
			*(uint32_t *)(few + a.at[COL_PAYLOAD] + 4 * (size_t)rows));
	}
}

static void an_event_larger_than_a_block_is_dropped_by_name(void **state)
{
	struct fixture *f = *state;
	static uint8_t big[BLOCK];
	struct event e = event_of(big, sizeof(big));

	start(f, true);
	append(f, &e);
	e.payload_len = block_payload_max(BLOCK);
	append(f, &e);
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("too_large"), 1);
	assert_int_equal(value("rows_submitted"), 1); // the block is full by it
	assert_events_balance();
}

static void a_failed_log_counts_what_was_lost_and_drops_the_rest(void **state)
{
	struct fixture *f = *state;

	f->log.options.log.commit_interval_ns = 0;
	start(f, true);
	append_text(f, "durable");
	for (int i = 0; i < 2000 && value("rows_durable") == 0; i++) {
		batcher_poll(f->batcher, clock_ticks());
		usleep(1000);
	}
	assert_int_equal(value("rows_durable"), 1);
	f->log.disk->flush_result = -EIO;
	append_text(f, "lost");
	for (int i = 0; i < 5; i++)
		batcher_poll(f->batcher, clock_ticks());
	append_text(f, "dropped");
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("rows_lost"), 1);
	assert_int_equal(value("partition_failed"), 1);
	assert_events_balance();
}

static void a_block_that_is_open_when_the_log_fails_is_lost_by_count(void **state)
{
	struct fixture *f = *state;

	start(f, true);
	append_text(f, "open");
	wal_fail(f->log.wal, -EIO);
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("rows_lost"), 1);
	assert_int_equal(value("events_open"), 0);
	assert_events_balance();
	assert_int_equal(batcher_finish(f->batcher), -EIO);
}

static void an_append_waits_while_every_block_is_in_flight(void **state)
{
	struct fixture *f = *state;
	struct event e = event_of("x", 1);
	unsigned taken = 0;
	uint64_t waits;

	f->log.options.log.commit_interval_ns = 0;
	start(f, true);
	append_text(f, "first"); // may wait for the spare
	waits = value("waits");
	f->log.disk->instant = 0;
	batcher_poll(f->batcher, clock_ticks());
	while (batcher_append(f->batcher, &e) == 0 && taken < 100) {
		taken++;
		batcher_poll(f->batcher, clock_ticks());
	}
	assert_int_equal(taken, 4); // queue_depth + 1 buffers
	assert_int_equal(value("waits"), waits + 1);
	assert_int_equal(batcher_append(f->batcher, &e), -EAGAIN);
	assert_int_equal(value("waits"), waits + 1);
	batcher_poll(f->batcher, clock_ticks());
	assert_events_balance();
}

static void a_full_disk_drops_by_name_and_reception_goes_on(void **state)
{
	struct fixture *f = *state;

	start(f, true);
	// No spare and none to be had.
	while (!atomic_load(&f->log.wal->spare))
		usleep(1000);
	wal_keeper_stop(f->log.wal);
	f->log.wal->keeper_runs = false;
	atomic_store(&f->log.wal->state.full, true);
	append_text(f, "refused");
	batcher_poll(f->batcher, clock_ticks());
	assert_int_equal(value("log_full"), 1);
	assert_events_balance();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_block_waits_for_its_commit_interval),
		T(a_clock_read_before_the_block_was_opened_does_no_harm),
		T(an_open_block_takes_the_seal_as_a_flag),
		T(a_batch_without_an_open_block_is_sealed_by_one_of_no_rows),
		T(a_batch_is_sealed_at_its_limit_of_events),
		T(a_batch_is_sealed_at_its_limit_of_bytes),
		T(received_at_never_goes_back),
		T(mixed_sizes_come_back_as_they_were),
		T(reliable_and_plain_events_share_a_block),
		T(a_reliable_event_waits_only_for_a_commit_in_flight),
		T(a_block_that_is_full_needs_no_further_event),
		cmocka_unit_test(compaction_changes_no_row),
		T(an_event_larger_than_a_block_is_dropped_by_name),
		T(a_failed_log_counts_what_was_lost_and_drops_the_rest),
		T(a_block_that_is_open_when_the_log_fails_is_lost_by_count),
		T(an_append_waits_while_every_block_is_in_flight),
		T(a_full_disk_drops_by_name_and_reception_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
