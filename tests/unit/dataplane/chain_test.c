// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/chain.h"
#include "receiving.h"

static uint8_t payload[65536], frame[65536 + 64];

// As long as UDP over IPv4 can be, without a period that a wrong order of pieces would fit.
static void fill_payload(void)
{
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof(payload); i++) {
		seed = seed * 1103515245 + 12345;
		payload[i] = (uint8_t)(seed >> 16);
	}
}

static void send_scattered(struct flow flow, uint16_t len, uint16_t first, uint16_t each)
{
	uint32_t frame_len = fill_datagram(frame, flow, payload, len);

	send_to_port(scatter(dp->ports[0].pool, frame, frame_len, first, each));
	poll_all();
}

static void assert_event(unsigned partition, unsigned count, uint16_t len)
{
	assert_int_equal(batchers[partition].count, count);
	assert_int_equal(batchers[partition].last.payload_len, len);
	assert_memory_equal(batchers[partition].last_payload, payload, len);
	assert_balanced();
}

static void a_frame_over_several_mbufs_becomes_one_event(void **state)
{
	(void)state;
	send_scattered(one_flow, 8958, 2048, 2048);
	assert_event(0, 1, 8958);
	assert_int_equal(batchers[0].last.src_port, 1000);
	assert_memory_equal(
		batchers[0].last.src_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
	assert_int_equal(counted(0, LCORE_datagrams), 1);
}

static void the_longest_datagram_is_taken_whole(void **state)
{
	(void)state;
	send_scattered(one_flow, 65507, 2048, 2048);
	assert_event(0, 1, 65507);
}

// Each cut within the headers, and pieces of odd length, over which the checksum has its bytes
// exchanged.
static void headers_and_checksum_may_be_cut_anywhere(void **state)
{
	unsigned count = 0;

	(void)state;
	for (uint16_t first = 1; first < 60; first++)
		for (uint16_t each = 3; each < 700; each = (uint16_t)(each * 3 + 1)) {
			send_scattered(one_flow, 601, first, each);
			assert_event(0, ++count, 601);
		}
	for (uint16_t first = 255; first < 262; first++) {
		send_scattered(one_flow, 1400, first, 31);
		assert_event(0, ++count, 1400);
	}
}

static void a_bit_wrong_in_any_piece_is_a_bad_checksum(void **state)
{
	static const uint16_t places[] = {42, 299, 300, 301, 331, 540, 640};
	unsigned sent = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint32_t len = fill_datagram(frame, one_flow, payload, 601);

		frame[places[i]] ^= 4;
		send_to_port(scatter(dp->ports[0].pool, frame, len, 301, 30));
		poll_all();
		assert_int_equal(drops(0, DROP_udp_bad_checksum), ++sent);
	}
	assert_int_equal(batchers[0].count, 0);
	assert_balanced();
}

static void what_the_device_says_of_a_chain_is_believed(void **state)
{
	uint32_t len = fill_datagram(frame, one_flow, payload, 601);
	struct rte_mbuf *m;

	(void)state;
	frame[600] ^= 4;
	m = scatter(dp->ports[0].pool, frame, len, 301, 300);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	send_to_port(m);
	m = scatter(dp->ports[0].pool, frame, len, 301, 300);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_BAD;
	send_to_port(m);
	poll_all();
	assert_int_equal(batchers[0].count, 1);
	assert_int_equal(drops(0, DROP_udp_bad_checksum), 1);
	assert_balanced();
}

static void lines_go_on_from_one_mbuf_to_the_next(void **state)
{
	struct flow flow = one_flow;
	uint32_t len;

	(void)state;
	flow.dst_port = 515;
	len = fill_datagram(frame, flow, "one\r\ntwo\n\nlast line", 19);
	send_to_port(scatter(dp->ports[0].pool, frame, len, 46, 3));
	len = fill_datagram(frame, flow, "\n\n", 2);
	send_to_port(scatter(dp->ports[0].pool, frame, len, 43, 1));
	poll_all();
	assert_int_equal(batchers[0].count, 3);
	assert_int_equal(batchers[0].lens[0], 3);
	assert_memory_equal(batchers[0].last_payload, "last line", 9);
	assert_int_equal(drops(0, DROP_udp_empty), 1);
	assert_balanced();
}

