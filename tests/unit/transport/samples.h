// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A datagram's body of each type, whose bytes tell where they should be.

#include "rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM WIRE_MTU_MAX
#define TYPES (WIRE_CLOSE + 1)

static uint8_t sample[TYPES][ROOM], copy[ROOM], again[ROOM];
static uint32_t sample_len[TYPES];

static inline void fill(uint8_t *bytes, uint32_t len, uint8_t first)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
}

static inline uint32_t make_handshake(enum wire_type type, uint8_t *body)
{
	struct wire_hello hello;
	struct wire_challenge challenge = {.made = 0x2726252423222120};
	struct wire_open open = {.made = 0x2726252423222120,
		.flags = WIRE_FRESH,
		.first_seq = 0x4746454443424140,
		.prev_epoch = 0x4b4a4948,
		.prev_seq = 0x5756555453525150};
	struct wire_opened opened = {.token = 0x4746454443424140,
		.durable = 0x5f5e5d5c5b5a5958,
		.credit = 0x63626160,
		.window = 0x67666564,
		.event_max = 0x100000};
	struct wire_refused refused = {.reason = WIRE_OLD_EPOCH, .epoch = 0x27262524};

	fill(hello.random, 32, 0);
	fill(challenge.random, 32, 0);
	fill(challenge.mac, 16, 0x28);
	fill(open.random, 32, 0);
	fill(open.mac, 16, 0x28);
	fill(open.prev_log, 16, 0x58);
	fill(opened.random, 32, 0);
	fill(opened.server, 32, 0x20);
	fill(opened.log_id, 16, 0x48);
	fill(refused.random, 32, 0);
	switch (type) {
	case WIRE_HELLO:
		return wire_write_hello(body, &hello);
	case WIRE_CHALLENGE:
		return wire_write_challenge(body, &challenge);
	case WIRE_OPEN:
		return wire_write_open(body, &open);
	case WIRE_OPENED:
		return wire_write_opened(body, &opened);
	default:
		return wire_write_refused(body, &refused);
	}
}

static inline uint32_t make_events(uint8_t *body)
{
	struct wire_writer w;

	wire_begin_events(&w, body, ROOM, 0x0706050403020100);
	assert_true(wire_add_event(&w, "one", 3));
	assert_true(wire_add_event(&w, NULL, 0));
	assert_true(wire_add_event(&w, "three", 5));
	return wire_end_events(&w);
}

static inline uint32_t make_session(enum wire_type type, uint8_t *body)
{
	static const uint8_t bytes[] = "tail";
	struct wire_part part = {0x0706050403020100, 0x444, 0x440, 4, bytes};
	struct wire_probe probe = {0x0706050403020100, 0x0706050403020101};
	struct wire_ack ack = {.largest = 0x0706050403020100,
		.heard = {0x0f0e0d0c0b0a0908, 0x1716151413121110},
		.delay = 0x1b1a1918,
		.credit = 0x1f1e1d1c,
		.durable = 0x2726252423222120,
		.range_count = 3,
		.ranges = {{1, 0x100}, {0x102, 2}, {0x42414039, 3}}};

	switch (type) {
	case WIRE_EVENTS:
		return make_events(body);
	case WIRE_PART:
		return wire_write_part(body, &part);
	case WIRE_PROBE:
		return wire_write_probe(body, &probe, 0);
	case WIRE_ACK:
		return wire_write_ack(body, &ack);
	case WIRE_CLOSE:
		return wire_write_close(body);
	default:
		return 0;
	}
}

// Bytes that nobody wrote are seen: they are not zero.
static inline int set_up(void **)
{
	for (unsigned type = WIRE_HELLO; type < TYPES; type++) {
		memset(sample[type], 0xee, ROOM);
		sample_len[type] = type <= WIRE_REFUSED ? make_handshake(type, sample[type])
							: make_session(type, sample[type]);
	}
	return 0;
}

// Whether it is read, in a block of just its size; then all of it was understood.
static inline bool is_read(enum wire_type type, const uint8_t *body, uint32_t len)
{
	uint8_t *heap = malloc(len + 1);
	uint32_t got;

	assert_non_null(heap);
	memcpy(heap + 1, body, len);
	got = rewrite(type, heap + 1, len, again);
	free(heap);
	if (got == 0)
		return false;
	assert_int_equal(got, len);
	assert_memory_equal(again, body, len);
	return true;
}

static inline void put(uint8_t *at, uint32_t size, uint64_t value)
{
	for (uint32_t i = 0; i < size; i++)
		at[i] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
}
