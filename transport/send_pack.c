// SPDX-License-Identifier: BSD-3-Clause
// Events into datagrams: what was lost first, then what was never sent.

#include "transport/send_internal.h"

// While all is heard and nothing becomes durable, or there is no credit, the next ACK may have been
// lost: a PROBE asks for it. Later than a flush of an NVMe disk takes; doubled each time.
#define ASK_NS (10 * MS_NS)
#define ASK_MAX_NS (1000 * MS_NS)

// One that is packed, but for its header.
struct packed {
	enum wire_type type;
	uint32_t len; // of the body
	struct datagram what;
};

static uint32_t body_room(const struct send_half *s, uint32_t mtu)
{
	return mtu - WIRE_HEADER - (s->config.key.id != 0 ? WIRE_TAG : 0);
}

// By window: counted from the first that isn't durable, which the receiver's is never below. By
// credit: what was sent in the session and isn't durable. One event larger than all the credit may
// go while it is the only one, or it would wait for ever.
static bool may_start(const struct send_half *s, uint64_t seq, const struct event *e)
{
	return seq < s->hold_end && seq - s->lowest < s->window &&
	       (s->unsettled == 0 || s->unsettled + e->len <= s->credit);
}

// One large event at a time: sessions that held some of a receiver's slots for them, and each
// waited for one more, would wait for ever. It may be that this one fits a datagram after all: the
// try tells.
static bool may_start_large(const struct send_half *s, const struct event *e)
{
	return s->large == 0 || e->len <= wire_part_room(s->mtu);
}

static bool has_fresh_part(const struct event *e)
{
	return (e->state == EVENT_UNDER_WAY || e->state == EVENT_AGAIN) && e->part_size != 0 &&
	       e->part_next < parts_of(e);
}

// The next seq of which something was not sent yet.
static uint64_t find_unsent(const struct send_half *s)
{
	for (uint64_t seq = s->unsent; seq < s->next_seq; seq++) {
		const struct event *e = event_of(s, seq);

		if (e->state == EVENT_WAITING || has_fresh_part(e))
			return seq;
	}
	return NO_SEQ;
}

// ... and may be now.
static uint64_t find_fresh(const struct send_half *s)
{
	uint64_t seq = find_unsent(s);
	const struct event *e;

	if (seq == NO_SEQ)
		return NO_SEQ;
	e = event_of(s, seq);
	if (e->state == EVENT_WAITING && (!may_start(s, seq, e) || !may_start_large(s, e)))
		return NO_SEQ;
	return seq;
}

// Only that the one before has arrived is waited for: the receiver shall say so at once.
static bool wants_large_probe(const struct send_half *s)
{
	uint64_t seq = find_unsent(s);

	return seq != NO_SEQ && s->large > 0 && !s->large_asked && s->again_count == 0 &&
	       s->credit > 0 && event_of(s, seq)->state == EVENT_WAITING &&
	       may_start(s, seq, event_of(s, seq)) && !may_start_large(s, event_of(s, seq));
}

// Without credit nothing but PROBEs is sent, not even what was lost: the receiver has no room.
bool may_pack(const struct send_half *s)
{
	return s->credit > 0 && (s->again_count > 0 || find_fresh(s) != NO_SEQ);
}

static void count_sent(struct send_half *s, uint64_t seq, struct event *e)
{
	if (seq >= s->sent_end)
		s->sent_end = seq + 1;
	if (e->sent)
		s->stats.events_again++;
	else
		s->stats.events_sent++;
	e->sent = true;
}

static void set_under_way(struct send_half *s, struct event *e)
{
	if (e->state == EVENT_WAITING)
		s->unsettled += e->len;
	else if (e->state == EVENT_AGAIN)
		s->again_count--;
	e->state = EVENT_UNDER_WAY;
}

