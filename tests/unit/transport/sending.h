// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A sender for the tests of the receiver's half, that does what it is told.

#include "transport/receive.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

// cmocka.h needs these before it.
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MS 1000000ull
#define SOURCE 0xabcdefu

struct sender {
	struct receive *r;
	struct seal_key key;
	struct peer peer;
	struct wire_header header; // of the next datagram but for its type
	uint8_t random[32];
	struct wire_opened opened;
	struct seal_session seal;
};

static uint64_t now = 1000 * MS;
static struct received events[RECEIVE_EVENTS];
static uint8_t answer[WIRE_QUESTION_MIN];
static struct peer answer_to;
// Read of the last answer.
static struct wire_header answer_header;
static struct wire_ack ack;

static const struct receive_config plain_config = {
	.sources = 8,
	.windows = 4,
	.sessions = 4,
	.snapshots = 16,
	.credit = 1000000,
	.event_max = WIRE_EVENT_MAX,
	.large_events = 2,
	.source_expiry_s = 3600,
	.log_id = "the log",
};

static inline struct receive *make_receive(const struct receive_config *config)
{
	struct receive *r;

	assert_int_equal(receive_make(&r, config), 0);
	return r;
}

static inline uint64_t counted(const struct receive *r, enum receive_counter counter)
{
	return receive_counters(r)[counter];
}

static inline struct sender new_sender(struct receive *r, uint64_t source, uint32_t epoch)
{
	struct sender s = {.r = r, .header = {.epoch = epoch, .source = source}};

	s.peer.port = (uint16_t)source;
	return s;
}

// Of a datagram that leads to no event.
static inline unsigned give(struct sender *s, uint8_t *data, uint32_t len)
{
	return receive_take(s->r, data, len, &s->peer, now, events);
}

static inline uint32_t next_answer(struct receive *r)
{
	uint32_t len = receive_next(r, now, answer, &answer_to);

	if (len > 0)
		assert_true(wire_read_header(answer, len, &answer_header));
	return len;
}

static inline unsigned send_hello(struct sender *s)
{
	struct wire_header header = s->header;
	struct wire_hello hello;
	uint8_t data[WIRE_QUESTION_MIN];

	randombytes_buf(s->random, sizeof(s->random));
	memcpy(hello.random, s->random, sizeof(hello.random));
	header.type = WIRE_HELLO;
	header.key = s->key.id;
	header.token = header.number = 0;
	wire_write_header(data, &header);
	return give(s, data,
		seal_sign(
			&s->key, data, WIRE_HEADER + wire_write_hello(data + WIRE_HEADER, &hello)));
}

static inline struct wire_open challenged(struct sender *s)
{
	struct wire_open open = {.flags = WIRE_FRESH};
	struct wire_challenge challenge;
	uint32_t len = next_answer(s->r);

	len = seal_verify(&s->key, answer, len);
	assert_int_equal(answer_header.type, WIRE_CHALLENGE);
	assert_true(wire_read_challenge(answer + WIRE_HEADER, len - WIRE_HEADER, &challenge));
	memcpy(open.random, s->random, sizeof(open.random));
	memcpy(open.mac, challenge.mac, sizeof(open.mac));
	open.made = challenge.made;
	return open;
}

static inline unsigned send_open(struct sender *s, const struct wire_open *open)
{
	struct wire_header header = s->header;
	uint8_t data[WIRE_QUESTION_MIN];

	header.type = WIRE_OPEN;
	header.key = s->key.id;
	header.token = header.number = 0;
	wire_write_header(data, &header);
	return give(s, data,
		seal_sign(&s->key, data, WIRE_HEADER + wire_write_open(data + WIRE_HEADER, open)));
}

static inline void take_opened(struct sender *s)
{
	uint32_t len = seal_verify(&s->key, answer, next_answer(s->r));

	assert_int_equal(answer_header.type, WIRE_OPENED);
	assert_true(wire_read_opened(answer + WIRE_HEADER, len - WIRE_HEADER, &s->opened));
	assert_memory_equal(s->opened.random, s->random, sizeof(s->random));
	s->header.token = s->opened.token;
	s->header.number = 0;
	seal_make_session(
		&s->seal, &s->key, s->random, s->opened.server, s->header.source, s->header.epoch);
}

// Fresh, from first_seq on, its row appended.
static inline void open_session(struct sender *s, uint64_t first_seq)
{
	struct wire_open open;

	assert_int_equal(send_hello(s), 0);
	open = challenged(s);
	open.first_seq = first_seq;
	if (send_open(s, &open) == 1) {
		assert_true(events[0].is_opening);
		receive_appended(s->r, 1);
	}
	take_opened(s);
}

static inline uint32_t begin(struct sender *s, uint8_t *data, enum wire_type type)
{
	struct wire_header header = s->header;

	header.type = (uint8_t)type;
	header.key = s->key.id;
	header.number = ++s->header.number;
	s->header.number = header.number;
	wire_write_header(data, &header);
	return WIRE_HEADER;
}

// Events of 10 bytes, their seq in the first byte. Returns how many are to be appended.
static inline unsigned send_events(struct sender *s, uint64_t first_seq, unsigned count)
{
	uint8_t data[2048], payload[10] = {0};
	struct wire_writer w;

	begin(s, data, WIRE_EVENTS);
	wire_begin_events(&w, data + WIRE_HEADER, 1400, first_seq);
	for (unsigned i = 0; i < count; i++) {
		payload[0] = (uint8_t)(first_seq + i);
		assert_true(wire_add_event(&w, payload, sizeof(payload)));
	}
	return give(s, data, seal_close(&s->seal, true, data, WIRE_HEADER + wire_end_events(&w)));
}

static inline void append(struct sender *s, uint64_t first_seq, unsigned count)
{
	assert_int_equal(send_events(s, first_seq, count), count);
	receive_appended(s->r, count);
}

// The part of an event of 'total' bytes, all of value seq.
static inline unsigned send_part(
	struct sender *s, uint64_t seq, uint32_t total, uint32_t offset, uint16_t len)
{
	static uint8_t data[70000], bytes[65536];
	struct wire_part part = {seq, total, offset, len, bytes};

	memset(bytes, (int)seq, len);
	begin(s, data, WIRE_PART);
	return give(s, data,
		seal_close(&s->seal, true, data,
			WIRE_HEADER + wire_write_part(data + WIRE_HEADER, &part)));
}

static inline unsigned send_probe(struct sender *s)
{
	const struct wire_probe probe = {0, 0};
	uint8_t data[256];

	begin(s, data, WIRE_PROBE);
	return give(s, data,
		seal_sign(&s->key, data,
			WIRE_HEADER + wire_write_probe(data + WIRE_HEADER, &probe, 0)));
}

static inline void a_block_is_durable(struct receive *r)
{
	receive_submitted(r);
	receive_durable(r);
}

// The ACK that is due now, into 'ack'. False: none is.
static inline bool take_ack(struct sender *s)
{
	uint32_t len = next_answer(s->r);

	if (len == 0)
		return false;
	assert_int_equal(answer_header.type, WIRE_ACK);
	assert_memory_equal(&answer_to, &s->peer, sizeof(answer_to));
	len = seal_open(&s->seal, false, answer, len);
	assert_true(wire_read_ack(answer + WIRE_HEADER, len - WIRE_HEADER, &ack));
	return true;
}
