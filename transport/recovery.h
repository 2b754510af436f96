// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Loss recovery and congestion control of a sender, after RFC 9002, for one session: which
// datagrams are lost, when to probe, how much may be under way. Knows numbers, sizes and times of
// datagrams, not what is in them: each asks for an ACK. Times in ns of a clock that never goes
// back.

#include <stdbool.h>
#include <stdint.h>

struct recovery;

enum recovery_fate { RECOVERY_HEARD, RECOVERY_LOST };
// Of a datagram, once. Of what is here it may call recovery_set_mtu() alone.
typedef void recovery_told(void *arg, uint64_t number, enum recovery_fate fate);

// 'packets': most under way at once, rounded up to a power of two. -ENOMEM.
int recovery_make(
	struct recovery **ret, uint32_t packets, uint32_t mtu, recovery_told *told, void *arg);
void recovery_free(struct recovery *r);
// A new session, with datagrams of 'mtu': nothing is under way and nobody is told of what was,
// nothing is known of the path, numbers begin at 1. Only the counters go on.
void recovery_reset(struct recovery *r, uint32_t mtu, uint64_t now);
// Larger datagrams get through.
void recovery_set_mtu(struct recovery *r, uint32_t mtu);

// Whether a datagram of 'bytes' may be sent now, by window, pacing and room. With UINT64_MAX for
// 'now': whether only the pacer may hold it back. What recovery_timeout() asks for may be sent
// whatever this says.
bool recovery_may_send(const struct recovery *r, uint32_t bytes, uint64_t now);
// The number of the next datagram, then that it is sent. An MTU probe that is lost tells nothing of
// congestion (RFC 9000, 14.4). Without room the oldest under way is told lost, within the call.
uint64_t recovery_next(const struct recovery *r);
void recovery_sent(struct recovery *r, uint32_t bytes, bool mtu_probe, uint64_t now);
// What an ACK says: as in struct wire_ack. False: it says nothing that was not known.
bool recovery_heard(struct recovery *r, uint64_t largest, const uint64_t heard[2],
	uint64_t delay_ns, uint64_t now);
// The clock has come to recovery_due(): tells losses by time. True: a probe is to be sent, which
// the congestion window doesn't hold back (RFC 9002, 6.2.4). After at most two calls in a row
// recovery_due() is ahead of 'now'.
bool recovery_timeout(struct recovery *r, uint64_t now);
uint64_t recovery_due(const struct recovery *r);
// When the pacer lets the next datagram out.
uint64_t recovery_pace_due(const struct recovery *r);

uint64_t recovery_rtt(const struct recovery *r); // smoothed
uint64_t recovery_cwnd(const struct recovery *r);
uint64_t recovery_in_flight(const struct recovery *r); // bytes
uint64_t recovery_lost(const struct recovery *r);      // datagrams, without MTU probes
uint64_t recovery_timeouts(const struct recovery *r);
