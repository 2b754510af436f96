// SPDX-License-Identifier: BSD-3-Clause

#include "bench/seqset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int seqset_init(struct seqset *ret, const struct send_plan *plan)
{
	memset(ret, 0, sizeof(*ret));
	ret->plan = *plan;
	ret->bits = (uint64_t *)calloc(plan->count / 64 + 1, sizeof(uint64_t));
	return ret->bits == NULL ? -ENOMEM : 0;
}

void seqset_free(struct seqset *set)
{
	free(set->bits);
	set->bits = NULL;
}

void seqset_new_log(struct seqset *set)
{
	memset(set->flow, 0, sizeof(set->flow));
}

// NULL when the table is full: such a flow's order isn't looked at.
static struct seqset_flow *find_flow(struct seqset *set, uint64_t key)
{
	uint64_t hash;

	key |= key == 0;
	hash = (key ^ key >> 32) * 0xff51afd7ed558ccdull >> 40;
	for (uint32_t i = 0; i < SEQSET_FLOWS; i++) {
		struct seqset_flow *flow = &set->flow[(hash + i) % SEQSET_FLOWS];

		if (flow->key == 0)
			flow->key = key;
		if (flow->key == key)
			return flow;
	}
	return NULL;
}

static void note_order(struct seqset *set, uint64_t key, uint64_t seq)
{
	struct seqset_flow *flow = find_flow(set, key);

	if (flow == NULL)
		return;
	if (seq < flow->next)
		set->out_of_order++;
	else
		flow->next = seq + 1;
}

static enum send_payload judge(
	const struct send_plan *plan, const uint8_t *payload, uint32_t len, uint64_t *ret_seq)
{
	enum send_payload verdict = send_payload_parse(payload, len, plan->id, ret_seq);

	if (verdict == SEND_PAYLOAD_OURS && plan->size_min != 0 &&
		len != send_event_size(plan, *ret_seq))
		return SEND_PAYLOAD_DAMAGED;
	return verdict;
}

void seqset_add(struct seqset *set, const uint8_t *payload, uint32_t len, uint64_t flow)
{
	uint64_t seq, bit, *word;

	switch (judge(&set->plan, payload, len, &seq)) {
	case SEND_PAYLOAD_FOREIGN:
		set->foreign++;
		return;
	case SEND_PAYLOAD_DAMAGED:
		set->damaged++;
		return;
	case SEND_PAYLOAD_OURS:
		break;
	}
	if (seq >= set->plan.count) {
		set->beyond++;
		return;
	}
	bit = 1ull << seq % 64;
	word = &set->bits[seq / 64];
	if ((*word & bit) != 0) {
		set->twice++;
		return;
	}
	*word |= bit;
	set->found++;
	note_order(set, flow, seq);
}

uint64_t seqset_missing(const struct seqset *set)
{
	return set->plan.count - set->found;
}

uint64_t seqset_first_missing(const struct seqset *set)
{
	uint64_t seq = 0;

	while (seq < set->plan.count && (set->bits[seq / 64] >> seq % 64 & 1) != 0)
		seq++;
	return seq;
}
