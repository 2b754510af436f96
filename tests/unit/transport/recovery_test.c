// SPDX-License-Identifier: BSD-3-Clause
#include "transport/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define US 1000ull
#define MS 1000000ull
#define MTU 1000u
#define PACKETS 1024u
#define STEPS 10000u
#define NUMBERS (4 * STEPS)
#define ACK_DELAY_MAX (2 * MS)

static struct recovery *r;
static uint8_t heard_count[NUMBERS], lost_count[NUMBERS];
static uint64_t clock_ns;
static const uint64_t none[2];
static const uint64_t all[2] = {UINT64_MAX, UINT64_MAX};

static void tell(void *arg, uint64_t number, enum recovery_fate fate)
{
	assert_ptr_equal(arg, &clock_ns);
	assert_true(number < NUMBERS);
	if (fate == RECOVERY_HEARD)
		heard_count[number]++;
	else
		lost_count[number]++;
}

static void make(uint32_t packets)
{
	recovery_free(r);
	memset(heard_count, 0, sizeof(heard_count));
	memset(lost_count, 0, sizeof(lost_count));
	clock_ns = 1000 * MS;
	assert_int_equal(recovery_make(&r, packets, MTU, tell, &clock_ns), 0);
	recovery_reset(r, MTU, clock_ns);
}

static int set_up(void **state)
{
	(void)state;
	r = NULL;
	make(PACKETS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	recovery_free(r);
	return 0;
}

static uint64_t send(void)
{
	uint64_t number = recovery_next(r);

	recovery_sent(r, MTU, false, clock_ns);
	return number;
}

static void send_many(unsigned n)
{
	while (n-- > 0)
		send();
}

// As many as window, pacer and room let out now.
static unsigned send_all(void)
{
	unsigned n = 0;

	while (recovery_may_send(r, MTU, clock_ns)) {
		send();
		n++;
	}
	return n;
}

static void wait_ns(uint64_t ns)
{
	clock_ns += ns;
}

static bool hear(uint64_t largest, const uint64_t heard[2])
{
	return recovery_heard(r, largest, heard, 0, clock_ns);
}

// A round trip of so long, so that the RTT is known and the window not used.
static void sample(uint64_t rtt)
{
	uint64_t number = send();

	wait_ns(rtt);
	assert_true(hear(number, none));
}

static unsigned lost_so_far(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NUMBERS; i++)
		n += lost_count[i];
	return n;
}

static void the_first_sample_is_the_rtt_and_later_ones_are_weighed(void **state)
{
	(void)state;
	assert_int_equal(recovery_rtt(r), 10 * MS);
	sample(800 * US);
	assert_int_equal(recovery_rtt(r), 800 * US);
	sample(1600 * US);
	assert_int_equal(recovery_rtt(r), 900 * US); // 7/8 * 800 + 1/8 * 1600
	// var: 400, then 3/4 * 400 + 1/4 * 800 = 500.
	send();
	assert_int_equal(recovery_due(r) - clock_ns, 900 * US + 4 * 500 * US + ACK_DELAY_MAX);
}

static void the_receivers_delay_is_no_part_of_the_rtt(void **state)
{
	uint64_t number;

	(void)state;
	sample(800 * US);
	number = send();
	wait_ns(1600 * US);
	recovery_heard(r, number, none, 800 * US, clock_ns);
	assert_int_equal(recovery_rtt(r), 800 * US);
	// Said to be longer than it can be: 2 ms of the 10.8 are believed.
	number = send();
	wait_ns(10800 * US);
	recovery_heard(r, number, none, 10 * MS, clock_ns);
	assert_int_equal(recovery_rtt(r), (7 * 800 * US + 8800 * US) / 8);
	// It never makes a round trip shorter than the shortest.
	make(PACKETS);
	sample(800 * US);
	number = send();
	wait_ns(900 * US);
	recovery_heard(r, number, none, 800 * US, clock_ns);
	assert_int_equal(recovery_rtt(r), (7 * 800 * US + 900 * US) / 8);
	make(PACKETS);
	sample(800 * US);
	sample(400 * US);
	assert_int_equal(recovery_rtt(r), 750 * US);
	number = send();
	wait_ns(700 * US);
	recovery_heard(r, number, none, 200 * US, clock_ns);
	assert_int_equal(recovery_rtt(r), (7 * 750 * US + 500 * US) / 8);
}

