// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The datagrams between a sender and a receiver, as bytes: docs/protocol.md is the same in prose.
// Little-endian, at any alignment. Writing never fails (callers have the room stated); reading
// trusts nothing: it says no to whatever is too short, too long, of another version or has bits set
// that mean nothing. No state, no clock, no key: see seal.h.

#include <stdbool.h>
#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_HEADER 32u
#define WIRE_TAG 16u // behind every datagram with a key

// The smallest of a sender: no answer is larger than its question. All with the tag. Without a key
// each is WIRE_TAG shorter, question and answer alike: bodies are the same with a key and without.
#define WIRE_QUESTION_MIN 208u // HELLO and OPEN, padded to it: CHALLENGE, OPENED, REFUSED fit in
#define WIRE_DATA_MIN 128u     // EVENTS, PART, PROBE, CLOSE, padded to it
#define WIRE_ACK_MAX 128u      // ACK and RESET
#define WIRE_MTU_MIN 1232u     // what every IPv6 path carries behind IPv6 and UDP headers
#define WIRE_MTU_MAX 65487u
#define WIRE_EVENTS_MAX 4096u // of one datagram
#define WIRE_EVENT_MAX (1u << 20)
#define WIRE_PART_GRAIN 64u // parts begin on its multiples, and end on one or with the event
#define WIRE_RANGES 4u
#define WIRE_HEARD 128u // packets below the largest that an ACK tells about

enum wire_type {
	WIRE_HELLO = 1,     // sender: may I come in?
	WIRE_CHALLENGE = 2, // receiver, without keeping anything: bring this back
	WIRE_OPEN = 3,      // sender: here it is; these are the source, its epoch and its place
	WIRE_OPENED = 4,    // receiver: a session
	WIRE_REFUSED = 5,   // receiver: no session, and why
	WIRE_EVENTS = 6,    // sender: events with consecutive seqs
	WIRE_PART = 7,      // sender: part of one event that is larger than a datagram
	WIRE_PROBE = 8,  // sender: nothing but a question for an ACK; padded, it asks for the MTU.
			 // Signed, not sealed: a receiver that knows no session can tell that
			 // it deserves a RESET
	WIRE_ACK = 9,    // receiver: what was heard, what is durable, what may come
	WIRE_RESET = 10, // receiver: no such session
	WIRE_CLOSE = 11, // sender: the session's end
};

struct wire_header {
	uint8_t type;
	uint16_t key;    // 0: neither sealed nor signed
	uint32_t epoch;  // from 1
	uint64_t source; // not 0, which in the log is that of plain events
	uint64_t token;  // of the session; 0 before there is one
	uint64_t number; // of the datagram in its session and direction, from 1; 0 before, and of
			 // RESET
};

struct wire_hello {
	uint8_t random[32];
};

// random: the sender's of HELLO, so that it knows its own.
struct wire_challenge {
	uint8_t random[32];
	uint64_t made; // ms of the receiver's clock; nothing to the sender
	uint8_t mac[16];
};

#define WIRE_FRESH 1u // nothing of this epoch has been acknowledged to this sender by anybody

struct wire_open {
	uint8_t random[32];
	uint64_t made;
	uint8_t mac[16];
	uint32_t flags;
	uint64_t first_seq; // the lowest that isn't acknowledged
	// This epoch goes on where that one ended, 0: none, and of it this is the first seq that
	// nobody acknowledged, in this log. The other two are zero without it.
	uint32_t prev_epoch;
	uint64_t prev_seq;
	uint8_t prev_log[16];
};

struct wire_opened {
	uint8_t random[32]; // the sender's of OPEN
	uint8_t server[32]; // the receiver's
	uint64_t token;     // of the session from now on; its header still has 0
	uint8_t log_id[16];
	uint64_t durable;   // every seq of the epoch below it is durable
	uint32_t credit;    // bytes that may be under way
	uint32_t window;    // seqs above the lowest missing one that are taken
	uint32_t event_max; // bytes
};

enum wire_refusal {
	WIRE_UNKNOWN_EPOCH = 1, // not fresh, and nothing is known of it here: open a new epoch
	WIRE_OLD_EPOCH = 2,     // there was a later one; 'epoch' says which
	WIRE_NO_ROOM = 3,       // for another source or session now
};

struct wire_refused {
	uint8_t random[32]; // the sender's of OPEN
	uint32_t reason;
	uint32_t epoch; // with WIRE_OLD_EPOCH; else 0
};

