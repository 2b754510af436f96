// SPDX-License-Identifier: BSD-3-Clause
// What senders are told: which datagrams were heard, for their loss recovery, and what is durable,
// which alone lets them forget. One ACK tells of everything since the last one.

#include "transport/receive_internal.h"

#include <string.h>

bool number_is_new(const struct session *session, uint64_t number)
{
	uint64_t below;

	if (number == 0)
		return false;
	if (number > session->largest)
		return true;
	below = session->largest - number;
	if (below == 0 || below > WIRE_HEARD)
		return false;
	below--;
	return (session->heard[below / 64] >> (below % 64) & 1) == 0;
}

// The bits of 'heard' as those below a largest that is greater by 'by'.
static void shift_heard(uint64_t heard[2], uint64_t by)
{
	if (by > WIRE_HEARD) {
		heard[0] = heard[1] = 0;
		return;
	}
	if (by >= 64) {
		heard[1] = by == 128 ? 0 : heard[0] << (by - 64);
		heard[0] = 0;
		by = 0;
	}
	if (by > 0) {
		heard[1] = heard[1] << by | heard[0] >> (64 - by);
		heard[0] <<= by;
	}
}

static void set_heard(uint64_t heard[2], uint64_t below)
{
	if (below > 0 && below <= WIRE_HEARD)
		heard[(below - 1) / 64] |= 1ull << ((below - 1) % 64);
}

static void remember(struct session *session, uint64_t number, uint64_t now)
{
	uint64_t old = session->largest;

	if (number < old) {
		set_heard(session->heard, old - number);
		return;
	}
	shift_heard(session->heard, number - old);
	if (old != 0)
		set_heard(session->heard, number - old);
	session->largest = number;
	session->largest_at = now;
}

static void link_due(struct receive *r, struct list *list, struct session *session)
{
	uint32_t index = (uint32_t)(session - r->sessions);

	session->due = (struct links){list->last, SEEN_NONE};
	if (list->last != SEEN_NONE)
		r->sessions[list->last].due.next = index;
	else
		list->first = index;
	list->last = index;
}

void forget_ack(struct receive *r, struct session *session)
{
	struct list *list = session->ack == ACK_READY ? &r->ready : &r->waiting;

	if (session->ack == ACK_NONE)
		return;
	if (session->due.prev != SEEN_NONE)
		r->sessions[session->due.prev].due.next = session->due.next;
	else
		list->first = session->due.next;
	if (session->due.next != SEEN_NONE)
		r->sessions[session->due.next].due.prev = session->due.prev;
	else
		list->last = session->due.prev;
	session->ack = ACK_NONE;
}

void ask_ack(struct receive *r, struct session *session, bool at_once, uint64_t now)
{
	if (session->ack == ACK_READY || (session->ack == ACK_WAITING && !at_once))
		return;
	forget_ack(r, session);
	session->ack = at_once ? ACK_READY : ACK_WAITING;
	session->ack_due = now + ACK_DELAY_NS;
	link_due(r, at_once ? &r->ready : &r->waiting, session);
}

static bool is_opened(const struct session *session)
{
	return memcmp(&session->peer, &session->opened, sizeof(session->peer)) == 0;
}

// Answers follow the newest datagram that was heard: a sender may have more ports and ways than
// one. But it may be somebody else who sends again what the sender's network has lost: an address
// that did not open the session gets an ACK for each datagram from it, and no more.
static void follow(struct session *session, const struct peer *peer)
{
	if (memcmp(&session->peer, peer, sizeof(*peer)) != 0) {
		session->peer = *peer;
		session->answers_left = 0;
	}
	session->answers_left++;
}

static const struct peer *answer_to(struct session *session)
{
	if (is_opened(session))
		return &session->peer;
	if (session->answers_left == 0)
		return &session->opened;
	session->answers_left--;
	return &session->peer;
}

void hear(struct receive *r, struct session *session, uint64_t number, uint64_t now)
{
	bool in_order = number == session->largest + 1;

	if (number > session->largest)
		follow(session, &r->handed.peer);
	remember(session, number, now);
	session_heard(r, session, now);
	seen_touch(r->seen, seen_at(r->seen, session->source), seconds(now));
	session->ack_owed++;
	// A gap is told at once: it may be a loss (RFC 9000, 13.2.1).
	ask_ack(r, session, !in_order || session->ack_owed >= ACK_PACKETS, now);
}

uint32_t credit_of(const struct receive *r, uint64_t now)
{
	uint64_t share = r->config.credit / (r->active > 0 ? r->active : 1);

	if (r->failed || now < r->full_until)
		return 0;
	return share < UINT32_MAX ? (uint32_t)share : UINT32_MAX;
}

