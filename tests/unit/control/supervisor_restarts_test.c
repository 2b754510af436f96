// SPDX-License-Identifier: BSD-3-Clause

#include "control/supervisor/restarts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define BEGIN (1000 * SECOND)

static const struct ending killed = {ENDING_SIGNAL, 9};
static const struct ending failed = {ENDING_EXIT, 1};
static const struct ending good = {ENDING_EXIT, 0};
static const struct ending refused = {ENDING_EXIT, 5};

static void three_ends_within_a_minute_are_started_again_and_the_fourth_is_not(void **state)
{
	struct restarts r = {0};

	(void)state;
	assert_int_equal(restarts_decide(&r, killed, BEGIN), RESTARTS_START);
	assert_int_equal(restarts_decide(&r, failed, BEGIN + 1), RESTARTS_START);
	assert_int_equal(restarts_decide(&r, good, BEGIN + 30 * SECOND), RESTARTS_START);
	assert_int_equal(restarts_decide(&r, killed, BEGIN + 60 * SECOND - 1), RESTARTS_TOO_MANY);
	assert_int_equal(r.total, 3);
}

static void the_minute_slides(void **state)
{
	struct restarts r = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(
			restarts_decide(&r, killed, BEGIN + i * 20 * SECOND), RESTARTS_START);
	assert_int_equal(r.total, 100);
	// The last three were 40, 20 and 0 s ago.
	assert_int_equal(restarts_decide(&r, killed, BEGIN + 1980 * SECOND), RESTARTS_TOO_MANY);
	assert_int_equal(restarts_decide(&r, killed, BEGIN + 2000 * SECOND - 1), RESTARTS_TOO_MANY);
	assert_int_equal(restarts_decide(&r, killed, BEGIN + 2000 * SECOND), RESTARTS_START);
}

static void what_is_wrong_for_good_is_not_started_again(void **state)
{
	static const struct {
		int code;
		enum restarts_decision decision;
	} cases[] = {{0, RESTARTS_START}, {1, RESTARTS_START}, {2, RESTARTS_REFUSED},
		{3, RESTARTS_START}, {4, RESTARTS_REFUSED}, {5, RESTARTS_REFUSED},
		{6, RESTARTS_START}, {127, RESTARTS_START}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct restarts r = {0};

		assert_int_equal(
			restarts_decide(&r, (struct ending){ENDING_EXIT, cases[i].code}, BEGIN),
			cases[i].decision);
		assert_int_equal(r.total, cases[i].decision == RESTARTS_START);
	}
	// A signal of that number is something else.
	assert_int_equal(
		restarts_decide(&(struct restarts){0}, (struct ending){ENDING_SIGNAL, 4}, BEGIN),
		RESTARTS_START);
}

// The lock of a killed one is free when its writes have landed.
static void a_lock_that_a_killed_one_left_is_waited_for(void **state)
{
	struct restarts r = {0};

	(void)state;
	assert_int_equal(restarts_decide(&r, killed, BEGIN), RESTARTS_START);
	for (unsigned i = 1; i < 20; i++)
		assert_int_equal(
			restarts_decide(&r, refused, BEGIN + i * SECOND / 2), RESTARTS_AGAIN);
	assert_int_equal(r.total, 1);
	assert_int_equal(restarts_decide(&r, refused, BEGIN + 10 * SECOND), RESTARTS_REFUSED);
	// Not after an end of its own accord: nothing of it lands then.
	r = (struct restarts){0};
	assert_int_equal(restarts_decide(&r, failed, BEGIN), RESTARTS_START);
	assert_int_equal(restarts_decide(&r, refused, BEGIN + 1), RESTARTS_REFUSED);
	// Nor are the other codes.
	r = (struct restarts){0};
	assert_int_equal(restarts_decide(&r, killed, BEGIN), RESTARTS_START);
	assert_int_equal(
		restarts_decide(&r, (struct ending){ENDING_EXIT, 4}, BEGIN + 1), RESTARTS_REFUSED);
}

static void an_end_is_told_in_words(void **state)
{
	char text[128];

	(void)state;
	assert_string_equal(ending_text(killed, text), "was ended by signal 9 (Killed)");
	assert_string_equal(ending_text(failed, text), "ended with exit code 1");
	assert_string_equal(
		ending_text(refused, text), "ended with exit code 5 (refused for safety)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			three_ends_within_a_minute_are_started_again_and_the_fourth_is_not),
		cmocka_unit_test(the_minute_slides),
		cmocka_unit_test(what_is_wrong_for_good_is_not_started_again),
		cmocka_unit_test(a_lock_that_a_killed_one_left_is_waited_for),
		cmocka_unit_test(an_end_is_told_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
