// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the tests of recovery share.

#include "tests/unit/wal/logbuilder.h"
#include "wal/recover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline struct wal_tail recovered(const struct logbuilder *lb)
{
	struct wal_tail tail = {0};
	char why[512];
	int r = wal_recover(lb->dir, lb->partition, &tail, why);

	if (r < 0)
		print_message("%s\n", why);
	assert_int_equal(r, 0);
	return tail;
}

// Refused, with nothing changed and all of the given words in the reason.
static inline void assert_refused(
	const struct logbuilder *lb, int error, const char *word, const char *name)
{
	uint64_t before = lb_digest(lb);
	struct wal_tail tail;
	char why[512];

	assert_int_equal(wal_recover(lb->dir, lb->partition, &tail, why), error);
	if (strstr(why, word) == NULL || strstr(why, name) == NULL)
		print_message("%s\n", why);
	assert_non_null(strstr(why, word));
	assert_non_null(strstr(why, name));
	assert_true(lb_digest(lb) == before);
}

static inline int setup(void **state)
{
	struct logbuilder *lb = malloc(sizeof(*lb));

	lb_init(lb);
	*state = lb;
	return 0;
}

static inline int teardown(void **state)
{
	lb_done(*state);
	free(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
