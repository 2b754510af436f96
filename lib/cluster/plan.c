// SPDX-License-Identifier: BSD-3-Clause
// Where a source goes, and when.

#include "lib/cluster/members.h"
#include "lib/cluster/weight.h"

#include <string.h>

#define SECOND_NS 1000000000ull
#define FRESH_NS (2 * SECOND_NS)
#define WISH_GRACE_NS (2 * SECOND_NS)
#define DOUBLINGS_MAX 6u // of the time that one that fails again and again is avoided

bool members_may_go_to(const struct members *m, unsigned n)
{
	return n < m->count && m->list[n].health >= MEMBER_STARTING && !m->list[n].leave &&
	       m->list[n].address_count > 0;
}

static bool is_before(const struct member *a, const struct member *b)
{
	return a->weight > b->weight || (a->weight == b->weight && strcmp(a->name, b->name) < 0);
}

unsigned members_next(const struct members *m, unsigned n)
{
	unsigned best = MEMBERS_NONE;

	for (unsigned i = 0; i < m->count; i++) {
		if (!members_may_go_to(m, i) ||
			(n < m->count && !is_before(&m->list[n], &m->list[i])))
			continue;
		if (best == MEMBERS_NONE || is_before(&m->list[i], &m->list[best]))
			best = i;
	}
	return best;
}

// How long it is to be well before it is gone to again.
static uint64_t settle_time(const struct members *m, const struct member *member)
{
	unsigned doublings = member->failed > 0 ? member->failed - 1 : 0;

	return m->move_after_ns * MEMBERS_SETTLE
	       << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}

void members_came(struct members *m, unsigned n, uint64_t now)
{
	m->readdressed = false;
	if (n != m->present && m->present != MEMBERS_NONE && n != m->wish) {
		struct member *failed = &m->list[m->present];

		if (now - m->came > 2 * settle_time(m, failed))
			failed->failed = 0;
		failed->failed++;
		failed->left = now;
	}
	if (n != m->present)
		m->came = now;
	m->present = n;
	m->wish = MEMBERS_NONE;
}

// When a better one is to be gone to.
static uint64_t time_to_return(const struct members *m, const struct member *own)
{
	uint64_t from = own->since > own->left ? own->since : own->left;

	if (!own->well)
		return UINT64_MAX;
	return from + settle_time(m, own) +
	       cluster_spread(m->source, m->move_after_ns * MEMBERS_SETTLE);
}

static unsigned wish(struct members *m, unsigned n, uint64_t ends_at)
{
	m->wish = n;
	m->wish_ends_at = ends_at;
	return n;
}

unsigned members_wish(struct members *m, uint64_t now, uint64_t *ret_due, bool *ret_read)
{
	unsigned own = members_next(m, MEMBERS_NONE);
	const struct member *here = m->present != MEMBERS_NONE ? &m->list[m->present] : NULL;

	*ret_due = UINT64_MAX;
	*ret_read = false;
	if (own == MEMBERS_NONE || !m->read)
		return MEMBERS_NONE;
	if (m->wish != MEMBERS_NONE) {
		*ret_due = m->wish_ends_at;
		if (now < *ret_due)
			return MEMBERS_NONE;
		m->wish = MEMBERS_NONE;
	}
	*ret_due = 0;
	if (here != NULL && here->leave) {
		*ret_due = here->leave_since + cluster_spread(m->source, m->move_after_ns);
	} else if (here != NULL && m->readdressed && members_may_go_to(m, m->present)) {
		own = m->present;
	} else if (here != NULL) {
		*ret_due = own != m->present ? time_to_return(m, &m->list[own]) : UINT64_MAX;
		// One that answers and makes nothing durable is no failure to libmillrace.
		if (here->health == MEMBER_FAILED)
			*ret_due = here->failed_since + m->move_after_ns;
		// It is not told when one falls ill, or is well again.
		*ret_read = now >= *ret_due && now - m->read_at > FRESH_NS;
	}
	if (now < *ret_due || *ret_read)
		return MEMBERS_NONE;
	*ret_due = now + m->move_after_ns + WISH_GRACE_NS;
	return wish(m, own, *ret_due);
}