// Events with the seqs from first_seq on. 'bytes' are theirs, each behind its length (u16).
struct wire_events {
	uint64_t first_seq;
	uint16_t count;
	uint32_t len; // of bytes
	const uint8_t *bytes;
};

struct wire_part {
	uint64_t seq;
	uint32_t total, offset; // bytes; offset: a multiple of the grain, as is len but at the end
	uint16_t len;
	const uint8_t *bytes;
};

struct wire_probe {
	uint64_t first_seq; // the lowest that isn't acknowledged
	uint64_t next_seq;  // that the sender has not given out yet
};

struct wire_range {
	uint32_t from; // seqs above 'durable', which is missing itself: at least 1
	uint32_t count;
};

struct wire_ack {
	uint64_t largest;  // packet number heard; 0: none
	uint64_t heard[2]; // bit i of word w: packet largest - 1 - 64 w - i was heard; none below 1
	uint32_t delay;    // µs since 'largest' was heard
	uint32_t credit;
	uint64_t durable;
	uint32_t range_count;
	struct wire_range ranges[WIRE_RANGES]; // durable, too; ascending, apart by one at least
};

// The header of a datagram of 'len' bytes. False: none of ours, or shorter than any of its type:
// what got through here may be answered without a look at its length.
bool wire_read_header(const uint8_t *data, uint32_t len, struct wire_header *ret);
void wire_write_header(uint8_t *data, const struct wire_header *header);

// A body: behind the header, without the tag; after seal_open(). Exactly as long as it must be.
bool wire_read_hello(const uint8_t *body, uint32_t len, struct wire_hello *ret);
bool wire_read_challenge(const uint8_t *body, uint32_t len, struct wire_challenge *ret);
bool wire_read_open(const uint8_t *body, uint32_t len, struct wire_open *ret);
bool wire_read_opened(const uint8_t *body, uint32_t len, struct wire_opened *ret);
bool wire_read_refused(const uint8_t *body, uint32_t len, struct wire_refused *ret);
bool wire_read_events(const uint8_t *body, uint32_t len, struct wire_events *ret);
bool wire_read_part(const uint8_t *body, uint32_t len, struct wire_part *ret);
bool wire_read_probe(const uint8_t *body, uint32_t len, struct wire_probe *ret);
bool wire_read_ack(const uint8_t *body, uint32_t len, struct wire_ack *ret);
// Padding alone. A RESET is right when its length is 0.
bool wire_read_close(const uint8_t *body, uint32_t len);

// They return the length of the body. Those of a sender's session pad with zeros to what makes
// WIRE_DATA_MIN with header and tag; HELLO and OPEN to WIRE_QUESTION_MIN, with a key or without.
uint32_t wire_write_hello(uint8_t *body, const struct wire_hello *hello);
uint32_t wire_write_challenge(uint8_t *body, const struct wire_challenge *challenge);
uint32_t wire_write_open(uint8_t *body, const struct wire_open *open);
uint32_t wire_write_opened(uint8_t *body, const struct wire_opened *opened);
uint32_t wire_write_refused(uint8_t *body, const struct wire_refused *refused);
// 'len': of the body, if that is more than it has anyway.
uint32_t wire_write_probe(uint8_t *body, const struct wire_probe *probe, uint32_t len);
uint32_t wire_write_ack(uint8_t *body, const struct wire_ack *ack);
// Without a body but for padding.
uint32_t wire_write_close(uint8_t *body);

// Events one after another: begin, add while there is room, end. 'room': of the body, which has
// that of a datagram of WIRE_DATA_MIN at least. One event at least is added before the end.
struct wire_writer {
	uint8_t *body;
	uint32_t room, len;
	uint16_t count;
};
void wire_begin_events(struct wire_writer *w, uint8_t *body, uint32_t room, uint64_t first_seq);
bool wire_add_event(struct wire_writer *w, const void *payload, uint32_t len);
uint32_t wire_end_events(struct wire_writer *w);
uint32_t wire_write_part(uint8_t *body, const struct wire_part *part);
// Bytes of an event that one PART holds, of a datagram of mtu bytes, tag included: whole grains.
uint32_t wire_part_room(uint32_t mtu);

// The next of wire_events: advances 'at', which begins at 0. NULL: that was the last. Only on what
// wire_read_events() took.
const uint8_t *wire_next_event(const struct wire_events *events, uint32_t *at, uint32_t *len);

// The slot of 1024 that a source has, whatever way its datagrams take, in every release that speaks
// this version: by it datagrams find their partition, and a restart the sources of each.
#define WIRE_SLOTS 1024u
uint32_t wire_slot(uint64_t source);
