// SPDX-License-Identifier: BSD-3-Clause

// Batches of logs that nobody writes.

#include "batches_check.h"
#include "batches_log.h"
#include "tests/unit/wal/logbuilder.h"
#include "wal/recover.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

static void every_batch_comes_once_and_whole(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];
	struct wal_batches_reads reads;
	uint64_t seq = 0, blocks = 0;

	batches_build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < ALL; i++) {
		struct wal_batch batch = batches_expect(batches, i, 0);

		assert_int_equal(batch.first_seq, seq);
		assert_int_equal(batch.end_seq - seq, 10 * (i % 3 + 1));
		assert_int_equal(batch.blocks, i % 3 + 1 + (i % 4 == 0));
		assert_int_equal(batch.received_min, 1000);
		assert_int_equal(batch.received_max, 1010);
		assert_true(wal_id_equal(&batch.log_id, &lb->log_id));
		seq = batch.end_seq;
		blocks += batch.blocks;
	}
	assert_int_equal(batches_ended(batches), 0);
	assert_int_equal(batches_ended(batches), 0);
	reads = wal_batches_reads(batches);
	assert_int_equal(reads.memory, 0);
	assert_int_equal(reads.disk, blocks);
	wal_batches_close(batches);
}

static int open_named(const char *dir, const char *name)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void drop_cached(const char *dir, const char *name)
{
	int fd = open_named(dir, name);

	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

// Pages of the file that are in the page cache.
static unsigned count_cached(const char *dir, const char *name)
{
	int fd = open_named(dir, name);
	size_t len = (size_t)lseek(fd, 0, SEEK_END), pages = (len + WAL_PAGE - 1) / WAL_PAGE;
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char *there = malloc(pages);
	unsigned n = 0;

	assert_true(map != MAP_FAILED && there);
	assert_int_equal(mincore(map, len, there), 0);
	for (size_t i = 0; i < pages; i++)
		n += there[i] & 1;
	free(there);
	munmap(map, len);
	close(fd);
	return n;
}

static bool is_in_memory_itself(const char *dir)
{
	struct statfs fs;

	assert_int_equal(statfs(dir, &fs), 0);
	return fs.f_type == TMPFS_MAGIC;
}

// Its read-ahead would stand in front of the log's writes.
static void the_page_cache_is_left_alone(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	batches_build(lb, names);
	if (is_in_memory_itself(lb->dir))
		skip();
	for (unsigned i = 0; i < SEGMENTS; i++)
		drop_cached(lb->dir, names[i]);
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < ALL; i++)
		batches_expect(batches, i, 0);
	wal_batches_close(batches);
	for (unsigned i = 0; i < SEGMENTS; i++)
		assert_int_equal(count_cached(lb->dir, names[i]), 0);
}

static void blocks_need_not_be_read(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	struct wal_block_view view;
	struct wal_batch batch;
	char names[SEGMENTS][40];

	batches_build(lb, names);
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < ALL; i++) {
		if (i % 7 == 3) {
			batches_expect(batches, i, 0);
			continue;
		}
		assert_int_equal(wal_batches_next(batches, &batch), 1);
		assert_int_equal(batch.number, i);
		if (i % 2)
			assert_int_equal(wal_batches_block(batches, &view), 1);
	}
	wal_batches_close(batches);
}

static void reading_begins_and_goes_on_anywhere(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	batches_build(lb, names);
	batches = batches_opened(lb->dir, NULL, ALL);
	assert_int_equal(batches_ended(batches), 0);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t number = (i * 2654435761u >> 7) % (ALL + 1);

		wal_batches_seek(batches, number);
		assert_int_equal(wal_batches_wanted(batches), number);
		for (uint64_t k = number; k < number + 3 && k < ALL; k++)
			batches_expect(batches, k, 0);
		if (number + 3 > ALL)
			assert_int_equal(batches_ended(batches), 0);
	}
	wal_batches_close(batches);
	for (uint64_t i = 0; i < ALL; i++) {
		batches = batches_opened(lb->dir, NULL, i);
		batches_expect(batches, i, 0);
		wal_batches_seek(batches, i);
		batches_expect(batches, i, 0);
		wal_batches_close(batches);
	}
}

