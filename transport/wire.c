// SPDX-License-Identifier: BSD-3-Clause
#include "transport/wire.h"

#include "transport/bytes.h"

// Lengths of bodies, padding aside: where their last field ends.
#define HELLO_BODY 32u
#define CHALLENGE_BODY 56u
#define OPEN_BODY 104u
#define OPENED_BODY 112u
#define REFUSED_BODY 40u
#define EVENTS_HEAD 16u
#define PART_HEAD 24u
#define PROBE_HEAD 16u
#define ACK_BODY 80u
#define ACK_RANGES 48u // where they begin

// Bodies with their padding. It leaves room for a tag that may not be there, so that a body is the
// same with a key and without.
#define QUESTION_BODY (WIRE_QUESTION_MIN - WIRE_HEADER - WIRE_TAG)
#define DATA_BODY (WIRE_DATA_MIN - WIRE_HEADER - WIRE_TAG)

// No answer is larger than its question: both have a tag, or neither has.
_Static_assert(HELLO_BODY <= QUESTION_BODY && OPEN_BODY <= QUESTION_BODY, "questions fit");
_Static_assert(CHALLENGE_BODY <= QUESTION_BODY, "HELLO is as large as its CHALLENGE");
_Static_assert(OPENED_BODY <= QUESTION_BODY, "OPEN is as large as its OPENED");
_Static_assert(REFUSED_BODY <= QUESTION_BODY, "OPEN is as large as its REFUSED");
_Static_assert(ACK_BODY <= DATA_BODY, "a session's datagram is as large as its ACK or RESET");
_Static_assert(WIRE_HEADER + ACK_BODY + WIRE_TAG == WIRE_ACK_MAX, "the largest ACK");
_Static_assert(EVENTS_HEAD < DATA_BODY, "EVENTS fit the smallest datagram");
_Static_assert(PART_HEAD < DATA_BODY, "PART fits the smallest datagram");
_Static_assert(PROBE_HEAD < DATA_BODY, "PROBE fits the smallest datagram");
_Static_assert(WIRE_MTU_MAX - WIRE_HEADER - WIRE_TAG - PART_HEAD <= UINT16_MAX, "length of a part");
_Static_assert(WIRE_RANGES * 8 + ACK_RANGES == ACK_BODY, "ranges end an ACK");

enum phase { HANDSHAKE, SESSION, OUTSIDE };

// By type: the shortest body, and what token and number are.
static const struct {
	uint8_t body_min;
	uint8_t phase;
} types[] = {
	[WIRE_HELLO] = {QUESTION_BODY, HANDSHAKE},
	[WIRE_CHALLENGE] = {CHALLENGE_BODY, HANDSHAKE},
	[WIRE_OPEN] = {QUESTION_BODY, HANDSHAKE},
	[WIRE_OPENED] = {OPENED_BODY, HANDSHAKE},
	[WIRE_REFUSED] = {REFUSED_BODY, HANDSHAKE},
	[WIRE_EVENTS] = {DATA_BODY, SESSION},
	[WIRE_PART] = {DATA_BODY, SESSION},
	[WIRE_PROBE] = {DATA_BODY, SESSION},
	[WIRE_ACK] = {ACK_BODY, SESSION},
	[WIRE_RESET] = {0, OUTSIDE},
	[WIRE_CLOSE] = {DATA_BODY, SESSION},
};
#define TYPES (sizeof(types) / sizeof(types[0]))

