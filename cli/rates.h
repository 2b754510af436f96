// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// From two samples of counters to what happened between them. Pure functions.

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

// The data of millrace.top/1 (docs/api.md) out of the data of two millrace.stats/1. A counter that
// went back was reset by a restart: it is taken to have begun at zero. NULL on lack of memory.
json_t *rates_compute(const json_t *before, const json_t *after, uint64_t interval_ns);

// Adds "per_second" to every total of 'after'.
void rates_add(const json_t *before, json_t *after, uint64_t interval_ns);

// How long the log may go on: until the disk is full or, where retention removes the oldest before
// that, how long an event stays. False when nothing is written or nothing is known. 'status': data
// of millrace.status/1.
bool rates_log_left(const json_t *status, double written_bytes_per_second, uint64_t *ret_ns,
	bool *ret_retained);
