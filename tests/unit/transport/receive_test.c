// SPDX-License-Identifier: BSD-3-Clause
#include "sending.h"

static void nothing_is_kept_before_the_challenge_came_back(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);
	struct wire_open open, other;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		struct sender stranger = new_sender(r, i, 1);

		assert_int_equal(send_hello(&stranger), 0);
	}
	while (next_answer(r) > 0)
		assert_int_equal(answer_header.type, WIRE_CHALLENGE);
	assert_int_equal(counted(r, RECEIVE_hellos) + counted(r, RECEIVE_unanswered), 1000);
	send_hello(&s);
	open = challenged(&s);
	other = open;
	other.mac[3] ^= 1;
	assert_int_equal(send_open(&s, &other), 0);
	other = open;
	other.random[3] ^= 1;
	assert_int_equal(send_open(&s, &other), 0);
	s.peer.port++;
	assert_int_equal(send_open(&s, &open), 0);
	s.peer.port--;
	s.header.source++;
	assert_int_equal(send_open(&s, &open), 0);
	s.header.source--;
	now += 11000 * MS;
	assert_int_equal(send_open(&s, &open), 0);
	assert_int_equal(counted(r, RECEIVE_DROP_stale_cookie), 5);
	assert_int_equal(seen_count(receive_seen(r)), 0);
	assert_int_equal(next_answer(r), 0);
	receive_free(r);
}

static void an_epoch_is_a_row_before_its_session_is_there(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 3);
	struct receive_opening opening;
	struct wire_open open;

	(void)state;
	send_hello(&s);
	open = challenged(&s);
	open.first_seq = 77;
	open.prev_epoch = 2;
	open.prev_seq = 70;
	memset(open.prev_log, 9, sizeof(open.prev_log));
	assert_int_equal(send_open(&s, &open), 1);
	assert_true(events[0].is_opening && events[0].source == SOURCE && events[0].epoch == 3);
	assert_true(receive_read_opening(events[0].payload, events[0].len, &opening));
	assert_true(opening.first_seq == 77 && opening.prev_epoch == 2 && opening.prev_seq == 70);
	assert_memory_equal(opening.prev_log, open.prev_log, sizeof(open.prev_log));
	receive_appended(r, 0);
	assert_int_equal(next_answer(r), 0);
	assert_int_equal(seen_count(receive_seen(r)), 0);
	assert_int_equal(send_open(&s, &open), 1);
	receive_appended(r, 1);
	take_opened(&s);
	assert_int_equal(s.opened.durable, 77);
	assert_int_equal(s.opened.window, SEEN_WINDOW);
	assert_int_equal(counted(r, RECEIVE_overlaps), 1);
	// Heard again, as when its answer was lost.
	assert_int_equal(send_open(&s, &open), 0);
	take_opened(&s);
	assert_int_equal(counted(r, RECEIVE_resumed), 1);
	append(&s, 77, 3);
	receive_free(r);
}

static void only_what_is_durable_is_called_so(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 0);
	append(&s, 0, 5);
	now += 2 * MS;
	assert_true(take_ack(&s));
	assert_true(ack.largest == 1 && ack.durable == 0 && ack.range_count == 0);
	receive_submitted(r);
	append(&s, 5, 5);
	now += 2 * MS;
	assert_true(take_ack(&s));
	assert_int_equal(ack.durable, 0);
	receive_durable(r);
	assert_true(take_ack(&s));
	assert_int_equal(ack.durable, 5);
	a_block_is_durable(r);
	assert_true(take_ack(&s));
	assert_int_equal(ack.durable, 10);
	assert_false(take_ack(&s));
	receive_free(r);
}