static bool all_zero(const uint8_t *bytes, uint32_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

// Zeros up to what a body has at least; returns its length.
static uint32_t pad(uint8_t *body, uint32_t len, uint32_t least)
{
	if (len >= least)
		return len;
	memset(body + len, 0, least - len);
	return least;
}

// Whether a body whose fields end at 'used' is what pad() makes of it.
static bool is_padded(const uint8_t *body, uint32_t len, uint32_t used, uint32_t least)
{
	return len == (used > least ? used : least) && all_zero(body + used, len - used);
}

static bool fits_phase(const struct wire_header *header)
{
	switch (types[header->type].phase) {
	case HANDSHAKE:
		return header->token == 0 && header->number == 0;
	case SESSION:
		return header->token != 0 && header->number != 0;
	default:
		return header->token != 0 && header->number == 0;
	}
}

bool wire_read_header(const uint8_t *data, uint32_t len, struct wire_header *ret)
{
	uint32_t tag;

	if (len < WIRE_HEADER || len > WIRE_MTU_MAX || data[0] != WIRE_VERSION)
		return false;
	*ret = (struct wire_header){
		.type = data[1],
		.key = le16(data + 2),
		.epoch = le32(data + 4),
		.source = le64(data + 8),
		.token = le64(data + 16),
		.number = le64(data + 24),
	};
	tag = ret->key != 0 ? WIRE_TAG : 0;
	return ret->type != 0 && ret->type < TYPES && ret->epoch != 0 && ret->source != 0 &&
	       len >= WIRE_HEADER + types[ret->type].body_min + tag && fits_phase(ret);
}

void wire_write_header(uint8_t *data, const struct wire_header *header)
{
	data[0] = WIRE_VERSION;
	data[1] = header->type;
	put_le16(data + 2, header->key);
	put_le32(data + 4, header->epoch);
	put_le64(data + 8, header->source);
	put_le64(data + 16, header->token);
	put_le64(data + 24, header->number);
}

bool wire_read_hello(const uint8_t *body, uint32_t len, struct wire_hello *ret)
{
	if (!is_padded(body, len, HELLO_BODY, QUESTION_BODY))
		return false;
	memcpy(ret->random, body, 32);
	return true;
}

uint32_t wire_write_hello(uint8_t *body, const struct wire_hello *hello)
{
	memcpy(body, hello->random, 32);
	return pad(body, HELLO_BODY, QUESTION_BODY);
}

bool wire_read_challenge(const uint8_t *body, uint32_t len, struct wire_challenge *ret)
{
	if (len != CHALLENGE_BODY)
		return false;
	memcpy(ret->random, body, 32);
	ret->made = le64(body + 32);
	memcpy(ret->mac, body + 40, 16);
	return true;
}

uint32_t wire_write_challenge(uint8_t *body, const struct wire_challenge *challenge)
{
	memcpy(body, challenge->random, 32);
	put_le64(body + 32, challenge->made);
	memcpy(body + 40, challenge->mac, 16);
	return CHALLENGE_BODY;
}

// What only means something with an epoch before this one is zero without it.
bool wire_read_open(const uint8_t *body, uint32_t len, struct wire_open *ret)
{
	if (!is_padded(body, len, OPEN_BODY, QUESTION_BODY))
		return false;
	memcpy(ret->random, body, 32);
	ret->made = le64(body + 32);
	memcpy(ret->mac, body + 40, 16);
	ret->flags = le32(body + 56);
	ret->first_seq = le64(body + 64);
	ret->prev_epoch = le32(body + 72);
	ret->prev_seq = le64(body + 80);
	memcpy(ret->prev_log, body + 88, 16);
	return (ret->flags & ~WIRE_FRESH) == 0 && all_zero(body + 60, 4) &&
	       all_zero(body + 76, 4) && ret->first_seq != UINT64_MAX &&
	       (ret->prev_epoch != 0 || all_zero(body + 80, 24));
}

uint32_t wire_write_open(uint8_t *body, const struct wire_open *open)
{
	memcpy(body, open->random, 32);
	put_le64(body + 32, open->made);
	memcpy(body + 40, open->mac, 16);
	put_le32(body + 56, open->flags);
	put_le32(body + 60, 0);
	put_le64(body + 64, open->first_seq);
	put_le32(body + 72, open->prev_epoch);
	put_le32(body + 76, 0);
	put_le64(body + 80, open->prev_seq);
	memcpy(body + 88, open->prev_log, 16);
	return pad(body, OPEN_BODY, QUESTION_BODY);
}

bool wire_read_opened(const uint8_t *body, uint32_t len, struct wire_opened *ret)
{
	if (len != OPENED_BODY)
		return false;
	memcpy(ret->random, body, 32);
	memcpy(ret->server, body + 32, 32);
	ret->token = le64(body + 64);
	memcpy(ret->log_id, body + 72, 16);
	ret->durable = le64(body + 88);
	ret->credit = le32(body + 96);
	ret->window = le32(body + 100);
	ret->event_max = le32(body + 104);
	return ret->token != 0 && ret->event_max <= WIRE_EVENT_MAX && all_zero(body + 108, 4);
}

uint32_t wire_write_opened(uint8_t *body, const struct wire_opened *opened)
{
	memcpy(body, opened->random, 32);
	memcpy(body + 32, opened->server, 32);
	put_le64(body + 64, opened->token);
	memcpy(body + 72, opened->log_id, 16);
	put_le64(body + 88, opened->durable);
	put_le32(body + 96, opened->credit);
	put_le32(body + 100, opened->window);
	put_le32(body + 104, opened->event_max);
	put_le32(body + 108, 0);
	return OPENED_BODY;
}

bool wire_read_refused(const uint8_t *body, uint32_t len, struct wire_refused *ret)
{
	if (len != REFUSED_BODY)
		return false;
	memcpy(ret->random, body, 32);
	ret->reason = le32(body + 32);
	ret->epoch = le32(body + 36);
	return ret->reason >= WIRE_UNKNOWN_EPOCH && ret->reason <= WIRE_NO_ROOM &&
	       (ret->reason == WIRE_OLD_EPOCH) == (ret->epoch != 0);
}

uint32_t wire_write_refused(uint8_t *body, const struct wire_refused *refused)
{
	memcpy(body, refused->random, 32);
	put_le32(body + 32, refused->reason);
	put_le32(body + 36, refused->epoch);
	return REFUSED_BODY;
}

// Whether the bytes are just so many events.
static bool are_events(const uint8_t *bytes, uint32_t len, uint32_t count)
{
	uint32_t at = 0;

	while (count-- > 0) {
		if (len - at < 2 || len - at - 2 < le16(bytes + at))
			return false;
		at += 2u + le16(bytes + at);
	}
	return at == len;
}

bool wire_read_events(const uint8_t *body, uint32_t len, struct wire_events *ret)
{
	if (len < DATA_BODY)
		return false;
	ret->first_seq = le64(body);
	ret->count = le16(body + 8);
	ret->len = le32(body + 12);
	ret->bytes = body + EVENTS_HEAD;
	return le16(body + 10) == 0 && ret->count > 0 && ret->count <= WIRE_EVENTS_MAX &&
	       ret->first_seq <= UINT64_MAX - ret->count && ret->len <= len - EVENTS_HEAD &&
	       is_padded(body, len, EVENTS_HEAD + ret->len, DATA_BODY) &&
	       are_events(ret->bytes, ret->len, ret->count);
}

void wire_begin_events(struct wire_writer *w, uint8_t *body, uint32_t room, uint64_t first_seq)
{
	*w = (struct wire_writer){.body = body, .room = room, .len = EVENTS_HEAD};
	put_le64(body, first_seq);
}

bool wire_add_event(struct wire_writer *w, const void *payload, uint32_t len)
{
	if (len > UINT16_MAX || w->count == WIRE_EVENTS_MAX || w->room < w->len + 2 + len)
		return false;
	put_le16(w->body + w->len, (uint16_t)len);
	if (len > 0)
		memcpy(w->body + w->len + 2, payload, len);
	w->len += 2 + len;
	w->count++;
	return true;
}

uint32_t wire_end_events(struct wire_writer *w)
{
	put_le16(w->body + 8, w->count);
	put_le16(w->body + 10, 0);
	put_le32(w->body + 12, w->len - EVENTS_HEAD);
	return pad(w->body, w->len, DATA_BODY);
}

const uint8_t *wire_next_event(const struct wire_events *events, uint32_t *at, uint32_t *len)
{
	const uint8_t *event = events->bytes + *at;

	if (*at == events->len)
		return NULL;
	*len = le16(event);
	*at += 2 + *len;
	return event + 2;
}

// Parts lie on a grain, so that whoever puts them together needs a bit for each grain only.
static bool is_part(const struct wire_part *part)
{
	return part->total <= WIRE_EVENT_MAX && part->len > 0 && part->offset < part->total &&
	       part->len <= part->total - part->offset && part->offset % WIRE_PART_GRAIN == 0 &&
	       (part->len % WIRE_PART_GRAIN == 0 || part->offset + part->len == part->total);
}

bool wire_read_part(const uint8_t *body, uint32_t len, struct wire_part *ret)
{
	if (len < DATA_BODY)
		return false;
	ret->seq = le64(body);
	ret->total = le32(body + 8);
	ret->offset = le32(body + 12);
	ret->len = le16(body + 16);
	ret->bytes = body + PART_HEAD;
	return all_zero(body + 18, 6) && ret->seq != UINT64_MAX && is_part(ret) &&
	       ret->len <= len - PART_HEAD && is_padded(body, len, PART_HEAD + ret->len, DATA_BODY);
}

uint32_t wire_write_part(uint8_t *body, const struct wire_part *part)
{
	put_le64(body, part->seq);
	put_le32(body + 8, part->total);
	put_le32(body + 12, part->offset);
	put_le16(body + 16, part->len);
	memset(body + 18, 0, 6);
	memcpy(body + PART_HEAD, part->bytes, part->len);
	return pad(body, PART_HEAD + part->len, DATA_BODY);
}

uint32_t wire_part_room(uint32_t mtu)
{
	uint32_t room = mtu - WIRE_HEADER - WIRE_TAG - PART_HEAD;

	return room - room % WIRE_PART_GRAIN;
}

bool wire_read_probe(const uint8_t *body, uint32_t len, struct wire_probe *ret)
{
	if (len < DATA_BODY)
		return false;
	ret->first_seq = le64(body);
	ret->next_seq = le64(body + 8);
	return ret->first_seq <= ret->next_seq && all_zero(body + PROBE_HEAD, len - PROBE_HEAD);
}

uint32_t wire_write_probe(uint8_t *body, const struct wire_probe *probe, uint32_t len)
{
	put_le64(body, probe->first_seq);
	put_le64(body + 8, probe->next_seq);
	return pad(body, PROBE_HEAD, len > DATA_BODY ? len : DATA_BODY);
}

// Packet numbers begin with 1: what would be below it was not heard.
static bool are_heard(uint64_t largest, const uint64_t heard[2])
{
	uint64_t below = largest > 0 ? largest - 1 : 0; // bits that stand for a number

	if (below < 64)
		return heard[0] >> below == 0 && heard[1] == 0;
	return below >= WIRE_HEARD || heard[1] >> (below - 64) == 0;
}

// A seq is missing below each range, or it would begin lower.
static bool are_ranges(const struct wire_ack *ack)
{
	uint64_t end = 0; // of the one before, above durable

	for (uint32_t i = 0; i < WIRE_RANGES; i++) {
		const struct wire_range *range = &ack->ranges[i];

		if (i >= ack->range_count) {
			if (range->from != 0 || range->count != 0)
				return false;
			continue;
		}
		if (range->count == 0 || range->from <= end)
			return false;
		end = (uint64_t)range->from + range->count;
	}
	return end <= UINT64_MAX - ack->durable;
}

bool wire_read_ack(const uint8_t *body, uint32_t len, struct wire_ack *ret)
{
	if (len != ACK_BODY)
		return false;
	ret->largest = le64(body);
	ret->heard[0] = le64(body + 8);
	ret->heard[1] = le64(body + 16);
	ret->delay = le32(body + 24);
	ret->credit = le32(body + 28);
	ret->durable = le64(body + 32);
	ret->range_count = le32(body + 40);
	for (unsigned i = 0; i < WIRE_RANGES; i++) {
		ret->ranges[i].from = le32(body + ACK_RANGES + i * 8);
		ret->ranges[i].count = le32(body + ACK_RANGES + i * 8 + 4);
	}
	return all_zero(body + 44, 4) && ret->range_count <= WIRE_RANGES &&
	       are_heard(ret->largest, ret->heard) && are_ranges(ret);
}

uint32_t wire_write_ack(uint8_t *body, const struct wire_ack *ack)
{
	put_le64(body, ack->largest);
	put_le64(body + 8, ack->heard[0]);
	put_le64(body + 16, ack->heard[1]);
	put_le32(body + 24, ack->delay);
	put_le32(body + 28, ack->credit);
	put_le64(body + 32, ack->durable);
	put_le32(body + 40, ack->range_count);
	put_le32(body + 44, 0);
	for (uint32_t i = 0; i < WIRE_RANGES; i++) {
		bool used = i < ack->range_count;

		put_le32(body + ACK_RANGES + i * 8, used ? ack->ranges[i].from : 0);
		put_le32(body + ACK_RANGES + i * 8 + 4, used ? ack->ranges[i].count : 0);
	}
	return ACK_BODY;
}

bool wire_read_close(const uint8_t *body, uint32_t len)
{
	return len == DATA_BODY && all_zero(body, len);
}

uint32_t wire_write_close(uint8_t *body)
{
	return pad(body, 0, DATA_BODY);
}

// Multiply-shift: an odd factor (2^64 by the golden ratio) and the product's highest ten bits,
// which depend on every bit of the id. Ids that count up, or differ in ten bits only wherever these
// are, spread as evenly as random ones. Never another function in this version of the protocol: a
// restart finds its sources in the logs of their slots by it.
uint32_t wire_slot(uint64_t source)
{
	return (uint32_t)(source * 0x9e3779b97f4a7c15u >> 54);
}
