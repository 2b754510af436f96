// SPDX-License-Identifier: BSD-3-Clause

#include "bench/seqset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct send_plan plan = {
	.id = 0x12345678, .count = 1000, .size_min = 18, .size_max = 90, .lines = 1};
static struct seqset *set;

static int setup(void **state)
{
	(void)state;
	set = malloc(sizeof(*set));
	return seqset_init(set, &plan);
}

static int teardown(void **state)
{
	(void)state;
	seqset_free(set);
	free(set);
	return 0;
}

static uint32_t compose(uint64_t seq, uint8_t *buf)
{
	struct send_plan longer = plan;
	uint32_t bytes;

	longer.count = SEND_COUNT_MAX;
	return send_datagram_write(&longer, seq, buf, &bytes);
}

static void add(uint64_t seq, uint64_t flow)
{
	uint8_t buf[128];
	uint32_t len = compose(seq, buf);

	seqset_add(set, buf, len, flow);
}

static void a_whole_run_misses_nothing(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < plan.count; i++)
		add(i, 1);
	assert_int_equal(set->found, 1000);
	assert_int_equal(seqset_missing(set), 0);
	assert_int_equal(seqset_first_missing(set), 1000);
	assert_int_equal(
		set->twice + set->out_of_order + set->foreign + set->damaged + set->beyond, 0);
}

static void a_missing_event_is_found_wherever_it_is(void **state)
{
	static const uint64_t gone[] = {0, 63, 64, 127, 500, 999};

	for (size_t k = 0; k < sizeof(gone) / sizeof(gone[0]); k++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		for (uint64_t i = 0; i < plan.count; i++) {
			if (i != gone[k])
				add(i, 1);
		}
		assert_int_equal(seqset_missing(set), 1);
		assert_int_equal(seqset_first_missing(set), gone[k]);
	}
}

static void an_event_that_is_there_twice_counts_once(void **state)
{
	(void)state;
	add(5, 1);
	add(5, 1);
	add(5, 2);
	assert_int_equal(set->found, 1);
	assert_int_equal(set->twice, 2);
}

static void order_is_of_each_flow_in_each_log(void **state)
{
	(void)state;
	add(10, 1);
	add(9, 2);
	add(11, 1);
	assert_int_equal(set->out_of_order, 0);
	add(8, 2);
	assert_int_equal(set->out_of_order, 1);
	seqset_new_log(set);
	add(1, 1);
	assert_int_equal(set->out_of_order, 1);
}

static void many_flows_are_told_apart(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < plan.count; i++)
		add(plan.count - 1 - i, (i + 1) * (i + 7) * 0x9e3779b97f4a7c15ull);
	assert_int_equal(set->found, 1000);
	assert_int_equal(set->out_of_order, 0);
}

static void what_does_not_belong_is_not_found(void **state)
{
	uint8_t buf[128];
	uint32_t len = compose(7, buf);

	(void)state;
	add(plan.count, 1);
	assert_int_equal(set->beyond, 1);
	seqset_add(set, (const uint8_t *)"<13>some other line", 19, 1);
	seqset_add(set, buf, 0, 1);
	assert_int_equal(set->foreign, 2);
	seqset_add(set, buf, len - 1, 1);
	buf[len - 1] ^= 4;
	seqset_add(set, buf, len, 1);
	assert_int_equal(set->damaged, 2);
	assert_int_equal(set->found, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_whole_run_misses_nothing),
		T(a_missing_event_is_found_wherever_it_is),
		T(an_event_that_is_there_twice_counts_once),
		T(order_is_of_each_flow_in_each_log),
		T(many_flows_are_told_apart),
		T(what_does_not_belong_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
