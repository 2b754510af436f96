// SPDX-License-Identifier: BSD-3-Clause
#include "transport/seen.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

// cmocka.h needs these before it.
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ID 0x1122334455667788u

static struct seen *make(uint32_t sources, uint32_t windows)
{
	struct seen *seen;

	assert_int_equal(seen_make(&seen, sources, windows), 0);
	return seen;
}

static void in_order_no_window_is_needed(void **state)
{
	struct seen *seen = make(1, 0);
	struct seen_source *source = seen_open(seen, ID, 1, 100, 0);

	(void)state;
	assert_int_equal(seen_look(seen, source, 99), SEEN_TWICE);
	for (uint64_t seq = 100; seq < 200; seq++) {
		assert_int_equal(seen_look(seen, source, seq), SEEN_NEW);
		seen_mark(seen, source, seq);
		assert_int_equal(seen_look(seen, source, seq), SEEN_TWICE);
	}
	assert_int_equal(source->floor, 200);
	assert_int_equal(seen_look(seen, source, 201), SEEN_NO_WINDOW);
	assert_int_equal(seen_look(seen, source, 200 + SEEN_WINDOW), SEEN_BEYOND);
	seen_free(seen);
}

static void a_window_comes_back_when_its_gap_is_filled(void **state)
{
	struct seen *seen = make(2, 1);
	struct seen_source *one = seen_open(seen, 1, 1, 0, 0), *two = seen_open(seen, 2, 1, 0, 0);

	(void)state;
	seen_mark(seen, one, SEEN_WINDOW - 1);
	assert_int_equal(seen_look(seen, two, 1), SEEN_NO_WINDOW);
	for (uint64_t seq = 0; seq < SEEN_WINDOW - 1; seq++) {
		assert_int_equal(seen_look(seen, one, seq), SEEN_NEW);
		seen_mark(seen, one, seq);
	}
	assert_int_equal(one->floor, SEEN_WINDOW);
	assert_int_equal(seen_look(seen, two, 1), SEEN_NEW);
	seen_mark(seen, two, 1);
	seen_forget(seen, two);
	assert_int_equal(seen_look(seen, one, SEEN_WINDOW + 1), SEEN_NEW);
	seen_free(seen);
}

// Against one bit for each seq, in every order that the window allows.
static void random_orders_agree_with_a_plain_set(void **state)
{
	enum { SEQS = 60000 };
	struct seen *seen = make(1, 1);
	struct seen_source *source = seen_open(seen, ID, 1, 7, 0);
	bool *set = calloc(SEQS, sizeof(*set));
	uint64_t lowest = 0;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 400000 && lowest < SEQS - 2 * SEEN_WINDOW; i++) {
		uint64_t ahead = random() % 8 == 0 ? (uint64_t)random() % (SEEN_WINDOW + 50)
						   : (uint64_t)random() % 20;
		uint64_t n = lowest + ahead;
		enum seen_is is = seen_look(seen, source, 7 + n);

		assert_int_equal(is, ahead >= SEEN_WINDOW ? SEEN_BEYOND
				     : set[n]             ? SEEN_TWICE
							  : SEEN_NEW);
		if (is == SEEN_NEW) {
			seen_mark(seen, source, 7 + n);
			set[n] = true;
		}
		while (set[lowest])
			lowest++;
		assert_int_equal(source->floor, 7 + lowest);
	}
	assert_true(lowest > SEEN_WINDOW * 3);
	free(set);
	seen_free(seen);
}

static void runs_are_told_lowest_first(void **state)
{
	static const uint64_t marked[] = {12, 13, 14, 70, 71, 200, 201, 202, 8000, 8100, 8101};
	struct seen *seen = make(1, 1);
	struct seen_source *source = seen_open(seen, ID, 1, 10, 0);
	struct seen_run runs[8];

	(void)state;
	assert_int_equal(seen_runs(seen, source, runs, 8), 0);
	for (unsigned i = 0; i < sizeof(marked) / sizeof(marked[0]); i++)
		seen_mark(seen, source, marked[i]);
	assert_int_equal(seen_runs(seen, source, runs, 8), 5);
	assert_true(runs[0].from == 12 && runs[0].count == 3);
	assert_true(runs[1].from == 70 && runs[1].count == 2);
	assert_true(runs[3].from == 8000 && runs[3].count == 1);
	assert_true(runs[4].from == 8100 && runs[4].count == 2);
	assert_int_equal(seen_runs(seen, source, runs, 2), 2);
	seen_free(seen);
}

