// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Every body's reader followed by its writer: all that was read is in what was written.

#include "transport/wire.h"

#include <stddef.h>

static inline uint32_t rewrite_handshake(
	enum wire_type type, const uint8_t *body, uint32_t len, uint8_t *again)
{
	struct wire_hello hello;
	struct wire_challenge challenge;
	struct wire_open open;
	struct wire_opened opened;
	struct wire_refused refused;

	switch (type) {
	case WIRE_HELLO:
		return wire_read_hello(body, len, &hello) ? wire_write_hello(again, &hello) : 0;
	case WIRE_CHALLENGE:
		return wire_read_challenge(body, len, &challenge)
			       ? wire_write_challenge(again, &challenge)
			       : 0;
	case WIRE_OPEN:
		return wire_read_open(body, len, &open) ? wire_write_open(again, &open) : 0;
	case WIRE_OPENED:
		return wire_read_opened(body, len, &opened) ? wire_write_opened(again, &opened) : 0;
	default:
		return wire_read_refused(body, len, &refused) ? wire_write_refused(again, &refused)
							      : 0;
	}
}

static inline uint32_t rewrite_events(const struct wire_events *events, uint8_t *again)
{
	struct wire_writer w;
	const uint8_t *event;
	uint32_t at = 0, len;

	wire_begin_events(&w, again, WIRE_MTU_MAX, events->first_seq);
	while ((event = wire_next_event(events, &at, &len)) != NULL)
		wire_add_event(&w, event, len);
	return wire_end_events(&w);
}

static inline uint32_t rewrite_session(
	enum wire_type type, const uint8_t *body, uint32_t len, uint8_t *again)
{
	struct wire_events events;
	struct wire_part part;
	struct wire_probe probe;
	struct wire_ack ack;

	switch (type) {
	case WIRE_EVENTS:
		return wire_read_events(body, len, &events) ? rewrite_events(&events, again) : 0;
	case WIRE_PART:
		return wire_read_part(body, len, &part) ? wire_write_part(again, &part) : 0;
	case WIRE_PROBE:
		return wire_read_probe(body, len, &probe) ? wire_write_probe(again, &probe, len)
							  : 0;
	case WIRE_ACK:
		return wire_read_ack(body, len, &ack) ? wire_write_ack(again, &ack) : 0;
	case WIRE_CLOSE:
		return wire_read_close(body, len) ? wire_write_close(again) : 0;
	default:
		return 0;
	}
}

// What is read of a body, written again, room for WIRE_MTU_MAX: returns its length; 0: the body was
// refused. A RESET has none.
static inline uint32_t rewrite(
	enum wire_type type, const uint8_t *body, uint32_t len, uint8_t *again)
{
	return type <= WIRE_REFUSED ? rewrite_handshake(type, body, len, again)
				    : rewrite_session(type, body, len, again);
}
