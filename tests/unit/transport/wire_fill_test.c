// SPDX-License-Identifier: BSD-3-Clause
// What goes into datagrams of a given size.

#include "samples.h"
#include "transport/wire.h"

static uint8_t text[ROOM];

static int set_up_text(void **state)
{
	fill(text, ROOM, 1);
	return set_up(state);
}

static void a_datagram_is_filled_to_its_room(void **)
{
	struct wire_writer w;

	for (uint32_t room = 80; room < 400; room++) {
		memset(copy, 0xee, sizeof(copy));
		wire_begin_events(&w, copy, room, 5);
		assert_false(wire_add_event(&w, text, room - 16 - 2 + 1));
		assert_true(wire_add_event(&w, text, 20));
		assert_false(wire_add_event(&w, text, room - 16 - 22 - 2 + 1));
		assert_true(wire_add_event(&w, text, room - 16 - 22 - 2));
		assert_false(wire_add_event(&w, text, 0));
		assert_int_equal(wire_end_events(&w), room);
		assert_int_equal(copy[room], 0xee);
		assert_true(is_read(WIRE_EVENTS, copy, room));
	}
}

static void padding_is_no_longer_than_needed(void **)
{
	struct wire_writer w;

	for (uint32_t len = 0; len < 100; len++) {
		uint32_t want = 18 + len > 80 ? 18 + len : 80;

		memset(copy, 0xee, sizeof(copy));
		wire_begin_events(&w, copy, ROOM, 5);
		assert_true(wire_add_event(&w, text, len));
		assert_int_equal(wire_end_events(&w), want);
		assert_int_equal(copy[want], 0xee);
		assert_true(is_read(WIRE_EVENTS, copy, want));
	}
}

static void a_datagram_has_no_more_events_than_are_allowed(void **)
{
	struct wire_events events;
	struct wire_writer w;
	uint32_t len;

	wire_begin_events(&w, copy, ROOM, 5);
	for (unsigned i = 0; i < WIRE_EVENTS_MAX; i++)
		assert_true(wire_add_event(&w, text, 1));
	assert_false(wire_add_event(&w, text, 1));
	len = wire_end_events(&w);
	assert_true(is_read(WIRE_EVENTS, copy, len));
	put(copy + 8, 2, WIRE_EVENTS_MAX + 1);
	put(copy + 12, 4, len - 16 + 2);
	put(copy + len, 2, 0);
	assert_false(wire_read_events(copy, len + 2, &events));
}

static void an_event_is_no_longer_than_its_length_can_say(void **)
{
	static uint8_t body[UINT16_MAX + 19], event[UINT16_MAX + 1];
	struct wire_writer w;

	wire_begin_events(&w, body, sizeof(body), 5);
	assert_false(wire_add_event(&w, event, UINT16_MAX + 1));
	assert_true(wire_add_event(&w, event, UINT16_MAX));
}

static void events_come_out_in_their_order(void **)
{
	static const char *const want[] = {"one", "", "three"};
	struct wire_events events;
	uint32_t at = 0, len;

	assert_true(wire_read_events(sample[WIRE_EVENTS], sample_len[WIRE_EVENTS], &events));
	assert_int_equal(events.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *event = wire_next_event(&events, &at, &len);

		assert_non_null(event);
		assert_int_equal(len, strlen(want[i]));
		assert_memory_equal(event, want[i], len);
	}
	assert_null(wire_next_event(&events, &at, &len));
}

