// SPDX-License-Identifier: BSD-3-Clause

// Somebody on the path who has no key: records what he sees and sends it again, to whom and from
// where he likes, and makes up datagrams of his own.

#include "reliable.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS 64u
#define PORTS 8u
#define OPEN_PORT 40000u   // who asks from there may be answered
#define SECRET_PORT 50000u // who asks from there shows no key where one is wanted

static struct packet *records[RECORDS]; // NULL: nothing yet
static uint64_t seen;

static uint32_t below(uint32_t n)
{
	return draw_below(DRAW_ATTACK, n);
}

void attack_reset(void)
{
	for (unsigned i = 0; i < RECORDS; i++)
		free(records[i]);
	memset(records, 0, sizeof(records));
	seen = 0;
	for (unsigned i = 0; i < PORTS; i++)
		wiretap_secret((uint16_t)(SECRET_PORT + i));
}

// A sample of all that was ever sent, with somewhat more of what opens sessions.
void attack_record(const struct packet *like, const uint8_t *data, uint32_t len)
{
	struct packet **record = &records[below(RECORDS)];

	if (!plan_fault(FAULT_replay))
		return;
	seen++;
	if (seen > 200 && below((uint32_t)(seen / 50)) > 0 && data[1] > WIRE_REFUSED)
		return;
	free(*record);
	*record = malloc(sizeof(**record) + len);
	if (!*record)
		abort();
	**record = *like;
	(*record)->len = len;
	memcpy((*record)->data, data, len);
}

static struct peer spoofed(unsigned receiver, uint32_t ports)
{
	return network_peer(STRANGER, receiver, (uint16_t)(ports + below(PORTS)));
}

static void replay(void)
{
	const struct packet *record = records[below(RECORDS)];
	struct packet like;
	unsigned how = below(10);

	if (!record)
		return;
	like = *record;
	like.replayed = true;
	if (like.direction == TO_SENDER) {
		if (how < 5)
			like.peer.port = sender_port(like.place);
	} else if (how < 3 && plan.receivers > 1) {
		like.receiver = 1 - like.receiver;
		like.peer = network_peer(like.place, like.receiver, like.peer.port);
		like.life = 0;
	} else if (how < 5) {
		like.peer = spoofed(like.receiver, OPEN_PORT);
		like.place = STRANGER;
		tally(TALLY_spoofed);
	}
	tally(TALLY_replays);
	if (like.direction == TO_RECEIVER && like.life != receiver_life(like.receiver))
		tally(TALLY_old_replays);
	trace("attacker replays %s", network_describe(&like, record->data, record->len));
	network_inject(&like, record->data, record->len, draw_time(DRAW_ATTACK, 0, MS));
}

static void fill(uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)below(256);
}

// A question without a key: well formed, for some source that nobody is.
static uint32_t make_question(uint8_t *data, uint32_t len)
{
	struct wire_header header = {.type = below(2) ? WIRE_HELLO : WIRE_OPEN, .epoch = 1};
	struct wire_hello hello;
	struct wire_open open = {.flags = WIRE_FRESH};
	uint32_t body;

	header.source = draw(DRAW_ATTACK);
	if (below(2) && books_count() > 0)
		header.key = plan_key(0)->id;
	fill(hello.random, sizeof(hello.random));
	fill(open.random, sizeof(open.random));
	fill(open.mac, sizeof(open.mac));
	open.made = world_now() / (below(2) ? MS : SEC);
	fill(data, len);
	wire_write_header(data, &header);
	body = header.type == WIRE_HELLO ? wire_write_hello(data + WIRE_HEADER, &hello)
					 : wire_write_open(data + WIRE_HEADER, &open);
	return WIRE_HEADER + body + (plan.receive.key_count > 0 ? WIRE_TAG : 0);
}

static void make_up(void)
{
	uint8_t data[1500];
	uint32_t len = 1 + below(sizeof(data));
	struct packet like = {.direction = TO_RECEIVER,
		.place = STRANGER,
		.receiver = below(plan.receivers),
		.nothing = "somebody made it up"};
	struct wire_header header = {.type = (uint8_t)(1 + below(11)),
		.key = plan_key(0)->id,
		.epoch = 1 + below(3),
		.source = draw(DRAW_ATTACK),
		.token = draw(DRAW_ATTACK),
		.number = below(1000)};

	if (below(3) == 0) {
		len = make_question(data, sizeof(data));
		like.peer = spoofed(like.receiver, SECRET_PORT);
		if (plan.receive.key_count == 0)
			like.peer.port = (uint16_t)(OPEN_PORT + below(PORTS));
	} else {
		fill(data, len);
		if (len >= WIRE_HEADER && below(3) > 0)
			wire_write_header(data, &header);
		like.peer = spoofed(like.receiver, OPEN_PORT);
	}
	tally(TALLY_spoofed);
	network_inject(&like, data, len, 0);
}

void attack(void)
{
	if (below(4) == 0)
		make_up();
	else
		replay();
}
