// SPDX-License-Identifier: BSD-3-Clause
// What a sender does about loss, and what holds it back.

#include "receiving.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void what_is_lost_comes_again_and_nothing_else(void **state)
{
	(void)state;
	warm_up();
	for (unsigned i = 2; i <= 7; i++) {
		offer_many(1, 100);
		expect(WIRE_EVENTS);
		assert_int_equal(got.number, i);
		if (i != 3)
			hear(i);
	}
	now += MS / 5;
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(got.number, 8);
	assert_int_equal(events.first_seq, FIRST + 2);
	assert_int_equal(events.count, 1);
	assert_int_equal(next(), 0);
	hear_it();
	assert_int_equal(next(), 0);
	assert_int_equal(stats().lost, 1);
	assert_int_equal(stats().events_sent, 7);
	assert_int_equal(stats().events_again, 1);
}

// Lost, and yet durable: the ACK that tells of both is right.
static void what_is_durable_does_not_come_again(void **state)
{
	(void)state;
	warm_up();
	offer_many(6, 1000);
	for (unsigned i = 0; i < 6; i++)
		expect(WIRE_EVENTS);
	hear(7);
	ack.range_count = 2;
	ack.ranges[0] = (struct wire_range){.from = 1, .count = 1};
	ack.ranges[1] = (struct wire_range){.from = 3, .count = 2};
	give_ack();
	// 1 and 3 are missing by the packet threshold.
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 1);
	assert_int_equal(events.count, 1);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 3);
	assert_int_equal(next(), 0);
	assert_false(send_is_durable(s, FIRST + 1));
	assert_true(send_is_durable(s, FIRST + 2));
	assert_false(send_is_durable(s, FIRST + 3));
	assert_true(send_is_durable(s, FIRST + 4));
	assert_true(send_is_durable(s, FIRST + 5));
	// An older ACK takes nothing back.
	ack_number -= 2;
	ack.range_count = 0;
	ack.durable = FIRST;
	give_ack();
	assert_int_equal(send_durable(s), FIRST + 1);
	assert_true(send_is_durable(s, FIRST + 2));
}

// Parts of one event as they come. 'skip': the part that is lost the first time.
struct assembly {
	uint64_t seq;
	uint32_t bytes;
	unsigned parts, skipped;
	uint32_t skipped_at;
};

static void take_part(struct assembly *a, unsigned skip)
{
	if (part.seq != a->seq)
		return;
	assert_int_equal(part.total, WIRE_EVENT_MAX);
	if (a->parts++ == skip) {
		a->skipped++;
		a->skipped_at = part.offset;
		return;
	}
	a->bytes += part.len;
	hear(got.number);
}

static void a_lost_part_comes_again_alone(void **state)
{
	struct assembly a = {.seq = FIRST};
	bool small = false;
	unsigned parts;

	(void)state;
	handshake();
	offer_many(1, WIRE_EVENT_MAX);
	offer_many(1, 100);
	for (unsigned round = 0; a.bytes < WIRE_EVENT_MAX && round < 500; round++) {
		while (next() != 0) {
			if (got.type == WIRE_PART) {
				take_part(&a, 300);
			} else {
				small |= got.type == WIRE_EVENTS;
				receive_events();
			}
		}
		now += MS / 5;
		give_ack();
	}
	parts = (WIRE_EVENT_MAX + wire_part_room(1400) - 1) / wire_part_room(1400);
	assert_int_equal(a.bytes, WIRE_EVENT_MAX);
	assert_int_equal(a.skipped, 1);
	assert_int_equal(a.parts, parts + 1);
	assert_true(small);
	assert_int_equal(stats().lost, 1);
	assert_int_equal(have[1], 1);
	ack.durable = FIRST + 2;
	give_ack();
	assert_int_equal(send_kept(s), 0);
}

