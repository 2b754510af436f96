// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/host.h"
#include "receiving.h"

#include <time.h>

static const struct flow stranger = {0x0a000002, 0x0a000001, 1000, 9};

static int set_up_host(void **state)
{
	set_up_addressed(state);
	lcores_free(dp);
	assert_int_equal(host_make(dp), 0);
	return lcores_make(dp);
}

static int set_up_exception(void **state)
{
	set_up_host(state);
	// As if a TAP were there: nothing reads the ring in these tests.
	dp->ports[0].exception = true;
	config.ports[0].exception_rate = 10000;
	return 0;
}

static int tear_down_host(void **state)
{
	host_stop(dp->host);
	lcores_free(dp);
	host_free(dp);
	lcores_make(dp); // what tear_down() frees
	return tear_down(state);
}

static void send_strangers(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		send_to_port(datagram(stranger, "for nobody here"));
		rx_poll(&dp->lcores[0]);
	}
}

static uint64_t up_packets(void)
{
	return rte_ring_count(dp->lcores[0].up);
}

static void without_an_exception_device_strangers_keep_their_name(void **state)
{
	(void)state;
	send_strangers(3);
	assert_int_equal(drops(0, DROP_udp_no_listener), 3);
	assert_int_equal(up_packets(), 0);
	assert_balanced();
}

static void with_one_they_go_up_and_are_counted_in_flight(void **state)
{
	(void)state;
	send_strangers(3);
	assert_int_equal(drops(0, DROP_udp_no_listener), 0);
	assert_int_equal(counted(0, LCORE_handed_up), 3);
	assert_int_equal(up_packets(), 3);
	assert_balanced();
}

static void above_the_rate_they_are_a_named_drop(void **state)
{
	(void)state;
	config.ports[0].exception_rate = 1;
	send_strangers(200);
	assert_in_range(counted(0, LCORE_handed_up), 60, 70);
	assert_int_equal(drops(0, DROP_host_rate), 200 - counted(0, LCORE_handed_up));
	assert_balanced();
}

static void a_full_ring_to_the_host_thread_is_a_named_drop(void **state)
{
	(void)state;
	config.ports[0].exception_rate = 10000000;
	for (unsigned i = 0; i < 100000 && drops(0, DROP_host_full) == 0; i++)
		send_strangers(1);
	assert_int_equal(up_packets(), HOST_RING - 1);
	assert_true(drops(0, DROP_host_full) > 0);
	assert_balanced();
}

static void what_is_malformed_never_goes_up(void **state)
{
	struct rte_mbuf *m = datagram(stranger, "broken");

	(void)state;
	rte_pktmbuf_mtod(m, uint8_t *)[14 + 8] ^= 1; // the header's checksum is wrong now
	send_to_port(m);
	poll_all();
	assert_int_equal(drops(0, DROP_ip4_bad_checksum), 1);
	assert_int_equal(up_packets(), 0);
}

static void what_was_taken_up_comes_back_to_be_freed(void **state)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	(void)state;
	// Without the device, the thread takes each and counts it.
	assert_int_equal(host_start(dp->host), 0);
	for (unsigned i = 0; i < 3000; i++) {
		send_strangers(1);
		down_poll(&dp->lcores[0]);
		if (i % 100 == 99)
			nanosleep(&ts, NULL);
	}
	for (unsigned i = 0; i < 5000 && up_packets() > 0; i++)
		nanosleep(&ts, NULL);
	host_stop(dp->host);
	down_poll(&dp->lcores[0]);
	assert_int_equal(
		counter_get(&dp->host->values[HOST_protocol_packets]), counted(0, LCORE_handed_up));
	assert_true(counted(0, LCORE_handed_up) > 64);
	assert_balanced();
	assert_int_equal(counters_sum(ROLE_PKT_FLIGHT), 0);
}

static void frames_for_the_wire_are_sent_by_the_lcore(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	assert_int_equal(dp->lcores[0].down_count, 1);
	m = datagram(one_flow, "down");
	assert_int_equal(rte_ring_sp_enqueue(dp->host->ports[0].down, m), 0);
	down_poll(&dp->lcores[0]);
	assert_int_equal(counted(0, LCORE_sent_down), 1);
	poll_all(); // a ring port gives back what is sent
	assert_int_equal(batchers[0].count + batchers[1].count, 1);
}

static void wait_for(uint64_t count)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < 20000 && counted(0, LCORE_rx_packets) < count; i++)
		nanosleep(&ts, NULL);
	assert_int_equal(counted(0, LCORE_rx_packets), count);
}

static void send_some(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		send_to_port(datagram(one_flow, "before and after"));
}

static void a_reset_loses_no_count_and_reception_goes_on(void **state)
{
	(void)state;
	assert_int_equal(lcores_launch(dp), 0);
	send_some(50);
	wait_for(50);
	for (unsigned resets = 1; resets < 4; resets++) {
		atomic_store(&dp->ports[0].reset_wanted, true);
		port_reset_if_wanted(dp, &dp->ports[0]);
		assert_false(atomic_load(&dp->ports[0].reset_wanted));
		assert_false(atomic_load(&dp->ports[0].paused));
		send_some(50);
		wait_for(50 + 50 * resets);
		port_refresh(&dp->ports[0]);
		assert_int_equal(dp->ports[0].values[PORT_rx_packets], 50 + 50 * resets);
	}
	atomic_store(&dp->stop, true);
	assert_int_equal(lcores_join(dp), 0);
	assert_balanced();
}

static void while_a_port_is_paused_its_queues_are_left_alone(void **state)
{
	(void)state;
	atomic_store(&dp->ports[0].paused, true);
	send_some(5);
	assert_int_equal(rx_poll(&dp->lcores[0]), 0);
	atomic_store(&dp->ports[0].paused, false);
	assert_int_equal(rx_poll(&dp->lcores[0]), 5);
	poll_all();
}

static void an_lcore_that_does_not_move_puts_the_reset_off(void **state)
{
	(void)state;
	atomic_store(&dp->ports[0].reset_wanted, true);
	port_reset_if_wanted(dp, &dp->ports[0]); // nobody runs the lcores
	assert_true(atomic_load(&dp->ports[0].reset_wanted));
	assert_false(atomic_load(&dp->ports[0].paused));
}

#define HOST_TEST(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down_host)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST_TEST(without_an_exception_device_strangers_keep_their_name, set_up_host),
		HOST_TEST(with_one_they_go_up_and_are_counted_in_flight, set_up_exception),
		HOST_TEST(above_the_rate_they_are_a_named_drop, set_up_exception),
		HOST_TEST(a_full_ring_to_the_host_thread_is_a_named_drop, set_up_exception),
		HOST_TEST(what_is_malformed_never_goes_up, set_up_exception),
		HOST_TEST(what_was_taken_up_comes_back_to_be_freed, set_up_exception),
		HOST_TEST(frames_for_the_wire_are_sent_by_the_lcore, set_up_host),
		TEST(a_reset_loses_no_count_and_reception_goes_on, set_up),
		TEST(while_a_port_is_paused_its_queues_are_left_alone, set_up_single),
		TEST(an_lcore_that_does_not_move_puts_the_reset_off, set_up),
	};
	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
