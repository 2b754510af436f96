// SPDX-License-Identifier: BSD-3-Clause

// A log that is taken away while its writer is at work.

#include "common/clock.h"
#include "log_fixture.h"
#include "wal/internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void begin(struct log_fixture *f)
{
	log_fixture_open(f, false);
	assert_int_equal(wal_attach(f->wal), 0);
}

static void shell(const struct log_fixture *f, const char *what)
{
	char command[512];

	snprintf(command, sizeof(command), what, f->dir);
	assert_int_equal(system(command), 0);
}

// Goes on writing until the log fails, for at most ten seconds.
static void write_until_failed(struct log_fixture *f)
{
	for (int i = 0; i < 10000 && !wal_failed(f->wal); i++) {
		struct wal_block *b = wal_block_get(f->wal);

		wal_poll(f->wal);
		if (b) {
			struct wal_fill fill = {.rows = 1, .opened_at = clock_ticks()};

			wal_layout_init(&fill.layout, 1, b->size);
			wal_submit(f->wal, b, &fill);
		}
		usleep(1000);
	}
}

static void assert_removed(struct log_fixture *f)
{
	uint64_t durable;

	assert_int_equal(atomic_load(&wal_state(f->wal)->failed), -ESTALE);
	wal_poll(f->wal);
	durable = atomic_load(&wal_state(f->wal)->durable_seq);
	usleep(300000);
	wal_poll(f->wal);
	assert_int_equal(atomic_load(&wal_state(f->wal)->durable_seq), durable);
	assert_null(wal_block_get(f->wal));
}

static void files_removed_under_load_fail_the_log(void **state)
{
	struct log_fixture *f = *state;

	begin(f);
	log_fixture_submit(f, 10, 10, true);
	log_fixture_settle(f);
	shell(f, "rm %s/0*.arrows");
	write_until_failed(f);
	assert_removed(f);
}

static void a_directory_renamed_under_load_fails_the_log(void **state)
{
	struct log_fixture *f = *state;

	begin(f);
	log_fixture_submit(f, 10, 10, true);
	log_fixture_settle(f);
	shell(f, "mv %1$s %1$s.away");
	write_until_failed(f);
	assert_removed(f);
}

static void a_copy_in_its_place_is_not_the_log(void **state)
{
	struct log_fixture *f = *state;

	begin(f);
	log_fixture_submit(f, 10, 10, true);
	log_fixture_settle(f);
	shell(f, "mv %1$s %1$s.away && cp -r %1$s.away %1$s");
	write_until_failed(f);
	assert_removed(f);
}

static void a_directory_removed_before_the_first_block_fails_the_log(void **state)
{
	struct log_fixture *f = *state;
	struct wal_block *b = NULL;

	begin(f);
	for (int i = 0; i < 10000 && !b; i++) {
		b = wal_block_get(f->wal);
		usleep(1000);
	}
	assert_non_null(b); // so the spare is made
	f->wal->free_block_count++;
	shell(f, "rm -r %s");
	write_until_failed(f);
	assert_removed(f);
}

static void an_idle_log_of_before_is_missed_too(void **state)
{
	struct log_fixture *f = *state;

	begin(f);
	log_fixture_submit(f, 10, 10, true);
	log_fixture_stop(f);
	begin(f);
	shell(f, "rm %s/0*.arrows");
	for (int i = 0; i < 10000 && !wal_failed(f->wal); i++)
		usleep(1000);
	assert_removed(f);
}

// Rotation and retention take names away, too, by the dozen.
static void a_log_that_is_there_is_never_missed(void **state)
{
	struct log_fixture *f = *state;

	f->options.log.segment_bytes = 4ull * 4 * FIXTURE_BLOCK;
	f->options.log.retain_bytes = 4 * f->options.log.segment_bytes;
	begin(f);
	for (int i = 0; i < 1000; i++)
		log_fixture_submit(f, 100, 1000, i % 3 == 0);
	log_fixture_settle(f);
	assert_true(wal_rotations(f->wal) > 30);
	log_fixture_stop(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, log_fixture_setup, log_fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(files_removed_under_load_fail_the_log),
		T(a_directory_renamed_under_load_fails_the_log),
		T(a_copy_in_its_place_is_not_the_log),
		T(a_directory_removed_before_the_first_block_fails_the_log),
		T(an_idle_log_of_before_is_missed_too),
		T(a_log_that_is_there_is_never_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