// A second one waits until the first has arrived, which is asked at once.
static void large_events_go_one_by_one(void **state)
{
	(void)state;
	warm_up();
	offer_many(1, 3000);
	offer_many(1, 100);
	offer_many(2, 3000);
	offer_many(1, 100);
	for (unsigned i = 2; i <= 4; i++) {
		expect(WIRE_PART);
		assert_int_equal(part.seq, FIRST + 1);
	}
	expect(WIRE_EVENTS);
	assert_int_equal(events.count, 1);
	expect(WIRE_PROBE);
	assert_int_equal(next(), 0);
	hear(2);
	hear(5);
	hear(6);
	now += MS / 5;
	give_ack();
	// A part is missing, and asked for when it was sent again.
	expect(WIRE_PART);
	assert_int_equal(part.seq, FIRST + 1);
	assert_int_equal(part.offset, wire_part_room(1400));
	hear(4);
	expect(WIRE_PROBE);
	assert_int_equal(next(), 0);
	hear(7);
	now += MS / 5;
	give_ack();
	for (unsigned i = 0; i < 3; i++) {
		expect(WIRE_PART);
		assert_int_equal(part.seq, FIRST + 3);
	}
	expect(WIRE_PROBE);
	assert_int_equal(next(), 0);
}

static void no_more_is_sent_than_there_is_credit_for(void **state)
{
	(void)state;
	opened.credit = 2500;
	handshake();
	offer_many(6, 1000);
	expect(WIRE_EVENTS);
	hear_it();
	expect(WIRE_EVENTS);
	hear_it();
	// Heard is not yet durable.
	assert_int_equal(next(), 0);
	ack.durable = FIRST + 1;
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 2);
	assert_int_equal(next(), 0);
	// More of it, and then an older ACK that knew of less.
	hear(got.number);
	ack.credit = 4000;
	give_ack();
	expect(WIRE_EVENTS);
	ack_number -= 2;
	ack.credit = 1000000;
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 4);
	assert_int_equal(next(), 0);
	// What is durable above one that isn't needs none.
	ack_number++;
	ack.credit = 4000;
	ack.range_count = 1;
	ack.ranges[0] = (struct wire_range){.from = 1, .count = 2};
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 5);
	assert_int_equal(next(), 0);
}

static void a_new_session_has_its_own_credit(void **state)
{
	(void)state;
	opened.credit = 2500;
	handshake();
	offer_many(6, 1000);
	expect(WIRE_EVENTS);
	expect(WIRE_EVENTS);
	hear_it();
	hear_it();
	hear_it();
	reset(token);
	handshake();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST);
	expect(WIRE_EVENTS);
	assert_int_equal(next(), 0);
	// Its first ACK is no older one.
	ack.credit = 3500;
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 2);
	assert_int_equal(next(), 0);
}

static void a_reset_forgets_what_was_to_come_again(void **state)
{
	(void)state;
	warm_up();
	offer_many(6, 1000);
	offer_many(1, 5000);
	for (unsigned i = 0; i < 7; i++)
		expect(i < 6 ? WIRE_EVENTS : WIRE_PART);
	hear(got.number);
	give_ack();
	reset(token);
	opened.durable = FIRST + 1;
	handshake();
	for (unsigned i = 0; i < 10; i++) {
		expect(i < 6 ? WIRE_EVENTS : WIRE_PART);
		assert_int_equal(i < 6 ? events.first_seq : part.seq, FIRST + 1 + (i < 6 ? i : 6));
	}
	assert_int_equal(part.offset + part.len, 5000);
	assert_int_equal(next(), 0);
}

static void the_pacer_is_waited_for(void **state)
{
	unsigned n = 0;

	(void)state;
	warm_up();
	offer_many(100, 1300);
	while (next() != 0)
		hear(got.number);
	now += MS / 5;
	give_ack();
	for (n = 0; next() != 0; n++)
		;
	assert_int_equal(n, 16);
	for (; n < 24; n++) {
		assert_true(send_due(s) > now && send_due(s) - now < 20000);
		expect(WIRE_EVENTS);
	}
}

static void an_event_larger_than_the_credit_goes_alone(void **state)
{
	(void)state;
	opened.credit = 500;
	handshake();
	offer_many(2, 1000);
	expect(WIRE_EVENTS);
	assert_int_equal(events.count, 1);
	hear_it();
	assert_int_equal(next(), 0);
	ack.durable = FIRST + 1;
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 1);
}

