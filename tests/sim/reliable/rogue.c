// SPDX-License-Identifier: BSD-3-Clause

// A sender that has the key and keeps to no rule: seqs far ahead, other epochs, numbers used twice,
// parts that fit nothing. Its events are known to the books, so that what of them gets in must be
// as good as anybody's; nobody waits for it.

#include "reliable.h"

#include <sodium.h>
#include <string.h>

#define PORT 9999u

static struct {
	struct source *source;
	uint32_t epoch;
	uint64_t first_seq;
	uint8_t random[32];
	uint64_t token, number; // token 0: no session
	struct seal_session seal;
} rogue;

static uint32_t below(uint32_t n)
{
	return draw_below(DRAW_ROGUE, n);
}

void rogue_reset(void)
{
	uint64_t first = below(2) ? 0 : 1ull << below(50);

	memset(&rogue, 0, sizeof(rogue));
	if (plan.faults[FAULT_rogue] == 0)
		return;
	rogue.source = books_open(ROGUE, draw(DRAW_ROGUE), first, 0);
	rogue.epoch = 1 + below(3);
	rogue.first_seq = first;
}

static void post(const uint8_t *data, uint32_t len, const char *nothing)
{
	struct packet like = {.direction = TO_RECEIVER,
		.place = ROGUE,
		.peer = network_peer(ROGUE, 0, PORT),
		.life = receiver_life(0),
		.nothing = nothing};

	tally(TALLY_rogue_datagrams);
	network_send(&like, data, len);
}

// 'epochs': how far from its session's.
static uint32_t begin_at(uint8_t *data, enum wire_type type, int epochs)
{
	bool inside = type >= WIRE_EVENTS;
	struct wire_header header = {.type = (uint8_t)type,
		.key = plan_key(0)->id,
		.epoch = rogue.epoch + (uint32_t)epochs,
		.source = rogue.source->id,
		.token = inside ? rogue.token : 0,
		.number = inside ? ++rogue.number : 0};

	wire_write_header(data, &header);
	return WIRE_HEADER;
}

static uint32_t begin(uint8_t *data, enum wire_type type)
{
	return begin_at(data, type, 0);
}

static void say_hello(void)
{
	uint8_t data[WIRE_QUESTION_MIN];
	struct wire_hello hello;
	uint32_t len = begin(data, WIRE_HELLO);

	if (below(4) > 0)
		randombytes_buf(rogue.random, sizeof(rogue.random));
	memcpy(hello.random, rogue.random, sizeof(hello.random));
	len += wire_write_hello(data + len, &hello);
	post(data, seal_sign(plan_key(0), data, len), NULL);
}

static void take_challenge(const uint8_t *body, uint32_t len)
{
	uint8_t data[WIRE_QUESTION_MIN];
	struct wire_challenge challenge;
	struct wire_open open = {.flags = WIRE_FRESH, .first_seq = rogue.first_seq};
	uint32_t at = begin(data, WIRE_OPEN);

	if (!wire_read_challenge(body, len, &challenge))
		return;
	memcpy(open.random, rogue.random, sizeof(open.random));
	memcpy(open.mac, challenge.mac, sizeof(open.mac));
	open.made = challenge.made;
	at += wire_write_open(data + at, &open);
	post(data, seal_sign(plan_key(0), data, at), NULL);
}

static void take_opened(const uint8_t *body, uint32_t len)
{
	struct wire_opened opened;

	if (!wire_read_opened(body, len, &opened) ||
		memcmp(opened.random, rogue.random, sizeof(opened.random)) != 0 ||
		opened.token == rogue.token)
		return;
	rogue.token = opened.token;
	rogue.number = 0;
	seal_make_session(&rogue.seal, plan_key(0), rogue.random, opened.server, rogue.source->id,
		rogue.epoch);
	tally(TALLY_rogue_opened);
}

void rogue_arrive(struct packet *packet)
{
	struct wire_header header;
	uint32_t len;

	if (rogue.source && packet->peer.port == PORT &&
		wire_read_header(packet->data, packet->len, &header) && header.type < WIRE_ACK &&
		header.epoch == rogue.epoch) {
		len = seal_verify(plan_key(0), packet->data, packet->len);
		if (len > 0 && header.type == WIRE_CHALLENGE)
			take_challenge(packet->data + WIRE_HEADER, len - WIRE_HEADER);
		else if (len > 0 && header.type == WIRE_OPENED)
			take_opened(packet->data + WIRE_HEADER, len - WIRE_HEADER);
	}
	network_free(packet);
}

