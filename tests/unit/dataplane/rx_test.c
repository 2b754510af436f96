// SPDX-License-Identifier: BSD-3-Clause
#include "receiving.h"

static void a_datagram_becomes_an_event(void **state)
{
	(void)state;
	send_to_port(datagram(one_flow, "hello"));
	poll_all();
	assert_int_equal(batchers[0].count, 1);
	assert_int_equal(batchers[0].last.payload_len, 5);
	assert_memory_equal(batchers[0].last_payload, "hello", 5);
	assert_int_equal(batchers[0].last.src_port, 1000);
	assert_memory_equal(
		batchers[0].last.src_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
	assert_true(batchers[0].time > 0);
	assert_int_equal(counted(0, LCORE_datagrams), 1);
	assert_balanced();
}

static void a_datagram_keeps_its_line_ends(void **state)
{
	(void)state;
	send_to_port(datagram(one_flow, "a\r\nb\n"));
	poll_all();
	assert_int_equal(batchers[0].count, 1);
	assert_int_equal(batchers[0].last.payload_len, 5);
	assert_memory_equal(batchers[0].last_payload, "a\r\nb\n", 5);
	assert_balanced();
}

static void lines_become_events_and_empty_datagrams_a_drop(void **state)
{
	struct flow flow = one_flow;

	(void)state;
	flow.dst_port = 515;
	send_to_port(datagram(flow, "one\r\ntwo\n\nthree"));
	send_to_port(datagram(flow, "\n\n"));
	poll_all();
	assert_int_equal(batchers[0].count, 3);
	assert_int_equal(batchers[0].last.listener, 1);
	assert_memory_equal(batchers[0].last_payload, "three", 5);
	assert_int_equal(counted(0, LCORE_datagrams), 1);
	assert_int_equal(drops(0, DROP_udp_empty), 1);
	assert_balanced();
}

static void one_flow_stays_in_one_partition_and_many_are_spread(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		send_to_port(datagram(one_flow, "same"));
	poll_all();
	assert_int_equal(batchers[0].count + batchers[1].count, 4);
	assert_true(batchers[0].count == 0 || batchers[1].count == 0);
	for (unsigned i = 0; i < 2000; i++) {
		struct flow flow = one_flow;
		flow.src_port = (uint16_t)(1024 + i);
		send_to_port(datagram(flow, "x"));
		poll_all();
	}
	assert_in_range(batchers[0].count, 800, 1204);
	assert_int_equal(batchers[0].count + batchers[1].count, 2004);
	assert_balanced();
}

static void the_hash_spreads_addresses_over_any_number_of_partitions(void **state)
{
	unsigned hits[7] = {0};
	struct packet packet = {.src_port = 514, .dst_port = 514};

	(void)state;
	for (uint32_t i = 0; i < 7000; i++) {
		memcpy(packet.src_addr + 12, &i, 4);
		hits[steer_partition(steer_hash(&packet), 7)]++;
	}
	for (unsigned p = 0; p < 7; p++)
		assert_in_range(hits[p], 850, 1150);
}

// A flow of the partition that the receiving lcore doesn't own.
static struct flow foreign_flow(void)
{
	struct flow flow = one_flow;
	struct packet packet = {.dst_port = 514};

	memcpy(packet.src_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
	do
		packet.src_port = ++flow.src_port;
	while (steer_partition(steer_hash(&packet), 2) != 1);
	return flow;
}

static void what_another_owns_goes_by_its_ring_and_is_counted_there(void **state)
{
	(void)state;
	send_to_port(datagram(foreign_flow(), "passed on"));
	rx_poll(&dp->lcores[0]);
	assert_int_equal(batchers[1].count, 0);
	assert_int_equal(counters_sum(ROLE_PKT_FLIGHT), 1);
	assert_balanced();
	pipeline_drain(&dp->lcores[1]);
	assert_int_equal(batchers[1].count, 1);
	assert_memory_equal(batchers[1].last_payload, "passed on", 9);
	assert_int_equal(batchers[1].last.src_port, foreign_flow().src_port);
	assert_true(batchers[1].time > 0);
	assert_int_equal(counted(0, LCORE_steered), 1);
	assert_int_equal(counted(1, LCORE_datagrams), 1);
	assert_balanced();
}

static void a_full_ring_is_a_named_drop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		send_to_port(datagram(foreign_flow(), "much"));
		rx_poll(&dp->lcores[0]);
	}
	assert_int_equal(drops(0, DROP_ring_full), 200 - 127);
	assert_balanced();
	poll_all();
	assert_int_equal(batchers[1].count, 127);
	assert_balanced();
}

