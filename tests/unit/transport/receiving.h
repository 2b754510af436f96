// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A receiver for the tests of the sender's half, that does what it is told. It keeps a watch on
// what holds for all that is sent: sizes, signatures, numbers, and that the sender doesn't spin.

#include "transport/send.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ull
#define SOURCE 0xabcdefu
#define FIRST 1000u // seq of the first event
#define SEQS 20000u
#define ROOM WIRE_MTU_MAX
#define NUMBERS (1u << 17)

static struct send_half *s;
static struct send_config config;
static uint64_t now;

// The receiver.
static struct seal_key key;
static struct seal_session seal;
static struct wire_hello hello;
static struct wire_open opening;
static struct wire_opened opened;
static uint64_t token;
static uint64_t ack_number;
static struct wire_ack ack; // the next one
static uint64_t last_number;
static bool heard[NUMBERS];

// The last datagram of the sender, as it came and opened.
static uint8_t data[ROOM];
static uint32_t data_len;
static struct wire_header got;
static struct wire_events events;
static struct wire_part part;
static struct wire_probe probe;
static unsigned have[SEQS]; // how often each arrived

static inline uint8_t payload_byte(uint64_t seq, uint32_t at)
{
	return (uint8_t)(seq * 31 + at * 7 + at / 251);
}

static inline void check_payload(uint64_t seq, const uint8_t *bytes, uint32_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (bytes[i] != payload_byte(seq, at + i))
			fail_msg("byte %u of seq %llu", at + i, (unsigned long long)seq);
}

static inline int offer(uint32_t len)
{
	static uint8_t payload[WIRE_EVENT_MAX + 1];
	uint64_t seq = send_next_seq(s), given = 0;
	int r;

	for (uint32_t i = 0; i < len; i++)
		payload[i] = payload_byte(seq, i);
	r = send_event(s, payload, len, &given);
	if (r == 0)
		assert_int_equal(given, seq);
	return r;
}

static inline void offer_many(unsigned n, uint32_t len)
{
	while (n-- > 0)
		assert_int_equal(offer(len), 0);
}

static inline void start(void)
{
	send_free(s);
	s = NULL;
	assert_int_equal(send_make(&s, &config, now), 0);
	memset(have, 0, sizeof(have));
	memset(&opened, 0, sizeof(opened));
	memcpy(opened.log_id, "the log of tests", 16);
	opened.durable = FIRST;
	opened.credit = 1u << 30;
	opened.window = 8192;
	opened.event_max = WIRE_EVENT_MAX;
	token = 0;
	memset(&ack, 0, sizeof(ack));
}

static inline int set_up(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	now = 5000 * MS;
	memset(&key, 0, sizeof(key));
	config = (struct send_config){.source = SOURCE,
		.epoch.number = 1,
		.first_seq = FIRST,
		.mtu = 1400,
		.bytes_max = 64u << 20};
	start();
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	send_free(s);
	s = NULL;
	return 0;
}

static inline void use_key(void)
{
	key = (struct seal_key){.id = 7, .secret = "no secret, but for these tests."};
	config.key = key;
	start();
}

static inline void read_events(const uint8_t *body, uint32_t len)
{
	uint32_t at = 0, event_len;
	uint64_t seq;

	assert_true(wire_read_events(body, len, &events));
	seq = events.first_seq;
	for (unsigned i = 0; i < events.count; i++, seq++) {
		const uint8_t *bytes = wire_next_event(&events, &at, &event_len);

		check_payload(seq, bytes, 0, event_len);
	}
}

static inline void read_part(const uint8_t *body, uint32_t len)
{
	assert_true(wire_read_part(body, len, &part));
	check_payload(part.seq, part.bytes, part.offset, part.len);
}

static inline void read_body(const uint8_t *body, uint32_t len)
{
	switch (got.type) {
	case WIRE_HELLO:
		assert_true(wire_read_hello(body, len, &hello));
		break;
	case WIRE_OPEN:
		assert_true(wire_read_open(body, len, &opening));
		break;
	case WIRE_EVENTS:
		read_events(body, len);
		break;
	case WIRE_PART:
		read_part(body, len);
		break;
	case WIRE_PROBE:
		assert_true(wire_read_probe(body, len, &probe));
		break;
	default:
		assert_int_equal(got.type, WIRE_CLOSE);
		assert_true(wire_read_close(body, len));
	}
}

static inline void read_datagram(void)
{
	bool sealed = false;
	uint32_t len;

	assert_true(wire_read_header(data, data_len, &got));
	assert_int_equal(got.source, SOURCE);
	assert_int_equal(got.epoch, send_epoch_now(s)->number);
	if (got.type != WIRE_HELLO && got.type != WIRE_OPEN) {
		assert_int_equal(got.token, token);
		// No number twice, and none left out.
		assert_int_equal(got.number, last_number + 1);
		last_number = got.number;
		sealed = got.type != WIRE_PROBE;
	}
	len = sealed ? seal_open(&seal, true, data, data_len) : seal_verify(&key, data, data_len);
	assert_true(len >= WIRE_HEADER);
	read_body(data + WIRE_HEADER, len - WIRE_HEADER);
}

