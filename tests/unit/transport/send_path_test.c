// SPDX-License-Identifier: BSD-3-Clause
// Paths that hold back large datagrams, and ones that do whatever a path may do.

#include "receiving.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define LARGE_MAX (1u << 17) // bytes of an event here

// Larger datagrams up to 'path' get through.
static void search_mtu(uint32_t path, uint32_t at_least)
{
	unsigned probes = 1, highest = 1;
	uint32_t largest = 0;

	config.mtu_probe = 9000;
	start();
	handshake();
	offer_many(1, 1000);
	// Before events: a queue that is never empty would go in small datagrams.
	expect(WIRE_PROBE);
	assert_int_equal(data_len, 9000);
	if (data_len <= path)
		hear_it();
	while (next_due() != WIRE_EVENTS) {
		probes += data_len > 1400;
		if (data_len <= path)
			hear_it();
	}
	ack.durable = FIRST + 1;
	hear_it();
	for (unsigned i = 0; i < 400 && (next() != 0 || send_due(s) != UINT64_MAX); i++) {
		if (data_len == 0) {
			now = send_due(s);
			continue;
		}
		probes += data_len > 1400;
		highest += data_len == 9000;
		if (data_len <= path)
			hear_it();
	}
	assert_int_equal(next(), 0);
	assert_true(probes > 0 && probes < 40);
	assert_int_equal(highest, path < 9000 ? 3 : 1);
	assert_int_equal(stats().lost, 0);
	offer_many(20, 1000);
	while (next() != 0)
		largest = data_len > largest ? data_len : largest;
	assert_true(largest <= path && largest >= at_least);
}

static void larger_datagrams_are_tried(void **state)
{
	(void)state;
	search_mtu(9000, 8000);
	search_mtu(8999, 8000);
	search_mtu(5000, 4000);
	search_mtu(1400, 1000);
	use_key();
	search_mtu(9000, 8000);
}

static uint64_t seed = 88172645463325252ull;

static unsigned chance(unsigned of)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % of;
}

// What of the large events came, by grain; small ones are in have[].
static uint8_t large_seen[SEQS][LARGE_MAX / WIRE_PART_GRAIN / 8];
static uint32_t large_bytes[SEQS];

static void receive_part(void)
{
	uint64_t index = part.seq - FIRST;

	for (uint32_t at = 0; at < part.len; at += WIRE_PART_GRAIN) {
		uint32_t grain = (part.offset + at) / WIRE_PART_GRAIN;
		uint32_t left = part.len - at;

		assert_true(grain / 8 < sizeof(large_seen[0]));
		if (large_seen[index][grain / 8] >> grain % 8 & 1)
			continue;
		large_seen[index][grain / 8] |= (uint8_t)(1u << grain % 8);
		large_bytes[index] += left < WIRE_PART_GRAIN ? left : WIRE_PART_GRAIN;
	}
	have[index] += large_bytes[index] == part.total;
}

static void receive_it(void)
{
	receive_events();
	if (got.type == WIRE_PART)
		receive_part();
}

// Durable is what is there, below and above the first that is missing.
static void find_durable(uint64_t end)
{
	uint64_t seq = ack.durable;

	while (seq < end && have[seq - FIRST] > 0)
		seq++;
	ack.durable = seq;
	ack.range_count = 0;
	for (seq++; seq < end && ack.range_count < WIRE_RANGES; seq++) {
		struct wire_range *range = &ack.ranges[ack.range_count];

		if (have[seq - FIRST] == 0)
			continue;
		*range = (struct wire_range){(uint32_t)(seq - ack.durable), 0};
		for (; seq < end && have[seq - FIRST] > 0; seq++)
			range->count++;
		ack.range_count++;
	}
	ack.credit = chance(20) == 0 ? 0 : 200000;
}

