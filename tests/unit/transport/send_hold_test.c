// SPDX-License-Identifier: BSD-3-Clause
// A sender that is held sends what it has sent, and nothing else.

#include "receiving.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void what_was_never_sent_waits(void **state)
{
	(void)state;
	offer_many(1, 1000);
	handshake();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST);
	offer_many(3, 1000);
	assert_int_equal(send_hold(s), FIRST + 1);
	assert_int_equal(send_sent_end(s), FIRST + 1);
	assert_int_equal(next(), 0);
	send_go_on(s);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 1);
}

static void what_was_sent_goes_on_being_sent(void **state)
{
	(void)state;
	offer_many(2, 1000);
	handshake();
	expect(WIRE_EVENTS);
	expect(WIRE_EVENTS);
	offer_many(2, 1000);
	assert_int_equal(send_hold(s), FIRST + 2);
	// In another session, for the receiver was started anew.
	reset(token);
	handshake();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 1);
	assert_int_equal(next(), 0);
}

static void a_large_one_is_sent_to_its_end(void **state)
{
	unsigned parts = 0;
	enum wire_type type;

	(void)state;
	offer_many(1, 50000);
	handshake();
	expect(WIRE_PART);
	offer_many(1, 100);
	assert_int_equal(send_hold(s), FIRST + 1);
	for (unsigned i = 0; i < 200; i++) {
		type = next_due();
		assert_int_not_equal(type, WIRE_EVENTS);
		parts += type == WIRE_PART;
		hear_it();
	}
	assert_true(parts > 30);
}

static void a_move_ends_it(void **state)
{
	(void)state;
	offer_many(1, 1000);
	handshake();
	expect(WIRE_EVENTS);
	ack.durable = FIRST + 1;
	hear_it();
	offer_many(1, 1000);
	assert_int_equal(send_hold(s), send_durable(s));
	send_move(s, now);
	memcpy(opened.log_id, "another log.....", 16);
	opened.durable = FIRST + 1;
	handshake();
	assert_int_equal(opening.prev_seq, FIRST + 1);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_was_never_sent_waits),
		TEST(what_was_sent_goes_on_being_sent),
		TEST(a_large_one_is_sent_to_its_end),
		TEST(a_move_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
