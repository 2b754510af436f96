// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Cuts a datagram's payload into events, without copying:
//
//	lines_init(&lines, payload, payload_len);
//	while (lines_next(&lines, &event, &event_len))
//		...
//
// An event is a line without its LF or CR LF; the last needs none; a CR elsewhere is data; lines of
// no bytes are no events.

#include <stdbool.h>
#include <stdint.h>

struct lines {
	const uint8_t *at;  // what is not yet given out
	const uint8_t *end; // borrowed from the caller, like at
};

static inline void lines_init(struct lines *lines, const uint8_t *payload, uint32_t len)
{
	lines->at = payload;
	lines->end = payload + len;
}

// False when there is no event left; *ret and *ret_len are set only with true.
bool lines_next(struct lines *lines, const uint8_t **ret, uint32_t *ret_len);
