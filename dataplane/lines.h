// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Cuts a datagram's payload into events, without copying:
//
//	lines_init(&lines, listener->split, payload, payload_len);
//	while (lines_next(&lines, &event, &event_len))
//		...
//
// SPLIT_DATAGRAM: the whole payload is one event. SPLIT_LINES: each line without its LF or CR LF;
// the last needs none; a CR elsewhere is data; lines of no bytes are no events.

#include "common/config.h"

struct lines {
	const uint8_t *at;  // what is not yet given out
	const uint8_t *end; // borrowed from the caller, like at
	enum config_split split;
};

static inline void lines_init(
	struct lines *lines, enum config_split split, const uint8_t *payload, uint32_t len)
{
	lines->at = payload;
	lines->end = payload + len;
	lines->split = split;
}

bool lines_next_line(struct lines *lines, const uint8_t **ret, uint32_t *ret_len);

// False when there is no event left; *ret and *ret_len are set only with true.
static inline bool lines_next(struct lines *lines, const uint8_t **ret, uint32_t *ret_len)
{
	if (lines->split != SPLIT_DATAGRAM)
		return lines_next_line(lines, ret, ret_len);
	if (lines->at == lines->end)
		return false;
	*ret = lines->at;
	*ret_len = (uint32_t)(lines->end - lines->at);
	lines->at = lines->end;
	return true;
}
