// SPDX-License-Identifier: BSD-3-Clause
// From HELLO to OPENED, and which epoch it is for.

#include "transport/send_internal.h"

#include <sodium.h>
#include <string.h>

#define ASK_NS (20 * MS_NS) // a question again; doubled each time
#define ASK_MAX_NS (1000 * MS_NS)
// The challenge ages, and a receiver that restarted knows another one.
#define OPEN_TRIES 4u
#define REFUSED_NS (1000 * MS_NS)
#define REFUSED_MAX_NS (8000 * MS_NS)

// What was sent to this receiver tells nothing of another session. In the same epoch what is
// durable need not be sent again; in a new one it must, where the first one missing lies before it:
// no receiver takes an epoch with a hole.
static void forget_session(struct send_half *s, bool same_epoch)
{
	for (uint64_t seq = s->lowest; seq < s->next_seq; seq++) {
		struct event *e = event_of(s, seq);

		e->here = e->here && same_epoch;
		e->state = e->here ? EVENT_DURABLE : EVENT_WAITING;
		if (e->part_size != 0)
			memset(part_states(e), PART_WAITING, parts_of(e));
		e->part_size = e->part_next = e->parts_heard = e->parts_again = 0;
	}
	s->token = 0;
	s->unsettled = 0;
	s->unsent = s->again = s->lowest;
	s->again_count = s->large = 0;
	s->asks = 0;
	s->owes_probe = false;
}

void begin(struct send_half *s, uint64_t due)
{
	if (s->token != 0)
		forget_session(s, true);
	randombytes_buf(s->random, sizeof(s->random));
	s->state = SEND_HELLO;
	s->due = due;
	s->tries = 0;
}

void begin_again(struct send_half *s, uint64_t now)
{
	uint64_t wait = s->failures > 0 ? backoff(ASK_NS, s->failures - 1, ASK_MAX_NS) : 0;

	s->failures++;
	begin(s, now + wait);
}

// An epoch that nobody opened was of no log: what went before it stays what went before.
void new_epoch(struct send_half *s, uint32_t epoch)
{
	struct send_epoch next = s->epoch;

	next.number = epoch;
	next.first_seq = s->lowest;
	if (s->epoch.opened != 0) {
		next.prev_number = s->epoch.number;
		next.prev_seq = s->lowest;
		memcpy(next.prev_log, s->epoch.log_id, sizeof(next.prev_log));
	}
	next.opened = 0;
	memset(next.log_id, 0, sizeof(next.log_id));
	s->epoch = next;
	s->ahead = 0; // in a log that may not be this epoch's, and no epoch has a hole
	s->used = s->acknowledged = false;
	s->stats.epochs++;
	forget_session(s, false);
}

static bool is_ours(const struct send_half *s, const uint8_t random[32])
{
	return memcmp(random, s->random, sizeof(s->random)) == 0;
}

static bool take_challenge(struct send_half *s, const uint8_t *body, uint32_t len, uint64_t now)
{
	struct wire_challenge challenge;

	if (s->state != SEND_HELLO || !wire_read_challenge(body, len, &challenge) ||
		!is_ours(s, challenge.random))
		return false;
	s->challenge = challenge;
	s->state = SEND_OPENING;
	s->due = s->progress = now;
	s->tries = 0;
	return true;
}

static void refused(struct send_half *s, uint64_t now)
{
	begin(s, now + backoff(REFUSED_NS, s->refusals++, REFUSED_MAX_NS));
	s->state = SEND_REFUSED;
}

// An event that it will never take would hold up all behind it.
static bool takes_all(const struct send_half *s, uint32_t event_max)
{
	for (uint64_t seq = s->lowest; seq < s->next_seq; seq++)
		if (event_of(s, seq)->len > event_max)
			return false;
	return true;
}