static void a_lcore_that_only_receives_leaves_in_the_queue_what_its_ring_cannot_take(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		send_to_port(datagram(one_flow, "x"));
	for (unsigned bursts = 1; bursts <= 3; bursts++) {
		while (rx_poll(&dp->lcores[0]) > 0)
			;
		assert_true(dp->lcores[0].held);
		assert_int_equal(counted(0, LCORE_steered), 64 * bursts);
		assert_int_equal(pipeline_drain(&dp->lcores[2]), 64);
	}
	poll_all();
	assert_int_equal(drops(0, DROP_ring_full), 0);
	assert_int_equal(batchers[0].count, 200);
	assert_balanced();
}

static void a_lcore_without_a_queue_has_nothing_to_receive(void **state)
{
	(void)state;
	send_to_port(datagram(one_flow, "x"));
	assert_int_equal(rx_poll(&dp->lcores[1]), 0);
	poll_all();
	assert_int_equal(batchers[0].count, 1);
	assert_balanced();
}

static void a_bad_checksum_is_a_named_drop(void **state)
{
	struct rte_mbuf *m = datagram(one_flow, "broken");

	(void)state;
	rte_pktmbuf_mtod(m, uint8_t *)[m->data_len - 1] ^= 1;
	send_to_port(m);
	poll_all();
	assert_int_equal(drops(0, DROP_udp_bad_checksum), 1);
	assert_int_equal(batchers[0].count + batchers[1].count, 0);
	assert_balanced();
}

static void what_the_device_says_of_checksums_is_believed(void **state)
{
	struct rte_mbuf *good = datagram(one_flow, "broken");
	struct rte_mbuf *bad = datagram(one_flow, "whole");

	(void)state;
	rte_pktmbuf_mtod(good, uint8_t *)[good->data_len - 1] ^= 1;
	good->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	bad->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_BAD;
	send_to_port(good);
	send_to_port(bad);
	poll_all();
	assert_int_equal(drops(0, DROP_udp_bad_checksum), 1);
	assert_int_equal(batchers[0].count + batchers[1].count, 1);
}

static void while_every_block_is_in_flight_nothing_taken_is_lost(void **state)
{
	(void)state;
	batchers[0].refuse = 5;
	send_to_port(datagram(one_flow, "first"));
	send_to_port(datagram(one_flow, "second"));
	poll_all();
	assert_int_equal(batchers[0].count, 2);
	assert_int_equal(batchers[0].refuse, 0);
	assert_true(batchers[0].polls >= 5);
	assert_balanced();
}

static const uint8_t arp_request[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6,
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1};

static void send_arp(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(dp->ports[0].pool);

	memcpy(rte_pktmbuf_append(m, sizeof(arp_request)), arp_request, sizeof(arp_request));
	send_to_port(m);
}

static void an_inquiry_is_answered_on_the_lcores_tx_queue(void **state)
{
	struct rte_mbuf *m = NULL;
	const uint8_t *frame;

	(void)state;
	send_arp();
	assert_int_equal(rx_poll(&dp->lcores[0]), 1);
	assert_int_equal(counted(0, LCORE_answers), 1);
	assert_balanced();
	assert_int_equal(rte_eth_rx_burst(dp->ports[0].id, 0, &m, 1), 1);
	frame = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_int_equal(m->data_len, 60);
	assert_memory_equal(frame, arp_request + 6, 6);
	assert_memory_equal(frame + 6, dp->ports[0].host.mac, 6);
	assert_int_equal(frame[21], 2);
	rte_pktmbuf_free(m);
}

