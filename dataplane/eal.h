// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Starts DPDK's environment from the configuration: without devices (a port that can't be had is
// our own message), without files that a killed process would leave, one pinned lcore per
// configured cpu (EAL's lcores 1..n), the main lcore floating over the cpus allowed.

#include "common/config.h"
#include "dataplane/plan.h"

#define EAL_ARGS_MAX 48
#define EAL_TEXT_MAX 4096

struct eal_args {
	int count;
	char *list[EAL_ARGS_MAX]; // into text
	char text[EAL_TEXT_MAX];
	size_t used;
};

// -E2BIG when they don't fit.
int eal_args_make(struct eal_args *ret, const struct config *config, const struct plan *plan);

// Once per process; logs why when it fails.
int eal_start(const struct config *config, const struct plan *plan);
void eal_stop(void); // also when it never started

// EAL's number of the plan's lcore.
static inline unsigned eal_lcore(unsigned lcore)
{
	return lcore + 1;
}
