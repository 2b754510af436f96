// SPDX-License-Identifier: BSD-3-Clause
// The handshake, epochs, and what doesn't depend on loss; send_loss_test.c has the rest.

#include "receiving.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void a_session_opens(void **state)
{
	uint8_t random[32];

	(void)state;
	assert_int_equal(send_state(s), SEND_HELLO);
	expect(WIRE_HELLO);
	assert_int_equal(now, 5000 * MS);
	memcpy(random, hello.random, sizeof(random));
	challenge();
	assert_int_equal(send_state(s), SEND_OPENING);
	expect(WIRE_OPEN);
	assert_int_equal(now, 5000 * MS);
	assert_memory_equal(opening.random, random, sizeof(random));
	assert_int_equal(opening.made, 77);
	assert_string_equal((char *)opening.mac, "fifteen bytes..");
	assert_int_equal(opening.flags, WIRE_FRESH);
	assert_int_equal(opening.first_seq, FIRST);
	assert_int_equal(opening.prev_epoch, 0);
	open_it();
	assert_int_equal(send_state(s), SEND_OPEN);
	assert_int_equal(next(), 0);
	assert_true(send_due(s) == UINT64_MAX);
	assert_int_equal(ignored(), 0);
}

static void a_signed_session_opens(void **state)
{
	use_key();
	a_session_opens(state);
	offer_many(3, 50);
	expect(WIRE_EVENTS);
	assert_int_equal(got.key, 7);
	hear_it();
	assert_int_equal(ignored(), 0);
}

static void questions_are_asked_again_later_and_later(void **state)
{
	static const unsigned waits[] = {20, 40, 80, 160, 320, 640, 1000, 1000};
	uint8_t random[32];
	uint64_t before;

	(void)state;
	expect(WIRE_HELLO);
	memcpy(random, hello.random, sizeof(random));
	for (unsigned i = 0; i < 8; i++) {
		before = now;
		expect(WIRE_HELLO);
		assert_int_equal(now - before, waits[i] * MS);
		assert_memory_equal(hello.random, random, sizeof(random));
	}
	challenge();
	for (unsigned i = 0; i < 4; i++) {
		before = now;
		expect(WIRE_OPEN);
		assert_int_equal(now - before, i > 0 ? waits[i - 1] * MS : 0);
	}
	// Nobody answers: another challenge is asked for.
	expect(WIRE_HELLO);
	assert_memory_not_equal(hello.random, random, sizeof(random));
	challenge();
	expect(WIRE_OPEN);
	open_it();
	assert_int_equal(send_state(s), SEND_OPEN);
}

static void answers_to_another_question_are_ignored(void **state)
{
	(void)state;
	expect(WIRE_HELLO);
	hello.random[31] ^= 1;
	challenge();
	assert_int_equal(ignored(), 1);
	assert_int_equal(send_state(s), SEND_HELLO);
	hello.random[31] ^= 1;
	// Before its time.
	opening = (struct wire_open){0};
	memcpy(opening.random, hello.random, sizeof(opening.random));
	open_it();
	refuse(WIRE_NO_ROOM, 0);
	assert_int_equal(ignored(), 3);
	assert_int_equal(send_state(s), SEND_HELLO);
	challenge();
	challenge();
	assert_int_equal(ignored(), 4);
	expect(WIRE_OPEN);
	opening.random[0] ^= 1;
	open_it();
	refuse(WIRE_UNKNOWN_EPOCH, 0);
	assert_int_equal(ignored(), 6);
	assert_int_equal(send_state(s), SEND_OPENING);
	opening.random[0] ^= 1;
	open_it();
	assert_int_equal(send_state(s), SEND_OPEN);
	// Twice: it is open.
	send_take(s, answer, answer_len, now);
	assert_int_equal(ignored(), 7);
	assert_int_equal(next(), 0);
}