// Parts go with their session.
static void open_again(void)
{
	if (ack.durable > FIRST)
		opened.durable = ack.durable;
	handshake();
	memset(large_seen, 0, sizeof(large_seen));
	memset(large_bytes, 0, sizeof(large_bytes));
}

// As the path says, whatever the size of datagrams. Returns the largest that arrived.
static uint32_t run_path(uint32_t path, unsigned steps)
{
	uint32_t largest = 0;

	while (steps-- > 0 && send_kept(s) > 0) {
		if (send_state(s) != SEND_OPEN)
			open_again();
		while (next() != 0)
			if (data_len <= path) {
				largest = data_len > largest ? data_len : largest;
				receive_it();
			}
		now = send_due(s) < now + MS / 5 ? send_due(s) : now + MS / 5;
		find_durable(send_next_seq(s));
		ack.credit = 1u << 30;
		give_ack();
	}
	return largest;
}

// Events that were whole, and parts that were larger, go through the smaller path all the same.
static void a_path_that_shrinks_is_noticed(void **state)
{
	(void)state;
	search_mtu(9000, 8000);
	now += 10 * MS;
	assert_int_equal(ack.durable, FIRST + 1);
	offer_many(200, 5000);
	offer_many(20, 100000);
	assert_true(run_path(9000, 3) > 8000);
	assert_true(send_kept(s) > 0);
	run_path(1400, 20000);
	assert_int_equal(send_kept(s), 0);
	// To a size between: that is found.
	search_mtu(9000, 8000);
	memset(large_seen, 0, sizeof(large_seen));
	memset(large_bytes, 0, sizeof(large_bytes));
	offer_many(200, 5000);
	assert_true(run_path(5000, 20000) > 4900);
	assert_int_equal(send_kept(s), 0);
}

// A third is lost, of any size: that is no reason to give the size up.
static void a_path_that_loses_is_not_a_smaller_one(void **state)
{
	(void)state;
	search_mtu(9000, 8000);
	offer_many(2000, 3000);
	for (unsigned i = 0; i < 20000 && send_kept(s) > 0; i++) {
		while (next() != 0)
			if (chance(3) > 0)
				receive_it();
		now += MS / 5;
		find_durable(send_next_seq(s));
		ack.credit = 1u << 30;
		give_ack();
		assert_int_equal(send_state(s), SEND_OPEN);
	}
	assert_int_equal(send_kept(s), 0);
	assert_true(stats().lost > 100);
}

// A tenth is lost on the way there and back, ACKs come late, and now and then the receiver forgets
// the session.
static void all_arrives_whatever_the_path_does(void **state)
{
	const uint64_t last = FIRST + 10000;
	unsigned steps = 0;

	(void)state;
	opened.credit = 200000;
	while (send_durable(s) < last) {
		uint64_t due = send_due(s);

		assert_true(++steps < 400000);
		if (send_state(s) != SEND_OPEN)
			open_again();
		if (send_next_seq(s) < last && send_next_seq(s) - send_durable(s) < 3000)
			offer_many(1, chance(50) == 0 ? 20000 : chance(500));
		now += chance(200000);
		if (due > now && due != UINT64_MAX && chance(30) == 0)
			now = due;
		for (unsigned i = chance(4); i > 0 && next() != 0; i--)
			if (chance(10) > 0)
				receive_it();
		if (chance(4) == 0 && ack.largest > 0) {
			find_durable(send_next_seq(s));
			ack_number++;
			if (chance(10) > 0)
				give_ack();
		}
		if (chance(2000) == 0)
			reset(token);
	}
	assert_int_equal(send_kept(s), 0);
	assert_int_equal(stats().events_sent, 10000);
	for (unsigned i = 0; i < 10000; i++)
		assert_true(have[i] > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(larger_datagrams_are_tried),
		TEST(a_path_that_shrinks_is_noticed),
		TEST(a_path_that_loses_is_not_a_smaller_one),
		TEST(all_arrives_whatever_the_path_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