// A run from 'seq' on, of those that wait for the same reason.
static void pack_events(struct send_half *s, uint64_t seq, uint8_t *body, struct packed *ret)
{
	uint8_t state = event_of(s, seq)->state;
	struct wire_writer w;

	wire_begin_events(&w, body, body_room(s, s->mtu), seq);
	for (uint64_t at = seq; at < s->next_seq; at++) {
		struct event *e = event_of(s, at);

		if (e->state != state || e->part_size != 0)
			break;
		if (state == EVENT_WAITING && !may_start(s, at, e))
			break;
		if (!wire_add_event(&w, e->bytes, e->len))
			break;
		set_under_way(s, e);
		count_sent(s, at, e);
	}
	ret->type = WIRE_EVENTS;
	ret->what = (struct datagram){.seq = seq, .count = w.count, .content = CONTENT_EVENTS};
	ret->len = w.count > 0 ? wire_end_events(&w) : 0;
}

static uint32_t choose_part(struct event *e)
{
	uint32_t part = 0;

	if (e->parts_again == 0)
		return e->part_next++;
	while (part_states(e)[part] != PART_AGAIN)
		part++;
	e->parts_again--;
	return part;
}

static void pack_part(struct send_half *s, uint64_t seq, uint8_t *body, struct packed *ret)
{
	struct event *e = event_of(s, seq);
	bool again = e->parts_again > 0;
	uint32_t part = choose_part(e);
	uint32_t offset = part * e->part_size;
	uint32_t left = e->len - offset;
	struct wire_part wire = {.seq = seq, .total = e->len, .offset = offset};

	wire.len = (uint16_t)(left < e->part_size ? left : e->part_size);
	wire.bytes = e->bytes + offset;
	if (again || part == 0)
		count_sent(s, seq, e);
	if (e->state == EVENT_WAITING)
		s->large++;
	if (e->state == EVENT_WAITING || e->parts_again == 0)
		set_under_way(s, e);
	part_states(e)[part] = PART_UNDER_WAY;
	s->large_asked = false;
	ret->type = WIRE_PART;
	ret->what = (struct datagram){.seq = seq, .count = part, .content = CONTENT_PART};
	ret->len = wire_write_part(body, &wire);
}

// What is most urgent of what may be sent: may_pack().
static void pack(struct send_half *s, uint8_t *body, struct packed *ret)
{
	uint64_t seq;

	if (s->again_count > 0) {
		while (event_of(s, s->again)->state != EVENT_AGAIN)
			s->again++;
		seq = s->again;
	} else {
		seq = s->unsent = find_fresh(s);
	}
	if (event_of(s, seq)->part_size == 0) {
		pack_events(s, seq, body, ret);
		if (ret->len > 0)
			return;
		event_of(s, seq)->part_size = wire_part_room(s->mtu);
	}
	pack_part(s, seq, body, ret);
}

static void pack_probe(struct send_half *s, uint8_t *body, struct packed *ret)
{
	struct wire_probe probe = {.first_seq = s->lowest, .next_seq = s->next_seq};

	ret->type = WIRE_PROBE;
	ret->what = (struct datagram){.content = CONTENT_PROBE};
	ret->len = wire_write_probe(body, &probe, 0);
}

static void pack_mtu_probe(struct send_half *s, uint8_t *body, struct packed *ret)
{
	struct wire_probe probe = {.first_seq = s->lowest, .next_seq = s->next_seq};
	uint32_t size = s->search.size;

	s->search.under_way = true;
	ret->type = WIRE_PROBE;
	ret->what = (struct datagram){.content = CONTENT_MTU};
	ret->len = wire_write_probe(body, &probe, body_room(s, size));
}

// Its number is taken here and nowhere else: under one session's key it is the nonce.
static uint32_t seal_and_send(
	struct send_half *s, const struct packed *packed, uint64_t now, uint8_t *data)
{
	uint64_t number = recovery_next(s->recovery);
	uint32_t len = write_header(s, data, packed->type) + packed->len;

#ifdef MUTANT_SEND_NONCE_REUSED
	if (s->lost_number != 0) {
		struct wire_header header;

		wire_read_header(data, len, &header);
		header.number = s->lost_number;
		s->lost_number = 0;
		wire_write_header(data, &header);
	}
#endif
	if (packed->type == WIRE_PROBE)
		len = seal_sign(&s->config.key, data, len);
	else
		len = seal_close(&s->seal, true, data, len);
	// First, for it may tell the fate of the one whose place this takes.
	recovery_sent(s->recovery, len, packed->what.content == CONTENT_MTU, now);
	s->datagrams[number & (SEND_DATAGRAMS - 1)] = packed->what;
	s->datagrams[number & (SEND_DATAGRAMS - 1)].bytes = len;
	s->quiet_from = now;
	return len;
}

