// SPDX-License-Identifier: BSD-3-Clause
// What becomes of what was sent.

#include "transport/send_internal.h"

void send_again(struct send_half *s, uint64_t seq, struct event *e)
{
	e->state = EVENT_AGAIN;
	s->again_count++;
	if (seq < s->again)
		s->again = seq;
}

void send_part_again(struct send_half *s, uint64_t seq, struct event *e, uint32_t part)
{
	part_states(e)[part] = PART_AGAIN;
	e->parts_again++;
	if (e->state == EVENT_UNDER_WAY)
		send_again(s, seq, e);
}

static void set_heard(struct send_half *s, struct event *e)
{
	if (e->state == EVENT_AGAIN)
		s->again_count--;
	if (e->part_size != 0)
		s->large--;
	e->state = EVENT_HEARD;
}

static void take_events_fate(
	struct send_half *s, const struct datagram *datagram, enum recovery_fate fate)
{
	uint64_t end = datagram->seq + datagram->count;
	uint64_t seq = datagram->seq > s->lowest ? datagram->seq : s->lowest;

	for (; seq < end; seq++) {
		struct event *e = event_of(s, seq);

		if (e->state != EVENT_UNDER_WAY && e->state != EVENT_AGAIN)
			continue;
		if (fate == RECOVERY_HEARD)
			set_heard(s, e);
		else if (e->state == EVENT_UNDER_WAY)
			send_again(s, seq, e);
	}
}

static void take_part_fate(
	struct send_half *s, const struct datagram *datagram, enum recovery_fate fate)
{
	struct event *e;
	uint8_t *state;

	if (datagram->seq < s->lowest)
		return;
	e = event_of(s, datagram->seq);
	if (e->state != EVENT_UNDER_WAY && e->state != EVENT_AGAIN)
		return;
	state = &part_states(e)[datagram->count];
	if (fate == RECOVERY_LOST) {
		if (*state == PART_UNDER_WAY)
			send_part_again(s, datagram->seq, e, datagram->count);
		return;
	}
	if (*state == PART_HEARD)
		return;
	if (*state == PART_AGAIN && --e->parts_again == 0) {
		e->state = EVENT_UNDER_WAY;
		s->again_count--;
	}
	*state = PART_HEARD;
	if (++e->parts_heard == parts_of(e))
		set_heard(s, e);
}

void take_fate(void *arg, uint64_t number, enum recovery_fate fate)
{
	struct send_half *s = arg;
	const struct datagram *datagram = &s->datagrams[number & (SEND_DATAGRAMS - 1)];

#ifdef MUTANT_SEND_NONCE_REUSED
	if (fate == RECOVERY_LOST)
		s->lost_number = number;
#endif
	if (datagram->content == CONTENT_EVENTS)
		take_events_fate(s, datagram, fate);
	else if (datagram->content == CONTENT_PART)
		take_part_fate(s, datagram, fate);
	mtu_told(s, number, datagram, fate == RECOVERY_HEARD);
}

static bool make_durable(struct send_half *s, struct event *e)
{
	if (e->state == EVENT_DURABLE)
		return false;
	if (e->state != EVENT_WAITING) {
		s->unsettled -= e->len;
		s->large -= e->part_size != 0 && e->state != EVENT_HEARD;
	}
	if (e->state == EVENT_AGAIN)
		s->again_count--;
	e->state = EVENT_DURABLE;
	e->durable = e->here = true;
	return true;
}

// It calls nothing by a name that was never given.
static bool is_possible(const struct send_half *s, const struct wire_ack *ack)
{
	uint64_t highest = ack->durable;

	for (uint32_t i = 0; i < ack->range_count; i++)
		highest = ack->durable + ack->ranges[i].from + ack->ranges[i].count;
	return may_be_durable(s, highest) && ack->largest < recovery_next(s->recovery);
}

// An older ACK's 'durable' is behind what is known: that never goes back.
static bool take_durable(struct send_half *s, const struct wire_ack *ack)
{
	bool news = ack->durable > s->lowest;

	forget_below(s, ack->durable);
	for (uint32_t i = 0; i < ack->range_count; i++) {
		uint64_t seq = ack->durable + ack->ranges[i].from;
		uint64_t end = seq + ack->ranges[i].count;

		seq = seq > s->lowest ? seq : s->lowest;
		end = end < s->next_seq ? end : s->next_seq;
		for (; seq < end; seq++)
			news |= make_durable(s, event_of(s, seq));
	}
	s->acknowledged |= news;
	return news;
}

static bool take_credit(struct send_half *s, uint64_t number, uint32_t credit)
{
	bool more = number > s->ack_number && credit > s->credit;

	if (number > s->ack_number) {
		s->ack_number = number;
		s->credit = credit;
	}
	return more;
}

bool take_ack(struct send_half *s, uint64_t number, const struct wire_ack *ack, uint64_t now)
{
	uint64_t delay = ack->delay * 1000ull;
	bool durable, heard, credit;

	if (number == s->ack_number || !is_possible(s, ack))
		return false;
	// In this order: what is durable needn't be sent again, whatever its datagrams' fate.
	durable = take_durable(s, ack);
	heard = recovery_heard(s->recovery, ack->largest, ack->heard, delay, now);
	credit = take_credit(s, number, ack->credit);
	if (durable || credit)
		s->asks = 0;
	if (!durable && !heard && !credit)
		return false;
	s->failures = 0;
	s->progress = s->quiet_from = now;
	return true;
}