static void where_the_kernel_answers_we_do_not(void **state)
{
	(void)state;
	dp->ports[0].answers = false;
	send_arp();
	poll_all();
	assert_int_equal(counted(0, LCORE_answers), 0);
	assert_int_equal(drops(0, DROP_arp_other), 1);
	assert_balanced();
}

static void an_answer_that_finds_no_room_is_a_named_drop(void **state)
{
	(void)state;
	dp->lcores[0].queues[0].tx_queue = -1;
	send_arp();
	poll_all();
	assert_int_equal(drops(0, DROP_tx_full), 1);
	assert_balanced();
}

static void bursts_are_counted_by_their_size(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64 + 9; i++)
		send_to_port(datagram(one_flow, "x"));
	poll_all();
	send_to_port(datagram(one_flow, "x"));
	poll_all();
	assert_int_equal(counted(0, LCORE_burst_64), 1);
	assert_int_equal(counted(0, LCORE_burst_8_15), 1);
	assert_int_equal(counted(0, LCORE_burst_1), 1);
	assert_int_equal(counted(0, LCORE_rx_bursts), 3);
	assert_int_equal(counted(0, LCORE_rx_packets), 74);
}

static void the_loop_ends_with_all_that_was_taken_appended(void **state)
{
	unsigned sent = 0, tries = 0;

	(void)state;
	assert_int_equal(lcores_launch(dp), 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct flow flow = one_flow;
		struct rte_mbuf *m;
		flow.src_port = (uint16_t)(1024 + i % 50000);
		m = datagram(flow, "in the loop");
		while (m == NULL && tries++ < 1000000)
			m = datagram(flow, "in the loop");
		assert_non_null(m);
		if (rte_eth_tx_burst(dp->ports[0].id, 0, &m, 1) == 1)
			sent++;
		else
			rte_pktmbuf_free(m);
	}
	while (counted(0, LCORE_rx_packets) < sent && tries++ < 100000000)
		;
	atomic_store(&dp->stop, true);
	assert_int_equal(lcores_join(dp), 0);
	assert_int_equal(counted(0, LCORE_rx_packets), sent);
	assert_int_equal(batchers[0].count + batchers[1].count + drops(0, DROP_ring_full), sent);
	assert_true(batchers[0].finished && batchers[1].finished);
	assert_balanced();
	assert_int_equal(counters_sum(ROLE_PKT_FLIGHT), 0);
}

static void a_single_partition_needs_no_ring(void **state)
{
	(void)state;
	assert_int_equal(dp->lcores[0].from_count, 0);
	assert_null(dp->lcores[0].to[0]);
	send_to_port(datagram(foreign_flow(), "own"));
	poll_all();
	assert_int_equal(batchers[0].count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_datagram_becomes_an_event, set_up_single),
		TEST(a_datagram_keeps_its_line_ends, set_up_single),
		TEST(lines_become_events_and_empty_datagrams_a_drop, set_up_single),
		TEST(one_flow_stays_in_one_partition_and_many_are_spread, set_up),
		TEST(the_hash_spreads_addresses_over_any_number_of_partitions, set_up),
		TEST(what_another_owns_goes_by_its_ring_and_is_counted_there, set_up),
		TEST(a_full_ring_is_a_named_drop, set_up),
		TEST(a_lcore_that_only_receives_leaves_in_the_queue_what_its_ring_cannot_take,
			set_up_pipeline),
		TEST(a_lcore_without_a_queue_has_nothing_to_receive, set_up_pipeline),
		TEST(a_bad_checksum_is_a_named_drop, set_up),
		TEST(what_the_device_says_of_checksums_is_believed, set_up),
		TEST(while_every_block_is_in_flight_nothing_taken_is_lost, set_up_single),
		TEST(an_inquiry_is_answered_on_the_lcores_tx_queue, set_up_addressed),
		TEST(where_the_kernel_answers_we_do_not, set_up_addressed),
		TEST(an_answer_that_finds_no_room_is_a_named_drop, set_up_addressed),
		TEST(bursts_are_counted_by_their_size, set_up_single),
		TEST(the_loop_ends_with_all_that_was_taken_appended, set_up),
		TEST(a_single_partition_needs_no_ring, set_up_single),
	};
	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
