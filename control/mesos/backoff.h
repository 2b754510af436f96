// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// How long to wait before the next try: doubled with each failure up to a bound, and of that any
// part, so that those who lost the same master don't come back to it all at once.

#include <stdint.h>

struct mesos_backoff {
	uint64_t base_ns, max_ns;
	uint64_t seed; // by getrandom()
	unsigned failures;
};

void mesos_backoff_init(struct mesos_backoff *b, uint64_t base_ns, uint64_t max_ns);

// Counts a failure.
uint64_t mesos_backoff_next(struct mesos_backoff *b);
