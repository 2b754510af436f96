// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Which sequence numbers of a run have been seen: a bit for each.

#include "cli/send/send.h"

#include <stdint.h>

#define SEQSET_FLOWS 8192u // slots of the table of flows, a power of two

struct seqset_flow {
	uint64_t key;  // 0: free
	uint64_t next; // lowest sequence number that is in order
};

struct seqset {
	struct send_plan plan; // id and count, and the sizes when they are known
	uint64_t *bits;
	uint64_t found, twice, foreign;
	uint64_t damaged;      // of this run, but with wrong bytes or of a wrong size
	uint64_t beyond;       // of this run, but numbered above it
	uint64_t out_of_order; // lower than one seen before from the same flow in the same log
	struct seqset_flow flow[SEQSET_FLOWS];
};

// Of the plan: id, count, and size_min and size_max or 0 when sizes aren't to be checked.
int seqset_init(struct seqset *ret, const struct send_plan *plan);
void seqset_free(struct seqset *set);

// The order within flows starts anew.
void seqset_new_log(struct seqset *set);

// One event. 'flow': whatever tells its source from others.
void seqset_add(struct seqset *set, const uint8_t *payload, uint32_t len, uint64_t flow);

uint64_t seqset_missing(const struct seqset *set);

// The lowest that is missing; count when none is.
uint64_t seqset_first_missing(const struct seqset *set);
