// SPDX-License-Identifier: BSD-3-Clause
// RFC 9002 with the constants of a data centre: round trips there are 20 µs to 1 ms, and the
// receiver answers from a polling core, so its timers can be far finer than the Internet's.

#include "transport/recovery.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_THRESHOLD 3u // 6.1.1
// 6.1.2 and 6.2.1 have 1 ms, for the timers of 2021's systems. What is reordered here was on two
// paths or two queues, some 10 µs apart, and hrtimers wake within 50 µs.
#define GRANULARITY 100000ull
// 6.2.2 has 333 ms for a path that may go round the world. Ten times the longest of a site; the
// first answer replaces it.
#define RTT_INITIAL 10000000ull
// Neither a host that was suspended nor a cable that was out must be taken for a round trip: so
// long, and some round trips after that, nothing is sent. No site's is longer.
#define RTT_MAX 1000000000ull
// The receiver gathers ACKs for at most 1 ms; as much again for a core that sleeps or is preempted.
#define ACK_DELAY_MAX 2000000ull
// 6.2.1 has no limit. A receiver that comes back shall be noticed at once, and a datagram of 128
// bytes a second harms no path.
#define PTO_MAX 1000000000ull
#define PERSISTENT 3u // PTOs: 7.6.1
#define WINDOW_MIN 2u // datagrams: 7.2
// 7.2 has 10 datagrams and 14,720 bytes. 16 is what leaves in one burst anyhow (7.7), less than the
// smallest ring of a NIC; with jumbo frames as many bytes as of frames of 1500 they'd be 96.
#define WINDOW_INITIAL 16u
#define WINDOW_INITIAL_BYTES (144u << 10)
// 7.3 halves the window at a loss, for a loss is what a full queue says, and the path is
// everybody's. Here the path is one owner's, credit bounds what is under way, and datagrams are
// lost to a bad cable, a busy host or a full ring as well: at 1 % of loss halving left 7 % of what
// the path carried. So a round trip's losses cost as much of the window as was lost of it: what is
// left is what got through. An overload ends as fast, for it loses what it is too much. Slow start
// ends where more than this part of a round is lost: a queue that overflows at its pace loses half.
#define SLOW_START_LOSS 8u
// 7.3.3 widens the window by a datagram a round trip. Where a round trip is longer than this, it is
// so by queues in hosts, and widening goes by time (as in RFC 9438), up to some datagrams.
#define GROWTH_NS 250000ull
#define GROWTH_MAX 10u
#define HEARD_BITS 128u // as WIRE_HEARD

enum slot_state { SLOT_UNDER_WAY, SLOT_HEARD, SLOT_LOST };

struct slot {
	uint64_t sent;
	uint32_t bytes;
	uint8_t state;
	bool mtu_probe;
};

struct recovery {
	recovery_told *told;
	void *arg;
	uint32_t packets; // a power of two
	uint32_t count;   // under way
	uint32_t mtu;
	uint64_t oldest;  // under way; next: none
	uint64_t next;    // number; of [oldest, next) each has its slot
	uint64_t largest; // heard
	uint64_t in_flight;

	uint64_t latest, min, smoothed, var;
	uint64_t sampled_from; // the first number sent after the first sample; UINT64_MAX: none yet

	uint64_t loss_due; // when time alone makes the next one lost
	uint64_t armed;    // what the PTO counts from
	unsigned pto_count;

	uint64_t cwnd, ssthresh;
	uint64_t grown; // bytes heard since cwnd grew
	uint64_t round; // ends when this number is heard, or one above it; 0: none has begun
	uint64_t round_heard, round_lost; // bytes
	uint64_t paced;    // bytes in the pacer's bucket, which it leaks at its rate,
	uint64_t paced_at; // at this time