// The last place of the window and its first word's begin lie in one word of bits.
static void a_run_over_the_windows_seam_is_one(void **state)
{
	struct seen *seen = make(1, 1);
	struct seen_source *source = seen_open(seen, ID, 1, SEEN_WINDOW - 3, 0);
	struct seen_run runs[2];

	(void)state;
	for (uint64_t seq = SEEN_WINDOW - 2; seq < SEEN_WINDOW + 70; seq++)
		seen_mark(seen, source, seq);
	assert_int_equal(seen_runs(seen, source, runs, 2), 1);
	assert_true(runs[0].from == SEEN_WINDOW - 2 && runs[0].count == 72);
	seen_free(seen);
}

static void a_new_epoch_keeps_what_is_in_the_log(void **state)
{
	struct seen *seen = make(1, 1);
	struct seen_source *source = seen_open(seen, ID, 1, 0, 0);

	(void)state;
	for (uint64_t seq = 0; seq < 10; seq++)
		seen_mark(seen, source, seq);
	seen_mark(seen, source, 15);
	assert_ptr_equal(seen_open(seen, ID, 2, 5, 0), source);
	assert_int_equal(source->epoch, 2);
	assert_int_equal(seen_look(seen, source, 7), SEEN_TWICE);
	assert_int_equal(seen_look(seen, source, 10), SEEN_NEW);
	assert_int_equal(seen_look(seen, source, 15), SEEN_TWICE);
	// Up to 14 somebody else has acknowledged.
	seen_open(seen, ID, 3, 15, 0);
	assert_int_equal(source->floor, 16);
	assert_int_equal(source->durable, 15);
	seen_open(seen, ID, 4, 1000000, 0);
	assert_int_equal(source->floor, 1000000);
	seen_free(seen);
}

static void many_sources_are_found_and_forgotten(void **state)
{
	enum { MANY = 20000 };
	struct seen *seen = make(MANY, 0);

	(void)state;
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < MANY; i++)
			assert_non_null(seen_open(seen, i << round, 1, i, 0));
		assert_null(seen_open(seen, UINT64_MAX, 1, 0, 0));
		assert_int_equal(seen_count(seen), MANY);
		for (uint64_t i = 0; i < MANY; i += 2)
			seen_forget(seen, seen_find(seen, i << round));
		for (uint64_t i = 0; i < MANY; i++) {
			struct seen_source *source = seen_find(seen, i << round);

			assert_int_equal(source != NULL, i % 2);
			if (source != NULL)
				seen_forget(seen, source);
		}
		assert_int_equal(seen_count(seen), 0);
	}
	seen_free(seen);
}

static void the_oldest_is_whom_nobody_heard(void **state)
{
	struct seen *seen = make(4, 0);

	(void)state;
	assert_null(seen_oldest(seen, 100));
	for (uint32_t i = 0; i < 4; i++)
		seen_open(seen, i, 1, 0, 10 + i);
	seen_touch(seen, seen_find(seen, 0), 20);
	assert_int_equal(seen_oldest(seen, 100)->id, 1);
	assert_null(seen_oldest(seen, 11));
	seen_forget(seen, seen_find(seen, 1));
	assert_int_equal(seen_oldest(seen, 100)->id, 2);
	seen_free(seen);
}

static bool is_odd(void *arg, uint64_t id)
{
	(void)arg;
	return id % 2 != 0;
}

static void make_some(struct seen *seen)
{
	for (uint64_t id = 1; id <= 100; id++) {
		struct seen_source *source = seen_open(seen, id, (uint32_t)id, id * 10, 0);

		for (uint64_t seq = 0; seq < id; seq++)
			seen_mark(seen, source, id * 10 + seq);
		if (id % 3 == 0)
			seen_mark(seen, source, source->floor + id);
	}
	seen_forget(seen, seen_find(seen, 50));
}

static void assert_some(struct seen *seen, uint64_t id)
{
	struct seen_source *source = seen_find(seen, id);
	struct seen_run run;

	assert_non_null(source);
	assert_true(source->epoch == id && source->floor == id * 11 && source->durable == id * 11);
	assert_int_equal(seen_runs(seen, source, &run, 1), id % 3 == 0);
	if (id % 3 == 0)
		assert_true(run.from == id * 12 && run.count == 1);
}

