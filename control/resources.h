// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a Mesos agent offers, and what a receiver takes of it: cpus, mem (MiB), disk (MiB) and
// hugepages (of 2 MiB) as scalars, lcores as ranges, nics as a set. Mesos counts scalars in
// thousandths, and so is everything here.

#include "common/cpus.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define RESOURCES_LCORES_MAX CPUS_MAX
#define RESOURCES_NICS_MAX 16
#define RESOURCES_NAME_MAX 64

struct resources {
	double cpus, mem, disk, hugepages;
	unsigned lcore_count; // ascending
	uint16_t lcores[RESOURCES_LCORES_MAX];
	unsigned nic_count; // in natural order: eth2 before eth10
	char nics[RESOURCES_NICS_MAX][RESOURCES_NAME_MAX];
};

// How much; which lcores and NICs is chosen.
struct resources_need {
	double cpus, mem, disk, hugepages;
	unsigned lcores, nics;
};

// From the "resources" of an offer: those reserved for 'role' and those of "*". Revocable and
// shared ones, and disks with a source or volume, are left out. What we don't know is skipped, and
// so are the lcores and NICs that there is no room for; -EINVAL: malformed.
int resources_read(const json_t *list, const char *role, struct resources *ret);

// Takes from *from what is needed, lowest lcores first and NICs in order; prefers 'wanted' lcores
// and nics (NULL: none) where they are all there. False, with *missing naming the first that is too
// little (static text: "cpus", "lcores", …), and nothing taken.
bool resources_take(struct resources *from, const struct resources_need *need,
	const struct resources *wanted, struct resources *ret, const char **missing);

// For a TaskInfo: each part keeps the reservation (and allocation) of the entry that it comes out
// of, those of 'role' first, and may come out of several. 'offer': the list that it was taken from;
// what is written is taken out of it, so that the next receiver on the same offer gets other parts.
// NULL, and 'offer' is unspecified: lack of memory, or more than is there.
json_t *resources_write(const struct resources *taken, json_t *offer, const char *role);

// "2-3,6"; buf at least CPUS_TEXT_BYTES. And back: false when it is none.
const char *resources_lcores_text(const struct resources *r, char *buf, size_t size);
bool resources_lcores_parse(const char *text, struct resources *ret);
