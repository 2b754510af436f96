// SPDX-License-Identifier: BSD-3-Clause

#include "lib/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE 200000u

static uint8_t bytes[LARGE];

static uint32_t len_of(uint32_t i)
{
	return i % 50 == 49 ? LARGE : i * 131 % 3000;
}

static void add(struct queue *q, struct chunk **spare, uint32_t i)
{
	uint32_t len = len_of(i);

	memset(bytes, (int)i, len);
	assert_int_equal(queue_add(q, spare, bytes, len), 0);
}

static void expect_first(struct queue *q, struct chunk **spare, uint32_t i)
{
	uint32_t len;
	const uint8_t *event = queue_first(q, &len);

	assert_non_null(event);
	assert_int_equal(len, len_of(i));
	memset(bytes, (int)i, len);
	assert_memory_equal(event, bytes, len);
	queue_remove(q, spare);
}

static void events_come_out_as_they_went_in_whatever_their_size(void **state)
{
	struct queue q = {0};
	struct chunk *spare = NULL;
	uint32_t in = 0, out = 0, len;

	(void)state;
	for (int round = 0; round < 20; round++) {
		while (in < (uint32_t)(round + 1) * 60)
			add(&q, &spare, in++);
		while (out < in - 7)
			expect_first(&q, &spare, out++);
	}
	while (out < in)
		expect_first(&q, &spare, out++);
	assert_true(queue_is_empty(&q));
	assert_null(queue_first(&q, &len));
	free(spare);
}

static void a_queue_behind_another_goes_on_where_that_was(void **state)
{
	struct queue q = {0}, more = {0}, none = {0};
	struct chunk *spare = NULL;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		add(&q, &spare, i);
	for (uint32_t i = 0; i < 60; i++)
		expect_first(&q, &spare, i);
	for (uint32_t i = 100; i < 200; i++)
		add(&more, &spare, i);
	queue_append(&q, &more);
	queue_append(&q, &none);
	assert_true(queue_is_empty(&more));
	for (uint32_t i = 60; i < 150; i++)
		expect_first(&q, &spare, i);
	queue_append(&more, &q);
	for (uint32_t i = 150; i < 190; i++)
		expect_first(&more, &spare, i);
	queue_free(&more);
	assert_true(queue_is_empty(&more));
	free(spare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_out_as_they_went_in_whatever_their_size),
		cmocka_unit_test(a_queue_behind_another_goes_on_where_that_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
