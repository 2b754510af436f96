// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct config config;
static struct plan plan;

static int set_up(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.cpu_count = 4;
	config.partitions = 4;
	config.rx_lcores = 1;
	config.ring_size = 256;
	config.port_count = 1;
	config.ports[0].rx_queues = 4;
	config.ports[0].rx_descriptors = 512;
	config.ports[0].tx_descriptors = 128;
	snprintf(config.ports[0].device, sizeof(config.ports[0].device), "net_null0");
	return 0;
}

static void by_default_each_lcore_has_a_queue_and_a_partition(void **state)
{
	(void)state;
	plan_make(&plan, &config);
	assert_int_equal(plan.rx_lcore_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(plan.queue_lcore[0][i], i);
		assert_int_equal(plan.partition_lcore[i], i);
		assert_int_equal(plan_tx_queue(&plan, 0, 4, i), i);
	}
}

static void in_pipeline_mode_no_receiving_lcore_owns_a_partition(void **state)
{
	(void)state;
	config.mode = MODE_PIPELINE;
	config.rx_lcores = 2;
	plan_make(&plan, &config);
	for (unsigned i = 0; i < 4; i++) {
		assert_in_range(plan.queue_lcore[0][i], 0, 1);
		assert_in_range(plan.partition_lcore[i], 2, 3);
	}
	assert_int_equal(plan_port_lcores(&plan, 0, 4), 2);
	assert_int_equal(plan_tx_queue(&plan, 0, 4, 1), 1);
	assert_int_equal(plan_tx_queue(&plan, 0, 4, 2), -1);
}

static void more_partitions_than_lcores_share_them_evenly(void **state)
{
	(void)state;
	config.partitions = 8;
	plan_make(&plan, &config);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(plan.partition_lcore[i], i % 4);
}

static void a_second_port_goes_on_where_the_first_ended(void **state)
{
	(void)state;
	config.port_count = 2;
	config.ports[0].rx_queues = 1;
	config.ports[1] = config.ports[0];
	plan_make(&plan, &config);
	assert_int_equal(plan.queue_lcore[0][0], 0);
	assert_int_equal(plan.queue_lcore[1][0], 1);
	assert_int_equal(plan_tx_queue(&plan, 1, 1, 1), 0);
	assert_int_equal(plan_tx_queue(&plan, 1, 1, 0), -1);
}

static void the_pool_covers_descriptors_rings_bursts_and_caches(void **state)
{
	(void)state;
	plan_make(&plan, &config);
	// 4 rx queues of 512, 4 tx of 128, 4 lcores with 3 foreign partitions each, two bursts
	// and a cache for each lcore.
	assert_int_equal(plan.mbufs_needed[0], 4 * 512 + 4 * 128 + 12 * 256 + 4 * 2 * BURST +
						       4 * 2 * HOST_RING + 4 * MBUF_CACHE * 3 / 2);
	config.mbufs = 100;
	plan_make(&plan, &config);
	assert_int_equal(plan.mbufs[0], plan.mbufs_needed[0]);
	config.mbufs = 1000000;
	plan_make(&plan, &config);
	assert_int_equal(plan.mbufs[0], 1000000);
}

static void af_xdp_needs_mbufs_for_its_own_rings(void **state)
{
	(void)state;
	uint32_t before;

	plan_make(&plan, &config);
	before = plan.mbufs_needed[0];
	snprintf(config.ports[0].device, sizeof(config.ports[0].device), "af_packet:veth0");
	plan_make(&plan, &config);
	assert_int_equal(plan.mbufs_needed[0], before);
	snprintf(config.ports[0].device, sizeof(config.ports[0].device), "veth0");
	plan_make(&plan, &config);
	assert_true(plan.mbufs_needed[0] >= before + 4 * 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(by_default_each_lcore_has_a_queue_and_a_partition, set_up),
		cmocka_unit_test_setup(
			in_pipeline_mode_no_receiving_lcore_owns_a_partition, set_up),
		cmocka_unit_test_setup(more_partitions_than_lcores_share_them_evenly, set_up),
		cmocka_unit_test_setup(a_second_port_goes_on_where_the_first_ended, set_up),
		cmocka_unit_test_setup(the_pool_covers_descriptors_rings_bursts_and_caches, set_up),
		cmocka_unit_test_setup(af_xdp_needs_mbufs_for_its_own_rings, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