static void what_is_durable_beyond_a_gap_is_told_as_ranges(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 0);
	append(&s, 0, 2);
	for (uint64_t seq = 5; seq < 50; seq += 5)
		append(&s, seq, 2);
	a_block_is_durable(r);
	assert_true(take_ack(&s));
	assert_true(ack.durable == 2 && ack.range_count == WIRE_RANGES);
	assert_true(ack.ranges[0].from == 3 && ack.ranges[0].count == 2);
	assert_true(ack.ranges[3].from == 18 && ack.ranges[3].count == 2);
	append(&s, 2, 3);
	a_block_is_durable(r);
	assert_true(take_ack(&s));
	assert_true(ack.durable == 7 && ack.ranges[0].from == 3);
	receive_free(r);
}

static void nothing_is_handed_out_twice(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 10);
	append(&s, 12, 3);
	assert_int_equal(send_events(&s, 10, 8), 5);
	assert_int_equal(events[0].seq, 10);
	assert_int_equal(events[2].seq, 15);
	receive_appended(r, 5);
	assert_int_equal(send_events(&s, 10, 8), 0);
	assert_int_equal(send_events(&s, 0, 8), 0);
	assert_int_equal(counted(r, RECEIVE_duplicates), 3 + 8 + 8);
	// A datagram of duplicates is heard all the same.
	now += MS;
	assert_true(take_ack(&s));
	assert_int_equal(ack.largest, s.header.number);
	receive_free(r);
}

static void what_was_not_appended_was_not_heard(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 0);
	append(&s, 0, 1);
	assert_int_equal(send_events(&s, 1, 4), 4);
	receive_appended(r, 2);
	now += 2 * MS;
	assert_true(take_ack(&s));
	assert_int_equal(ack.largest, 1);
	assert_int_equal(ack.credit, 0);
	assert_int_equal(counted(r, RECEIVE_untaken), 2);
	assert_int_equal(send_events(&s, 1, 4), 2);
	assert_int_equal(events[0].seq, 3);
	receive_appended(r, 2);
	assert_true(take_ack(&s));
	assert_int_equal(ack.largest, 3);
	assert_true(ack.heard[0] == 2);
	now += 60 * MS;
	send_probe(&s);
	assert_true(take_ack(&s));
	assert_int_equal(ack.credit, plain_config.credit);
	receive_free(r);
}

static void one_ack_tells_of_many_datagrams(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 0);
	for (uint64_t i = 0; i < 31; i++) {
		append(&s, i, 1);
		assert_false(take_ack(&s));
	}
	assert_int_equal(receive_due(r), now + MS);
	append(&s, 31, 1);
	assert_int_equal(receive_due(r), 0);
	assert_true(take_ack(&s));
	assert_true(ack.largest == 32 && ack.heard[0] == (1ull << 31) - 1);
	append(&s, 32, 1);
	assert_false(take_ack(&s));
	now += MS;
	assert_true(take_ack(&s));
	assert_int_equal(ack.delay, 1000);
	assert_int_equal(receive_due(r), UINT64_MAX);
	// A gap may be a loss.
	s.header.number += 3;
	append(&s, 33, 1);
	assert_true(take_ack(&s));
	assert_true(ack.largest == 37 && (ack.heard[0] & 0xf) == 8);
	assert_int_equal(counted(r, RECEIVE_acks), 3);
	receive_free(r);
}

static void a_number_is_heard_once(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);
	static const uint64_t numbers[] = {300, 299, 172, 173, 430, 303, 302, 559};
	static const uint64_t again[] = {300, 299, 172, 430, 559, 430, 0, 1, 430};

	(void)state;
	open_session(&s, 0);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		s.header.number = numbers[i] - 1;
		append(&s, i, 1);
		for (unsigned j = 0; j < 9; j++) {
			s.header.number = again[j] - 1;
			if (again[j] == 0 || (i == 7 && again[j] != 559 && again[j] > 430))
				continue;
			if (again[j] <= numbers[i] && (again[j] == numbers[i] || i == 7))
				assert_int_equal(send_events(&s, 100, 1), 0);
		}
	}
	assert_true(counted(r, RECEIVE_DROP_replayed) > 8);
	receive_free(r);
}

