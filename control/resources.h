// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a Mesos agent offers, and what a receiver takes of it: cpus, mem (MiB), disk (MiB) and
// hugepages (of 2 MiB) as scalars, lcores as ranges, nics as a set.

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define RESOURCES_LCORES_MAX 128
#define RESOURCES_NICS_MAX 16
#define RESOURCES_NAME_MAX 64

struct resources {
	double cpus, mem, disk, hugepages;
	unsigned lcore_count; // ascending
	uint16_t lcores[RESOURCES_LCORES_MAX];
	unsigned nic_count;
	char nics[RESOURCES_NICS_MAX][RESOURCES_NAME_MAX];
};

// How much; which lcores and NICs is chosen.
struct resources_need {
	double cpus, mem, disk, hugepages;
	unsigned lcores, nics;
};

// From the "resources" of an offer: those reserved for 'role' and those of "*". Revocable ones and
// disks with a source or volume are left out. What we don't know is skipped; -EINVAL: malformed.
int resources_read(const json_t *list, const char *role, struct resources *ret);

// Takes from *from what is needed, lowest lcores first and NICs in order; prefers 'wanted' lcores and
// nics (NULL: none) where they are all there. False, with *missing naming the first that is too little
// (static text: "cpus", "lcores", …), and nothing taken.
bool resources_take(struct resources *from, const struct resources_need *need,
	const struct resources *wanted, struct resources *ret, const char **missing);

// For a TaskInfo; NULL on lack of memory. 'offer': the list that it was taken from, whose own
// reservations each part keeps (a part may come out of several entries).
json_t *resources_write(const struct resources *taken, const json_t *offer, const char *role);

// "2-3,6"; buf at least RESOURCES_LCORES_MAX * 4 bytes. And back: false when it is none.
const char *resources_lcores_text(const struct resources *r, char *buf, size_t size);
bool resources_lcores_parse(const char *text, struct resources *ret);
