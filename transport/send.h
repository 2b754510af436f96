// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The sender's half of the protocol: events and a clock in, datagrams out. It keeps every event
// until the receiver has called it durable. One receiver at a time: whoever owns this decides when
// to go to another (send_move). No socket, no thread, no lock: the owner's thread alone.

#include "transport/seal.h"

#include <stddef.h>

// An epoch, and what it goes on from. No padding: two of them are compared as bytes.
struct send_epoch {
	uint32_t number;      // from 1
	uint32_t opened;      // 1: by the receiver whose log this is; 0: by nobody
	uint64_t first_seq;   // all below it is durable somewhere
	uint32_t prev_number; // 0: none, and of the others nothing is said
	uint32_t zero;
	uint64_t prev_seq; // of it, the first one that nobody acknowledged
	uint8_t log_id[16], prev_log[16];
};

struct send_config {
	uint64_t source;    // not 0
	uint64_t first_seq; // of the first event
	// Of number 1 or above, the rest zero; or, with 'resumed', what send_epoch_now() said in an
	// earlier process (a spool). Source and seqs go on from there: first_seq is one below which
	// all is durable, epoch.first_seq or above, and more may be than this process knows.
	struct send_epoch epoch;
	bool resumed;
	uint64_t sent_end;   // with 'resumed': no seq from here on was ever sent
	uint32_t mtu;        // bytes of a datagram, WIRE_MTU_MIN to WIRE_MTU_MAX, tag included
	uint32_t mtu_probe;  // up to which larger datagrams are tried; at most mtu: no probing
	uint64_t bytes_max;  // of events that are kept, their bookkeeping included
	struct seal_key key; // id 0: none
};

enum send_state {
	SEND_HELLO,   // asks to be challenged
	SEND_OPENING, // has answered the challenge
	SEND_OPEN,
	SEND_REFUSED, // by this receiver; send_move() goes on
};

struct send_stats {
	uint64_t events_sent, events_again; // first time, and once more
	uint64_t datagrams, bytes;
	uint64_t lost;     // datagrams taken for lost
	uint64_t timeouts; // probe timeouts
	uint64_t epochs;   // opened because of a receiver that had forgotten, or a move
	uint64_t ignored;  // datagrams that were not for this, or said nothing new
	uint64_t rtt_ns, cwnd;
};

struct send_half;

// -EINVAL: a number out of its range, or a cipher that this CPU hasn't. -ENOMEM.
int send_make(struct send_half **ret, const struct send_config *config, uint64_t now);
void send_free(struct send_half *s);

// Copies the event. 0 and its seq; -EAGAIN: bytes_max are kept; -EMSGSIZE: larger than
// WIRE_EVENT_MAX, or than the receiver takes, or than bytes_max; -ENOMEM.
int send_event(struct send_half *s, const void *payload, uint32_t len, uint64_t *seq);

// A datagram from the receiver (opened in place): from its address, for another receiver's may look
// as good where there is no key.
void send_take(struct send_half *s, uint8_t *data, uint32_t len, uint64_t now);

// The next datagram to be sent now, into 'data' (room for max(mtu, mtu_probe)). Returns its length;
// 0: none now. 'now' never goes back.
uint32_t send_next(struct send_half *s, uint64_t now, uint8_t *data);
// When to ask again, at the latest; UINT64_MAX: when something has happened.
uint64_t send_due(const struct send_half *s);

enum send_state send_state(const struct send_half *s);
// All below it are durable at the receiver.
uint64_t send_durable(const struct send_half *s);
// Also of one above it.
bool send_is_durable(const struct send_half *s, uint64_t seq);
// Some of it was given out by send_next(), to any receiver: if not, it is in no log.
bool send_was_sent(const struct send_half *s, uint64_t seq);
uint64_t send_next_seq(const struct send_half *s);  // of the next event
uint32_t send_event_max(const struct send_half *s); // bytes that the receiver takes, if known
uint64_t send_kept(const struct send_half *s);      // bytes, as bytes_max counts them
// The receiver knows events of this source that were never sent: there is another sender of that
// id, as where a spool was copied. It takes this one's events for those, so they are not sent to
// it.
bool send_is_outdated(const struct send_half *s);
// Whoever resumes it one day has to have this on disk before anything is sent after a send_take()
// or a send_move() that changed it.
const struct send_epoch *send_epoch_now(const struct send_half *s);
// The last time (ns) at which the receiver was heard with something new.
uint64_t send_progress(const struct send_half *s);

// To another receiver, or to the same one again from the beginning: the session is given up, and a
// new epoch begins at the first seq that isn't durable, unless nobody was ever asked to open this
// one.
void send_move(struct send_half *s, uint64_t now);
// Before a move that leaves nothing in doubt: what was never sent is not sent from now on, until
// send_go_on() or send_move(). Returns the seq below which all must be durable first.
uint64_t send_hold(struct send_half *s);
void send_go_on(struct send_half *s);
// No seq from here on was ever sent.
uint64_t send_sent_end(const struct send_half *s);
// Tells the receiver that the session ends, once, when nothing is kept; SEND_OPEN only.
uint32_t send_close(struct send_half *s, uint8_t *data);

void send_stats(const struct send_half *s, struct send_stats *ret);