static void what_was_never_sent_is_not_durable(void **state)
{
	(void)state;
	offer_many(3, 10);
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	opened.durable = FIRST + 1;
	open_it();
	assert_int_equal(ignored(), 1);
	assert_int_equal(send_state(s), SEND_OPENING);
	assert_int_equal(send_durable(s), FIRST);
	opened.durable = FIRST;
	open_it();
	expect(WIRE_EVENTS);
	reset(token);
	opened.durable = FIRST + 2;
	handshake();
	assert_int_equal(opening.flags, WIRE_FRESH);
	assert_int_equal(send_durable(s), FIRST + 2);
	// That was an acknowledgement.
	reset(token);
	handshake();
	assert_int_equal(opening.flags, 0);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 2);
	assert_int_equal(events.count, 1);
	hear(1);
	ack.durable = FIRST + 4;
	give_ack();
	ack.durable = FIRST + 2;
	ack.range_count = 1;
	ack.ranges[0] = (struct wire_range){.from = 1, .count = 1};
	give_ack();
	ack.range_count = 0;
	ack.largest = 2;
	ack.durable = FIRST + 3;
	give_ack();
	assert_int_equal(ignored(), 4);
	assert_int_equal(send_durable(s), FIRST + 2);
	ack.largest = 1;
	ack.durable = FIRST + 3;
	give_ack();
	assert_int_equal(send_durable(s), FIRST + 3);
	assert_int_equal(send_kept(s), 0);
}

static void unsigned_answers_are_nobodys_when_there_is_a_key(void **state)
{
	struct seal_key right;

	(void)state;
	use_key();
	right = key;
	expect(WIRE_HELLO);
	key.id = 0;
	challenge();
	key = right;
	key.secret[0] ^= 1;
	challenge();
	key = right;
	challenge();
	answer[40] ^= 1;
	send_take(s, answer, answer_len, now);
	assert_int_equal(ignored(), 3);
	expect(WIRE_OPEN);
	open_it();
	key.id = 0;
	reset(token);
	key = right;
	offer_many(1, 10);
	expect(WIRE_EVENTS);
	hear(1);
	seal.to_sender[0] ^= 1;
	give_ack();
	seal.to_sender[0] ^= 1;
	seal.key = key.id = 0;
	give_ack();
	seal.key = key.id = right.id;
	assert_int_equal(ignored(), 6);
	assert_int_equal(send_state(s), SEND_OPEN);
	give_ack();
	assert_int_equal(ignored(), 6);
}

static void signed_answers_are_nobodys_when_there_is_no_key(void **state)
{
	(void)state;
	expect(WIRE_HELLO);
	key = (struct seal_key){.id = 7};
	challenge();
	assert_int_equal(ignored(), 1);
	assert_int_equal(send_state(s), SEND_HELLO);
}

// Header, and how it is wrong.
static void answers_of_another_session_are_ignored(void **state)
{
	struct wire_header right, wrong;

	(void)state;
	handshake();
	offer_many(1, 10);
	expect(WIRE_EVENTS);
	hear(1);
	right = answer_header(WIRE_ACK);
	right.token = token;
	right.number = 1;
	ack.durable = FIRST + 1;
	for (unsigned i = 0; i < 3; i++) {
		wrong = right;
		wrong.token += i == 0;
		wrong.epoch += i == 1;
		wrong.source += i == 2;
		give(wrong, wire_write_ack(answer + WIRE_HEADER, &ack));
	}
	reset(token + 1);
	memset(answer, 0xff, sizeof(answer));
	send_take(s, answer, sizeof(answer), now);
	send_take(s, answer, 0, now);
	assert_int_equal(ignored(), 6);
	assert_int_equal(send_durable(s), FIRST);
	give(right, wire_write_ack(answer + WIRE_HEADER, &ack));
	assert_int_equal(send_durable(s), FIRST + 1);
}

static void events_go_together_and_each_once(void **state)
{
	(void)state;
	handshake();
	offer_many(40, 100);
	assert_int_equal(offer(0), 0);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST);
	assert_int_equal(events.count, 13); // 102 bytes each in 1400 less 48
	receive_events();
	for (unsigned i = 0; i < 3; i++) {
		expect(WIRE_EVENTS);
		receive_events();
	}
	assert_int_equal(next(), 0);
	for (unsigned i = 0; i < 41; i++)
		assert_int_equal(have[i], 1);
}

