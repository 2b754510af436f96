// SPDX-License-Identifier: BSD-3-Clause
// When what is reported. A group has two clocks: a change that is told robustness times, and the
// answer to a query, at random within the time that the querier gives, so that not all hosts of a
// network answer at once (RFC 3376, 5.1 and 5.2; RFC 3810, 6.1 and 6.2).

#include "dataplane/host/groups.h"

#include "dataplane/host/membership.h"
#include "dataplane/wire.h"

#define SECOND_NS 1000000000ull
#define ROBUSTNESS 2                       // RFC 3376, 8.1
#define UNSOLICITED_NS SECOND_NS           // Unsolicited Report Interval: RFC 3376, 8.11
#define OLDER_QUERIER_NS (400 * SECOND_NS) // never less than it can be: RFC 3376, 8.12
#define RECORDS_MAX 64

static void join(struct groups *g, const uint8_t *address)
{
	struct group *group;

	for (unsigned i = 0; i < g->count; i++)
		if (memcmp(g->groups[i].address, address, 16) == 0)
			return;
	group = &g->groups[g->count++];
	memcpy(group->address, address, sizeof(group->address));
	group->change_due = group->answer_due = UINT64_MAX;
}

void groups_init(struct groups *g, const struct host_identity *host, uint32_t seed)
{
	memset(g, 0, sizeof(*g));
	g->host = host;
	g->random = seed | 1;
	g->querier4.robustness = g->querier6.robustness = ROBUSTNESS;
	for (unsigned i = 0; i < host->group_count; i++)
		join(g, host->groups[i].s6_addr);
	for (unsigned i = 0; i < host->address_count; i++) {
		uint8_t group[16];

		solicited_node(host->addresses[i].ip.s6_addr, group);
		if (!host->addresses[i].is_ip4)
			join(g, group);
	}
}

// Up to 'most', not included (xorshift).
static uint64_t chance(struct groups *g, uint64_t most)
{
	g->random ^= g->random << 13;
	g->random ^= g->random >> 17;
	g->random ^= g->random << 5;
	return most * g->random >> 32;
}

static struct group_querier *querier_of(struct groups *g, const uint8_t *address)
{
	return address_is_ip4(address) ? &g->querier4 : &g->querier6;
}

void groups_announce(struct groups *g, uint64_t now)
{
	for (unsigned i = 0; i < g->count; i++) {
		struct group *group = &g->groups[i];

		group->left = querier_of(g, group->address)->robustness;
		group->leaving = false;
		group->change_due = now;
	}
}

void groups_leave(struct groups *g, uint64_t now)
{
	for (unsigned i = 0; i < g->count; i++) {
		g->groups[i].left = 1;
		g->groups[i].leaving = true;
		g->groups[i].change_due = now;
		g->groups[i].answer_due = UINT64_MAX;
	}
}

// An answer that is due sooner stays: several queries lead to one (RFC 3376, 5.2).
static void answer(struct groups *g, struct group *group, uint64_t now, uint64_t within)
{
	uint64_t due = now + chance(g, within);

	if (due < group->answer_due)
		group->answer_due = due;
}

bool groups_query(struct groups *g, const uint8_t *frame, const struct packet *packet, uint64_t now)
{
	bool ip4 = address_is_ip4(packet->dst_addr);
	struct group_querier *querier = ip4 ? &g->querier4 : &g->querier6;
	struct membership_query query;

	if (!membership_query_read(frame, packet, &query))
		return false;
	if (query.robustness != 0)
		querier->robustness = query.robustness;
	if (query.version == 1)
		querier->version1_until = now + OLDER_QUERIER_NS;
	else if (query.version == 2)
		querier->version2_until = now + OLDER_QUERIER_NS;
	for (unsigned i = 0; i < g->count; i++) {
		struct group *group = &g->groups[i];

		if (address_is_ip4(group->address) != ip4)
			continue;
		if (query.general || memcmp(group->address, query.group, 16) == 0)
			answer(g, group, now, query.within_ns);
	}
	return true;
}

// What of the group is due now. Clears it.
static enum group_report take_due(struct groups *g, struct group *group, uint64_t now)
{
	if (group->change_due <= now) {
		group->left--;
		group->change_due = group->left > 0 ? now + chance(g, UNSOLICITED_NS) : UINT64_MAX;
		return group->leaving ? GROUP_LEAVE : GROUP_JOIN;
	}
	if (group->answer_due > now)
		return GROUP_NOTHING;
	group->answer_due = UINT64_MAX;
	return GROUP_STATE;
}

static unsigned version_of(const struct group_querier *querier, bool ip4, uint64_t now)
{
	if (querier->version1_until > now)
		return 1;
	if (ip4)
		return querier->version2_until > now ? 2 : 3;
	return 2;
}

// Of the older versions a report holds one group.
static uint32_t next_of(struct groups *g, bool ip4, uint64_t now, uint8_t *frame)
{
	unsigned version = version_of(ip4 ? &g->querier4 : &g->querier6, ip4, now);
	bool older = version < (ip4 ? 3 : 2);
	struct membership_record records[RECORDS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < g->count && count < (older ? 1 : RECORDS_MAX); i++) {
		struct group *group = &g->groups[i];

		if (address_is_ip4(group->address) != ip4)
			continue;
		// Version 1 of IGMP has no message for leaving.
		records[count].report = take_due(g, group, now);
		records[count].group = group->address;
		if (records[count].report == GROUP_LEAVE && ip4 && version == 1)
			continue;
		count += records[count].report != GROUP_NOTHING;
	}
	if (count == 0)
		return 0;
	if (ip4)
		return membership_report4(g->host, version, records, count, frame);
	return membership_report6(g->host, version, records, count, frame);
}

uint32_t groups_next(struct groups *g, uint64_t now, uint8_t *frame)
{
	uint32_t len = next_of(g, true, now, frame);

	return len > 0 ? len : next_of(g, false, now, frame);
}