static void whoever_has_no_session_is_told(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 0);
	append(&s, 0, 1);
	s.header.token ^= 1;
	assert_int_equal(send_events(&s, 1, 1), 0);
	assert_int_equal(next_answer(r), WIRE_HEADER);
	assert_true(answer_header.type == WIRE_RESET && answer_header.token == s.header.token);
	s.header.source++;
	assert_int_equal(send_events(&s, 1, 1), 0);
	next_answer(r);
	assert_int_equal(answer_header.type, WIRE_RESET);
	assert_int_equal(counted(r, RECEIVE_resets), 2);
	receive_free(r);
}

static enum wire_refusal refused_as(struct sender *s, uint32_t flags, uint32_t *epoch)
{
	struct wire_refused refused;
	struct wire_open open;
	uint32_t len;

	send_hello(s);
	open = challenged(s);
	open.flags = flags;
	assert_int_equal(send_open(s, &open), 0);
	len = next_answer(s->r);
	assert_int_equal(answer_header.type, WIRE_REFUSED);
	assert_true(wire_read_refused(answer + WIRE_HEADER, len - WIRE_HEADER, &refused));
	*epoch = refused.epoch;
	return (enum wire_refusal)refused.reason;
}

static void an_epoch_that_is_not_known_is_refused(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 5), later = new_sender(r, SOURCE, 6);
	struct sender older = new_sender(r, SOURCE, 4);
	uint32_t epoch;

	(void)state;
	assert_int_equal(refused_as(&s, 0, &epoch), WIRE_UNKNOWN_EPOCH);
	open_session(&s, 0);
	append(&s, 0, 3);
	now += MS;
	assert_int_equal(refused_as(&later, 0, &epoch), WIRE_UNKNOWN_EPOCH);
	assert_int_equal(refused_as(&older, WIRE_FRESH, &epoch), WIRE_OLD_EPOCH);
	assert_int_equal(epoch, 5);
	// The session goes on until there is another.
	append(&s, 3, 1);
	now += MS;
	while (next_answer(r) > 0)
		;
	open_session(&later, 2);
	assert_int_equal(send_events(&later, 2, 3), 1);
	receive_appended(r, 1);
	assert_int_equal(send_events(&s, 4, 1), 0);
	assert_int_equal(counted(r, RECEIVE_resets), 1);
	receive_free(r);
}

static void there_is_room_for_so_many(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s;
	uint32_t epoch;

	(void)state;
	for (uint64_t i = 0; i < 4; i++) {
		s = new_sender(r, 1 + i, 1);
		open_session(&s, 0);
	}
	s = new_sender(r, 100, 1);
	// The row is there, but no session yet.
	send_hello(&s);
	struct wire_open open = challenged(&s);
	assert_int_equal(send_open(&s, &open), 1);
	receive_appended(r, 1);
	next_answer(r);
	assert_int_equal(answer_header.type, WIRE_REFUSED);
	// Who is idle gives his up.
	now += 1100 * MS;
	open_session(&s, 0);
	append(&s, 0, 1);
	now += 1100 * MS;
	for (uint64_t i = 0; i < 3; i++) {
		s = new_sender(r, 200 + i, 1);
		open_session(&s, 0);
		now += 1100 * MS;
	}
	s = new_sender(r, 300, 1);
	assert_int_equal(refused_as(&s, WIRE_FRESH, &epoch), WIRE_NO_ROOM);
	receive_free(r);
}