static void a_chain_goes_by_a_ring_to_the_lcore_that_owns_the_partition(void **state)
{
	struct flow flow = one_flow;
	struct packet packet = {.dst_port = 514};

	(void)state;
	memcpy(packet.src_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
	do
		packet.src_port = ++flow.src_port;
	while (steer_partition(steer_hash(&packet), 2) != 1);
	send_scattered(flow, 8958, 2048, 2048);
	assert_event(1, 1, 8958);
	assert_int_equal(counted(0, LCORE_steered), 1);
	assert_int_equal(batchers[1].last.src_port, flow.src_port);
	assert_int_equal(sizeof(struct steered), 40);
}

static void what_is_no_datagram_is_dropped_when_it_is_scattered(void **state)
{
	uint8_t echo[600];
	struct rte_ipv4_hdr *ip = (void *)(echo + 14);

	(void)state;
	fill_datagram(echo, one_flow, payload, sizeof(echo) - 42);
	ip->next_proto_id = IPPROTO_ICMP;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	memcpy(echo, dp->ports[0].host.mac, 6);
	memset(echo + 34, 0, 8);
	echo[34] = 8;
	send_to_port(scatter(dp->ports[0].pool, echo, sizeof(echo), 300, 300));
	poll_all();
	assert_int_equal(drops(0, DROP_scattered), 1);
	assert_balanced();
}

static void more_mbufs_than_are_looked_at_are_dropped(void **state)
{
	(void)state;
	send_scattered(one_flow, 1400, 256, 4);
	assert_int_equal(drops(0, DROP_scattered), 1);
	assert_balanced();
}

static void a_full_block_asks_for_the_chain_again(void **state)
{
	(void)state;
	batchers[0].refuse = 3;
	send_scattered(one_flow, 8958, 2048, 2048);
	assert_event(0, 1, 8958);
}

static void a_chain_is_cut_behind_any_byte(void **state)
{
	unsigned before = rte_mempool_in_use_count(dp->ports[0].pool);

	(void)state;
	for (uint32_t len = 1; len <= 700; len++) {
		struct rte_mbuf *m = scatter(dp->ports[0].pool, payload, 700, 100, 150);
		const struct rte_mbuf *last = m;
		uint32_t sum;
		uint16_t segs = 1;

		chain_cut(m, len);
		sum = m->data_len;
		for (; last->next != NULL; segs++, sum += last->data_len)
			last = last->next;
		assert_int_equal(m->pkt_len, len);
		assert_int_equal(sum, len);
		assert_int_equal(m->nb_segs, segs);
		assert_int_not_equal(last->data_len, 0);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rte_mempool_in_use_count(dp->ports[0].pool), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_over_several_mbufs_becomes_one_event, set_up_single),
		TEST(the_longest_datagram_is_taken_whole, set_up_single),
		TEST(headers_and_checksum_may_be_cut_anywhere, set_up_single),
		TEST(a_bit_wrong_in_any_piece_is_a_bad_checksum, set_up_single),
		TEST(what_the_device_says_of_a_chain_is_believed, set_up_single),
		TEST(lines_go_on_from_one_mbuf_to_the_next, set_up_single),
		TEST(a_chain_goes_by_a_ring_to_the_lcore_that_owns_the_partition, set_up),
		TEST(what_is_no_datagram_is_dropped_when_it_is_scattered, set_up_addressed),
		TEST(more_mbufs_than_are_looked_at_are_dropped, set_up_single),
		TEST(a_full_block_asks_for_the_chain_again, set_up_single),
		TEST(a_chain_is_cut_behind_any_byte, set_up_single),
	};
	fill_payload();
	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
