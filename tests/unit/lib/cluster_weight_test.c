// SPDX-License-Identifier: BSD-3-Clause
// Which receiver is a source's own: evenly, the same everywhere, and whatever the others do.

#include "lib/cluster/weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SOURCES 10000u
#define RECEIVERS 10u

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

// Of r1 to r<count>, but for one.
static unsigned own_of(uint64_t source, unsigned count, unsigned except)
{
	unsigned best = except == 1 ? 2 : 1;
	char name[16], best_name[16];

	for (unsigned i = best + 1; i <= count; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		snprintf(best_name, sizeof(best_name), "r%u", best);
		if (i != except && cluster_weight(source, name) > cluster_weight(source, best_name))
			best = i;
	}
	return best;
}

// By hand, from the formula in docs/cluster.md.
static void the_weights_are_those_of_the_formula(void **state)
{
	(void)state;
	assert_true(cluster_weight(1, "r1") == 0xbef330b9569355a4u);
	assert_true(cluster_weight(1, "r2") == 0xbf63887bd1aa558fu);
	assert_true(cluster_weight(UINT64_MAX, "r10") == 0x346d381458373774u);
	assert_true(cluster_weight(0x0123456789abcdef, "") == 0xc9a08101528bfeeau);
	assert_int_equal(cluster_spread(1, 5000), 3936);
	assert_int_equal(cluster_spread(2, 5000), 3110);
	assert_int_equal(cluster_spread(3, 0), 0);
}

// 'random': ids as handles draw them; else one after another, as somebody may give them to spools.
static double worst_share(unsigned count, bool random)
{
	unsigned share[RECEIVERS + 1] = {0};
	double worst = 0;

	random_state = 88172645463325252u;
	for (unsigned i = 0; i < SOURCES; i++)
		share[own_of(random ? next_random() : i + 1, count, 0)]++;
	for (unsigned i = 1; i <= count; i++) {
		double even = (double)SOURCES / count;
		double off = (share[i] - even) / even;

		off = off < 0 ? -off : off;
		worst = off > worst ? off : worst;
	}
	return worst;
}

static void sources_are_spread_evenly(void **state)
{
	(void)state;
	for (unsigned count = 3; count <= RECEIVERS; count++) {
		double random = worst_share(count, true), rising = worst_share(count, false);

		print_message(
			"%u receivers: %.1f %% off, %.1f %%\n", count, random * 100, rising * 100);
		// Three standard deviations of 1000 sources are 9 %.
		assert_true(random < 0.09 && rising < 0.09);
	}
}

static void only_those_of_a_receiver_that_goes_move(void **state)
{
	unsigned moved = 0, to[RECEIVERS + 1] = {0};

	(void)state;
	random_state = 88172645463325252u;
	for (unsigned i = 0; i < SOURCES; i++) {
		uint64_t source = next_random();
		unsigned before = own_of(source, RECEIVERS, 0),
			 after = own_of(source, RECEIVERS, 4);

		assert_true(before == after || before == 4);
		moved += before != after;
		to[after] += before != after;
	}
	assert_in_range(moved, SOURCES / RECEIVERS - 90, SOURCES / RECEIVERS + 90);
	// To all others, evenly.
	for (unsigned i = 1; i <= RECEIVERS; i++)
		if (i != 4)
			assert_in_range(to[i], moved / 9 - 35, moved / 9 + 35);
}

static void one_that_comes_takes_its_share_of_all(void **state)
{
	unsigned moved = 0;

	(void)state;
	random_state = 88172645463325252u;
	for (unsigned i = 0; i < SOURCES; i++) {
		uint64_t source = next_random();
		unsigned before = own_of(source, 7, 0), after = own_of(source, 8, 0);

		assert_true(before == after || after == 8);
		moved += before != after;
	}
	assert_in_range(moved, SOURCES / 8 - 100, SOURCES / 8 + 100);
}

static void sources_do_the_same_thing_at_different_times(void **state)
{
	unsigned in[10] = {0};

	(void)state;
	for (uint64_t source = 1; source <= SOURCES; source++)
		in[cluster_spread(source, 1000) / 100]++;
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(in[i], 900, 1100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_weights_are_those_of_the_formula),
		cmocka_unit_test(sources_are_spread_evenly),
		cmocka_unit_test(only_those_of_a_receiver_that_goes_move),
		cmocka_unit_test(one_that_comes_takes_its_share_of_all),
		cmocka_unit_test(sources_do_the_same_thing_at_different_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