// Around the lowest missing one, around the end of the window, and far beyond.
static uint64_t choose_seq(void)
{
	static const uint32_t offsets[] = {0, 0, 0, 1, 5, 300, SEEN_WINDOW - 3, SEEN_WINDOW - 1,
		SEEN_WINDOW, SEEN_WINDOW + 1, SEEN_WINDOW + 64, 2 * SEEN_WINDOW, 5 * SEEN_WINDOW};
	uint64_t floor = rogue.source->in[0].floor, seq;

	if (floor < rogue.source->first_seq)
		floor = rogue.source->first_seq;
	seq = floor + offsets[below(sizeof(offsets) / sizeof(*offsets))] + below(3);
	if (below(8) == 0)
		seq = floor - below(20);
	if (seq < rogue.source->first_seq || seq > rogue.source->first_seq + 60 * SEEN_WINDOW)
		seq = rogue.source->first_seq;
	return seq;
}

static uint32_t close_up(uint8_t *data, uint32_t len)
{
	return seal_close(&rogue.seal, true, data, len);
}

static uint32_t write_events(uint8_t *data, uint32_t at, uint64_t seq)
{
	struct wire_writer writer;

	wire_begin_events(&writer, data + at, WIRE_MTU_MIN - WIRE_TAG - at, seq);
	for (uint32_t n = 1 + below(12); n > 0; n--, seq++) {
		uint32_t len = payload_len(rogue.source, seq);

		if (!wire_add_event(&writer, payload_of(rogue.source, seq), len))
			break;
		books_offered(rogue.source, seq);
	}
	return writer.count > 0 ? at + wire_end_events(&writer) : 0;
}

static void send_events(const char *nothing, int epochs)
{
	uint8_t data[WIRE_MTU_MIN];
	uint32_t len = begin_at(data, WIRE_EVENTS, epochs);

	len = write_events(data, len, choose_seq());
	if (len > 0)
		post(data, close_up(data, len), nothing);
}

// A part of an event, the whole length told wrong at times: it never gets complete then.
static void send_part(void)
{
	uint8_t data[WIRE_MTU_MIN];
	uint64_t seq = choose_seq();
	uint32_t len = payload_len(rogue.source, seq), at = begin(data, WIRE_PART);
	uint32_t room = wire_part_room(WIRE_MTU_MIN);
	struct wire_part part = {.seq = seq, .total = len, .bytes = NULL};

	if (len < 2 * WIRE_PART_GRAIN)
		return;
	if (below(3) == 0)
		part.total += 1 + below(3) * WIRE_PART_GRAIN;
	part.offset = below(len / WIRE_PART_GRAIN) * WIRE_PART_GRAIN;
	part.len = (uint16_t)(len - part.offset < room ? len - part.offset : room);
	if (part.offset + part.len < part.total)
		part.len -= part.len % WIRE_PART_GRAIN;
	part.bytes = payload_of(rogue.source, seq) + part.offset;
	books_offered(rogue.source, seq);
	if (part.len == 0)
		return;
	at += wire_write_part(data + at, &part);
	post(data, close_up(data, at), NULL);
}

static void send_close_or_probe(enum wire_type type)
{
	uint8_t data[WIRE_DATA_MIN];
	struct wire_probe probe = {.first_seq = rogue.source->first_seq, .next_seq = UINT64_MAX};
	uint32_t at = begin(data, type);

	if (type == WIRE_PROBE) {
		at += wire_write_probe(data + at, &probe, WIRE_DATA_MIN - WIRE_TAG - at);
		post(data, seal_sign(plan_key(0), data, at), NULL);
		return;
	}
	at += wire_write_close(data + at);
	post(data, close_up(data, at), NULL);
	rogue.token = 0;
}

static void other_epoch(void)
{
	uint64_t first = choose_seq();

	rogue.token = 0;
	rogue.first_seq = first;
	if (below(4) == 0 && rogue.epoch > 1)
		rogue.epoch--;
	else
		rogue.epoch += 1 + below(2);
	say_hello();
}

void rogue_act(void)
{
	uint32_t what = below(20);

	if (rogue.token == 0) {
		say_hello();
	} else if (what < 9) {
		send_events(NULL, 0);
	} else if (what < 11) {
		send_events("its epoch is not its session's", below(2) ? 1 : -1);
	} else if (what < 13) {
		rogue.number -= rogue.number > 2 ? 1 + below(2) : 0;
		send_events(NULL, 0);
	} else if (what < 16) {
		send_part();
	} else if (what < 18) {
		send_close_or_probe(WIRE_PROBE);
	} else if (what == 18) {
		other_epoch();
	} else if (below(4) == 0) {
		send_close_or_probe(WIRE_CLOSE);
	}
}