static void the_third_datagram_after_it_makes_one_lost(void **state)
{
	(void)state;
	sample(100 * US); // number 1
	send_many(4);     // 2 to 5
	hear(4, none);
	assert_int_equal(lost_so_far(), 0);
	hear(5, none);
	assert_int_equal(lost_count[2], 1);
	assert_int_equal(lost_so_far(), 1);
	assert_int_equal(recovery_lost(r), 1);
	assert_int_equal(recovery_in_flight(r), MTU); // 3
}

static void time_makes_one_lost(void **state)
{
	(void)state;
	sample(800 * US);
	send(); // 2
	wait_ns(10 * US);
	send(); // 3
	wait_ns(800 * US);
	hear(3, none);
	assert_int_equal(lost_so_far(), 0);
	assert_int_equal(recovery_due(r), clock_ns - 810 * US + 900 * US); // 9/8
	wait_ns(89 * US);
	assert_false(recovery_timeout(r, clock_ns));
	assert_int_equal(lost_so_far(), 0);
	wait_ns(1 * US);
	assert_false(recovery_timeout(r, clock_ns));
	assert_int_equal(lost_count[2], 1);
	assert_true(recovery_due(r) == UINT64_MAX);
}

static void short_round_trips_leave_time_to_be_overtaken(void **state)
{
	(void)state;
	sample(10 * US);
	send_many(2);
	wait_ns(10 * US);
	hear(3, none);
	assert_int_equal(recovery_due(r), clock_ns - 10 * US + 100 * US);
}

static void what_the_bits_do_not_reach_is_lost(void **state)
{
	(void)state;
	send_many(140);
	hear(140, all); // tells of 12 to 139
	for (unsigned i = 1; i <= 140; i++) {
		assert_int_equal(heard_count[i], i >= 12);
		assert_int_equal(lost_count[i], i < 12);
	}
	assert_int_equal(recovery_in_flight(r), 0);
	// Too late: it has had its fate.
	assert_false(hear(11, none));
	assert_int_equal(heard_count[11], 0);
}

static void bits_of_both_words_are_read(void **state)
{
	static const uint64_t bits[2] = {1ull << 63 | 1, 1ull << 63 | 1};

	(void)state;
	send_many(129);
	hear(129, bits);
	for (unsigned i = 1; i <= 129; i++)
		assert_int_equal(
			heard_count[i], i == 129 || i == 128 || i == 65 || i == 64 || i == 1);
}

static void what_was_never_sent_cannot_be_heard(void **state)
{
	(void)state;
	send_many(2);
	assert_false(hear(0, none));
	assert_false(hear(3, all));
	assert_false(hear(UINT64_MAX, all));
	assert_int_equal(recovery_in_flight(r), 2 * MTU);
	assert_true(hear(2, all));
	assert_false(hear(2, all));
}

static void probes_come_later_and_later_but_every_second(void **state)
{
	uint64_t wait = 800 * US + 4 * 400 * US + ACK_DELAY_MAX;

	(void)state;
	assert_true(recovery_due(r) == UINT64_MAX);
	sample(800 * US);
	send();
	for (unsigned i = 0; i < 30; i++) {
		assert_int_equal(recovery_due(r), clock_ns + wait);
		clock_ns = recovery_due(r) - 1;
		assert_false(recovery_timeout(r, clock_ns));
		clock_ns++;
		assert_true(recovery_timeout(r, clock_ns));
		// Whether one is sent or not.
		if (i % 2 == 0)
			send();
		wait = wait * 2 < 1000 * MS ? wait * 2 : 1000 * MS;
	}
	assert_int_equal(recovery_timeouts(r), 30);
	assert_int_equal(lost_so_far(), 0);
	// Heard: from the beginning.
	send();
	wait_ns(800 * US);
	hear(recovery_next(r) - 1, all);
	send();
	assert_int_equal(recovery_due(r) - clock_ns, 800 * US + 4 * 300 * US + ACK_DELAY_MAX);
}

static void a_first_answer_is_awaited_for_tens_of_milliseconds(void **state)
{
	(void)state;
	send();
	assert_int_equal(recovery_due(r) - clock_ns, 10 * MS + 4 * 5 * MS + ACK_DELAY_MAX);
}

static void slow_start_doubles_the_window(void **state)
{
	uint64_t before;

	(void)state;
	assert_int_equal(recovery_cwnd(r), 16 * MTU);
	assert_int_equal(send_all(), 16);
	assert_false(recovery_may_send(r, MTU, UINT64_MAX));
	wait_ns(100 * US);
	hear(16, all);
	assert_int_equal(recovery_cwnd(r), 32 * MTU);
	before = recovery_next(r);
	while (recovery_next(r) < before + 32) {
		send_all();
		wait_ns(1 * US);
	}
	hear(before + 31, all);
	assert_int_equal(recovery_cwnd(r), 64 * MTU);
}