static void after_a_restart_duplicates_are_still_known(void **state)
{
	struct receive *r = make_receive(&plain_config), *again = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);
	struct wire_open open;
	uint8_t payload[RECEIVE_OPENING];
	struct received row = {.source = SOURCE, .epoch = 1, .len = 1, .payload = payload};

	(void)state;
	send_hello(&s);
	open = challenged(&s);
	open.first_seq = 4;
	assert_int_equal(send_open(&s, &open), 1);
	memcpy(payload, events[0].payload, sizeof(payload));
	events[0].payload = payload;
	assert_int_equal(receive_restore(again, &row, 1), -22);
	assert_int_equal(receive_restore(again, &events[0], 1), 0);
	for (row.seq = 4; row.seq < 8; row.seq++)
		assert_int_equal(receive_restore(again, &row, 1), 0);
	row.seq = 9;
	assert_int_equal(receive_restore(again, &row, 1), 0);
	assert_int_equal(receive_restore(again, &row, 1), 0);
	row.epoch = 2;
	assert_int_equal(receive_restore(again, &row, 1), -22);
	s.r = again;
	send_hello(&s);
	open = challenged(&s);
	open.flags = 0;
	assert_int_equal(send_open(&s, &open), 0);
	take_opened(&s);
	assert_int_equal(s.opened.durable, 8);
	assert_int_equal(send_events(&s, 4, 7), 2);
	assert_true(events[0].seq == 8 && events[1].seq == 10);
	receive_appended(again, 2);
	a_block_is_durable(again);
	assert_true(take_ack(&s));
	assert_int_equal(ack.durable, 11);
	receive_free(r);
	receive_free(again);
}

static void large_events_come_in_parts_of_any_order(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 0);
	assert_int_equal(send_part(&s, 0, 150000, 128000, 22000), 0);
	assert_int_equal(send_part(&s, 1, 100, 0, 100), 1);
	receive_appended(r, 1);
	assert_int_equal(send_part(&s, 0, 150000, 0, 64000), 0);
	assert_int_equal(send_part(&s, 0, 150000, 0, 64000), 0);
	assert_int_equal(send_part(&s, 0, 150001, 64000, 64000), 0);
	assert_int_equal(counted(r, RECEIVE_DROP_part_mismatch), 1);
	assert_int_equal(send_part(&s, 0, 150000, 32000, 64000), 0);
	assert_int_equal(send_part(&s, 0, 150000, 96000, 32000), 1);
	receive_appended(r, 0);
	assert_int_equal(send_part(&s, 0, 150000, 96000, 32000), 1);
	assert_true(events[0].len == 150000 && events[0].seq == 0);
	for (uint32_t i = 0; i < events[0].len; i++)
		assert_int_equal(events[0].payload[i], 0);
	receive_appended(r, 1);
	assert_int_equal(send_part(&s, 0, 150000, 0, 64000), 0);
	assert_int_equal(counted(r, RECEIVE_duplicates), 1);
	assert_int_equal(seen_find((struct seen *)receive_seen(r), SOURCE)->floor, 2);
	receive_free(r);
}

static void a_stalled_large_event_gives_way(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender one = new_sender(r, 1, 1), two = new_sender(r, 2, 1);

	(void)state;
	open_session(&one, 0);
	open_session(&two, 0);
	send_part(&one, 0, 100000, 0, 64000);
	send_part(&one, 1, 100000, 0, 64000);
	// Other events are not held up.
	append(&two, 0, 1);
	assert_int_equal(send_part(&two, 1, 100000, 0, 64000), 0);
	assert_int_equal(counted(r, RECEIVE_DROP_no_parts), 1);
	now += 1100 * MS;
	send_part(&two, 1, 100000, 0, 64000);
	assert_int_equal(send_part(&two, 1, 100000, 64000, 36000), 1);
	receive_appended(r, 1);
	// Its sender is told, and begins again with both.
	send_part(&one, 0, 100000, 64000, 36000);
	assert_int_equal(counted(r, RECEIVE_resets), 1);
	receive_free(r);
}

static void the_credit_is_shared_by_who_is_active(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender one = new_sender(r, 1, 1), two = new_sender(r, 2, 1);

	(void)state;
	open_session(&one, 0);
	assert_int_equal(one.opened.credit, plain_config.credit);
	open_session(&two, 0);
	assert_int_equal(two.opened.credit, plain_config.credit / 2);
	now += 600 * MS;
	send_probe(&one);
	assert_true(take_ack(&one));
	assert_int_equal(ack.credit, plain_config.credit / 2);
	now += 600 * MS;
	send_probe(&one);
	assert_true(take_ack(&one));
	assert_int_equal(ack.credit, plain_config.credit);
	receive_free(r);
}

