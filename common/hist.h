// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A log-linear histogram: 16 linear steps per power of two, so a value is known to within 6.25 %.
// One writer; readers may read while it writes and see each bucket whole.

#include <stdint.h>

#define HIST_STEPS 16
#define HIST_BUCKETS (60 * HIST_STEPS + HIST_STEPS)

struct hist {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t bucket[HIST_BUCKETS];
};

// The largest value that falls into a bucket.
static inline uint64_t hist_upper(unsigned bucket)
{
	unsigned shift = bucket < HIST_STEPS ? 0 : bucket / HIST_STEPS - 1;

	if (bucket < HIST_STEPS)
		return bucket;
	return ((uint64_t)(bucket % HIST_STEPS + HIST_STEPS + 1) << shift) - 1;
}

// Owner only.
void hist_add(struct hist *h, uint64_t value);

// The upper bound of the bucket that holds quantile q (0..1) of the values; 0 when there are none.
// Any thread; for a figure over an interval subtract two copies with hist_sub() first.
uint64_t hist_quantile(const struct hist *h, double q);

// ret = now - before, bucket by bucket; max is that of 'now'.
void hist_sub(struct hist *ret, const struct hist *now, const struct hist *before);

// A registered histogram is exported like a counter set. Control thread only.
struct hist_entry {
	const char *subsystem;
	const char *name; // with its unit: "commit_latency_ns"
	const char *help;
	const struct hist *hist;
	char labels[128];
	struct hist_entry *next;
};

void hist_register(struct hist_entry *entry);
void hist_unregister(struct hist_entry *entry);
void hist_walk(void (*fn)(const struct hist_entry *entry, void *arg), void *arg);
