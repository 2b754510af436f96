// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The load generator behind `millrace send`. An open loop: when it starts, the due time of every
// event is fixed (event i at start + i / rate); what the wire refuses is counted as loss and never
// offered again; being late is measured, and what is late is sent at once, never left out.
//
//   plan ──▶ send_run(): waits until a burst is due ──▶ wire: datagrams or frames ──▶ tally
//
// Events go in datagrams of 'lines' each, datagrams in bursts; a burst goes out when its last event
// is due. One thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEND_HEADER_BYTES 18u         // of a payload: run id in 8 hex digits, seq in 10 decimal
#define SEND_UDP_MAX 65507u           // bytes of a datagram's payload
#define SEND_PORT_MAX 1472u           // the same in a frame of 1514 bytes
#define SEND_COUNT_MAX 10000000000ull // 10 decimal digits
#define SEND_BURST_MAX 64u
#define SEND_FLOWS_MAX 1024u
#define SEND_WHY_BYTES 256

struct send_plan {
	uint32_t id;          // of this run
	uint64_t rate;        // events per second; 0: as fast as it goes
	uint64_t count;       // events in all, at most SEND_COUNT_MAX
	uint64_t duration_ns; // 0: until all are sent
	uint32_t size_min;    // bytes of an event, SEND_HEADER_BYTES at least
	uint32_t size_max;    // equal: all of one size
	uint32_t lines;       // events in a datagram, each a line
	uint32_t burst;       // datagrams handed over at once, at most SEND_BURST_MAX
	uint32_t flows;       // source ports, taken in turn by datagram
};

struct send_tally {
	uint64_t sent;        // events that the wire accepted
	uint64_t refused;     // events in datagrams that it did not
	uint64_t datagrams;   // accepted
	uint64_t bytes;       // payload of the events accepted
	uint64_t no_listener; // datagrams refused because the host said that nobody listens
	int last_error;       // errno of the last refusal, 0: none or not known
	uint64_t elapsed_ns;  // from the start to the end of the last hand-over
	uint64_t late_max_ns; // longest time between a burst's due time and its hand-over
	uint64_t behind_max;  // most events that were due and not yet handed over
	bool interrupted;
};

// What carries the datagrams. transmit() hands over the n datagrams from number 'first' on, once,
// and counts each in *tally as sent or refused. close() waits, bounded, until the wire has let go
// of them.
struct send_wire {
	void (*transmit)(
		struct send_wire *wire, uint64_t first, unsigned n, struct send_tally *tally);
	void (*close)(struct send_wire *wire);
};

// Fills in what was left 0 (burst, count) and checks the rest; 'datagram_max' bounds a datagram.
// -EINVAL with the reason in 'why' (SEND_WHY_BYTES).
int send_plan_settle(struct send_plan *plan, uint32_t datagram_max, char *why);

// Bytes of event 'seq': uniform between size_min and size_max, the same in every run of this id.
uint32_t send_event_size(const struct send_plan *plan, uint64_t seq);

// Events in datagram number d; only the last may have fewer than plan->lines.
uint32_t send_datagram_events(const struct send_plan *plan, uint64_t d);

// Writes a whole datagram; returns its length, and the bytes of its events in *ret_bytes.
uint32_t send_datagram_write(
	const struct send_plan *plan, uint64_t d, uint8_t *buf, uint32_t *ret_bytes);

// The longest datagram of the plan.
uint32_t send_datagram_max(const struct send_plan *plan);

// The 10 digits of a sequence number, and their successor.
void send_digits_set(uint8_t digits[10], uint64_t seq);
void send_digits_next(uint8_t digits[10]);

// The byte at a position of any payload behind its first 18: printable, never a newline.
uint8_t send_filler(uint32_t position);

enum send_payload {
	SEND_PAYLOAD_OURS,
	SEND_PAYLOAD_FOREIGN, // no payload of this run
	SEND_PAYLOAD_DAMAGED, // begins like one, but its filler is wrong
};
enum send_payload send_payload_parse(
	const uint8_t *payload, uint32_t len, uint32_t id, uint64_t *ret_seq);

// When event i is due, in ns after the start. 0 at full speed.
uint64_t send_due_ns(const struct send_plan *plan, uint64_t i);

// How many events are due 'ns' after the start, at most plan->count.
uint64_t send_due_count(const struct send_plan *plan, uint64_t ns);

// Sleeps until 'due' (ns of the monotonic clock), or *stop. Returns the time.
uint64_t send_wait_until(uint64_t due, const volatile bool *stop);

typedef void (*send_run_progress)(const struct send_tally *tally, void *arg);

// Sends it all. *stop: looked at before each burst. progress (may be NULL) is called each second.
void send_run(const struct send_plan *plan, struct send_wire *wire, const volatile bool *stop,
	send_run_progress progress, void *arg, struct send_tally *ret);

// Connected UDP sockets to "HOST:PORT" or "[IPv6]:PORT". 'plan' must outlive the wire.
int send_udp_open(
	struct send_wire **ret, const struct send_plan *plan, const char *target, char *why);

struct send_port_options {
	const char *device;  // PCI address or vdev with its arguments
	const char *to;      // "IPv4:PORT"
	const char *from;    // the same, the first source port
	const char *dst_mac; // NULL: the broadcast address
	bool no_huge;
	uint64_t link_timeout_ns; // how long to wait for the link
};

// A DPDK port of this process's own EAL, which can be started once. -ETIMEDOUT: no link.
int send_port_open(struct send_wire **ret, const struct send_plan *plan,
	const struct send_port_options *options, const volatile bool *stop, char *why);
