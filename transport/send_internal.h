// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of the sender's half share.

#include "transport/recovery.h"
#include "transport/send.h"

#define MS_NS 1000000ull
#define SEND_DATAGRAMS 4096u // under way at most; a power of two
#define NO_SEQ UINT64_MAX

// Of an event, in the session.
enum event_state {
	EVENT_WAITING,   // never sent in it
	EVENT_UNDER_WAY, // all of it that was sent is heard or under way
	EVENT_AGAIN,     // it, or a part of it, is to be sent once more
	EVENT_HEARD,     // in the receiver's open block, or further
	EVENT_DURABLE,   // above the first one that isn't
};

enum part_state { PART_WAITING, PART_UNDER_WAY, PART_AGAIN, PART_HEARD };

struct event {
	uint32_t len;
	uint32_t part_size; // 0: goes in one piece, as far as is known
	uint32_t part_next; // parts from here on were never sent in the session
	uint32_t parts_heard, parts_again;
	uint8_t state;
	bool durable;    // in some epoch: to be told, though another receiver may need it yet
	bool here;       // ... in this one
	bool sent;       // in some session
	uint8_t bytes[]; // the payload, then the state of each part of the smallest size
};

enum content { CONTENT_EVENTS, CONTENT_PART, CONTENT_PROBE, CONTENT_MTU };

// What is in a datagram that is under way.
struct datagram {
	uint64_t seq;
	uint32_t count; // of events; which part
	uint32_t bytes;
	uint8_t content;
};

// Which size is being tried: RFC 8899, 5.3, as far as a session needs it.
struct mtu_search {
	uint32_t low, high; // gets through; may get through
	uint32_t size;      // 0: the search is over
	unsigned losses;    // of this size, in a row
	bool under_way;
	bool suspected; // the size that is in use is the one that is tried
	bool hole;      // ... and doesn't get through
	// Of datagrams that only a search lets be so large.
	uint64_t large_heard;  // the highest number
	unsigned large_losses; // above it
};

struct send_half {
	struct send_config config;
	struct send_stats stats;
	enum send_state state;
	bool closed; // nothing more is said until there is another event
	uint64_t progress;

	// Events that aren't durable, and those between them: the seqs [lowest, next_seq), in a
	// ring of 'slots', a power of two.
	struct event **events;
	uint32_t slots;
	uint64_t lowest, next_seq;
	uint64_t ahead;    // all below are durable, though they may not be given out again yet
	uint64_t sent_end; // no seq from here on was ever sent, by an earlier process neither
	uint64_t hold_end; // none from here on may be sent; UINT64_MAX: all may
	bool outdated;
	uint64_t kept;

	struct send_epoch epoch;
	bool used;         // somebody was asked to open it
	bool acknowledged; // something of it, or that may be

	// The handshake.
	uint8_t random[32];
	struct wire_challenge challenge;
	uint64_t due;      // of its next datagram
	unsigned tries;    // of the question that is open
	unsigned failures; // beginnings since a session last led to something
	unsigned refusals; // in a row, for want of room

	// The session.
	uint64_t token; // 0: none
	struct seal_session seal;
	uint32_t credit, window, event_max;
	uint32_t mtu;
	struct mtu_search search;
	uint64_t ack_number; // of the newest one heard
	uint64_t unsettled;  // bytes of events sent in it that aren't durable
	uint64_t unsent;     // nothing below waits to be sent for the first time
	uint64_t again;      // nothing below is to be sent again
	uint32_t again_count;
	uint32_t large;   // events that the receiver may be putting together: at most one
	bool large_asked; // for an ACK, since the last part was sent
	bool owes_probe;
	unsigned asks;       // PROBEs in vain, since it last told of something
	uint64_t quiet_from; // when something was last sent, or heard that was new
#ifdef MUTANT_SEND_NONCE_REUSED
	uint64_t lost_number;
#endif
	struct recovery *recovery;
	struct datagram datagrams[SEND_DATAGRAMS];
};

static inline struct event *event_of(const struct send_half *s, uint64_t seq)
{
	return s->events[seq & (s->slots - 1)];
}

static inline uint32_t parts_of(const struct event *e)
{
	return (e->len + e->part_size - 1) / e->part_size;
}

static inline uint8_t *part_states(struct event *e)
{
	return e->bytes + e->len;
}

// 'first' doubled so often, at most 'most'.
static inline uint64_t backoff(uint64_t first, unsigned doublings, uint64_t most)
{
	uint64_t wait = first << (doublings < 16 ? doublings : 16);

	return wait < most ? wait : most;
}

// send.c
uint32_t write_header(const struct send_half *s, uint8_t *data, enum wire_type type);
// All below 'seq' are durable: forgets them.
void forget_below(struct send_half *s, uint64_t seq);
// Whether the receiver may say so. What was never sent is of another sender.
bool may_be_durable(const struct send_half *s, uint64_t seq);

// send_open.c: the session is given up, and another one begins with a HELLO at 'due'.
void begin(struct send_half *s, uint64_t due);
// The same after something went wrong: at once the first time, then later and later.
void begin_again(struct send_half *s, uint64_t now);
void new_epoch(struct send_half *s, uint32_t epoch);
bool take_handshake(struct send_half *s, const struct wire_header *header, const uint8_t *body,
	uint32_t len, uint64_t now);
uint32_t next_of_handshake(struct send_half *s, uint64_t now, uint8_t *data);

// send_pack.c
// Whether there is something that credit and window let out.
bool may_pack(const struct send_half *s);
uint32_t next_of_session(struct send_half *s, uint64_t now, uint8_t *data);
uint64_t session_due(const struct send_half *s);

// send_acks.c
recovery_told take_fate;
bool take_ack(struct send_half *s, uint64_t number, const struct wire_ack *ack, uint64_t now);
void send_again(struct send_half *s, uint64_t seq, struct event *e);
void send_part_again(struct send_half *s, uint64_t seq, struct event *e, uint32_t part);

// send_mtu.c
void mtu_search_begin(struct send_half *s);
void mtu_told(struct send_half *s, uint64_t number, const struct datagram *datagram, bool heard);
bool mtu_is_too_large(const struct send_half *s);
