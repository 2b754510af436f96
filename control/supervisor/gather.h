// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// From the configuration and the API's answers to what is registered. Pure.

#include "control/live.h"

#include <jansson.h>

#include <stdbool.h>

// By which addresses each listener is reached: its own, else those of all ports. Link-local ones
// reach nobody without an interface's name and are left out. -ENOMEM; frees what was there.
int gather_listeners(struct live *live, const struct config *config);

// Each takes the "data" of an answer; false when it isn't what docs/api.md says, with *live as it
// was.
bool gather_status(struct live *live, const json_t *status); // health and why; not the pid
bool gather_partitions(struct live *live, const json_t *partitions);
bool gather_sinks(struct live *live, const json_t *sinks);

// Totals at a time, of which two make a load.
struct gather_totals {
	uint64_t at_ns; // 0: none
	uint64_t packets, events, bytes;
};

bool gather_totals(struct gather_totals *ret, const json_t *drops, const json_t *ports);
void gather_load(
	struct live *live, const struct gather_totals *before, const struct gather_totals *now);