// What is sent now; 0: nothing.
static inline enum wire_type next(void)
{
	data_len = send_next(s, now, data);
	if (data_len == 0) {
		assert_true(send_due(s) > now);
		return 0;
	}
	assert_true(data_len <= (config.mtu > config.mtu_probe ? config.mtu : config.mtu_probe));
	read_datagram();
	return got.type;
}

// When the sender says that there is something to be sent.
static inline enum wire_type next_due(void)
{
	enum wire_type type = next();

	for (unsigned i = 0; type == 0 && i < 4; i++) {
		assert_true(send_due(s) != UINT64_MAX);
		now = send_due(s);
		type = next();
	}
	assert_true(type != 0);
	return type;
}

static inline void expect(enum wire_type type)
{
	assert_int_equal(next_due(), type);
}

static uint8_t answer[WIRE_QUESTION_MIN];
static uint32_t answer_len;

static inline struct wire_header answer_header(enum wire_type type)
{
	return (struct wire_header){.type = (uint8_t)type,
		.key = key.id,
		.epoch = send_epoch_now(s)->number,
		.source = SOURCE};
}

static inline void give(struct wire_header header, uint32_t body_len)
{
	wire_write_header(answer, &header);
	answer_len = WIRE_HEADER + body_len;
	if (header.type == WIRE_ACK)
		answer_len = seal_close(&seal, false, answer, answer_len);
	else
		answer_len = seal_sign(&key, answer, answer_len);
	send_take(s, answer, answer_len, now);
}

static inline void challenge(void)
{
	struct wire_challenge body = {.made = 77, .mac = "fifteen bytes.."};

	memcpy(body.random, hello.random, sizeof(body.random));
	give(answer_header(WIRE_CHALLENGE), wire_write_challenge(answer + WIRE_HEADER, &body));
}

static inline void open_it(void)
{
	token += 0x1234567;
	opened.token = token;
	memcpy(opened.random, opening.random, sizeof(opened.random));
	randombytes_buf(opened.server, sizeof(opened.server));
	seal_make_session(
		&seal, &key, opening.random, opened.server, SOURCE, send_epoch_now(s)->number);
	ack = (struct wire_ack){.credit = opened.credit, .durable = opened.durable};
	ack_number = last_number = 0;
	memset(heard, 0, sizeof(heard));
	give(answer_header(WIRE_OPENED), wire_write_opened(answer + WIRE_HEADER, &opened));
}

static inline void refuse(enum wire_refusal reason, uint32_t epoch)
{
	struct wire_refused body = {.reason = reason, .epoch = epoch};

	memcpy(body.random, opening.random, sizeof(body.random));
	give(answer_header(WIRE_REFUSED), wire_write_refused(answer + WIRE_HEADER, &body));
}

static inline void reset(uint64_t of)
{
	struct wire_header header = answer_header(WIRE_RESET);

	header.token = of;
	give(header, 0);
}

static inline void handshake(void)
{
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	open_it();
	assert_int_equal(send_state(s), SEND_OPEN);
}

static inline void hear(uint64_t number)
{
	assert_true(number < NUMBERS);
	heard[number] = true;
	if (number > ack.largest)
		ack.largest = number;
}

static inline void give_ack(void)
{
	struct wire_header header = answer_header(WIRE_ACK);

	ack.heard[0] = ack.heard[1] = 0;
	for (uint64_t i = 0; i < WIRE_HEARD && i + 1 < ack.largest; i++)
		if (heard[ack.largest - 1 - i])
			ack.heard[i / 64] |= 1ull << i % 64;
	header.token = token;
	header.number = ++ack_number;
	give(header, wire_write_ack(answer + WIRE_HEADER, &ack));
}

// The last datagram arrives.
static inline void receive_events(void)
{
	hear(got.number);
	for (unsigned i = 0; got.type == WIRE_EVENTS && i < events.count; i++)
		have[events.first_seq + i - FIRST]++;
}

// ... and it is told so after a while.
static inline void hear_it(void)
{
	receive_events();
	now += MS / 5;
	give_ack();
}

static inline struct send_stats stats(void)
{
	struct send_stats ret;

	send_stats(s, &ret);
	return ret;
}

// A round trip is known: short timers.
static inline void warm_up(void)
{
	handshake();
	offer_many(1, 1000);
	expect(WIRE_EVENTS);
	hear(got.number);
	ack.durable = FIRST + 1;
	now += MS / 5;
	give_ack();
	assert_int_equal(send_kept(s), 0);
}

static inline uint64_t ignored(void)
{
	return stats().ignored;
}
