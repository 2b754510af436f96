// SPDX-License-Identifier: BSD-3-Clause

// Batches of a log that is being written: out of its writer's memory, and from the disk.

#include "batches_check.h"
#include "common/clock.h"
#include "log_fixture.h"
#include "wal/internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 100u
#define PAYLOAD 300u

// Called before a whole block is copied out of memory, which the reader does through here.
static void (*before_copy)(const struct recent_place *place);
static bool copied; // what the copying said afterwards

bool __real_wal_recent_copy(const struct wal *wal, const struct recent_place *place, uint32_t from,
	uint32_t len, uint8_t *to);
bool __wrap_wal_recent_copy(const struct wal *wal, const struct recent_place *place, uint32_t from,
	uint32_t len, uint8_t *to);

bool __wrap_wal_recent_copy(const struct wal *wal, const struct recent_place *place, uint32_t from,
	uint32_t len, uint8_t *to)
{
	bool whole = len == place->len && before_copy;
	bool r;

	if (whole)
		before_copy(place);
	r = __real_wal_recent_copy(wal, place, from, len, to);
	if (whole)
		copied = r;
	return r;
}

static int setup(void **state)
{
	struct log_fixture *f = malloc(sizeof(*f));

	log_fixture_init(f);
	f->options.listeners = "{\"0\":{\"name\":\"syslog\",\"port\":514}}";
	f->options.recent_bytes = 8 * FIXTURE_BLOCK + 5000;
	before_copy = NULL;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	log_fixture_done(*state);
	free(*state);
	return 0;
}

static void begin(struct log_fixture *f, bool fake)
{
	log_fixture_open(f, fake);
	assert_int_equal(wal_attach(f->wal), 0);
}

static void compress(struct log_fixture *f)
{
	f->options.log.compression = COMPRESSION_LZ4;
	f->options.log.compressed_partitions = CONFIG_ALL_PARTITIONS;
}

// A batch of so many blocks, sealed by a block of no rows or by its last one.
static void write_batch(struct log_fixture *f, unsigned blocks, bool empty)
{
	for (unsigned i = 0; i < blocks; i++)
		log_fixture_submit(f, ROWS, PAYLOAD, !empty && i + 1 == blocks);
	if (empty)
		assert_int_equal(wal_seal_empty(f->wal), 0);
}

static void assert_sources(const struct wal_batches *batches, uint64_t memory, uint64_t disk)
{
	assert_int_equal(wal_batches_reads(batches).memory, memory);
	assert_int_equal(wal_batches_reads(batches).disk, disk);
}

static void complete_all(struct log_fixture *f, int kind)
{
	unsigned n;

	while ((n = fake_find(f->disk, kind, 0)) != FAKE_OPS)
		fake_complete(f->disk, n, kind == FAKE_WRITE ? (int32_t)f->disk->ops[n].len : 0);
}

static void nothing_comes_before_it_is_sealed_and_durable(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;

	begin(f, true);
	batches = batches_opened(f->dir, f->wal, 0);
	assert_int_equal(batches_ended(batches), 0);
	log_fixture_submit(f, ROWS, PAYLOAD, false);
	log_fixture_submit(f, ROWS, PAYLOAD, true);
	log_fixture_submit(f, ROWS, PAYLOAD, false);
	assert_int_equal(batches_ended(batches), 0);
	complete_all(f, FAKE_WRITE);
	wal_poll(f->wal);
	assert_int_equal(batches_ended(batches), 0);
	for (int i = 0; i < 10000 && wal_busy(f->wal); i++) {
		complete_all(f, FAKE_FLUSH);
		wal_poll(f->wal);
		usleep(1000);
	}
	assert_int_equal(batches_expect(batches, 0, PAYLOAD).blocks, 2);
	assert_sources(batches, 2, 0);
	assert_int_equal(batches_ended(batches), 0);
	assert_string_equal(wal_batches_listeners(batches), f->options.listeners);
	wal_batches_close(batches);
	wal_fail(f->wal, -EIO); // or closing waits for the fake disk
}