static void without_credit_it_is_asked_for(void **state)
{
	static const unsigned waits[] = {0, 20, 40, 80, 160, 320, 640, 1000, 1000};
	uint64_t before;

	(void)state;
	opened.credit = 0;
	handshake();
	assert_int_equal(next(), 0);
	assert_true(send_due(s) == UINT64_MAX);
	now += 100 * MS;
	offer_many(2, 1000);
	assert_true(send_due(s) <= now);
	before = now;
	for (unsigned i = 0; i < 9; i++) {
		expect(WIRE_PROBE);
		assert_int_equal(now - before, waits[i] * MS);
		assert_int_equal(probe.first_seq, FIRST);
		assert_int_equal(probe.next_seq, FIRST + 2);
		hear_it();
		before = now;
	}
	ack.credit = 1000;
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(events.count, 1);
	// Taken away: nothing is repeated, either.
	ack.credit = 0;
	give_ack();
	expect(WIRE_PROBE);
	expect(WIRE_PROBE);
	ack.credit = 1000;
	hear_it();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST);
}

static void nothing_is_sent_beyond_the_window(void **state)
{
	(void)state;
	opened.window = 10;
	handshake();
	offer_many(30, 10);
	expect(WIRE_EVENTS);
	assert_int_equal(events.count, 10);
	hear_it();
	assert_int_equal(next(), 0);
	ack.range_count = 1;
	ack.ranges[0] = (struct wire_range){.from = 1, .count = 9};
	give_ack();
	assert_int_equal(next(), 0);
	ack.range_count = 0;
	ack.durable = FIRST + 3;
	give_ack();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 10);
	assert_int_equal(events.count, 3);
}

// The probe timeout repeats the lowest, and asks: who has forgotten the session would not answer
// what is sealed.
static void silence_is_met_with_the_lowest_and_a_probe(void **state)
{
	uint64_t sent;

	(void)state;
	use_key();
	warm_up();
	offer_many(3, 1000);
	expect(WIRE_EVENTS);
	expect(WIRE_EVENTS);
	expect(WIRE_EVENTS);
	hear(2);
	give_ack();
	sent = now;
	expect(WIRE_EVENTS);
	assert_true(now > sent && now < sent + 5 * MS);
	assert_int_equal(events.first_seq, FIRST + 2);
	assert_int_equal(events.count, 1);
	assert_true(send_due(s) <= now);
	expect(WIRE_PROBE);
	assert_int_equal(stats().timeouts, 1);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = now;

		expect(WIRE_EVENTS);
		assert_int_equal(events.first_seq, FIRST + 2);
		expect(WIRE_PROBE);
		assert_true(now - before <= 1000 * MS);
		assert_true(i < 10 || now - before == 1000 * MS);
	}
	reset(token);
	opened.durable = FIRST + 1;
	handshake();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 1);
}

// All is heard, nothing is durable: the ACK that told of it may be lost.
static void what_does_not_become_durable_is_asked_after(void **state)
{
	static const unsigned waits[] = {10, 20, 40, 80, 160, 320, 640, 1000, 1000};
	uint64_t before;

	(void)state;
	warm_up();
	offer_many(3, 1000);
	expect(WIRE_EVENTS);
	hear(got.number);
	expect(WIRE_EVENTS);
	hear(got.number);
	expect(WIRE_EVENTS);
	hear_it();
	for (unsigned i = 0; i < 9; i++) {
		before = now;
		expect(WIRE_PROBE);
		assert_int_equal(now - before, waits[i] * MS);
		hear_it();
	}
	ack.durable = FIRST + 4;
	give_ack();
	assert_int_equal(next(), 0);
	assert_true(send_due(s) == UINT64_MAX);
	// From the beginning.
	offer_many(1, 1000);
	expect(WIRE_EVENTS);
	hear_it();
	assert_int_equal(next(), 0);
	assert_int_equal(send_due(s), now + 10 * MS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_is_lost_comes_again_and_nothing_else),
		TEST(what_is_durable_does_not_come_again),
		TEST(a_lost_part_comes_again_alone),
		TEST(large_events_go_one_by_one),
		TEST(no_more_is_sent_than_there_is_credit_for),
		TEST(a_new_session_has_its_own_credit),
		TEST(a_reset_forgets_what_was_to_come_again),
		TEST(the_pacer_is_waited_for),
		TEST(an_event_larger_than_the_credit_goes_alone),
		TEST(without_credit_it_is_asked_for),
		TEST(nothing_is_sent_beyond_the_window),
		TEST(silence_is_met_with_the_lowest_and_a_probe),
		TEST(what_does_not_become_durable_is_asked_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
