// SPDX-License-Identifier: BSD-3-Clause

// Readers beside a writer that takes its buffers back as fast as it can, and retention behind.

#include "batches_check.h"
#include "log_fixture.h"
#include "wal/internal.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 100u
#define PAYLOAD 300u

// Sealed by a block of no rows or by its last one.
static void write_batch(struct log_fixture *f, unsigned blocks, bool empty)
{
	for (unsigned i = 0; i < blocks; i++)
		log_fixture_submit(f, ROWS, PAYLOAD, !empty && i + 1 == blocks);
	if (empty)
		assert_int_equal(wal_seal_empty(f->wal), 0);
}

struct crowd {
	struct log_fixture *f;
	_Atomic bool stop;
	_Atomic uint64_t memory, disk, stale;
};

static void *follow(void *arg)
{
	struct crowd *crowd = arg;
	struct wal_batches *batches = batches_opened(crowd->f->dir, crowd->f->wal, 0);
	struct wal_batch batch;

	while (!atomic_load(&crowd->stop)) {
		int r = wal_batches_next(batches, &batch);

		if (r == 1)
			r = batches_read(batches, &batch, PAYLOAD);
		if (r < 0 && r != -ESTALE)
			fail_msg("%d: %s", r, wal_batches_why(batches));
		if (r < 0)
			atomic_fetch_add(&crowd->stale, 1);
		if (r == 0)
			usleep(100);
	}
	atomic_fetch_add(&crowd->memory, wal_batches_reads(batches).memory);
	atomic_fetch_add(&crowd->disk, wal_batches_reads(batches).disk);
	wal_batches_close(batches);
	return NULL;
}

static void *wander(void *arg)
{
	struct crowd *crowd = arg;
	struct wal_batches *batches = batches_opened(crowd->f->dir, crowd->f->wal, 0);
	const struct wal_state *at = wal_state(crowd->f->wal);
	struct wal_batch batch;

	for (unsigned i = 0; !atomic_load(&crowd->stop); i++) {
		uint64_t durable = atomic_load(&at->durable_batch), back = 1 + i * 37 % 400;
		int r = 1;

		wal_batches_seek(batches, durable > back ? durable - back : 0);
		for (unsigned k = 0; k < 3 && r == 1; k++) {
			r = wal_batches_next(batches, &batch);
			if (r == 1)
				r = batches_read(batches, &batch, PAYLOAD);
		}
		if (r < 0 && r != -ESTALE)
			fail_msg("%d: %s", r, wal_batches_why(batches));
	}
	wal_batches_close(batches);
	return NULL;
}

static void readers_beside_a_writer_see_only_what_was_written(void **state)
{
	struct log_fixture *f = *state;
	struct crowd crowd = {.f = f};
	pthread_t threads[3];

	f->options.recent_bytes = 2 * FIXTURE_BLOCK;
	f->options.log.segment_bytes = 32 * FIXTURE_BLOCK;
	f->options.log.retain_bytes = 5 * f->options.log.segment_bytes;
	log_fixture_open(f, false);
	assert_int_equal(wal_attach(f->wal), 0);
	pthread_create(&threads[0], NULL, follow, &crowd);
	pthread_create(&threads[1], NULL, follow, &crowd);
	pthread_create(&threads[2], NULL, wander, &crowd);
	for (unsigned i = 0; i < 1000; i++)
		write_batch(f, 1 + i % 3, i % 2);
	log_fixture_settle(f);
	usleep(100000);
	atomic_store(&crowd.stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	print_message("blocks from memory %llu, disk %llu; %llu times overtaken\n",
		(unsigned long long)crowd.memory, (unsigned long long)crowd.disk,
		(unsigned long long)crowd.stale);
	assert_true(crowd.memory + crowd.disk > 100);
	log_fixture_stop(f);
}

static void readers_beside_a_writer_that_compresses(void **state)
{
	struct log_fixture *f = *state;

	f->options.log.compression = COMPRESSION_LZ4;
	f->options.log.compressed_partitions = CONFIG_ALL_PARTITIONS;
	readers_beside_a_writer_see_only_what_was_written(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, log_fixture_setup, log_fixture_teardown)
		T(readers_beside_a_writer_see_only_what_was_written),
		T(readers_beside_a_writer_that_compresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
