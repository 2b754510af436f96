// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fragments.h"
#include "receiving.h"

#define SIZE 4000u

static uint8_t payload[SIZE], whole[SIZE + 64];
static uint16_t id;

static void ask_for(unsigned flows, uint64_t timeout_ns)
{
	set_config();
	config.cpu_count = 1;
	config.partitions = 1;
	config.fragment_flows = flows;
	config.fragment_timeout_ns = timeout_ns;
	for (unsigned i = 0; i < SIZE; i++)
		payload[i] = (uint8_t)(i * 7 + i / 256);
	id++;
}

static int set_up_fragments(void **state)
{
	(void)state;
	ask_for(16, 1000000000);
	return build();
}

static int set_up_short(void **state)
{
	(void)state;
	ask_for(16, 1000000);
	return build();
}

static int set_up_off(void **state)
{
	(void)state;
	ask_for(0, 1000000000);
	return build();
}

static uint64_t held(void)
{
	return counted(0, LCORE_held_fragments);
}

// Bytes [from, to) of the IP payload of a datagram with 'len' bytes of payload, as a fragment.
static void send_part(uint16_t len, uint32_t from, uint32_t to)
{
	uint32_t frame_len = fill_datagram(whole, one_flow, payload, len), all = len + 8u;
	struct rte_mbuf *m = rte_pktmbuf_alloc(dp->ports[0].pool);
	struct rte_ipv4_hdr *ip;
	uint8_t *frame;

	assert_int_equal(frame_len, 34 + all);
	frame = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(34 + to - from));
	memcpy(frame, whole, 34);
	memcpy(frame + 34, whole + 34 + from, to - from);
	ip = (void *)(frame + 14);
	ip->total_length = rte_cpu_to_be_16((uint16_t)(20 + to - from));
	ip->packet_id = rte_cpu_to_be_16(id);
	ip->fragment_offset = rte_cpu_to_be_16((uint16_t)(from / 8 | (to < all ? 0x2000 : 0)));
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	send_to_port(m);
	poll_all();
	assert_balanced();
}

static void assert_event(unsigned count, uint16_t len)
{
	assert_int_equal(batchers[0].count, count);
	assert_int_equal(batchers[0].last.payload_len, len);
	assert_memory_equal(batchers[0].last_payload, payload, len < 2048 ? len : 2048);
	assert_int_equal(held(), 0);
}

static void fragments_become_a_datagram_in_any_order(void **state)
{
	static const unsigned orders[6][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const uint32_t at[4] = {0, 504, 1000, 1208};

	(void)state;
	for (unsigned i = 0; i < 6; i++, id++) {
		for (unsigned j = 0; j < 3; j++) {
			assert_int_equal(held(), j);
			send_part(1200, at[orders[i][j]], at[orders[i][j] + 1]);
		}
		assert_event(i + 1, 1200);
	}
	assert_int_equal(counted(0, LCORE_joined_fragments), 12);
}

static void two_datagrams_are_not_mixed_up(void **state)
{
	(void)state;
	send_part(1200, 0, 600);
	id++;
	send_part(1200, 600, 1208);
	assert_int_equal(held(), 2);
	assert_int_equal(batchers[0].count, 0);
	send_part(1200, 0, 600);
	assert_int_equal(batchers[0].count, 1);
	assert_int_equal(held(), 1); // the other's first
}

static void overlaps_take_the_datagram_with_them(void **state)
{
	static const uint32_t second[][2] = {{592, 1208}, {400, 1208}};

	(void)state;
	for (unsigned i = 0; i < 2; i++, id++) {
		send_part(1200, 0, 600);
		send_part(1200, second[i][0], second[i][1]);
		assert_int_equal(drops(0, DROP_frag_bad), 2 * (i + 1));
		assert_int_equal(held(), 0);
	}
	// Sizes that add up over a hole and an overlap.
	send_part(1200, 0, 408);
	send_part(1200, 400, 800);
	send_part(1200, 808, 1208);
	assert_int_equal(drops(0, DROP_frag_bad), 7);
	assert_int_equal(batchers[0].count, 0);
}

static void a_first_fragment_twice_takes_the_datagram_with_it(void **state)
{
	(void)state;
	send_part(1200, 0, 600);
	send_part(1200, 0, 600);
	assert_int_equal(drops(0, DROP_frag_bad), 2);
	assert_int_equal(held(), 0);
}

static void more_than_eight_are_too_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		send_part(808, i * 102 / 8 * 8,
			0 + (i + 1) * 102 / 8 * 8 > 816 ? 816 : (i + 1) * 102 / 8 * 8);
	assert_int_equal(batchers[0].count, 1);
	id++;
	for (unsigned i = 0; i < 10; i++)
		send_part(808, i * 80, i < 9 ? (i + 1) * 80 : 816);
	assert_int_equal(batchers[0].count, 1);
	assert_true(drops(0, DROP_frag_bad) >= 8);
}