// The first round begins with the first answer: 16 of 16 heard, and the window is 32 datagrams.
static void begin_round(void)
{
	send_many(16);
	wait_ns(100 * US);
	hear(16, all);
	assert_int_equal(recovery_cwnd(r), 32 * MTU);
}

// Of 20 that are sent now, the first 'lost' are; the round ends with it.
static void lose_of_twenty(unsigned lost)
{
	uint64_t bits[2] = {(1ull << (19 - lost)) - 1, 0};

	send_many(20);
	wait_ns(100 * US);
	hear(recovery_next(r) - 1, bits);
}

// The sixteen of the first round count, too: it has no end before.
static void a_round_costs_what_was_lost_of_it(void **state)
{
	uint64_t cwnd;

	(void)state;
	begin_round();
	// Slow start goes on: 19 more, and then a thirty-sixth less.
	lose_of_twenty(1);
	assert_int_equal(recovery_cwnd(r), 51 * MTU - 51 * MTU / 36);
	// A quarter is an overflow: 11 more, a quarter less, and the end of slow start.
	make(PACKETS);
	begin_round();
	lose_of_twenty(9);
	cwnd = 43 * MTU - 43 * MTU / 4;
	assert_int_equal(recovery_cwnd(r), cwnd);
	for (unsigned round = 1; round <= 5; round++) {
		send_many((unsigned)(cwnd / MTU) + 1);
		wait_ns(100 * US);
		hear(recovery_next(r) - 1, all);
		cwnd += MTU;
		assert_true(recovery_cwnd(r) >= cwnd - MTU && recovery_cwnd(r) <= cwnd);
	}
}

// What it settles at with 1 % of loss carries the path; halving would leave 12 datagrams.
static void loss_that_is_no_congestion_leaves_a_window(void **state)
{
	uint64_t sent = 0;

	(void)state;
	make(4096);
	for (unsigned round = 0; round < 200; round++) {
		uint64_t first = recovery_next(r), n = recovery_cwnd(r) / MTU;

		n = n < 120 ? n : 120;
		send_many((unsigned)n);
		wait_ns(100 * US);
		for (uint64_t i = first; i < first + n; i++, sent++)
			if (sent % 100 != 50)
				hear(i, none);
		recovery_timeout(r, clock_ns + MS);
	}
	assert_true(recovery_cwnd(r) > 90 * MTU);
}

// A round trip of 2 ms is eight times as long as one that adds a datagram.
static void a_long_round_trip_widens_by_time(void **state)
{
	uint64_t cwnd;

	(void)state;
	begin_round();
	lose_of_twenty(9);
	for (unsigned i = 0; i < 60; i++)
		sample(2 * MS);
	cwnd = recovery_cwnd(r);
	send_many((unsigned)(cwnd / MTU) + 1);
	wait_ns(2 * MS);
	hear(recovery_next(r) - 1, all);
	assert_true(recovery_cwnd(r) >= cwnd + 7 * MTU && recovery_cwnd(r) <= cwnd + 8 * MTU);
}

static void the_window_is_never_below_two_datagrams(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		send_many(4);
		wait_ns(100 * US);
		hear(recovery_next(r) - 1, none);
	}
	assert_int_equal(recovery_cwnd(r), 2 * MTU);
	recovery_set_mtu(r, 9000);
	assert_int_equal(recovery_cwnd(r), 18000);
}

static void a_window_that_is_not_used_does_not_grow(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		send_many(8); // half of it
		wait_ns(100 * US);
		hear(recovery_next(r) - 1, all);
	}
	assert_int_equal(recovery_cwnd(r), 16 * MTU);
	send_many(9);
	wait_ns(100 * US);
	hear(recovery_next(r) - 1, all);
	assert_int_equal(recovery_cwnd(r), 25 * MTU);
}

// Three PTOs of 800 + 4 * 300 + 2000 µs are 12 ms.
static void lose_for(uint64_t ns)
{
	make(PACKETS);
	sample(800 * US);
	send(); // 2
	wait_ns(ns);
	send(); // 3
	wait_ns(100 * US);
	send_many(3);
	wait_ns(800 * US);
	hear(6, none);
	assert_int_equal(lost_count[2], 1);
	assert_int_equal(lost_count[3], 1);
}

