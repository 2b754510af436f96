// SPDX-License-Identifier: BSD-3-Clause
#include "batches_log.h"

#include <string.h>

void batches_build_segment(struct logbuilder *lb)
{
	lb->durable_seq = lb->seq;
	lb_segment(lb);
	for (unsigned i = 0; i < EACH; i++) {
		uint64_t number = lb->batch, blocks = number % 3 + 1;

		for (uint64_t k = 0; k < blocks; k++)
			lb_block(lb, 10, k + 1 == blocks && number % 4 ? WAL_FLAG_SEALED : 0);
		if (number % 4 == 0)
			lb_seal(lb);
	}
}

void batches_build(struct logbuilder *lb, char names[SEGMENTS][40])
{
	for (unsigned i = 0; i < SEGMENTS; i++) {
		batches_build_segment(lb);
		memcpy(names[i], lb->name, 40);
		i + 1 < SEGMENTS ? lb_eos(lb) : lb_end(lb);
	}
}
