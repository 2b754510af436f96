// SPDX-License-Identifier: BSD-3-Clause
// Payloads: an id, a sequence number, and a filler that depends on nothing but the position, so
// that a checker knows every byte of an event from its first 18.

#include "cli/send/send.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// A prime length, so that no alignment maps the filler onto itself.
static const char filler[] = "the quick brown fox jumps over the lazy dog, 0123456789 times";
#define FILLER_BYTES 61u
_Static_assert(sizeof(filler) - 1 == FILLER_BYTES, "length of the filler");

uint8_t send_filler(uint32_t position)
{
	return (uint8_t)filler[position % FILLER_BYTES];
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint32_t send_event_size(const struct send_plan *plan, uint64_t seq)
{
	uint64_t span = (uint64_t)plan->size_max - plan->size_min + 1;

	if (span == 1)
		return plan->size_min;
	return plan->size_min +
	       (uint32_t)((mix((uint64_t)plan->id << 34 ^ seq) >> 32) * span >> 32);
}

void send_digits_set(uint8_t digits[10], uint64_t seq)
{
	for (int i = 9; i >= 0; i--) {
		digits[i] = (uint8_t)('0' + seq % 10);
		seq /= 10;
	}
}

void send_digits_next(uint8_t digits[10])
{
	for (int i = 9; i >= 0; i--) {
		if (++digits[i] <= '9')
			return;
		digits[i] = '0';
	}
}

static void id_write(uint8_t out[8], uint32_t id)
{
	for (int i = 7; i >= 0; i--) {
		out[i] = (uint8_t) "0123456789abcdef"[id & 15];
		id >>= 4;
	}
}

static void filler_write(uint8_t *payload, uint32_t len)
{
	uint32_t at = SEND_HEADER_BYTES;

	while (at < len) {
		uint32_t phase = at % FILLER_BYTES;
		uint32_t n = FILLER_BYTES - phase;

		if (n > len - at)
			n = len - at;
		memcpy(payload + at, filler + phase, n);
		at += n;
	}
}

uint32_t send_datagram_events(const struct send_plan *plan, uint64_t d)
{
	uint64_t left = plan->count - d * plan->lines;

	return left < plan->lines ? (uint32_t)left : plan->lines;
}

uint32_t send_datagram_write(
	const struct send_plan *plan, uint64_t d, uint8_t *buf, uint32_t *ret_bytes)
{
	uint64_t seq = d * plan->lines;
	uint32_t events = send_datagram_events(plan, d);
	uint32_t at = 0;

	for (uint32_t i = 0; i < events; i++) {
		uint32_t size = send_event_size(plan, seq + i);

		if (i > 0)
			buf[at++] = '\n';
		id_write(buf + at, plan->id);
		send_digits_set(buf + at + 8, seq + i);
		filler_write(buf + at, size);
		at += size;
	}
	*ret_bytes = at - (events - 1);
	return at;
}

uint32_t send_datagram_max(const struct send_plan *plan)
{
	return plan->lines * (plan->size_max + 1) - 1;
}

static bool parse_header(const uint8_t *p, uint32_t id, uint64_t *ret_seq)
{
	uint8_t expected[8];
	uint64_t seq = 0;

	id_write(expected, id);
	if (memcmp(p, expected, sizeof(expected)) != 0)
		return false;
	for (int i = 8; i < 18; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		seq = seq * 10 + (p[i] - '0');
	}
	*ret_seq = seq;
	return true;
}

enum send_payload send_payload_parse(
	const uint8_t *payload, uint32_t len, uint32_t id, uint64_t *ret_seq)
{
	uint32_t at = SEND_HEADER_BYTES;

	if (len < SEND_HEADER_BYTES || !parse_header(payload, id, ret_seq))
		return SEND_PAYLOAD_FOREIGN;
	while (at < len) {
		uint32_t phase = at % FILLER_BYTES;
		uint32_t n = FILLER_BYTES - phase;

		if (n > len - at)
			n = len - at;
		if (memcmp(payload + at, filler + phase, n) != 0)
			return SEND_PAYLOAD_DAMAGED;
		at += n;
	}
	return SEND_PAYLOAD_OURS;
}

static int complain(char *why, const char *text, uint64_t limit)
{
	snprintf(why, SEND_WHY_BYTES, text, (unsigned long long)limit);
	return -EINVAL;
}

// A burst of about 100 us, so that a slow run is smooth and a fast one spares the wire.
static uint32_t burst_for(const struct send_plan *plan)
{
	uint64_t n = plan->rate / plan->lines / 10000;

	if (plan->rate == 0 || n > SEND_BURST_MAX)
		return SEND_BURST_MAX;
	return n == 0 ? 1 : (uint32_t)n;
}

// With a rate the number of events is fixed before the start.
static void settle_count(struct send_plan *plan)
{
	uint64_t by_time = SEND_COUNT_MAX;

	if (plan->duration_ns != 0 && plan->rate != 0) {
		unsigned __int128 n =
			(unsigned __int128)plan->rate * plan->duration_ns / 1000000000u;

		if (n < SEND_COUNT_MAX)
			by_time = n == 0 ? 1 : (uint64_t)n;
	}
	if (plan->count == 0 || plan->count > by_time)
		plan->count = by_time;
}

int send_plan_settle(struct send_plan *plan, uint32_t datagram_max, char *why)
{
	if (plan->count == 0 && plan->duration_ns == 0)
		return complain(why, "neither a count nor a duration says when to stop", 0);
	if (plan->count > SEND_COUNT_MAX)
		return complain(why, "the count is above %llu", SEND_COUNT_MAX);
	if (plan->size_min < SEND_HEADER_BYTES || plan->size_max < plan->size_min)
		return complain(why, "sizes begin at %llu bytes", SEND_HEADER_BYTES);
	if (plan->lines == 0 || plan->lines > datagram_max || plan->size_max > datagram_max ||
		(uint64_t)plan->lines * (plan->size_max + 1) - 1 > datagram_max)
		return complain(why, "a datagram would be empty or above %llu bytes", datagram_max);
	if (plan->flows == 0 || plan->flows > SEND_FLOWS_MAX)
		return complain(why, "flows are 1 to %llu", SEND_FLOWS_MAX);
	if (plan->burst > SEND_BURST_MAX)
		return complain(why, "a burst is at most %llu datagrams", SEND_BURST_MAX);
	if (plan->burst == 0)
		plan->burst = burst_for(plan);
	settle_count(plan);
	return 0;
}