static void after_a_reset_all_that_is_not_durable_comes_again(void **state)
{
	(void)state;
	handshake();
	offer_many(5, 1000);
	for (unsigned i = 0; i < 5; i++) {
		expect(WIRE_EVENTS);
		hear_it();
	}
	ack.durable = FIRST + 2;
	ack.range_count = 1;
	ack.ranges[0] = (struct wire_range){.from = 1, .count = 1};
	give_ack();
	assert_true(send_is_durable(s, FIRST + 3));
	assert_false(send_is_durable(s, FIRST + 2));
	assert_int_equal(next(), 0);
	reset(token);
	assert_int_equal(send_state(s), SEND_HELLO);
	assert_int_equal(send_due(s), now);
	opened.durable = FIRST + 1; // behind what was told: nothing
	handshake();
	assert_int_equal(opening.flags, 0);
	assert_int_equal(opening.first_seq, FIRST + 2);
	assert_int_equal(send_epoch_now(s)->number, 1);
	assert_int_equal(send_durable(s), FIRST + 2);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 2);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 4);
	assert_int_equal(next(), 0);
	// A new session's ACKs tell nothing of the old one's datagrams.
	hear(2);
	give_ack();
	ack.durable = FIRST + 5;
	give_ack();
	assert_int_equal(send_kept(s), 0);
	// It led to something, so another one is tried at once.
	reset(token);
	assert_int_equal(send_due(s), now);
}

static void resets_without_end_are_no_storm(void **state)
{
	unsigned hellos = 0;
	uint64_t end = now + 10000 * MS;

	(void)state;
	for (; now < end; hellos++) {
		handshake();
		reset(token);
	}
	assert_true(hellos < 30);
}

static void one_acknowledged(void)
{
	handshake();
	offer_many(4, 1000);
	expect(WIRE_EVENTS);
	hear(got.number);
	ack.durable = FIRST + 1;
	give_ack();
	reset(token);
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	assert_int_equal(opening.flags, 0);
	assert_int_equal(got.epoch, 1);
}

static void who_knows_nothing_of_the_epoch_gets_a_new_one(void **state)
{
	(void)state;
	one_acknowledged();
	refuse(WIRE_UNKNOWN_EPOCH, 0);
	expect(WIRE_HELLO);
	assert_int_equal(got.epoch, 2);
	challenge();
	expect(WIRE_OPEN);
	assert_int_equal(got.epoch, 2);
	assert_int_equal(opening.flags, WIRE_FRESH);
	assert_int_equal(opening.first_seq, FIRST + 1);
	assert_int_equal(opening.prev_epoch, 1);
	assert_int_equal(opening.prev_seq, FIRST + 1);
	assert_memory_equal(opening.prev_log, "the log of tests", 16);
	// Again, before anybody opened it: what went before is still the first one.
	refuse(WIRE_UNKNOWN_EPOCH, 0);
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	assert_int_equal(got.epoch, 3);
	assert_int_equal(opening.prev_epoch, 1);
	opened.durable = 0;
	open_it();
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 1);
}

static void a_later_epoch_is_passed(void **state)
{
	(void)state;
	one_acknowledged();
	refuse(WIRE_OLD_EPOCH, 900);
	expect(WIRE_HELLO);
	assert_int_equal(got.epoch, 901);
	challenge();
	expect(WIRE_OPEN);
	assert_int_equal(opening.flags, WIRE_FRESH);
	assert_int_equal(opening.prev_epoch, 1);
	// An older one is no reason, and after the last there is none.
	refuse(WIRE_OLD_EPOCH, 900);
	refuse(WIRE_OLD_EPOCH, UINT32_MAX);
	assert_int_equal(send_epoch_now(s)->number, 901);
	assert_int_equal(ignored(), 2);
}

static void who_has_no_room_is_asked_again_later(void **state)
{
	static const unsigned waits[] = {1, 2, 4, 8, 8};
	uint64_t before;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		expect(WIRE_HELLO);
		assert_int_equal(send_state(s), SEND_HELLO);
		challenge();
		expect(WIRE_OPEN);
		refuse(WIRE_NO_ROOM, 0);
		before = now;
		assert_int_equal(send_state(s), SEND_REFUSED);
		assert_int_equal(next(), 0);
		assert_int_equal(send_due(s), before + waits[i] * 1000 * MS);
	}
	handshake();
	reset(token);
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	refuse(WIRE_NO_ROOM, 0);
	assert_int_equal(send_due(s), now + 1000 * MS);
}