static void a_failed_partition_says_nothing_more(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);

	(void)state;
	open_session(&s, 0);
	append(&s, 0, 3);
	receive_submitted(r);
	receive_fail(r);
	receive_durable(r);
	now += 10 * MS;
	assert_int_equal(next_answer(r), 0);
	assert_int_equal(send_events(&s, 3, 1), 0);
	assert_int_equal(send_hello(&s), 0);
	assert_int_equal(next_answer(r), 0);
	assert_int_equal(receive_due(r), UINT64_MAX);
	receive_free(r);
}

static void who_is_silent_is_forgotten(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1), other = new_sender(r, 2, 1);

	(void)state;
	open_session(&s, 0);
	append(&s, 0, 1);
	now += 61000 * MS;
	open_session(&other, 0);
	assert_int_equal(counted(r, RECEIVE_expired_sessions), 1);
	assert_int_equal(seen_count(receive_seen(r)), 2);
	now += 3601ull * 1000 * MS;
	send_probe(&other);
	assert_int_equal(counted(r, RECEIVE_expired_sources), 2);
	assert_int_equal(seen_count(receive_seen(r)), 0);
	receive_free(r);
}

static struct receive_config keyed_config(void)
{
	struct receive_config config = plain_config;

	config.key_count = 2;
	config.keys[0] = (struct seal_key){7, SEAL_XCHACHA20_POLY1305, "the one"};
	config.keys[1] = (struct seal_key){8, SEAL_XCHACHA20_POLY1305, "the next"};
	return config;
}

static void without_the_key_nobody_is_heard_or_answered(void **state)
{
	struct receive_config config = keyed_config();
	struct receive *r = make_receive(&config);
	struct sender s = new_sender(r, SOURCE, 1), thief;

	(void)state;
	send_hello(&s);
	s.key = (struct seal_key){9, SEAL_XCHACHA20_POLY1305, "the one"};
	send_hello(&s);
	s.key = (struct seal_key){7, SEAL_XCHACHA20_POLY1305, "another"};
	send_hello(&s);
	assert_int_equal(counted(r, RECEIVE_DROP_unsigned), 3);
	assert_int_equal(next_answer(r), 0);
	s.key = config.keys[1];
	open_session(&s, 0);
	append(&s, 0, 2);
	// What is on the wire lets nobody take the session over.
	thief = s;
	thief.key = (struct seal_key){0};
	thief.seal = (struct seal_session){0};
	assert_int_equal(send_events(&thief, 2, 1), 0);
	thief.header.token++;
	assert_int_equal(send_events(&thief, 2, 1), 0);
	thief.key = config.keys[1];
	thief.seal = s.seal;
	assert_int_equal(send_events(&thief, 2, 1), 0);
	now += 2 * MS;
	assert_true(take_ack(&s));
	assert_int_equal(next_answer(r), 0);
	// But who has the key learns that there is no session.
	assert_int_equal(send_probe(&thief), 0);
	assert_true(next_answer(r) > 0 && answer_header.type == WIRE_RESET);
	receive_free(r);
}

static void captured_traffic_gets_nothing_in(void **state)
{
	struct receive_config config = keyed_config();
	struct receive *r = make_receive(&config), *again = make_receive(&config);
	struct sender s = new_sender(r, SOURCE, 1), replay;
	struct wire_open open;

	(void)state;
	s.key = config.keys[0];
	send_hello(&s);
	open = challenged(&s);
	replay = s;
	assert_int_equal(send_open(&s, &open), 1);
	receive_appended(r, 1);
	take_opened(&s);
	replay = s;
	append(&s, 0, 2);
	assert_int_equal(send_events(&replay, 0, 2), 0);
	// The same OPEN is answered as before; an older one of the sender's is not.
	now += MS;
	assert_true(take_ack(&s));
	open_session(&s, 0);
	assert_int_equal(send_open(&replay, &open), 0);
	assert_int_equal(counted(r, RECEIVE_DROP_stale_cookie), 1);
	replay.r = again;
	assert_int_equal(send_open(&replay, &open), 0);
	assert_int_equal(send_events(&replay, 0, 2), 0);
	assert_int_equal(next_answer(again), 0);
	assert_int_equal(seen_count(receive_seen(again)), 0);
	receive_free(r);
	receive_free(again);
}

