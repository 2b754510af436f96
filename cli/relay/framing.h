// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Messages out of a TCP stream, as RFC 6587 frames syslog: octet counting (3.4.1) or a newline at
// the end (3.4.2), each message as it comes. Lines that are no syslog are messages, too. Bytes in,
// messages out; no socket in here.

#include <stdbool.h>
#include <stdint.h>

struct framing {
	uint8_t *bytes;
	uint32_t room, most; // of 'bytes'; bytes of a message
	uint32_t from, to;   // of what came and wasn't taken yet
	uint32_t searched;   // from 'from' on: no newline in so many bytes
	uint32_t next;       // bytes that framing_take() passes over
	bool counted;        // the message before was octet counted
	bool next_counted;   // that which framing_take() passes over is
	bool ended;
};

// 'most': bytes of a message. -ENOMEM.
int framing_init(struct framing *f, uint32_t most);
void framing_free(struct framing *f);

// Where bytes are to be put, and how many fit: never 0 after framing_next() said that there is
// none.
uint8_t *framing_room(struct framing *f, uint32_t *len);
void framing_filled(struct framing *f, uint32_t len);
// Nothing more comes: what lies there is a message, unless it is a part of an octet counted one.
void framing_end(struct framing *f);

// The next message, borrowed until the next call of any other function here: 1, and again the same
// until framing_take(). 0: none yet, or none any more; -EMSGSIZE: it is longer than 'most', and
// nothing behind it can be found.
int framing_next(struct framing *f, const uint8_t **message, uint32_t *len);
void framing_take(struct framing *f);

// After the end: bytes of a message of which a part is missing.
uint32_t framing_rest(const struct framing *f);
