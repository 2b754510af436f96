// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "tests/unit/wal/logbuilder.h"
#include "wal/internal.h"
#include "wal/scrub.h"
#include "wal/scrub_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENTS 5
#define WEEK (7 * 86400ull * 1000000000)

struct fixture {
	struct logbuilder lb;
	char names[SEGMENTS][40];
	uint64_t second[SEGMENTS]; // offset of the second block
	struct wal *wal;
	struct wal_scrub *scrub;
};

// A sector that can't be read: of the file that is longer than any other.
static uint64_t bad_sector;

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset);

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset)
{
	uint64_t at = (uint64_t)offset;

	if (bad_sector > 0 && lseek(fd, 0, SEEK_END) > LB_SEGMENT && at + len > bad_sector) {
		if (at >= bad_sector) {
			errno = EIO;
			return -1;
		}
		len = bad_sector - at;
	}
	return __real_pread64(fd, buf, len, offset);
}

static _Atomic bool disk_is_busy;

bool __wrap_wal_disk_is_idle(int fd);

bool __wrap_wal_disk_is_idle(int fd)
{
	(void)fd;
	usleep(1000);
	return !disk_is_busy;
}

// Segments of three blocks, all closed.
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	clock_init();
	bad_sector = 0;
	disk_is_busy = false;
	lb_init(&f->lb);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		f->lb.durable_seq = f->lb.seq;
		lb_segment(&f->lb);
		memcpy(f->names[i], f->lb.name, sizeof(f->names[i]));
		lb_block(&f->lb, 10, WAL_FLAG_SEALED);
		f->second[i] = lb_block(&f->lb, 10, 0);
		lb_block(&f->lb, 10, 0);
		i + 1 < SEGMENTS ? lb_eos(&f->lb) : lb_end(&f->lb);
	}
	*state = f;
	return 0;
}

static void stop(struct fixture *f)
{
	wal_scrub_stop(f->scrub);
	wal_close(f->wal);
	f->scrub = NULL;
	f->wal = NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	stop(f);
	lb_done(&f->lb);
	free(f);
	return 0;
}

static void start_at(struct fixture *f, uint64_t interval_ns, uint64_t rate)
{
	struct wal_options options = {.dir = f->lb.dir,
		.receiver = "test",
		.listeners = "{}",
		.lock_fd = -1,
		.log = {.segment_bytes = 16 << 20, .block_bytes = 128 << 10, .queue_depth = 4}};
	struct wal_scrub_options scrub = {.rate = rate, .interval_ns = interval_ns};
	struct wal_recovery report;
	char why[512];

	assert_int_equal(wal_open(&f->wal, &options, &report, why), 0);
	assert_int_equal(wal_scrub_start(&f->scrub, &f->wal, 1, &scrub), 0);
}

static void start(struct fixture *f, uint64_t interval_ns)
{
	start_at(f, interval_ns, 1ull << 40);
}

static uint64_t counted(const struct fixture *f, enum wal_counter counter)
{
	return counter_get(&f->wal->counters[counter]);
}

static void wait_scrubbed(const struct fixture *f, uint64_t segments)
{
	for (unsigned i = 0; i < 6000 && counted(f, WAL_scrubbed_segments) < segments; i++)
		usleep(10000);
	assert_true(counted(f, WAL_scrubbed_segments) >= segments);
}

static void wait_damaged(struct fixture *f, unsigned places, char *text)
{
	for (unsigned i = 0; i < 6000 && wal_scrub_damage(f->scrub, 0, text) != places; i++)
		usleep(10000);
	assert_int_equal(wal_scrub_damage(f->scrub, 0, text), places);
}

static struct scrub_place placed(const struct fixture *f)
{
	struct scrub_place place;

	assert_int_equal(scrub_place_load(f->lb.dir, &f->lb.log_id, &place), 0);
	return place;
}

