// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between store.c (writing) and store_read.c.

#include "control/store.h"

#include <stdbool.h>

struct commit;

struct store {
	struct loop *loop;
	struct zk *zk;
	struct loop_timer retry;
	char root[ZK_PATH_BYTES / 2];
	char check[ZK_PATH_BYTES];
	struct commit *gathered;
	struct commit *first, *last; // the first is under way
	bool asking;
	unsigned lead; // counts the leaderships: an answer of an older one is nobody's
};
