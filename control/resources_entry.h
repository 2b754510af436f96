// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between the files of resources: one entry of Mesos' list of resources.

#include "control/resources.h"

// Mesos' own precision.
int64_t thousandths(double value);

struct lcore_set {
	bool has[CPUS_NUMBER_MAX + 1];
};

// NULL: malformed.
const char *entry_name(const json_t *entry);
const char *entry_role(const json_t *entry);

// Ours to take: not revocable, not shared, no volume, of 'role' or (but for disk) of "*".
bool entry_usable(const json_t *entry, const char *role);

int entry_scalar(const json_t *entry, int64_t *ret_thousandths); // -EINVAL
json_t *entry_ranges(const json_t *entry);                       // borrowed; NULL: there is none
json_t *entry_items(const json_t *entry);                        // of a set
bool range_read(const json_t *range, int64_t *begin, int64_t *end);

// NULL: that is no scalar of ours.
double *scalar_field(struct resources *r, const char *name);