static void a_follower_reads_from_memory_alone(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;
	uint64_t blocks = 0;

	f->options.log.segment_bytes = 8 * FIXTURE_BLOCK;
	begin(f, false);
	batches = batches_opened(f->dir, f->wal, 0);
	for (uint64_t i = 0; i < 150; i++) {
		struct wal_batch batch;

		write_batch(f, 1 + i % 3, i % 2);
		log_fixture_settle(f);
		// A rotation may have sealed it earlier, and then the rest, too.
		while (wal_batches_wanted(batches) <
			atomic_load(&wal_state(f->wal)->durable_batch)) {
			batch = batches_expect(batches, wal_batches_wanted(batches), PAYLOAD);
			blocks += batch.blocks;
		}
	}
	assert_true(wal_rotations(f->wal) > 0);
	assert_sources(batches, blocks, 0);
	wal_batches_close(batches);
	log_fixture_stop(f);
}

static void a_follower_of_a_log_that_compresses_does_too(void **state)
{
	compress(*state);
	a_follower_reads_from_memory_alone(state);
}

// All blocks of the batch, as they lie. Returns how many bytes.
static size_t raw(struct wal_batches *batches, uint8_t *to, size_t room)
{
	struct wal_block_view view;
	struct wal_batch batch;
	size_t len = 0;

	assert_int_equal(wal_batches_next(batches, &batch), 1);
	while (wal_batches_block(batches, &view) == 1) {
		assert_true(len + view.len <= room);
		memcpy(to + len, view.block, view.len);
		len += view.len;
	}
	assert_int_equal(len, batch.bytes);
	return len;
}

static void memory_equals_disk(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *memory, *disk;
	uint8_t *a = malloc(8 * FIXTURE_BLOCK), *b = malloc(8 * FIXTURE_BLOCK);

	begin(f, false);
	for (unsigned i = 0; i < 20; i++)
		write_batch(f, 1 + i % 3, i % 2);
	log_fixture_settle(f);
	memory = batches_opened(f->dir, f->wal, 0);
	disk = batches_opened(f->dir, NULL, 0);
	for (unsigned i = 0; i < 20; i++) {
		size_t len = raw(memory, a, 8 * FIXTURE_BLOCK);

		assert_int_equal(raw(disk, b, 8 * FIXTURE_BLOCK), len);
		assert_memory_equal(a, b, len);
	}
	// The oldest are no more in memory, the newest are.
	assert_true(wal_batches_reads(memory).memory >= 8);
	assert_true(wal_batches_reads(memory).disk > 8);
	wal_batches_close(memory);
	wal_batches_close(disk);
	free(a);
	free(b);
	log_fixture_stop(f);
}

static void memory_equals_disk_when_compressed(void **state)
{
	compress(*state);
	memory_equals_disk(state);
}

static void without_memory_all_comes_from_the_disk(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;

	f->options.recent_bytes = FIXTURE_BLOCK - 1; // no whole block
	begin(f, false);
	assert_int_equal(f->wal->block_count, f->options.log.queue_depth + 1);
	batches = batches_opened(f->dir, f->wal, 0);
	for (uint64_t i = 0; i < 10; i++) {
		write_batch(f, 2, i % 2);
		log_fixture_settle(f);
		batches_expect(batches, i, PAYLOAD);
	}
	assert_sources(batches, 0, 25);
	wal_batches_close(batches);
	log_fixture_stop(f);
}

static struct log_fixture *owner;

// The owner wants the buffer back and begins to fill it.
static void take_back(const struct recent_place *place)
{
	struct wal_block *block;

	before_copy = NULL;
	copied = true;
	for (unsigned i = 0; i < 100; i++) {
		block = wal_block_get(owner->wal);
		assert_non_null(block);
		if (block->mem == place->mem) {
			memset(block->mem + 10000, 'X', 20000);
			return;
		}
		owner->wal->free_blocks[owner->wal->free_block_count++] = block->index;
		assert_non_null(wal_block_get(owner->wal)); // the same again, and it stays out
	}
	fail();
}