static void the_answers_follow_the_sender(void **state)
{
	struct receive *r = make_receive(&plain_config);
	struct sender s = new_sender(r, SOURCE, 1);
	struct peer opened = s.peer, last;

	(void)state;
	open_session(&s, 0);
	for (uint64_t i = 0; i < 100; i++) {
		s.peer.port = (uint16_t)(1000 + i);
		s.peer.way = i % 2;
		append(&s, i, 1);
	}
	last = s.peer;
	now += MS;
	assert_true(take_ack(&s));
	// From there one datagram came, so one answer went there: it may be somebody else's
	// address.
	a_block_is_durable(r);
	s.peer = opened;
	assert_true(take_ack(&s));
	assert_int_equal(ack.durable, 100);
	s.peer = last;
	append(&s, 100, 1);
	now += MS;
	assert_true(take_ack(&s));
	// Where the session was opened it may be any number.
	s.peer = opened;
	append(&s, 101, 1);
	for (unsigned i = 0; i < 3; i++) {
		now += MS;
		assert_int_equal(take_ack(&s), i == 0 || i == 1);
		if (i == 0)
			a_block_is_durable(r);
	}
	receive_free(r);
}

static void so_many_sources_fit_into_blocks_under_way(void **state)
{
	struct receive_config config = plain_config;
	struct receive *r;
	struct sender s[3];

	(void)state;
	config.snapshots = 3;
	r = make_receive(&config);
	for (unsigned i = 0; i < 3; i++) {
		s[i] = new_sender(r, 1 + i, 1);
		open_session(&s[i], 0);
	}
	receive_submitted(r);
	assert_int_equal(send_events(&s[0], 0, 1), 0);
	assert_int_equal(counted(r, RECEIVE_DROP_busy), 1);
	receive_durable(r);
	append(&s[0], 0, 1);
	receive_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_kept_before_the_challenge_came_back),
		cmocka_unit_test(an_epoch_is_a_row_before_its_session_is_there),
		cmocka_unit_test(only_what_is_durable_is_called_so),
		cmocka_unit_test(what_is_durable_beyond_a_gap_is_told_as_ranges),
		cmocka_unit_test(nothing_is_handed_out_twice),
		cmocka_unit_test(what_was_not_appended_was_not_heard),
		cmocka_unit_test(one_ack_tells_of_many_datagrams),
		cmocka_unit_test(a_number_is_heard_once),
		cmocka_unit_test(whoever_has_no_session_is_told),
		cmocka_unit_test(an_epoch_that_is_not_known_is_refused),
		cmocka_unit_test(there_is_room_for_so_many),
		cmocka_unit_test(after_a_restart_duplicates_are_still_known),
		cmocka_unit_test(large_events_come_in_parts_of_any_order),
		cmocka_unit_test(a_stalled_large_event_gives_way),
		cmocka_unit_test(the_credit_is_shared_by_who_is_active),
		cmocka_unit_test(a_failed_partition_says_nothing_more),
		cmocka_unit_test(who_is_silent_is_forgotten),
		cmocka_unit_test(without_the_key_nobody_is_heard_or_answered),
		cmocka_unit_test(captured_traffic_gets_nothing_in),
		cmocka_unit_test(the_answers_follow_the_sender),
		cmocka_unit_test(so_many_sources_fit_into_blocks_under_way),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
