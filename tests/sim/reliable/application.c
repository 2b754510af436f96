// SPDX-License-Identifier: BSD-3-Clause

// Who has events to send, with a spool or without, and looks at what became of them.

#include "reliable.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOOKS 16u // out of order, after each datagram

static unsigned concern(const struct sender *s)
{
	return DRAW_SENDER + s->place;
}

static uint64_t choose_first_seq(const struct sender *s)
{
	static const uint64_t firsts[] = {
		0, 0, 0, 1, 8191, UINT32_MAX - 40ull, 1ull << 40, (1ull << 63) - 20};

	return firsts[draw_below(concern(s), sizeof(firsts) / sizeof(*firsts))];
}

// What a spool says may be behind what its sender has heard.
static uint64_t spooled_from(const struct sender *s)
{
	uint64_t behind = s->durable - s->life_first, from = s->durable;

	if (behind > 0 && !draw_chance(concern(s), 700))
		from -= draw_below(concern(s), behind < 1000 ? (uint32_t)behind + 1 : 1000);
	return from > s->saved.first_seq ? from : s->saved.first_seq;
}

void application_save(struct sender *s)
{
	s->saved = *send_epoch_now(s->half);
}

void application_start(struct sender *s, bool anew)
{
	struct send_config config = {.resumed = !anew,
		.mtu = plan.mtu,
		.mtu_probe = plan.mtu_probe,
		.bytes_max = plan.bytes_max,
		.key = *plan_key(draw_below(concern(s), 2))};
	int r;

	if (anew) {
		s->life_first = choose_first_seq(s);
		s->epoch = draw_chance(concern(s), 800) ? 1 : 1 + draw_below(concern(s), 1u << 31);
		s->source = books_open(s->place, draw(concern(s)), s->life_first, s->index);
		config.epoch.number = s->epoch;
	} else {
		s->life_first = spooled_from(s);
		config.epoch = s->saved;
		config.sent_end = s->source->first_seq + s->source->count;
		s->epoch = s->saved.number;
	}
	s->durable = s->look = s->life_first;
	config.source = s->source->id;
	config.first_seq = s->life_first;
	r = send_make(&s->half, &config, world_now());
	require(r == 0, "simulation", "send_make: %s", strerror(-r));
	application_save(s);
	trace("sender %u starts: source %04x epoch %" PRIu32 " from seq %" PRIu64
	      ", to receiver %u",
		s->place, (unsigned)(s->source->id & 0xffff), s->epoch, s->life_first, s->receiver);
}

static bool offer_one(struct sender *s)
{
	uint64_t seq = send_next_seq(s->half), got = 0;
	uint32_t len = payload_len(s->source, seq);
	int r = send_event(s->half, payload_of(s->source, seq), len, &got);

	s->blocked = r == -EAGAIN;
	if (r == -EAGAIN)
		return false;
	require(r == 0, "api", "send_event: %s", strerror(-r));
	require(got == seq, "api", "seq %" PRIu64 " is given out for %" PRIu64, got, seq);
	if (seq - s->source->first_seq >= s->source->count) {
		books_offered(s->source, seq);
		s->index++;
		tally(TALLY_events);
		if (len > plan.mtu)
			tally(TALLY_large_events);
		if (len == 0)
			tally(TALLY_empty_events);
	}
	return true;
}

// What a spool has, and some new ones.
void application_offer(struct sender *s)
{
	uint32_t fresh = plan.burst;

	while (send_next_seq(s->half) - s->source->first_seq < s->source->count)
		if (!offer_one(s))
			return;
	for (; fresh > 0 && s->index < plan.events; fresh--)
		if (!offer_one(s))
			return;
}

bool application_done(const struct sender *s)
{
	return s->index >= plan.events && send_durable(s->half) == send_next_seq(s->half);
}

static void look_at(struct sender *s, uint64_t seq)
{
	if (send_is_durable(s->half, seq))
		books_acked(s->source, seq);
}

void application_look(struct sender *s)
{
	uint64_t durable = send_durable(s->half), next = send_next_seq(s->half);

	require(durable >= s->durable && durable <= next, "durable",
		"sender %u: durable up to %" PRIu64 " after %" PRIu64 ", next is %" PRIu64,
		s->place, durable, s->durable, next);
	require(send_kept(s->half) <= plan.bytes_max, "memory",
		"sender %u keeps %" PRIu64 " bytes of at most %" PRIu64, s->place,
		send_kept(s->half), plan.bytes_max);
	if (s->durable < durable)
		books_told(s->source, s->epoch, receiver_log(s->receiver));
	for (; s->durable < durable; s->durable++)
		look_at(s, s->durable);
	for (unsigned i = 0; i < LOOKS && durable < next; i++, s->look++) {
		if (s->look < durable || s->look >= next)
			s->look = durable;
		look_at(s, s->look);
	}
}

void application_look_all(struct sender *s)
{
	application_look(s);
	for (uint64_t seq = s->durable; seq < send_next_seq(s->half); seq++)
		look_at(s, seq);
}