static void what_is_taken_back_while_it_is_copied_is_read_from_the_disk(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;
	struct wal_batch batch;

	f->options.recent_bytes = FIXTURE_BLOCK;
	f->options.log.queue_depth = 16;
	begin(f, false);
	batches = batches_opened(f->dir, f->wal, 0);
	write_batch(f, 1, false);
	write_batch(f, 1, false);
	log_fixture_settle(f);
	assert_int_equal(wal_batches_next(batches, &batch), 1);
	owner = f;
	// Withdrawing is all that happens: the guard alone tells, whatever the CRC would.
	copied = true;
	before_copy = take_back;
	assert_int_equal(batches_read(batches, &batch, PAYLOAD), 1);
	assert_false(copied);
	assert_sources(batches, 0, 1);
	batches_expect(batches, 1, PAYLOAD);
	assert_sources(batches, 1, 1);
	wal_batches_close(batches);
	wal_fail(f->wal, -EIO);
}

static void no_more_blocks_are_in_flight_for_it(void **state)
{
	struct log_fixture *f = *state;
	unsigned depth = f->options.log.queue_depth;
	uint64_t without = wal_memory_bytes(&f->options.log, 0, 0);

	assert_true(wal_memory_bytes(&f->options.log, 0, 8 * FIXTURE_BLOCK) >=
		    without - (2 << 20) + 8 * FIXTURE_BLOCK);
	assert_int_equal(wal_memory_bytes(&f->options.log, 0, FIXTURE_BLOCK - 1), without);
	begin(f, true);
	assert_int_equal(f->wal->block_count, depth + 1 + 8);
	for (unsigned i = 0; i < depth + 1; i++)
		log_fixture_submit(f, 1, 1, false);
	assert_null(wal_block_get(f->wal));
	f->disk->instant = 1;
	complete_all(f, FAKE_WRITE);
	wal_poll(f->wal);
	log_fixture_settle(f);
	for (unsigned i = 0; i < 30; i++)
		log_fixture_submit(f, 1, 1, false);
	log_fixture_settle(f);
	f->disk->instant = 0;
	for (unsigned i = 0; i < depth + 1; i++)
		log_fixture_submit(f, 1, 1, false);
	assert_null(wal_block_get(f->wal));
	wal_fail(f->wal, -EIO);
}

// Who is behind, and reads from the disk, lets pass what the log writes there.
static void who_is_behind_gives_way(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;

	f->options.recent_bytes = 0;
	begin(f, true);
	f->disk->instant = 1;
	for (unsigned i = 0; i < 3; i++)
		write_batch(f, 1, false);
	log_fixture_settle(f);
	batches = batches_opened(f->dir, f->wal, 0);
	wal_batches_give_way(batches);
	batches_expect(batches, 0, PAYLOAD);
	assert_int_equal(wal_batches_reads(batches).gave_way, 0);
	f->disk->instant = 0;
	for (unsigned i = 0; i <= f->options.log.queue_depth / 4; i++)
		log_fixture_submit(f, 1, 1, false);
	batches_expect(batches, 1, PAYLOAD); // not for ever
	assert_int_equal(wal_batches_reads(batches).gave_way, 1);
	assert_sources(batches, 0, 2);
	wal_batches_close(batches);
	// Who serves others meanwhile doesn't.
	batches = batches_opened(f->dir, f->wal, 2);
	batches_expect(batches, 2, PAYLOAD);
	assert_int_equal(wal_batches_reads(batches).gave_way, 0);
	wal_batches_close(batches);
	wal_fail(f->wal, -EIO);
}

// The batches of before are whole before the first block of this start is there.
static void a_start_hands_out_what_a_crash_left(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;

	for (uint64_t life = 0; life < 3; life++) {
		begin(f, false);
		batches = batches_opened(f->dir, f->wal, 0);
		for (uint64_t i = 0; i < 2 * life; i++)
			batches_expect(batches, i, PAYLOAD);
		assert_int_equal(batches_ended(batches), 0);
		write_batch(f, 2, false);
		log_fixture_settle(f);
		batches_expect(batches, 2 * life, PAYLOAD);
		log_fixture_submit(f, ROWS, PAYLOAD, false);
		log_fixture_settle(f);
		assert_int_equal(batches_ended(batches), 0);
		wal_batches_close(batches);
		wal_close(f->wal); // no end is written
		f->wal = NULL;
	}
}