// A large event in parts of the largest size: each fills its datagram as far as the grain lets it.
static void assert_parts(uint32_t mtu, uint32_t total)
{
	uint32_t room = wire_part_room(mtu);
	static uint8_t event[WIRE_EVENT_MAX];

	assert_int_equal(room % WIRE_PART_GRAIN, 0);
	assert_in_range(WIRE_HEADER + 24 + room + WIRE_TAG, mtu - WIRE_PART_GRAIN + 1, mtu);
	for (uint32_t at = 0; at < total; at += room) {
		uint32_t len = total - at < room ? total - at : room;
		struct wire_part part = {9, total, at, (uint16_t)len, event + at};
		uint32_t body = wire_write_part(copy, &part);

		assert_int_equal(body, len + 24 > 80 ? len + 24 : 80);
		assert_true(is_read(WIRE_PART, copy, body));
		assert_true(body + WIRE_HEADER + WIRE_TAG <= mtu);
		put(copy + body, 1, 0);
		assert_false(is_read(WIRE_PART, copy, body + 1));
	}
}

static void large_events_go_in_parts_of_any_mtu(void **)
{
	for (uint32_t mtu = WIRE_MTU_MIN; mtu < WIRE_MTU_MIN + 70; mtu++) {
		for (uint32_t total = 2000; total < 2070; total++)
			assert_parts(mtu, total);
	}
	assert_parts(WIRE_MTU_MIN, WIRE_EVENT_MAX);
	assert_parts(WIRE_MTU_MAX, WIRE_EVENT_MAX);
	assert_parts(WIRE_MTU_MAX, 1);
}

static void ranges_that_are_not_used_are_not_written(void **)
{
	struct wire_ack ack = {.range_count = 1, .ranges = {{1, 2}, {9, 9}, {9, 9}, {9, 9}}};

	assert_int_equal(wire_write_ack(copy, &ack), 80);
	assert_true(is_read(WIRE_ACK, copy, 80));
}

static void a_probe_has_the_size_that_is_asked_for(void **)
{
	struct wire_probe probe = {1, 2};

	for (uint32_t len = 0; len <= WIRE_MTU_MAX - WIRE_HEADER; len += 177) {
		uint32_t want = len > 80 ? len : 80;

		memset(copy, 0xee, sizeof(copy));
		assert_int_equal(wire_write_probe(copy, &probe, len), want);
		assert_true(is_read(WIRE_PROBE, copy, want));
		copy[want - 1] = 1;
		assert_false(is_read(WIRE_PROBE, copy, want));
	}
}

// Ids that count up by any power of two come evenly to all slots, as random ones do.
static void sources_spread_over_the_slots(void **)
{
	for (unsigned shift = 0; shift <= 48; shift++) {
		unsigned held[WIRE_SLOTS] = {0};

		for (uint64_t id = 0; id < 65536; id++) {
			uint32_t slot = wire_slot(id << shift);

			assert_true(slot < WIRE_SLOTS);
			held[slot]++;
		}
		for (unsigned slot = 0; slot < WIRE_SLOTS; slot++)
			assert_in_range(held[slot], 40, 90);
	}
}

// By the function that was published, worked out by hand.
static void a_source_keeps_its_slot(void **)
{
	assert_int_equal(wire_slot(0), 0);
	assert_int_equal(wire_slot(1), 0x9e3779b97f4a7c15 >> 54);
	assert_int_equal(wire_slot(UINT64_MAX), 0x61c8864680b583eb >> 54);
	assert_int_equal(wire_slot(0x8000000000000000), 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_filled_to_its_room),
		cmocka_unit_test(padding_is_no_longer_than_needed),
		cmocka_unit_test(a_datagram_has_no_more_events_than_are_allowed),
		cmocka_unit_test(an_event_is_no_longer_than_its_length_can_say),
		cmocka_unit_test(events_come_out_in_their_order),
		cmocka_unit_test(large_events_go_in_parts_of_any_mtu),
		cmocka_unit_test(ranges_that_are_not_used_are_not_written),
		cmocka_unit_test(a_probe_has_the_size_that_is_asked_for),
		cmocka_unit_test(sources_spread_over_the_slots),
		cmocka_unit_test(a_source_keeps_its_slot),
	};

	return cmocka_run_group_tests(tests, set_up_text, NULL);
}