static void losses_for_long_are_persistent_congestion(void **state)
{
	(void)state;
	lose_for(11900 * US);
	assert_int_equal(recovery_cwnd(r), 8 * MTU);
	lose_for(12100 * US);
	assert_int_equal(recovery_cwnd(r), 2 * MTU);
}

static void one_heard_between_them_makes_losses_bearable(void **state)
{
	static const uint64_t bits[2] = {1ull << 3, 0};

	(void)state;
	sample(800 * US);
	send(); // 2
	wait_ns(10 * MS);
	send(); // 3
	wait_ns(10 * MS);
	send_many(4); // 4 to 7
	hear(7, bits);
	assert_int_equal(heard_count[3], 1);
	assert_int_equal(lost_count[2], 1);
	assert_int_equal(lost_count[4], 1);
	assert_int_equal(recovery_cwnd(r), 16 * MTU * 3 / 5); // 2 of 5
}

// RFC 9002, 7.6.2: how long is long isn't known before.
static void without_a_sample_no_congestion_is_persistent(void **state)
{
	(void)state;
	send();
	wait_ns(5000 * MS);
	send_many(4);
	wait_ns(100 * US);
	hear(5, none);
	assert_int_equal(lost_count[1], 1);
	assert_int_equal(lost_count[2], 1);
	assert_int_equal(recovery_cwnd(r), 16 * MTU);
}

static void a_lost_mtu_probe_is_no_congestion(void **state)
{
	(void)state;
	recovery_sent(r, 9000, true, clock_ns);
	send_many(4);
	wait_ns(100 * US);
	hear(5, none);
	assert_int_equal(lost_count[1], 1);
	assert_int_equal(lost_count[2], 1);
	assert_int_equal(recovery_lost(r), 1);
	make(PACKETS);
	recovery_sent(r, 9000, true, clock_ns);
	send_many(3);
	wait_ns(100 * US);
	hear(4, (const uint64_t[2]){3, 0});
	assert_int_equal(lost_count[1], 1);
	assert_int_equal(recovery_lost(r), 0);
	assert_int_equal(recovery_cwnd(r), 19 * MTU);
}

// 16 at once, then 1.25 windows a round trip, never more.
static void the_pacer_spreads_a_window(void **state)
{
	uint64_t began, due;
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		send_many((unsigned)(recovery_cwnd(r) / MTU));
		wait_ns(1 * MS);
		hear(recovery_next(r) - 1, all);
	}
	assert_int_equal(recovery_cwnd(r), 128 * MTU);
	wait_ns(10 * MS);
	began = clock_ns;
	assert_int_equal(send_all(), 16);
	for (n = 16; n < 128; n++) {
		due = recovery_pace_due(r);
		assert_true(due > clock_ns);
		assert_false(recovery_may_send(r, MTU, due - 1));
		assert_true(recovery_may_send(r, MTU, due));
		clock_ns = due;
		send();
	}
	// 112 after the burst at 160 a round trip of 1 ms.
	assert_true(clock_ns - began > 690 * US && clock_ns - began < 710 * US);
	assert_false(recovery_may_send(r, MTU, UINT64_MAX));
}

// Until the first sample the pacer goes by a guess, which must not bind it afterwards.
static void the_first_sample_frees_the_pacer(void **state)
{
	(void)state;
	assert_int_equal(send_all(), 16);
	assert_true(recovery_pace_due(r) > clock_ns + 400 * US);
	wait_ns(100 * US);
	hear(16, all);
	assert_int_equal(send_all(), 16);
}

static void without_room_the_oldest_is_given_up(void **state)
{
	(void)state;
	make(8);
	send_many(8);
	assert_false(recovery_may_send(r, MTU, UINT64_MAX));
	assert_int_equal(lost_so_far(), 0);
	send();
	assert_int_equal(lost_count[1], 1);
	assert_int_equal(recovery_in_flight(r), 8 * MTU);
	assert_int_equal(recovery_cwnd(r), 16 * MTU);
}

static void a_new_session_knows_nothing_of_the_old_one(void **state)
{
	(void)state;
	sample(800 * US);
	send_many(8); // 2 to 9
	hear(9, none);
	assert_int_equal(recovery_lost(r), 5);
	recovery_reset(r, 2000, clock_ns);
	assert_int_equal(recovery_next(r), 1);
	assert_int_equal(recovery_in_flight(r), 0);
	assert_int_equal(recovery_rtt(r), 10 * MS);
	assert_int_equal(recovery_cwnd(r), 32000);
	assert_int_equal(recovery_lost(r), 5);
	assert_true(recovery_due(r) == UINT64_MAX);
	assert_int_equal(lost_so_far(), 5); // nobody is told of 7 and 8
}