static void a_stop_and_a_start_go_on_in_the_same_reader_order(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;
	uint64_t number = 0;

	for (uint64_t life = 0; life < 3; life++) {
		begin(f, false);
		batches = batches_opened(f->dir, f->wal, number > 1 ? number - 2 : 0);
		if (number > 1) {
			batches_expect(batches, number - 2, PAYLOAD);
			batches_expect(batches, number - 1, PAYLOAD);
		}
		for (unsigned i = 0; i < 5; i++) {
			write_batch(f, 1, i % 2);
			log_fixture_settle(f);
			batches_expect(batches, number++, PAYLOAD);
		}
		wal_batches_close(batches);
		log_fixture_stop(f);
	}
}

static void a_recent_batch_is_gone_to_at_once(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;

	begin(f, false);
	for (unsigned i = 0; i < 60; i++)
		write_batch(f, 1, i % 2);
	log_fixture_settle(f);
	batches = batches_opened(f->dir, f->wal, 57);
	for (uint64_t i = 57; i < 60; i++)
		batches_expect(batches, i, PAYLOAD);
	assert_sources(batches, 5, 0);
	for (uint64_t i = 60; i-- > 0;) {
		wal_batches_seek(batches, i);
		batches_expect(batches, i, PAYLOAD);
	}
	wal_batches_close(batches);
	log_fixture_stop(f);
}

// All that was sealed is retired; the batch that is open comes when it is sealed, and whole.
static void behind_retention_the_next_batch_comes_whole(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;

	f->options.log.segment_bytes = 8 * FIXTURE_BLOCK;
	f->options.log.retain_bytes = 1;
	begin(f, false);
	do
		write_batch(f, 1, false);
	while (wal_rotations(f->wal) < 3 || !f->wal->current->closed);
	log_fixture_submit(f, ROWS, PAYLOAD, false);
	log_fixture_submit(f, ROWS, PAYLOAD, false);
	log_fixture_settle(f);
	for (int i = 0; i < 10000 && counter_get(&f->wal->counters[WAL_log_segments]) > 1; i++)
		usleep(1000);
	batches = batches_opened(f->dir, f->wal, 0);
	assert_int_equal(batches_ended(batches), 0);
	assert_int_equal(wal_batches_wanted(batches), wal_next_batch(f->wal));
	log_fixture_submit(f, ROWS, PAYLOAD, true);
	log_fixture_settle(f);
	assert_int_equal(batches_expect(batches, wal_next_batch(f->wal) - 1, PAYLOAD).blocks, 3);
	wal_batches_close(batches);
	log_fixture_stop(f);
}

static void a_wiped_log_is_told(void **state)
{
	struct log_fixture *f = *state;
	struct wal_batches *batches;
	char command[128];

	f->options.recent_bytes = 0;
	begin(f, false);
	for (unsigned i = 0; i < 3; i++)
		write_batch(f, 1, false);
	log_fixture_settle(f);
	snprintf(command, sizeof(command), "rm %s/*.arrows", f->dir);
	assert_int_equal(system(command), 0);
	batches = batches_opened(f->dir, f->wal, 1);
	assert_int_equal(batches_ended(batches), -ENOENT);
	wal_batches_close(batches);
	for (int i = 0; i < 10000 && !wal_failed(f->wal); i++)
		usleep(1000);
	// Also by who has read all that there was.
	batches = batches_opened(f->dir, f->wal, 3);
	assert_int_equal(batches_ended(batches), -ENOENT);
	assert_non_null(strstr(wal_batches_why(batches), "removed"));
	wal_batches_close(batches);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_comes_before_it_is_sealed_and_durable),
		T(a_follower_reads_from_memory_alone),
		T(who_is_behind_gives_way),
		T(a_follower_of_a_log_that_compresses_does_too),
		T(memory_equals_disk),
		T(memory_equals_disk_when_compressed),
		T(without_memory_all_comes_from_the_disk),
		T(what_is_taken_back_while_it_is_copied_is_read_from_the_disk),
		T(no_more_blocks_are_in_flight_for_it),
		T(a_start_hands_out_what_a_crash_left),
		T(a_stop_and_a_start_go_on_in_the_same_reader_order),
		T(a_recent_batch_is_gone_to_at_once),
		T(behind_retention_the_next_batch_comes_whole),
		T(a_wiped_log_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