bool may_touch(const struct receive *r)
{
	return r->touched_count + r->snapshot_count < r->config.snapshots;
}

void touch(struct receive *r, struct seen_source *source)
{
	uint32_t block = (uint32_t)r->submitted + 1;

	if (source->touched == block)
		return;
	source->touched = block;
	r->touched[r->touched_count++] = seen_index(r->seen, source);
}

static void take_snapshot(struct receive *r, struct seen_source *source)
{
	uint32_t at = (r->snapshot_first + r->snapshot_count++) % r->config.snapshots;
	struct snapshot *snapshot = &r->snapshots[at];

	snapshot->block = r->submitted;
	snapshot->id = source->id;
	snapshot->source = seen_index(r->seen, source);
	snapshot->floor = source->floor;
	snapshot->range_count = seen_runs(r->seen, source, snapshot->ranges, WIRE_RANGES);
}

static void make_durable(struct receive *r, const struct snapshot *snapshot)
{
	struct seen_source *source = seen_at(r->seen, snapshot->source);
	struct session *session;

	if (source->id != snapshot->id)
		return;
	if (source->durable < snapshot->floor)
		source->durable = snapshot->floor;
	if (source->session == SEEN_NONE)
		return;
	session = &r->sessions[source->session];
	session->range_count = snapshot->range_count;
	memcpy(session->ranges, snapshot->ranges, sizeof(session->ranges));
	ask_ack(r, session, true, session->heard_at);
}

static void durable_up_to(struct receive *r, uint64_t block)
{
	while (r->snapshot_count > 0 && r->snapshots[r->snapshot_first].block <= block) {
		make_durable(r, &r->snapshots[r->snapshot_first]);
		r->snapshot_first = (r->snapshot_first + 1) % r->config.snapshots;
		r->snapshot_count--;
	}
}

bool receive_submitted(struct receive *r)
{
	if (r->touched_count == 0)
		return false;
	r->submitted++;
	for (uint32_t i = 0; i < r->touched_count; i++)
		take_snapshot(r, seen_at(r->seen, r->touched[i]));
	r->touched_count = 0;
#ifdef MUTANT_RECEIVE_ACK_BEFORE_FLUSH
	durable_up_to(r, r->submitted);
#endif
	return true;
}

void receive_durable(struct receive *r)
{
	if (!r->failed)
		durable_up_to(r, ++r->durable);
}

// Only what lies above the floor of now, which may have come there since.
static void write_ranges(const struct session *session, struct wire_ack *ack)
{
	for (uint32_t i = 0; i < session->range_count; i++) {
		const struct seen_run *run = &session->ranges[i];

		if (run->from <= ack->durable)
			continue;
		ack->ranges[ack->range_count++] = (struct wire_range){
			(uint32_t)(run->from - ack->durable), (uint32_t)run->count};
	}
}

static uint32_t write_ack(struct receive *r, struct session *session, uint64_t now, uint8_t *data)
{
	const struct seen_source *source = seen_at(r->seen, session->source);
	struct wire_header header = {WIRE_ACK, session->seal.key, source->epoch, source->id,
		session->token, ++session->ack_number};
	struct wire_ack ack = {
		.largest = session->largest,
		.heard = {session->heard[0], session->heard[1]},
		.delay = (uint32_t)((now - session->largest_at) / 1000),
		.credit = credit_of(r, now),
		.durable = source->durable,
	};
	uint32_t len;

	write_ranges(session, &ack);
	wire_write_header(data, &header);
	len = WIRE_HEADER + wire_write_ack(data + WIRE_HEADER, &ack);
	session->ack_owed = 0;
	count(r, RECEIVE_acks);
	return seal_close(&session->seal, false, data, len);
}

uint32_t receive_next(struct receive *r, uint64_t now, uint8_t *data, struct peer *to)
{
	struct session *session = NULL;
	uint32_t len;

	if (take_answer(r, data, to, &len))
		return len;
	if (r->failed)
		return 0;
	if (r->ready.first != SEEN_NONE)
		session = &r->sessions[r->ready.first];
	else if (r->waiting.first != SEEN_NONE && r->sessions[r->waiting.first].ack_due <= now)
		session = &r->sessions[r->waiting.first];
	if (session == NULL)
		return 0;
	forget_ack(r, session);
	*to = *answer_to(session);
	return write_ack(r, session, now, data);
}

uint64_t receive_due(const struct receive *r)
{
	if (r->answer_count > 0)
		return 0;
	if (r->failed)
		return UINT64_MAX;
	if (r->ready.first != SEEN_NONE)
		return 0;
	return r->waiting.first != SEEN_NONE ? r->sessions[r->waiting.first].ack_due : UINT64_MAX;
}