static void a_log_that_begins_later_begins_with_its_oldest(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;
	char names[SEGMENTS][40];

	batches_build(lb, names);
	lb_remove(lb, names[0]);
	lb_remove(lb, names[1]);
	batches = batches_opened(lb->dir, NULL, 3);
	batches_expect(batches, 2 * EACH, 0);
	wal_batches_seek(batches, 1);
	batches_expect(batches, 2 * EACH, 0);
	wal_batches_close(batches);
}

static void an_empty_log_has_no_batch(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches = batches_opened(lb->dir, NULL, 0);

	assert_int_equal(batches_ended(batches), 0);
	assert_string_equal(wal_batches_listeners(batches), "{}");
	lb_segment(lb);
	assert_int_equal(batches_ended(batches), 0);
	lb_block(lb, 5, WAL_FLAG_SEALED);
	batches_expect(batches, 0, 0);
	wal_batches_close(batches);
}

// As two crashes leave it: the open batch ended with its segment, cut behind its last block.
static void a_batch_that_was_open_at_a_crash_ends_with_its_segment(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_batches *batches;

	for (unsigned i = 0; i < 3; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		lb_block(lb, 10, 0);
		lb_block(lb, 10, 0);
		lb_truncate(lb, lb->name, lb->offset);
		lb->generation++;
	}
	batches = batches_opened(lb->dir, NULL, 0);
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(batches_expect(batches, i, 0).blocks, 1 + i % 2);
	assert_int_equal(batches_ended(batches), 0);
	for (uint64_t i = 6; i-- > 0;) {
		wal_batches_seek(batches, i);
		batches_expect(batches, i, 0);
		// Again, from right behind it.
		wal_batches_seek(batches, i);
		batches_expect(batches, i, 0);
	}
	wal_batches_close(batches);
}

static void numbers_jump_where_a_repair_took_batches(void **state)
{
	struct logbuilder *lb = *state;
	struct wal_repair_report report;
	struct wal_batches *batches;
	char names[SEGMENTS][40], why[512];
	uint64_t first[3];

	// Batches 2 and 3 of the second segment go, and with them half of batch 1.
	for (unsigned i = 0; i < 3; i++) {
		lb->durable_seq = lb->seq;
		lb_segment(lb);
		memcpy(names[i], lb->name, 40);
		first[i] = lb->batch;
		lb_block(lb, 10, WAL_FLAG_SEALED);
		lb_block(lb, 10, 0);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		if (i == 1)
			lb_flip(lb, lb->name, lb->last + 1000);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		lb_block(lb, 10, WAL_FLAG_SEALED);
		i < 2 ? lb_eos(lb) : lb_end(lb);
	}
	batches = batches_opened(lb->dir, NULL, first[1]);
	batches_expect(batches, first[1], 0);
	assert_int_equal(wal_repair(lb->dir, &report, why), 0);
	assert_string_equal(report.file, names[1]);
	wal_batches_seek(batches, first[1]);
	batches_expect(batches, first[1], 0);
	assert_int_equal(batches_expect(batches, first[1] + 1, 0).blocks, 1);
	batches_expect(batches, first[2], 0);
	// From a number that is no more, too.
	wal_batches_seek(batches, first[1] + 2);
	batches_expect(batches, first[2], 0);
	wal_batches_close(batches);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lb_setup, lb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_batch_comes_once_and_whole),
		TEST(the_page_cache_is_left_alone),
		TEST(blocks_need_not_be_read),
		TEST(reading_begins_and_goes_on_anywhere),
		TEST(a_log_that_begins_later_begins_with_its_oldest),
		TEST(an_empty_log_has_no_batch),
		TEST(a_batch_that_was_open_at_a_crash_ends_with_its_segment),
		TEST(numbers_jump_where_a_repair_took_batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