// The lowest that is under way is to be sent again, as much as fits a datagram, though it isn't
// known to be lost (RFC 9002, 6.2.4).
static void repeat_lowest(struct send_half *s)
{
	uint64_t seq = s->lowest;
	uint32_t bytes = 0;
	struct event *e;

	while (seq < s->next_seq && event_of(s, seq)->state != EVENT_UNDER_WAY)
		seq++;
	if (seq == s->next_seq)
		return;
	e = event_of(s, seq);
	if (e->part_size != 0) {
		for (uint32_t part = 0; part < e->part_next; part++)
			if (part_states(e)[part] == PART_UNDER_WAY) {
				send_part_again(s, seq, e, part);
				return;
			}
		return;
	}
	for (; seq < s->next_seq; seq++) {
		e = event_of(s, seq);
		bytes += e->len;
		if (e->state != EVENT_UNDER_WAY || e->part_size != 0 || bytes > s->mtu)
			return;
		send_again(s, seq, e);
	}
}

// True: something is to be sent whatever the window says. A PROBE goes with what is repeated: a
// receiver that has lost the session answers no sealed datagram with a RESET.
static bool take_timeouts(struct send_half *s, uint64_t now)
{
	bool urgent = false;

	while (recovery_due(s->recovery) <= now)
		urgent |= recovery_timeout(s->recovery, now);
	if (urgent && s->again_count == 0)
		repeat_lowest(s);
	s->owes_probe |= urgent;
	return urgent;
}

static bool wants_mtu_probe(const struct send_half *s)
{
	return s->search.size != 0 && !s->search.under_way;
}

// Nothing is under way, so no timer of the recovery runs, and yet something is to become durable.
static uint64_t quiet_due(const struct send_half *s)
{
	bool nothing_asked = s->asks == 0 && s->credit == 0 && s->unsettled == 0;

	if (s->lowest == s->next_seq || recovery_in_flight(s->recovery) > 0 || may_pack(s))
		return UINT64_MAX;
	return s->quiet_from + (nothing_asked ? 0 : backoff(ASK_NS, s->asks, ASK_MAX_NS));
}

uint32_t next_of_session(struct send_half *s, uint64_t now, uint8_t *data)
{
	uint8_t *body = data + WIRE_HEADER;
	struct packed packed = {0};
	bool urgent = take_timeouts(s, now);
	bool may_send = recovery_may_send(s->recovery, s->mtu, now);

	if (mtu_is_too_large(s)) {
		begin(s, now);
		return next_of_handshake(s, now, data);
	}
	// Before events, or a queue that is never empty goes in small datagrams for ever.
	if (may_send && !urgent && !s->owes_probe && wants_mtu_probe(s)) {
		pack_mtu_probe(s, body, &packed);
	} else if ((urgent || (may_send && !s->owes_probe)) && may_pack(s)) {
		pack(s, body, &packed);
	} else if (s->owes_probe) {
		s->owes_probe = false;
		pack_probe(s, body, &packed);
	} else if (may_send && wants_large_probe(s)) {
		s->large_asked = true;
		pack_probe(s, body, &packed);
	} else if (quiet_due(s) <= now) {
		s->asks++;
		pack_probe(s, body, &packed);
	} else {
		return 0;
	}
	return seal_and_send(s, &packed, now, data);
}

uint64_t session_due(const struct send_half *s)
{
	uint64_t due = recovery_due(s->recovery);
	uint64_t quiet = quiet_due(s);
	uint64_t pace = recovery_pace_due(s->recovery);

	if (s->owes_probe || mtu_is_too_large(s))
		return 0;
	if (quiet < due)
		due = quiet;
	if ((may_pack(s) || wants_large_probe(s) || wants_mtu_probe(s)) &&
		recovery_may_send(s->recovery, s->mtu, UINT64_MAX) && pace < due)
		due = pace;
	return due;
}