static void a_whole_log_is_read_once_a_round(void **state)
{
	struct fixture *f = *state;
	char text[WAL_SCRUB_TEXT_BYTES];
	struct scrub_place place;

	start(f, WEEK);
	wait_scrubbed(f, SEGMENTS);
	assert_int_equal(wal_scrub_damage(f->scrub, 0, text), 0);
	assert_int_equal(counted(f, WAL_scrubbed_bytes), (uint64_t)SEGMENTS * f->lb.offset);
	stop(f);
	place = placed(f);
	assert_true(place.round_began > 0);
	assert_int_equal(place.segment_first, 30 * (SEGMENTS - 1) + 1);

	// The next round is a week away.
	start(f, WEEK);
	usleep(300000);
	assert_int_equal(counted(f, WAL_scrubbed_segments), 0);
}

static void scrubbing_keeps_to_its_rate_and_waits_for_the_disk(void **state)
{
	struct fixture *f = *state;
	uint64_t rate = 100 << 10, bytes = (uint64_t)SEGMENTS * (f->lb.offset + WAL_SCHEMA_BYTES);
	uint64_t begin = clock_ticks();

	start_at(f, WEEK, rate);
	wait_scrubbed(f, SEGMENTS);
	// All but what was read since the last pause is paid for.
	assert_true((double)clock_ticks_to_ns(clock_ticks() - begin) / 1e9 >
		    ((double)bytes - (double)rate / 8 - (double)f->lb.offset) / (double)rate);
	stop(f);

	disk_is_busy = true;
	lb_remove(&f->lb, SCRUB_PLACE_NAME);
	start_at(f, WEEK, rate);
	usleep(1000000);
	assert_int_equal(counted(f, WAL_scrubbed_segments), 0);
	disk_is_busy = false;
	wait_scrubbed(f, SEGMENTS);
}

static void a_round_begins_again_when_it_is_time(void **state)
{
	struct fixture *f = *state;

	start(f, 1);
	wait_scrubbed(f, SEGMENTS + 1);
}

static void a_flipped_bit_is_found_counted_and_kept(void **state)
{
	struct fixture *f = *state;
	char text[WAL_SCRUB_TEXT_BYTES], at[40];

	lb_flip(&f->lb, f->names[1], f->second[1] + 900);
	start(f, WEEK);
	wait_damaged(f, 1, text);
	snprintf(at, sizeof(at), "offset %llu,", (unsigned long long)f->second[1]);
	assert_non_null(strstr(text, f->names[1]));
	assert_non_null(strstr(text, at));
	assert_non_null(strstr(text, "seq 40 is due"));
	assert_non_null(strstr(text, "log repair --yes"));
	wait_scrubbed(f, SEGMENTS);
	assert_int_equal(counted(f, WAL_damaged_places), 1);
	stop(f);
	assert_int_equal(placed(f).damage_count, 1);

	start(f, WEEK);
	assert_int_equal(wal_scrub_damage(f->scrub, 0, text), 1);
	assert_non_null(strstr(text, at));
	usleep(300000);
	assert_int_equal(wal_scrub_damage(f->scrub, 0, text), 1);
	stop(f);

	// Mended: seen at the next start, without another round.
	lb_flip(&f->lb, f->names[1], f->second[1] + 900);
	start(f, WEEK);
	wait_damaged(f, 0, text);
	assert_int_equal(counted(f, WAL_damaged_places), 0);
	assert_int_equal(counted(f, WAL_scrubbed_segments), 0);
}

static void a_block_that_vanished_is_found_by_what_follows(void **state)
{
	struct fixture *f = *state;
	char text[WAL_SCRUB_TEXT_BYTES];

	lb_zero(&f->lb, f->names[2], f->second[2], LB_SEGMENT - f->second[2]);
	start(f, WEEK);
	wait_damaged(f, 1, text);
	assert_non_null(strstr(text, f->names[2]));
	assert_non_null(strstr(text, "the segment ends here"));
}

static void an_end_that_vanished_is_found(void **state)
{
	struct fixture *f = *state;
	char text[WAL_SCRUB_TEXT_BYTES];

	lb_flip(&f->lb, f->names[1], f->lb.offset); // all are of the same length
	start(f, WEEK);
	wait_damaged(f, 1, text);
	assert_non_null(strstr(text, f->names[1]));
	assert_non_null(strstr(text, "without its last page"));
}