static uint64_t seed = 88172645463325252ull;

static unsigned chance(unsigned of)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % of;
}

static void check_fates(uint64_t in_flight, const uint32_t *bytes)
{
	uint64_t sum = 0;

	for (uint64_t n = 1; n < recovery_next(r); n++) {
		assert_true(heard_count[n] + lost_count[n] <= 1);
		if (heard_count[n] + lost_count[n] == 0)
			sum += bytes[n];
	}
	assert_int_equal(sum, in_flight);
}

// What a path may do: loses many, overtakes, tells late and twice.
static void each_datagram_has_one_fate(void **state)
{
	static uint32_t bytes[NUMBERS];

	(void)state;
	make(256);
	for (unsigned step = 0; step < STEPS; step++) {
		uint64_t next = recovery_next(r);
		uint64_t bits[2] = {~(seed & seed << 9 & seed >> 5 & seed << 21), UINT64_MAX};

		wait_ns(chance(50) * US);
		if (recovery_due(r) <= clock_ns && recovery_timeout(r, clock_ns))
			chance(2);
		else if (chance(3) == 0 && next > 1)
			hear(next - 1 - chance(next < 6 ? (unsigned)next - 1 : 6), bits);
		for (unsigned n = chance(4); n > 0 && recovery_may_send(r, MTU, clock_ns); n--) {
			bytes[recovery_next(r)] = 100 + chance(MTU - 100);
			recovery_sent(r, bytes[recovery_next(r)], chance(50) == 0, clock_ns);
		}
		assert_true(recovery_cwnd(r) >= 2 * MTU);
		if (step % 100 == 0)
			check_fates(recovery_in_flight(r), bytes);
	}
	assert_true(recovery_next(r) > STEPS / 5);
	assert_true(recovery_next(r) + 10 < NUMBERS);
	send_many(4);
	hear(recovery_next(r) - 1, (const uint64_t[2]){7, 0});
	assert_int_equal(recovery_in_flight(r), 0);
	memset(bytes + recovery_next(r) - 4, 0, 4 * sizeof(*bytes));
	check_fates(0, bytes);
}

// A cable is out for 11 s, with an ACK on it. What is heard then says nothing of round trips, and
// the sender goes on as it had.
static void an_outage_is_no_round_trip(void **state)
{
	uint64_t arrived, end;

	(void)state;
	sample(MS);
	arrived = send();
	send();
	for (end = clock_ns + 11000 * MS; clock_ns < end; clock_ns = recovery_due(r))
		if (recovery_timeout(r, clock_ns))
			send();
	assert_true(hear(arrived, none));
	assert_true(recovery_due(r) <= clock_ns + 1200 * MS);
	send();
	assert_true(hear(recovery_next(r) - 3, none)); // a probe that waited somewhere
	assert_true(recovery_due(r) <= clock_ns + 1200 * MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_outage_is_no_round_trip),
		TEST(the_first_sample_is_the_rtt_and_later_ones_are_weighed),
		TEST(the_receivers_delay_is_no_part_of_the_rtt),
		TEST(the_third_datagram_after_it_makes_one_lost),
		TEST(time_makes_one_lost),
		TEST(short_round_trips_leave_time_to_be_overtaken),
		TEST(what_the_bits_do_not_reach_is_lost),
		TEST(bits_of_both_words_are_read),
		TEST(what_was_never_sent_cannot_be_heard),
		TEST(probes_come_later_and_later_but_every_second),
		TEST(a_first_answer_is_awaited_for_tens_of_milliseconds),
		TEST(slow_start_doubles_the_window),
		TEST(a_round_costs_what_was_lost_of_it),
		TEST(loss_that_is_no_congestion_leaves_a_window),
		TEST(a_long_round_trip_widens_by_time),
		TEST(the_window_is_never_below_two_datagrams),
		TEST(a_window_that_is_not_used_does_not_grow),
		TEST(losses_for_long_are_persistent_congestion),
		TEST(one_heard_between_them_makes_losses_bearable),
		TEST(without_a_sample_no_congestion_is_persistent),
		TEST(a_lost_mtu_probe_is_no_congestion),
		TEST(the_pacer_spreads_a_window),
		TEST(the_first_sample_frees_the_pacer),
		TEST(without_room_the_oldest_is_given_up),
		TEST(a_new_session_knows_nothing_of_the_old_one),
		TEST(each_datagram_has_one_fate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