	uint64_t lost, timeouts;
	struct slot slots[];
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct slot *slot_of(struct recovery *r, uint64_t number)
{
	return &r->slots[number & (r->packets - 1)];
}

static uint64_t initial_window(const struct recovery *r)
{
	return max(min(WINDOW_INITIAL * (uint64_t)r->mtu, WINDOW_INITIAL_BYTES),
		WINDOW_MIN * (uint64_t)r->mtu);
}

int recovery_make(
	struct recovery **ret, uint32_t packets, uint32_t mtu, recovery_told *told, void *arg)
{
	struct recovery *r;
	uint32_t slots = 4;

	while (slots < packets)
		slots *= 2;
	r = calloc(1, sizeof(*r) + slots * sizeof(r->slots[0]));
	if (r == NULL)
		return -ENOMEM;
	r->told = told;
	r->arg = arg;
	r->packets = slots;
	recovery_reset(r, mtu, 0);
	*ret = r;
	return 0;
}

void recovery_free(struct recovery *r)
{
	free(r);
}

void recovery_reset(struct recovery *r, uint32_t mtu, uint64_t now)
{
	r->mtu = mtu;
	r->count = 0;
	r->oldest = r->next = 1;
	r->largest = 0;
	r->in_flight = 0;
	r->latest = r->min = r->smoothed = RTT_INITIAL;
	r->var = RTT_INITIAL / 2;
	r->sampled_from = UINT64_MAX;
	r->loss_due = UINT64_MAX;
	r->armed = r->paced_at = now;
	r->paced = 0;
	r->pto_count = 0;
	r->cwnd = initial_window(r);
	r->ssthresh = UINT64_MAX;
	r->grown = 0;
	r->round = 0;
	r->round_heard = r->round_lost = 0;
}

void recovery_set_mtu(struct recovery *r, uint32_t mtu)
{
	r->mtu = mtu;
	r->cwnd = max(r->cwnd, WINDOW_MIN * (uint64_t)mtu);
}

// RFC 9002, 5.1 to 5.3.
static void sample(struct recovery *r, uint64_t rtt, uint64_t delay)
{
	uint64_t error;

	rtt = min(rtt, RTT_MAX);
	r->latest = rtt;
	if (r->sampled_from == UINT64_MAX) {
		r->sampled_from = r->next;
		r->min = r->smoothed = rtt;
		r->var = rtt / 2;
		return;
	}
	r->min = min(r->min, rtt);
	delay = min(delay, ACK_DELAY_MAX);
	if (rtt >= r->min + delay)
		rtt -= delay;
	error = rtt > r->smoothed ? rtt - r->smoothed : r->smoothed - rtt;
	r->var = (3 * r->var + error) / 4;
	r->smoothed = (7 * r->smoothed + rtt) / 8;
}

// RFC 9002, 6.1.2.
static uint64_t loss_delay(const struct recovery *r)
{
	return max(max(r->latest, r->smoothed) * 9 / 8, GRANULARITY);
}

// RFC 9002, 6.2.1, without backoff.
static uint64_t pto(const struct recovery *r)
{
	return r->smoothed + max(4 * r->var, GRANULARITY) + ACK_DELAY_MAX;
}

static uint64_t pto_due(const struct recovery *r)
{
	uint64_t doubled = pto(r) << min(r->pto_count, 20);

	return r->armed + min(doubled, PTO_MAX);
}

static void end_round(struct recovery *r)
{
	uint64_t all = r->round_heard + r->round_lost;

	if (r->round == 0) {
		r->round = r->next;
		return;
	}
	if (r->round_lost > 0) {
		r->cwnd =
			max(r->cwnd - r->cwnd * r->round_lost / all, WINDOW_MIN * (uint64_t)r->mtu);
		if (r->round_lost > all / SLOW_START_LOSS)
			r->ssthresh = r->cwnd;
	}
	r->round = r->next;
	r->round_heard = r->round_lost = 0;
}

// RFC 9002, 7.6: slow start begins again, and what the path's shortest round trip was is forgotten
// (5.2): it may be another path.
static void collapse(struct recovery *r)
{
	r->ssthresh = max(r->cwnd / 2, WINDOW_MIN * (uint64_t)r->mtu);
	r->cwnd = WINDOW_MIN * (uint64_t)r->mtu;
	r->grown = 0;
	r->round_lost = 0;
	r->min = r->latest;
}

// RFC 9002, 7.8: who doesn't use the window may not widen it. While slow start doubles it, half of
// it in use is as much as the acknowledged flight could have been. The pacer may hold back a few.
static bool window_used(const struct recovery *r, uint64_t in_flight)
{
	if (r->cwnd < r->ssthresh && in_flight > r->cwnd / 2)
		return true;
	return in_flight + 3ull * r->mtu > r->cwnd;
}

// RFC 9002, 7.3.1 and 7.3.3.
static void grow(struct recovery *r, uint64_t heard)
{
	uint64_t most = (uint64_t)r->packets * r->mtu;
	uint64_t step = r->mtu * max(min(r->smoothed / GROWTH_NS, GROWTH_MAX), 1);

	if (r->cwnd < r->ssthresh) {
		r->cwnd = min(r->cwnd + heard, max(r->cwnd, most));
		return;
	}
	r->grown += heard;
	while (r->grown >= r->cwnd) {
		r->grown -= r->cwnd;
		r->cwnd = min(r->cwnd + step, max(r->cwnd, most));
	}
}

// Out of what is under way.
static void settle(struct recovery *r, uint64_t number, enum slot_state state)
{
	struct slot *slot = slot_of(r, number);

	slot->state = (uint8_t)state;
	r->count--;
	r->in_flight -= slot->bytes;
	if (state == SLOT_LOST && !slot->mtu_probe) {
		r->lost++;
		r->round_lost += slot->bytes;
	} else if (state == SLOT_HEARD) {
		r->round_heard += slot->bytes;
	}
	while (r->oldest < r->next && slot_of(r, r->oldest)->state != SLOT_UNDER_WAY)
		r->oldest++;
	r->told(r->arg, number, state == SLOT_LOST ? RECOVERY_LOST : RECOVERY_HEARD);
}

// Losses next to each other: nothing between them was heard.
struct run {
	bool begun;
	uint64_t since;
	uint64_t longest;
};

static void add_to_run(struct run *run, const struct slot *slot)
{
	if (!run->begun)
		run->since = slot->sent;
	run->begun = true;
	run->longest = max(run->longest, slot->sent - run->since);
}

static bool is_lost(
	const struct recovery *r, uint64_t number, const struct slot *slot, uint64_t now)
{
	return r->largest - number >= PACKET_THRESHOLD || slot->sent + loss_delay(r) <= now;
}

// RFC 9002, 6.1: what an ACK's bits no longer reach is behind the packet threshold, too.
static void find_lost(struct recovery *r, uint64_t now, struct run *run)
{
	r->loss_due = UINT64_MAX;
	for (uint64_t n = r->oldest; n < r->largest; n++) {
		struct slot *slot = slot_of(r, n);

		if (slot->state == SLOT_HEARD)
			run->begun = false;
		if (slot->state != SLOT_UNDER_WAY)
			continue;
		if (!is_lost(r, n, slot, now)) {
			r->loss_due = min(r->loss_due, slot->sent + loss_delay(r));
			continue;
		}
		if (!slot->mtu_probe && n >= r->sampled_from)
			add_to_run(run, slot);
		settle(r, n, SLOT_LOST);
	}
}

// True: the window has collapsed.
static bool judge(struct recovery *r, uint64_t now)
{
	struct run run = {0};

	find_lost(r, now, &run);
	if (run.longest <= PERSISTENT * pto(r))
		return false;
	collapse(r);
	return true;
}

// Returns its bytes when that is news.
static uint64_t hear(struct recovery *r, uint64_t number, bool *news)
{
	struct slot *slot = slot_of(r, number);

	if (number < r->oldest || slot->state != SLOT_UNDER_WAY)
		return 0;
	*news = true;
	settle(r, number, SLOT_HEARD);
	return slot->bytes;
}

bool recovery_heard(struct recovery *r, uint64_t largest, const uint64_t heard[2],
	uint64_t delay_ns, uint64_t now)
{
	uint64_t before = r->in_flight;
	uint64_t bytes = 0;
	bool news = false;

	if (largest == 0 || largest >= r->next)
		return false;
	if (largest >= r->oldest && slot_of(r, largest)->state == SLOT_UNDER_WAY)
		sample(r, now - slot_of(r, largest)->sent, delay_ns);
	bytes += hear(r, largest, &news);
	for (uint64_t i = 0; i < HEARD_BITS && i + 1 < largest; i++)
		if (heard[i / 64] >> i % 64 & 1)
			bytes += hear(r, largest - 1 - i, &news);
	if (!news)
		return false;
	r->largest = max(r->largest, largest);
	r->pto_count = 0;
	if (!judge(r, now) && window_used(r, before))
		grow(r, bytes);
	if (r->largest >= r->round)
		end_round(r);
	return true;
}

bool recovery_timeout(struct recovery *r, uint64_t now)
{
	if (r->loss_due <= now) {
		judge(r, now);
		return false;
	}
	if (r->count == 0 || pto_due(r) > now)
		return false;
	r->pto_count++;
	r->timeouts++;
	r->armed = now;
	return true;
}

// RFC 9002, 6.2.1: while a loss timer runs there is no PTO.
uint64_t recovery_due(const struct recovery *r)
{
	if (r->loss_due != UINT64_MAX)
		return r->loss_due;
	return r->count > 0 ? pto_due(r) : UINT64_MAX;
}

// What 'bytes' take at the pacer's rate, 1.25 windows a round trip (RFC 9002, 7.7).
static uint64_t pace_of(const struct recovery *r, uint64_t bytes)
{
	return bytes * r->smoothed / r->cwnd * 4 / 5;
}

// The bucket is kept in bytes, so that a first sample of the RTT makes up for what was guessed.
static void fill(struct recovery *r, uint32_t bytes, uint64_t now)
{
	uint64_t elapsed = now - r->paced_at;

	if (elapsed >= pace_of(r, r->paced))
		r->paced = 0;
	else
		r->paced -= min(r->paced, elapsed * r->cwnd / r->smoothed * 5 / 4);
	r->paced += bytes;
	r->paced_at = now;
}

// Over what a burst is, less the datagram to come, the bucket must leak first.
uint64_t recovery_pace_due(const struct recovery *r)
{
	uint64_t free = initial_window(r) - r->mtu;

	return r->paced > free ? r->paced_at + pace_of(r, r->paced - free) : 0;
}

bool recovery_may_send(const struct recovery *r, uint32_t bytes, uint64_t now)
{
	return r->in_flight + bytes <= r->cwnd && r->count < r->packets &&
	       recovery_pace_due(r) <= now;
}

uint64_t recovery_next(const struct recovery *r)
{
	return r->next;
}

void recovery_sent(struct recovery *r, uint32_t bytes, bool mtu_probe, uint64_t now)
{
	while (r->next - r->oldest >= r->packets)
		settle(r, r->oldest, SLOT_LOST);
	*slot_of(r, r->next) = (struct slot){.sent = now, .bytes = bytes, .mtu_probe = mtu_probe};
	r->next++;
	r->count++;
	r->in_flight += bytes;
	r->armed = now;
	fill(r, bytes, now);
}

uint64_t recovery_rtt(const struct recovery *r)
{
	return r->smoothed;
}

uint64_t recovery_cwnd(const struct recovery *r)
{
	return r->cwnd;
}

uint64_t recovery_in_flight(const struct recovery *r)
{
	return r->in_flight;
}

uint64_t recovery_lost(const struct recovery *r)
{
	return r->lost;
}

uint64_t recovery_timeouts(const struct recovery *r)
{
	return r->timeouts;
}