// It would never take it, and nothing behind it.
static void who_takes_no_event_so_large_is_no_receiver(void **state)
{
	(void)state;
	offer_many(1, 5000);
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	opened.event_max = 4999;
	open_it();
	assert_int_equal(send_state(s), SEND_REFUSED);
	opened.event_max = 5000;
	handshake();
	assert_int_equal(offer(5001), -EMSGSIZE);
	assert_int_equal(offer(5000), 0);
}

static void a_move_opens_a_new_epoch_if_the_old_one_was_used(void **state)
{
	(void)state;
	offer_many(5, 1000);
	expect(WIRE_HELLO);
	send_move(s, now);
	assert_int_equal(send_epoch_now(s)->number, 1);
	handshake();
	expect(WIRE_EVENTS);
	expect(WIRE_EVENTS);
	expect(WIRE_EVENTS);
	hear(1);
	ack.durable = FIRST + 1;
	ack.range_count = 1;
	ack.ranges[0] = (struct wire_range){.from = 1, .count = 1};
	give_ack();
	send_move(s, now);
	assert_int_equal(send_epoch_now(s)->number, 2);
	assert_int_equal(send_state(s), SEND_HELLO);
	memcpy(opened.log_id, "another log.....", 16);
	opened.durable = FIRST + 1;
	handshake();
	assert_int_equal(opening.flags, WIRE_FRESH);
	assert_int_equal(opening.first_seq, FIRST + 1);
	assert_int_equal(opening.prev_epoch, 1);
	assert_int_equal(opening.prev_seq, FIRST + 1);
	assert_memory_equal(opening.prev_log, "the log of tests", 16);
	// All of them: the new receiver has no hole, and what is durable is so still.
	for (unsigned i = 1; i < 5; i++) {
		expect(WIRE_EVENTS);
		assert_int_equal(events.first_seq, FIRST + i);
	}
	assert_true(send_is_durable(s, FIRST + 2));
	assert_int_equal(send_next_seq(s), FIRST + 5);
}

static void an_earlier_process_epoch_is_not_fresh(void **state)
{
	struct send_epoch kept;

	(void)state;
	handshake();
	kept = *send_epoch_now(s);
	assert_int_equal(kept.opened, 1);
	config.resumed = true;
	config.epoch = kept;
	config.first_seq = config.sent_end = FIRST + 7;
	opened.durable = FIRST + 7;
	start();
	handshake();
	assert_int_equal(opening.flags, 0);
	assert_memory_equal(send_epoch_now(s), &kept, sizeof(kept));
	send_move(s, now);
	assert_int_equal(send_epoch_now(s)->number, 2);
	assert_int_equal(send_epoch_now(s)->first_seq, FIRST + 7);
	// Nobody opened it; what went before it stays what went before.
	config.epoch = *send_epoch_now(s);
	start();
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	assert_int_equal(opening.flags, 0);
	refuse(WIRE_UNKNOWN_EPOCH, 0);
	handshake();
	assert_int_equal(got.epoch, 3);
	assert_int_equal(opening.flags, WIRE_FRESH);
	assert_int_equal(opening.prev_epoch, 1);
	assert_int_equal(opening.prev_seq, FIRST + 7);
	assert_memory_equal(opening.prev_log, "the log of tests", 16);
}

// Its spool was behind: what comes from it anew is in the log.
static void what_an_earlier_process_made_durable_is_not_sent_again(void **state)
{
	(void)state;
	config.resumed = true;
	config.sent_end = FIRST + 15;
	start();
	offer_many(3, 1000);
	opened.durable = FIRST + 16;
	expect(WIRE_HELLO);
	challenge();
	expect(WIRE_OPEN);
	open_it();
	assert_true(send_is_outdated(s));
	assert_int_equal(send_durable(s), FIRST);
	start();
	offer_many(3, 1000);
	opened.durable = FIRST + 6;
	handshake();
	assert_int_equal(send_durable(s), FIRST + 3);
	offer_many(2, 1000);
	assert_int_equal(send_durable(s), FIRST + 5);
	assert_int_equal(send_kept(s), 0);
	assert_int_equal(next(), 0);
	offer_many(2, 1000);
	assert_int_equal(send_durable(s), FIRST + 6);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 6);
	hear(got.number);
	ack.durable = FIRST + 9;
	ack.range_count = 1;
	ack.ranges[0] = (struct wire_range){.from = 1, .count = 5};
	give_ack();
	assert_int_equal(send_durable(s), FIRST + 7);
	// A new epoch knows nothing of what is in another log.
	send_move(s, now);
	offer_many(2, 1000);
	opened.durable = 0;
	handshake();
	assert_int_equal(opening.first_seq, FIRST + 7);
	expect(WIRE_EVENTS);
	assert_int_equal(events.first_seq, FIRST + 7);
}

