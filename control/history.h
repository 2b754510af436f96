// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What was decided and why, the latest HISTORY_MAX: kept in ZooKeeper by the same transactions as
// what it tells of, so that the next leader goes on with it.

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_MAX 200

struct history {
	json_t *events; // array, oldest first; each with its "id", which counts from 1
	uint64_t last;  // id
	bool changed;   // is to be stored
};

int history_new(struct history *ret);
void history_free(struct history *history);
int history_read(struct history *history, const json_t *json); // -EINVAL: nothing taken
json_t *history_write(const struct history *history);

// receiver, slave: NULL when it isn't about one. Logged, too.
void history_add(struct history *history, int64_t now_ns, const char *decision,
	const char *receiver, const char *slave, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