static void nonsense_is_dropped_at_once(void **state)
{
	(void)state;
	send_part(1200, 0, 601); // more to come, and no multiple of 8
	assert_int_equal(drops(0, DROP_frag_bad), 1);
	assert_int_equal(held(), 0);
}

static void what_waits_too_long_is_given_up_and_counted(void **state)
{
	const uint64_t later = clock_ticks() + clock_ns_to_ticks(20000000);

	(void)state;
	for (unsigned i = 0; i < 10; i++, id++)
		send_part(1200, 0, 600);
	assert_true(held() > 0 || drops(0, DROP_frag_timeout) > 0);
	fragments_expire(&dp->lcores[0], later);
	assert_int_equal(held(), 0);
	assert_int_equal(drops(0, DROP_frag_timeout), 10);
	assert_balanced();
}

static void the_table_is_bounded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 500; i++, id++)
		send_part(1200, 0, 600);
	assert_in_range(held(), 1, 16);
	assert_int_equal(drops(0, DROP_frag_full) + held(), 500);
}

static void what_is_held_at_the_end_is_counted(void **state)
{
	(void)state;
	send_part(1200, 0, 600);
	fragments_free(&dp->lcores[0]);
	assert_int_equal(drops(0, DROP_frag_timeout), 1);
	assert_balanced();
	assert_int_equal(counters_sum(ROLE_PKT_FLIGHT), 0);
}

static void turned_off_fragments_are_dropped_as_such(void **state)
{
	(void)state;
	send_part(1200, 0, 600);
	assert_int_equal(drops(0, DROP_ip4_fragment), 1);
}

static void a_wrong_checksum_is_found_in_the_whole(void **state)
{
	(void)state;
	send_part(1200, 0, 600);
	payload[900] ^= 1; // after the first part was sent with the other sum
	send_part(1200, 600, 1208);
	assert_int_equal(drops(0, DROP_udp_bad_checksum), 1);
	assert_int_equal(batchers[0].count, 0);
}

// Whatever comes in whatever order: all of it is accounted for, and a datagram is right or isn't.
static void any_sequence_is_accounted_for(void **state)
{
	(void)state;
	srandom(7);
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t from = (uint32_t)random() % 152 * 8,
			 to = from + 8 + (uint32_t)random() % 600;

		id = (uint16_t)(random() % 6);
		if (to >= 1200)
			to = 1208;
		send_part(1200, from, random() % 8 != 0 && to < 1208 ? to & ~7u : to);
		if (batchers[0].count > 0)
			assert_memory_equal(batchers[0].last_payload, payload, 1200);
	}
	assert_true(drops(0, DROP_frag_bad) > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fragments_become_a_datagram_in_any_order, set_up_fragments),
		TEST(overlaps_take_the_datagram_with_them, set_up_fragments),
		TEST(a_first_fragment_twice_takes_the_datagram_with_it, set_up_fragments),
		TEST(more_than_eight_are_too_many, set_up_fragments),
		TEST(nonsense_is_dropped_at_once, set_up_fragments),
		TEST(what_waits_too_long_is_given_up_and_counted, set_up_short),
		TEST(the_table_is_bounded, set_up_fragments),
		TEST(what_is_held_at_the_end_is_counted, set_up_fragments),
		TEST(turned_off_fragments_are_dropped_as_such, set_up_off),
		TEST(a_wrong_checksum_is_found_in_the_whole, set_up_fragments),
		TEST(any_sequence_is_accounted_for, set_up_fragments),
		TEST(two_datagrams_are_not_mixed_up, set_up_fragments),
	};
	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