static void a_segment_of_another_log_is_found_before_any_round(void **state)
{
	struct fixture *f = *state;
	struct scrub_place place = {.log_id = f->lb.log_id, .round_began = INT64_MAX};
	char text[WAL_SCRUB_TEXT_BYTES];
	struct logbuilder other;
	char command[600];

	lb_init(&other);
	other.seq = 60;
	lb_segment(&other);
	snprintf(command, sizeof(command), "cp %s/%s %s/", other.dir, other.name, f->lb.dir);
	assert_int_equal(system(command), 0);
	lb_done(&other);
	place.round_began = 1;
	place.segment_first = 1000; // the round has passed it
	assert_int_equal(scrub_place_save(f->lb.dir, &place), 0);
	start(f, WEEK);
	wait_damaged(f, 1, text);
	assert_non_null(strstr(text, f->names[2]));
	assert_non_null(strstr(text, "another log"));
	assert_null(strstr(text, "log repair"));
}

static void a_sector_that_cannot_be_read_is_damage_where_it_lies(void **state)
{
	struct fixture *f = *state;
	char text[WAL_SCRUB_TEXT_BYTES], at[40];

	lb_truncate(&f->lb, f->names[3], LB_SEGMENT + WAL_PAGE);
	bad_sector = f->second[3];
	start(f, WEEK);
	wait_damaged(f, 1, text);
	snprintf(at, sizeof(at), "offset %llu,", (unsigned long long)f->second[3]);
	assert_non_null(strstr(text, f->names[3]));
	assert_non_null(strstr(text, at));
	assert_non_null(strstr(text, "can't be read: Input/output error"));
	wait_scrubbed(f, SEGMENTS);
}

static void scrubbing_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct scrub_place place = {.log_id = f->lb.log_id, .round_began = 1};
	char text[WAL_SCRUB_TEXT_BYTES];

	start(f, WEEK);
	wait_scrubbed(f, SEGMENTS);
	stop(f);
	place = placed(f);
	// In the middle of the fourth segment, behind what has fallen over since.
	place.round_ended = false;
	place.segment_first = 90;
	place.from = (struct wal_walk_point){.segment_id = f->lb.header.segment_id};
	{
		struct wal_walk walk;
		struct wal_block_view view;
		char path[300];
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", f->lb.dir, f->names[3]);
		file = fopen(path, "rb");
		assert_non_null(file);
		assert_int_equal(wal_walk_open(&walk, fileno(file), UINT64_MAX, 90), 0);
		assert_int_equal(wal_walk_next(&walk, &view), WAL_STEP_BLOCK);
		assert_int_equal(wal_walk_next(&walk, &view), WAL_STEP_BLOCK);
		place.from = wal_walk_point(&walk);
		wal_walk_close(&walk);
		fclose(file);
	}
	assert_int_equal(scrub_place_save(f->lb.dir, &place), 0);
	lb_flip(&f->lb, f->names[2], f->second[2] + 900);
	lb_flip(&f->lb, f->names[3], f->second[3] + 900);
	start(f, WEEK);
	wait_scrubbed(f, 2);
	usleep(300000);
	assert_int_equal(counted(f, WAL_scrubbed_segments), 2);
	assert_int_equal(wal_scrub_damage(f->scrub, 0, text), 0);
}

static void damage_goes_with_its_segment(void **state)
{
	struct fixture *f = *state;
	char text[WAL_SCRUB_TEXT_BYTES];

	lb_flip(&f->lb, f->names[0], f->second[0] + 900);
	lb_flip(&f->lb, f->names[1], f->second[1] + 900);
	start(f, WEEK);
	wait_damaged(f, 2, text);
	assert_non_null(strstr(text, f->names[0]));
	lb_remove(&f->lb, f->names[0]);
	wait_damaged(f, 1, text);
	assert_non_null(strstr(text, f->names[1]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_whole_log_is_read_once_a_round),
		TEST(scrubbing_keeps_to_its_rate_and_waits_for_the_disk),
		TEST(a_round_begins_again_when_it_is_time),
		TEST(a_flipped_bit_is_found_counted_and_kept),
		TEST(a_block_that_vanished_is_found_by_what_follows),
		TEST(an_end_that_vanished_is_found),
		TEST(a_segment_of_another_log_is_found_before_any_round),
		TEST(a_sector_that_cannot_be_read_is_damage_where_it_lies),
		TEST(scrubbing_goes_on_where_it_was),
		TEST(damage_goes_with_its_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