static void what_is_saved_is_loaded_again(void **state)
{
	struct seen *seen = make(200, 50), *again = make(200, 50), *small = make(98, 50);
	size_t room = seen_save_room(seen);
	uint8_t *bytes = malloc(room);
	size_t len = 0;
	uint32_t at = 0;

	(void)state;
	make_some(seen);
	while (seen_save(seen, &at, 7, bytes, &len, room) == 0)
		;
	assert_int_equal(seen_load(again, bytes, len, 5), 0);
	assert_int_equal(seen_count(again), 99);
	for (uint64_t id = 1; id <= 100; id++)
		if (id != 50)
			assert_some(again, id);
	// Once more: nothing changes.
	assert_int_equal(seen_load(again, bytes, len, 5), 0);
	assert_some(again, 99);
	assert_int_equal(seen_load(small, bytes, len, 5), -ENOSPC);
	assert_int_equal(seen_load(again, bytes, len - 1, 5), -EINVAL);
	bytes[16] = bytes[17] = bytes[18] = bytes[19] = 0;
	assert_int_equal(seen_load(again, bytes, len, 5), -EINVAL);
	free(bytes);
	seen_free(seen);
	seen_free(again);
	seen_free(small);
}

// One after the other had the only window while it was saved: both have to get one again.
static void a_window_that_changed_hands_is_loaded_for_both(void **state)
{
	struct seen *seen = make(4, 1), *again = make(4, 1);
	size_t room = seen_save_room(seen), len = 0;
	uint8_t *bytes = malloc(room);
	struct seen_source *one = seen_open(seen, 1, 1, 0, 0), *two = seen_open(seen, 2, 1, 0, 0);
	uint32_t at = 0;

	(void)state;
	seen_mark(seen, one, 5);
	assert_int_equal(seen_save(seen, &at, 1, bytes, &len, room), 0);
	for (uint64_t seq = 0; seq < 5; seq++)
		seen_mark(seen, one, seq);
	seen_mark(seen, two, 7);
	assert_int_equal(seen_save(seen, &at, 9, bytes, &len, room), 1);
	assert_true(len > room / 2 && len <= room);
	assert_int_equal(seen_load(again, bytes, len, 0), 0);
	assert_int_equal(seen_look(again, seen_find(again, 1), 5), SEEN_TWICE);
	assert_int_equal(seen_look(again, seen_find(again, 1), 4), SEEN_NEW);
	assert_int_equal(seen_look(again, seen_find(again, 2), 7), SEEN_TWICE);
	// And where there is no room for so many, nothing is written beyond it.
	at = 0;
	len = 0;
	assert_int_equal(seen_save(again, &at, 9, bytes, &len, room / 2), -ENOSPC);
	assert_true(len <= room / 2);
	free(bytes);
	seen_free(seen);
	seen_free(again);
}

static void what_two_know_is_put_together(void **state)
{
	struct seen *one = make(200, 50), *two = make(200, 50);
	struct seen_source *source;

	(void)state;
	make_some(one);
	source = seen_open(two, 9, 20, 95, 0);
	seen_mark(two, source, 97);
	assert_int_equal(seen_merge(two, one, is_odd, NULL, 0), 50);
	assert_int_equal(seen_count(two), 50);
	assert_some(two, 21);
	// One knew up to 98 and 108, two 97.
	assert_true(source->epoch == 20 && source->floor == 99);
	assert_int_equal(seen_look(two, source, 108), SEEN_TWICE);
	assert_null(seen_find(two, 22));
	assert_int_equal(seen_find(one, 21)->floor, 21 * 11);
	seen_forget_all(one, is_odd, NULL);
	assert_null(seen_find(one, 21));
	assert_non_null(seen_find(one, 22));
	assert_int_equal(seen_merge(two, one, is_odd, NULL, 0), 0);
	seen_free(one);
	seen_free(two);
}

static void an_idle_source_costs_at_most_128_bytes(void **state)
{
	struct seen *seen = make(1000000, 1000);

	(void)state;
	assert_true((seen_bytes(seen) - 1000 * (SEEN_WINDOW / 8 + 16)) / 1000000 <= 128);
	seen_free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order_no_window_is_needed),
		cmocka_unit_test(a_window_comes_back_when_its_gap_is_filled),
		cmocka_unit_test(random_orders_agree_with_a_plain_set),
		cmocka_unit_test(runs_are_told_lowest_first),
		cmocka_unit_test(a_run_over_the_windows_seam_is_one),
		cmocka_unit_test(a_new_epoch_keeps_what_is_in_the_log),
		cmocka_unit_test(many_sources_are_found_and_forgotten),
		cmocka_unit_test(the_oldest_is_whom_nobody_heard),
		cmocka_unit_test(what_is_saved_is_loaded_again),
		cmocka_unit_test(a_window_that_changed_hands_is_loaded_for_both),
		cmocka_unit_test(what_two_know_is_put_together),
		cmocka_unit_test(an_idle_source_costs_at_most_128_bytes),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
