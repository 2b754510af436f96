// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/eal.h"
#include "dataplane/steer.h"
#include "fake_batcher.h"
#include "frames.h"

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned rings;
static struct config config;
static struct dataplane *dp;
static struct batcher *batchers;
static const struct flow one_flow = {0x0a000002, 0x0a000001, 1000, 514};

static uint64_t drops(unsigned lcore, enum pkt_drop drop)
{
	return counter_get(&dp->lcores[lcore].values[LCORE_DROPS + drop]);
}

static uint64_t counted(unsigned lcore, enum lcore_counter counter)
{
	return counter_get(&dp->lcores[lcore].values[counter]);
}

static void assert_balanced(void)
{
	assert_int_equal(counters_sum(ROLE_PKT_IN), counters_sum(ROLE_PKT_TAKEN) +
							    counters_sum(ROLE_PKT_DROP) +
							    counters_sum(ROLE_PKT_FLIGHT));
}

static void set_config(void)
{
	memset(&config, 0, sizeof(config));
	config.cpu_count = 2;
	config.partitions = 2;
	config.ring_size = 128;
	config.idle_sleep_ns = 100000;
	config.port_count = 1;
	snprintf(config.ports[0].name, sizeof(config.ports[0].name), "loop");
	// A ring port's rings outlive it, so each test has one of its own.
	snprintf(config.ports[0].device, sizeof(config.ports[0].device), "net_ring%u", rings++);
	config.ports[0].rx_queues = 1;
	config.ports[0].rx_descriptors = 256;
	config.ports[0].tx_descriptors = 256;
	config.listener_count = 2;
	config.listeners[0].udp_port = 514;
	config.listeners[0].any_address = true;
	config.listeners[1].number = 1;
	config.listeners[1].udp_port = 515;
	config.listeners[1].any_address = true;
	config.listeners[1].split = SPLIT_LINES;
}

static void give_address(void)
{
	struct config_address *address = &config.ports[0].addresses[0];

	config.ports[0].address_count = 1;
	*address = (struct config_address){.prefix_len = 24, .is_ip4 = true};
	memcpy(&address->ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
}

static int build(void)
{
	dp = calloc(1, sizeof(*dp));
	batchers = calloc(config.partitions, sizeof(*batchers));
	assert_non_null(dp);
	assert_non_null(batchers);
	dp->config = &config;
	plan_make(&dp->plan, &config);
	listener_table_init(&dp->listeners, &config);
	dp->port_count = 1;
	assert_int_equal(port_open(&dp->ports[0], 0, &config, &dp->plan), 0);
	dp->partition_count = config.partitions;
	for (unsigned i = 0; i < config.partitions; i++) {
		dp->partitions[i].number = i;
		dp->partitions[i].lcore = dp->plan.partition_lcore[i];
		dp->partitions[i].batcher = &batchers[i];
	}
	return lcores_make(dp);
}

static int set_up(void **state)
{
	(void)state;
	set_config();
	return build();
}

static int set_up_addressed(void **state)
{
	(void)state;
	set_config();
	give_address();
	return build();
}

static int set_up_single(void **state)
{
	(void)state;
	set_config();
	config.cpu_count = 1;
	config.partitions = 1;
	return build();
}

// Two lcores that receive, one queue for them, one that appends.
static int set_up_pipeline(void **state)
{
	(void)state;
	set_config();
	config.mode = MODE_PIPELINE;
	config.cpu_count = 3;
	config.rx_lcores = 2;
	config.partitions = 1;
	return build();
}

static int tear_down(void **state)
{
	unsigned in_use;

	(void)state;
	lcores_free(dp);
	in_use = rte_mempool_in_use_count(dp->ports[0].pool);
	port_close(&dp->ports[0]);
	free(dp);
	free(batchers);
	// Whatever way it went, each mbuf must be back.
	assert_int_equal(in_use, 0);
	return 0;
}

static void send_to_port(struct rte_mbuf *m)
{
	assert_non_null(m);
	assert_int_equal(rte_eth_tx_burst(dp->ports[0].id, 0, &m, 1), 1);
}

static struct rte_mbuf *datagram(struct flow flow, const char *payload)
{
	return make_datagram(dp->ports[0].pool, flow, payload, (uint16_t)strlen(payload));
}

static void poll_all(void)
{
	while (rx_poll(&dp->lcores[0]) > 0)
		;
	for (unsigned l = 0; l < dp->lcore_count; l++)
		while (pipeline_drain(&dp->lcores[l]) > 0)
			;
}

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

static void a_frame_over_several_mbufs_is_dropped_whole(void **state)
{
	struct rte_mbuf *m = datagram(one_flow, "head");

	(void)state;
	assert_int_equal(rte_pktmbuf_chain(m, datagram(one_flow, "tail")), 0);
	send_to_port(m);
	poll_all();
	assert_int_equal(drops(0, DROP_scattered), 1);
	assert_balanced();
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

static int start_eal(void **state)
{
	static char *args[] = {(char *)"rx_test", (char *)"--no-huge", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"-m256", (char *)"--no-telemetry",
		(char *)"--log-level=error", (char *)"--lcores=0@(0-1),1@0,2@0",
		(char *)"--main-lcore=0", NULL};

	(void)state;
	clock_init();
	return rte_eal_init(9, args) < 0 ? -1 : 0;
}

static int stop_eal(void **state)
{
	(void)state;
	return rte_eal_cleanup();
}

#define TEST(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down)

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
		TEST(a_frame_over_several_mbufs_is_dropped_whole, set_up),
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
