// SPDX-License-Identifier: BSD-3-Clause
// Events larger than a datagram are put together here, in slots of the largest size. What was heard
// of one isn't sent again in its session, so a slot goes only with its session; where slots are
// wanted, the session that has been silent longest goes.

#include "transport/receive_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_EACH 4u // of a session
#define GRAINS (WIRE_EVENT_MAX / WIRE_PART_GRAIN)

struct slot {
	uint32_t session; // SEEN_NONE: free
	uint32_t next;    // of the session, or free
	uint64_t seq;
	uint32_t total, missing; // bytes
	uint64_t grains[GRAINS / 64];
};

struct parts {
	struct slot *slots;
	uint8_t *data; // of slot i at i * event_max
	uint32_t free;
};

int parts_make(struct receive *r)
{
	uint32_t n = r->config.large_events;
	struct parts *parts = r->parts = calloc(1, sizeof(*parts));

	if (parts == NULL)
		return -ENOMEM;
	parts->slots = calloc(n, sizeof(*parts->slots));
	parts->data = calloc(n, r->config.event_max);
	if (n > 0 && (parts->slots == NULL || parts->data == NULL))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		parts->slots[i].session = SEEN_NONE;
		parts->slots[i].next = i + 1 < n ? i + 1 : SEEN_NONE;
	}
	parts->free = n > 0 ? 0 : SEEN_NONE;
	return 0;
}

void parts_free(struct receive *r)
{
	if (r->parts == NULL)
		return;
	free(r->parts->slots);
	free(r->parts->data);
	free(r->parts);
	r->parts = NULL;
}

static void free_slot(struct receive *r, struct session *session, uint32_t index)
{
	struct slot *slots = r->parts->slots;
	uint32_t *at = &session->parts;

	while (*at != index)
		at = &slots[*at].next;
	*at = slots[index].next;
	slots[index].session = SEEN_NONE;
	slots[index].next = r->parts->free;
	r->parts->free = index;
}

void parts_end(struct receive *r, struct session *session)
{
	while (session->parts != SEEN_NONE)
		free_slot(r, session, session->parts);
}

// Its event came in one piece after all.
static void free_seen(struct receive *r, struct session *session)
{
	const struct seen_source *source = seen_at(r->seen, session->source);
	uint32_t next;

	for (uint32_t i = session->parts; i != SEEN_NONE; i = next) {
		next = r->parts->slots[i].next;
		if (seen_look(r->seen, source, r->parts->slots[i].seq) == SEEN_TWICE)
			free_slot(r, session, i);
	}
}

static uint32_t slots_of(const struct receive *r, const struct session *session)
{
	uint32_t n = 0;

	for (uint32_t i = session->parts; i != SEEN_NONE; i = r->parts->slots[i].next)
		n++;
	return n;
}

// Ends the session that holds slots and was heard longest ago.
static void end_stalled(struct receive *r, const struct session *but, uint64_t now)
{
	struct session *stalled = NULL;

	for (uint32_t i = 0; i < r->config.large_events; i++) {
		struct session *session = &r->sessions[r->parts->slots[i].session];

		if (session != but && (stalled == NULL || session->heard_at < stalled->heard_at))
			stalled = session;
	}
	if (stalled != NULL && now - stalled->heard_at > STALLED_NS)
		session_end(r, stalled);
}

static struct slot *new_slot(
	struct receive *r, struct session *session, const struct wire_part *part, uint64_t now)
{
	struct parts *parts = r->parts;
	struct slot *slot;
	uint32_t index;

	free_seen(r, session);
	if (slots_of(r, session) == SLOTS_EACH)
		return NULL;
	if (parts->free == SEEN_NONE)
		end_stalled(r, session, now);
	if (parts->free == SEEN_NONE)
		return NULL;
	index = parts->free;
	slot = &parts->slots[index];
	parts->free = slot->next;
	memset(slot, 0, sizeof(*slot));
	slot->session = (uint32_t)(session - r->sessions);
	slot->seq = part->seq;
	slot->total = slot->missing = part->total;
	slot->next = session->parts;
	session->parts = index;
	return slot;
}

static struct slot *find_slot(struct receive *r, const struct session *session, uint64_t seq)
{
	for (uint32_t i = session->parts; i != SEEN_NONE; i = r->parts->slots[i].next)
		if (r->parts->slots[i].seq == seq)
			return &r->parts->slots[i];
	return NULL;
}

static uint32_t grain_len(const struct slot *slot, uint32_t grain)
{
	uint32_t left = slot->total - grain * WIRE_PART_GRAIN;

	return left < WIRE_PART_GRAIN ? left : WIRE_PART_GRAIN;
}

// Copies the grains that were missing.
static void fill(struct receive *r, struct slot *slot, const struct wire_part *part)
{
	uint8_t *data = r->parts->data + (size_t)(slot - r->parts->slots) * r->config.event_max;
	uint32_t first = part->offset / WIRE_PART_GRAIN;
	uint32_t count = (part->len + WIRE_PART_GRAIN - 1) / WIRE_PART_GRAIN;

	for (uint32_t grain = first; grain < first + count; grain++) {
		uint64_t bit = 1ull << (grain % 64);

		if ((slot->grains[grain / 64] & bit) != 0)
			continue;
		slot->grains[grain / 64] |= bit;
		slot->missing -= grain_len(slot, grain);
		memcpy(data + grain * WIRE_PART_GRAIN,
			part->bytes + (grain - first) * WIRE_PART_GRAIN, grain_len(slot, grain));
	}
}

// As if this part had not come: it comes again.
static void empty(struct slot *slot, const struct wire_part *part)
{
	uint32_t first = part->offset / WIRE_PART_GRAIN;
	uint32_t count = (part->len + WIRE_PART_GRAIN - 1) / WIRE_PART_GRAIN;

	for (uint32_t grain = first; grain < first + count; grain++) {
		slot->grains[grain / 64] &= ~(1ull << (grain % 64));
		slot->missing += grain_len(slot, grain);
	}
}

unsigned take_part(struct receive *r, struct session *session, struct seen_source *source,
	const struct wire_part *part, uint64_t now, struct received *events)
{
	struct slot *slot = find_slot(r, session, part->seq);

	if (slot == NULL)
		slot = new_slot(r, session, part, now);
	if (slot == NULL || slot->total != part->total) {
		drop(r, slot == NULL ? RECEIVE_DROP_no_parts : RECEIVE_DROP_part_mismatch);
		return 0;
	}
	fill(r, slot, part);
	if (slot->missing > 0) {
		hear(r, session, r->handed.number, now);
		return 0;
	}
	r->handed.what = HANDED_PART;
	r->handed.count = 1;
	r->handed.slot = (uint32_t)(slot - r->parts->slots);
	r->handed.part = *part;
	events[0] = (struct received){.source = source->id,
		.seq = part->seq,
		.epoch = source->epoch,
		.len = slot->total,
		.payload = r->parts->data + (size_t)r->handed.slot * r->config.event_max};
	return 1;
}

void part_appended(struct receive *r)
{
	free_slot(r, r->handed.session, r->handed.slot);
}

void part_refused(struct receive *r)
{
	empty(&r->parts->slots[r->handed.slot], &r->handed.part);
}
