// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static int64_t system_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void doze(long ms)
{
	struct timespec ts = {.tv_nsec = ms * 1000000};

	nanosleep(&ts, NULL);
}

static int init(void **)
{
	clock_init();
	return 0;
}

static void real_time_is_that_of_the_system(void **)
{
	for (int i = 0; i < 3; i++) {
		int64_t before = system_ns();
		int64_t now = (int64_t)clock_real_ns(clock_ticks());
		int64_t after = system_ns();

		assert_true(now > before - 200000);
		assert_true(now < after + 200000);
		clock_recalibrate();
		doze(120);
	}
}

static void recalibrating_never_turns_time_back(void **)
{
	int64_t last = 0;

	for (int i = 0; i < 20000; i++) {
		int64_t now = (int64_t)clock_real_ns(clock_ticks());

		assert_true(now >= last);
		last = now;
		if (i % 100 == 0)
			clock_recalibrate();
	}
}

static void ticks_and_nanoseconds_convert_back_and_forth(void **)
{
	assert_true(clock_ticks_per_second() > 100000000);
	assert_in_range(clock_ticks_to_ns(clock_ns_to_ticks(2000000)), 1999990, 2000000);
	assert_int_equal(clock_ns_to_ticks(1000000000), clock_ticks_per_second());
	// a year does not overflow
	assert_in_range(clock_ticks_to_ns(clock_ns_to_ticks(31536000000000000)), 31535999999999990,
		31536000000000000);
}

static void a_tick_value_of_the_past_is_a_time_of_the_past(void **)
{
	uint64_t ticks = clock_ticks();
	int64_t then = (int64_t)clock_real_ns(ticks);

	doze(30);
	clock_recalibrate();
	assert_in_range(llabs((int64_t)clock_real_ns(ticks) - then), 0, 100000);
	assert_true((int64_t)clock_real_ns(clock_ticks()) - then > 25000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_time_is_that_of_the_system),
		cmocka_unit_test(recalibrating_never_turns_time_back),
		cmocka_unit_test(ticks_and_nanoseconds_convert_back_and_forth),
		cmocka_unit_test(a_tick_value_of_the_past_is_a_time_of_the_past),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
