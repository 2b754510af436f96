// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of the receiver's half share.

#include "transport/receive.h"

#define MS_NS 1000000ull
#define ANSWERS 256u // of the handshake, waiting to be sent
// A session nothing was heard of for so long is given up: its sender opens another.
#define SESSION_NS (60000 * MS_NS)
// It has no share of the credit when nothing was heard of it for so long.
#define ACTIVE_NS (1000 * MS_NS)
// One with parts of a large event may be given up for another's parts after so long.
#define STALLED_NS (1000 * MS_NS)
#define COOKIE_MS 10000u
#define ACK_DELAY_NS MS_NS   // of the first datagram that isn't acknowledged
#define ACK_PACKETS 32u      // or that many datagrams
#define FULL_NS (50 * MS_NS) // without credit after an event could not be appended

enum ack_state { ACK_NONE, ACK_WAITING, ACK_READY };

// A doubly linked list through the sessions, by index.
struct links {
	uint32_t prev, next;
};
struct list {
	uint32_t first, last;
};

struct session {
	uint64_t token; // 0: free
	uint32_t source;
	struct peer opened;    // who has shown that he gets mail there
	struct peer peer;      // where the newest datagram came from
	uint32_t answers_left; // ACKs to 'peer', where that is somebody else
	struct seal_session seal;
	uint8_t random[32], server[32];
	uint64_t made; // of the OPEN's challenge
	uint64_t heard_at;
	bool active;
	struct links age, due;
	enum ack_state ack;
	uint64_t ack_due;    // while ACK_WAITING
	uint32_t ack_owed;   // datagrams heard since the last ACK
	uint64_t ack_number; // of the last one sent
	uint64_t largest, largest_at;
	uint64_t heard[2]; // as in struct wire_ack
	// Durable above the source's floor of that time, as of the last durable block.
	uint32_t range_count;
	struct seen_run ranges[WIRE_RANGES];
	uint32_t parts; // first of its large events' slots; SEEN_NONE
};

// What a block holds of a source: durable when the block is.
struct snapshot {
	uint64_t block, id, floor;
	uint32_t source, range_count;
	struct seen_run ranges[WIRE_RANGES];
};

struct answer {
	uint32_t len;
	struct peer peer;
	uint8_t data[WIRE_QUESTION_MIN];
};

struct parts;

// What receive_take() handed out and receive_appended() will confirm.
struct handed {
	enum { HANDED_NOTHING, HANDED_EVENTS, HANDED_PART, HANDED_OPENING } what;
	struct session *session;
	uint64_t number, now;
	unsigned count;
	const struct received *events;
	bool all; // the datagram held nothing that had to be left out
	struct peer peer;
	struct wire_header header; // of an opening, as all below
	struct wire_open open;
	uint8_t payload[RECEIVE_OPENING];
	uint32_t slot; // of a large event
	struct wire_part part;
};

struct receive {
	struct receive_config config;
	struct seen *seen;
	struct seal_cookie cookie;
	bool failed;
	uint64_t full_until;
	struct session *sessions;
	uint32_t free_session; // through age.next
	struct list ages;      // oldest first
	uint32_t active_from;  // the oldest active one
	uint32_t active;
	struct list waiting, ready; // sessions that are owed an ACK
	struct answer *answers;
	uint32_t answer_first, answer_count;
	uint32_t *touched; // sources of the open block
	uint32_t touched_count;
	struct snapshot *snapshots;
	uint32_t snapshot_first, snapshot_count;
	uint64_t submitted, durable; // blocks
	struct parts *parts;
	struct handed handed;
	int dropped; // the last datagram: for this reason; -1: it was not
	uint64_t counters[RECEIVE_COUNTER_COUNT];
};

static inline void count(struct receive *r, enum receive_counter counter)
{
	r->counters[counter]++;
}

// Counted, and the reason told if nothing comes of the datagram.
static inline void drop(struct receive *r, enum receive_counter reason)
{
	count(r, reason);
	r->dropped = (int)reason;
}

static inline uint32_t seconds(uint64_t now)
{
	return (uint32_t)(now / (1000 * MS_NS));
}

// By id; NULL: none such. Without keys the one of id 0.
const struct seal_key *key_of(const struct receive *r, uint16_t id);

// receive_open.c
void take_hello(struct receive *r, const struct wire_header *header, const uint8_t *data,
	uint32_t len, const struct peer *peer, uint64_t now);
unsigned take_open(struct receive *r, const struct wire_header *header, const uint8_t *data,
	uint32_t len, const struct peer *peer, uint64_t now, struct received *events);
void opening_appended(struct receive *r);
void answer_reset(struct receive *r, const struct wire_header *header, const struct peer *peer);
bool take_answer(struct receive *r, uint8_t *data, struct peer *to, uint32_t *len);

// receive_sessions.c
struct session *session_of(struct receive *r, struct seen_source *source, uint64_t token);
struct session *session_new(struct receive *r, struct seen_source *source, uint64_t now);
void session_end(struct receive *r, struct session *session);
void session_heard(struct receive *r, struct session *session, uint64_t now);
// Gives up what is too old, and takes the credit from who is idle.
void sessions_expire(struct receive *r, uint64_t now);
bool sessions_make(struct receive *r);

// receive_acks.c
bool number_is_new(const struct session *session, uint64_t number);
// Marks the number as heard, and sees to it that an ACK says so.
void hear(struct receive *r, struct session *session, uint64_t number, uint64_t now);
void ask_ack(struct receive *r, struct session *session, bool at_once, uint64_t now);
void forget_ack(struct receive *r, struct session *session);
uint32_t credit_of(const struct receive *r, uint64_t now);
// False: there is no room to remember another source for the open block.
bool may_touch(const struct receive *r);
void touch(struct receive *r, struct seen_source *source);

// receive_parts.c
int parts_make(struct receive *r);
void parts_free(struct receive *r);
// The whole event when this part completes it. Counts its drop.
unsigned take_part(struct receive *r, struct session *session, struct seen_source *source,
	const struct wire_part *part, uint64_t now, struct received *events);
void part_appended(struct receive *r);
void part_refused(struct receive *r);
void parts_end(struct receive *r, struct session *session);
