// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The receiver's half of the protocol, of one partition: sessions, duplicates, acknowledgements.
// Datagrams and a clock in, events and datagrams out; no socket, no log. The partition's own
// thread; memory is allocated by receive_make() alone.
//
// A datagram counts as heard when everything in it is in the log's open block, or was before: what
// a sender knows to be heard it need not send again in this session.
//
// What it promises: an ACK calls durable only what receive_durable() has called so; no seq of an
// epoch is handed out twice once receive_appended() took it; whoever hasn't shown that he gets mail
// at his address leaves nothing behind here.

#include "transport/peer.h"
#include "transport/seal.h"
#include "transport/seen.h"

#define RECEIVE_KEYS 4u
#define RECEIVE_EVENTS WIRE_EVENTS_MAX

#define RECEIVE_COUNTERS(X) \
	X(hellos, "HELLO answered with a challenge") \
	X(opened, "sessions opened") \
	X(resumed, "OPEN heard again and answered as before") \
	X(refused, "OPEN refused") \
	X(resets, "datagrams of no session, answered with a RESET") \
	X(unanswered, "answers that there was no room for; they are asked for again") \
	X(expired_sessions, "sessions that nothing was heard of for too long") \
	X(expired_sources, "sources that were forgotten") \
	X(acks, "ACKs sent") \
	X(probes, "PROBEs heard") \
	X(events, "events handed out to be appended") \
	X(duplicates, "events that are in the log already") \
	X(untaken, "events that could not be appended; their sender has them still") \
	X(overlaps, "epochs that go on from another log")

// Datagrams that lead to nothing, each named.
#define RECEIVE_DROPS(X) \
	X(malformed, "not a datagram of the protocol") \
	X(unsigned, "its key is unknown, or it isn't signed or sealed with it") \
	X(stale_cookie, "an OPEN whose challenge is not ours or too old") \
	X(replayed, "its number was heard in the session") \
	X(no_session, "of no session, without a right to an answer") \
	X(busy, "too many sources in blocks under way") \
	X(epoch, "of another epoch than its session's") \
	X(beyond_window, "an event too far ahead of the lowest missing one") \
	X(no_window, "an event out of order while all windows are in use") \
	X(no_parts, "part of a large event while there is no room to put it together") \
	X(part_mismatch, "part of a large event that doesn't fit its other parts") \
	X(too_large, "an event larger than the listener takes") \
	X(failed, "the partition has failed")

enum receive_counter {
#define X(name, help) RECEIVE_##name,
	RECEIVE_COUNTERS(X)
#undef X
#define X(name, help) RECEIVE_DROP_##name,
		RECEIVE_DROPS(X)
#undef X
			RECEIVE_COUNTER_COUNT
};

struct receive_config {
	uint32_t sources, windows, sessions; // most at once
	uint32_t snapshots;    // of what a block holds of a source: sources times blocks under way
	uint64_t credit;       // bytes, of all sessions together
	uint32_t event_max;    // bytes; at most WIRE_EVENT_MAX
	uint32_t large_events; // that are put together at once, each of event_max
	uint32_t source_expiry_s; // longer than a sender's longest retry
	uint8_t log_id[16];
	unsigned key_count; // 0: without keys; else nothing is heard that isn't signed
	struct seal_key keys[RECEIVE_KEYS];
};

struct receive;

// -ENOMEM.
int receive_make(struct receive **ret, const struct receive_config *config);
void receive_free(struct receive *r);

// One event to be appended, borrowed until the next call. An epoch's opening is a row of the log,
// too (is_opening): without it a restart could not tell the epoch's first seqs from ones it has.
struct received {
	uint64_t source, seq;
	uint32_t epoch;
	uint32_t len;
	const uint8_t *payload;
	bool is_opening;
};

// A datagram (which it may change: it opens it in place) from 'peer'; 'now' in ns of the monotonic
// clock. Returns how many of 'events' (room for RECEIVE_EVENTS) are to be appended, in order,
// before anything else is called; then receive_appended() says how many were: the rest is as if it
// had not been heard.
unsigned receive_take(struct receive *r, uint8_t *data, uint32_t len, const struct peer *peer,
	uint64_t now, struct received *events);
void receive_appended(struct receive *r, unsigned count);
// Why the datagram of the last receive_take() led to nothing; -1: it led to something.
int receive_dropped(const struct receive *r);

// What was appended since the last call is one block, submitted now. False: it was nothing, and no
// receive_durable() will be due for it.
bool receive_submitted(struct receive *r);
// The oldest block of receive_submitted() is durable. In order, one call each.
void receive_durable(struct receive *r);
// A block failed: no more is taken or acknowledged; only a new one, restored from the log, goes on.
void receive_fail(struct receive *r);

// The next datagram that is due, into 'data' (room for WIRE_QUESTION_MIN), and whom it goes to;
// returns its length, 0: none now.
uint32_t receive_next(struct receive *r, uint64_t now, uint8_t *data, struct peer *to);
// When to ask again, at the latest (ns); UINT64_MAX: when something has happened.
uint64_t receive_due(const struct receive *r);

// The sources as bytes (seen.h), to be loaded after a restart, before the rows of the log from the
// one on that was next to be appended when saving began. As seen_save().
size_t receive_save_room(const struct receive *r);
int receive_save(
	struct receive *r, uint32_t *at, uint32_t count, uint8_t *to, size_t *len, size_t room);
int receive_load(struct receive *r, const uint8_t *from, size_t len, uint32_t now_s);
// What another partition's half knows of sources that are this one's now. Before anything is taken.
// Returns how many they are; -ENOSPC.
int receive_adopt(struct receive *r, const struct receive *from,
	bool (*moves)(void *arg, uint64_t id), void *arg, uint32_t now_s);
// Knows nothing of these sources any more. Before anything is taken.
void receive_disown(struct receive *r, bool (*goes)(void *arg, uint64_t id), void *arg);
// After a restart, before anything else: each reliable row of the log, in order. One that is known
// already changes nothing. -ENOSPC: more sources than the configuration has room for. -ENOMEM.
// -EINVAL: the row's epoch was never opened.
int receive_restore(struct receive *r, const struct received *row, uint32_t now_s);

// By enum receive_counter.
const uint64_t *receive_counters(const struct receive *r);
// Sources known, for tests and metrics.
const struct seen *receive_seen(const struct receive *r);

// The payload of an opening row, and what it says.
#define RECEIVE_OPENING 64u
struct receive_opening {
	uint64_t first_seq;
	uint32_t prev_epoch;
	uint64_t prev_seq;
	uint8_t prev_log[16];
};
bool receive_read_opening(const uint8_t *payload, uint32_t len, struct receive_opening *ret);