static void open_session(struct send_half *s, const struct wire_opened *opened, uint64_t now)
{
	s->state = SEND_OPEN;
	s->progress = s->quiet_from = now;
	s->refusals = 0;
	s->epoch.opened = 1;
	memcpy(s->epoch.log_id, opened->log_id, sizeof(s->epoch.log_id));
	s->token = opened->token;
	s->credit = opened->credit;
	s->window = opened->window > 0 ? opened->window : 1;
	s->event_max = opened->event_max;
	s->ack_number = 0;
	s->mtu = s->config.mtu;
	seal_make_session(&s->seal, &s->config.key, s->random, opened->server, s->config.source,
		s->epoch.number);
	recovery_reset(s->recovery, s->mtu, now);
	mtu_search_begin(s);
}

static bool take_opened(struct send_half *s, const uint8_t *body, uint32_t len, uint64_t now)
{
	struct wire_opened opened;

	if (s->state != SEND_OPENING || !wire_read_opened(body, len, &opened) ||
		!is_ours(s, opened.random))
		return false;
	if (!may_be_durable(s, opened.durable)) {
		s->outdated = true;
		return false;
	}
	if (opened.durable > s->epoch.first_seq)
		s->acknowledged = true;
	forget_below(s, opened.durable);
	if (takes_all(s, opened.event_max))
		open_session(s, &opened, now);
	else
		refused(s, now);
	return true;
}

// False: no epoch comes after that.
static bool epoch_after(struct send_half *s, uint32_t epoch, uint64_t now)
{
	if (epoch < s->epoch.number || epoch == UINT32_MAX)
		return false;
	new_epoch(s, epoch + 1);
	begin_again(s, now);
	return true;
}

static bool take_refused(struct send_half *s, const uint8_t *body, uint32_t len, uint64_t now)
{
	struct wire_refused answer;

	if (s->state != SEND_OPENING || !wire_read_refused(body, len, &answer) ||
		!is_ours(s, answer.random))
		return false;
	switch (answer.reason) {
	case WIRE_UNKNOWN_EPOCH:
#ifdef MUTANT_SEND_EPOCH_KEPT
		s->acknowledged = false;
		begin_again(s, now);
		return true;
#endif
		return epoch_after(s, s->epoch.number, now);
	case WIRE_OLD_EPOCH:
		return epoch_after(s, answer.epoch, now);
	default:
		refused(s, now);
		return true;
	}
}

bool take_handshake(struct send_half *s, const struct wire_header *header, const uint8_t *body,
	uint32_t len, uint64_t now)
{
	switch (header->type) {
	case WIRE_CHALLENGE:
		return take_challenge(s, body, len, now);
	case WIRE_OPENED:
		return take_opened(s, body, len, now);
	case WIRE_REFUSED:
		return take_refused(s, body, len, now);
	default:
		return false;
	}
}

static uint32_t write_hello(const struct send_half *s, uint8_t *data)
{
	uint32_t len = write_header(s, data, WIRE_HELLO);
	struct wire_hello hello;

	memcpy(hello.random, s->random, sizeof(hello.random));
	return len + wire_write_hello(data + len, &hello);
}

static uint32_t write_open(const struct send_half *s, uint8_t *data)
{
	uint32_t len = write_header(s, data, WIRE_OPEN);
	struct wire_open open = {
		.made = s->challenge.made,
		.flags = s->acknowledged ? 0 : WIRE_FRESH,
		.first_seq = s->lowest,
		.prev_epoch = s->epoch.prev_number,
		.prev_seq = s->epoch.prev_seq,
	};

	memcpy(open.random, s->random, sizeof(open.random));
	memcpy(open.mac, s->challenge.mac, sizeof(open.mac));
	memcpy(open.prev_log, s->epoch.prev_log, sizeof(open.prev_log));
	return len + wire_write_open(data + len, &open);
}

uint32_t next_of_handshake(struct send_half *s, uint64_t now, uint8_t *data)
{
	uint32_t len;

	if (now < s->due)
		return 0;
	if (s->state == SEND_REFUSED)
		s->state = SEND_HELLO;
	if (s->state == SEND_OPENING && s->tries >= OPEN_TRIES) {
		begin_again(s, now);
		if (now < s->due)
			return 0;
	}
	len = s->state == SEND_HELLO ? write_hello(s, data) : write_open(s, data);
	s->used |= s->state == SEND_OPENING;
	s->due = now + backoff(ASK_NS, s->tries++, ASK_MAX_NS);
	return seal_sign(&s->config.key, data, len);
}