static void memory_is_bounded(void **state)
{
	unsigned n = 0, again = 0;

	(void)state;
	config.bytes_max = 100000;
	start();
	handshake();
	while (offer(100) == 0) {
		assert_true(send_kept(s) <= 100000);
		n++;
	}
	assert_true(n > 300 && n < 1000);
	assert_int_equal(offer(100), -EAGAIN);
	assert_int_equal(send_next_seq(s), FIRST + n);
	assert_int_equal(offer(100000), -EMSGSIZE);
	while (send_durable(s) < FIRST + n) {
		while (next() != 0)
			hear(got.number);
		now += MS / 5;
		ack.durable = events.first_seq + events.count;
		give_ack();
	}
	assert_int_equal(send_kept(s), 0);
	while (offer(100) == 0)
		again++;
	assert_int_equal(again, n);
	config.bytes_max = 64u << 20;
	start();
	assert_int_equal(offer(WIRE_EVENT_MAX + 1), -EMSGSIZE);
	assert_int_equal(offer(WIRE_EVENT_MAX), 0);
}

static void wrong_numbers_make_no_sender(void **state)
{
	struct send_config wrong;
	struct send_half *none = NULL;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		wrong = config;
		if (i == 0)
			wrong.epoch.number = 0;
		if (i == 1)
			wrong.mtu = WIRE_MTU_MIN - 1;
		if (i == 2)
			wrong.mtu = WIRE_MTU_MAX + 1;
		if (i == 3)
			wrong.mtu_probe = WIRE_MTU_MAX + 1;
		if (i == 4)
			wrong.key = (struct seal_key){.id = 1, .cipher = (enum seal_cipher)9};
		if (i == 5)
			wrong.source = 0;
		assert_int_equal(send_make(&none, &wrong, now), -EINVAL);
	}
}

static void a_close_is_said_once_when_nothing_is_kept(void **state)
{
	(void)state;
	assert_int_equal(send_close(s, data), 0);
	use_key();
	handshake();
	offer_many(1, 10);
	assert_int_equal(send_close(s, data), 0);
	expect(WIRE_EVENTS);
	hear(got.number);
	ack.durable = FIRST + 1;
	give_ack();
	data_len = send_close(s, data);
	assert_true(data_len > 0);
	read_datagram();
	assert_int_equal(got.type, WIRE_CLOSE);
	assert_int_equal(send_close(s, data), 0);
	now += 5000 * MS;
	assert_int_equal(next(), 0);
	assert_true(send_due(s) == UINT64_MAX);
	// Another event begins another session.
	offer_many(1, 10);
	opened.durable = FIRST + 1;
	handshake();
	assert_int_equal(opening.flags, 0);
	expect(WIRE_EVENTS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_session_opens),
		TEST(a_signed_session_opens),
		TEST(questions_are_asked_again_later_and_later),
		TEST(answers_to_another_question_are_ignored),
		TEST(what_was_never_sent_is_not_durable),
		TEST(unsigned_answers_are_nobodys_when_there_is_a_key),
		TEST(signed_answers_are_nobodys_when_there_is_no_key),
		TEST(answers_of_another_session_are_ignored),
		TEST(events_go_together_and_each_once),
		TEST(after_a_reset_all_that_is_not_durable_comes_again),
		TEST(resets_without_end_are_no_storm),
		TEST(who_knows_nothing_of_the_epoch_gets_a_new_one),
		TEST(a_later_epoch_is_passed),
		TEST(who_has_no_room_is_asked_again_later),
		TEST(who_takes_no_event_so_large_is_no_receiver),
		TEST(a_move_opens_a_new_epoch_if_the_old_one_was_used),
		TEST(an_earlier_process_epoch_is_not_fresh),
		TEST(what_an_earlier_process_made_durable_is_not_sent_again),
		TEST(memory_is_bounded),
		TEST(wrong_numbers_make_no_sender),
		TEST(a_close_is_said_once_when_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
