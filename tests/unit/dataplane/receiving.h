// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A dataplane on a ring port, with batchers that remember what they were offered.

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

static inline uint64_t drops(unsigned lcore, enum pkt_drop drop)
{
	return counter_get(&dp->lcores[lcore].values[LCORE_DROPS + drop]);
}

static inline uint64_t counted(unsigned lcore, enum lcore_counter counter)
{
	return counter_get(&dp->lcores[lcore].values[counter]);
}

static inline void assert_balanced(void)
{
	assert_int_equal(counters_sum(ROLE_PKT_IN), counters_sum(ROLE_PKT_TAKEN) +
							    counters_sum(ROLE_PKT_DROP) +
							    counters_sum(ROLE_PKT_FLIGHT));
}

static inline void set_config(void)
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

static inline void give_address(void)
{
	struct config_address *address = &config.ports[0].addresses[0];

	config.ports[0].address_count = 1;
	*address = (struct config_address){.prefix_len = 24, .is_ip4 = true};
	memcpy(&address->ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
}

static inline int build(void)
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

static inline int set_up(void **state)
{
	(void)state;
	set_config();
	return build();
}

static inline int set_up_addressed(void **state)
{
	(void)state;
	set_config();
	give_address();
	return build();
}

static inline int set_up_single(void **state)
{
	(void)state;
	set_config();
	config.cpu_count = 1;
	config.partitions = 1;
	return build();
}

// Two lcores that receive, one queue for them, one that appends.
static inline int set_up_pipeline(void **state)
{
	(void)state;
	set_config();
	config.mode = MODE_PIPELINE;
	config.cpu_count = 3;
	config.rx_lcores = 2;
	config.partitions = 1;
	return build();
}

static inline int tear_down(void **state)
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

static inline void send_to_port(struct rte_mbuf *m)
{
	assert_non_null(m);
	assert_int_equal(rte_eth_tx_burst(dp->ports[0].id, 0, &m, 1), 1);
}

static inline struct rte_mbuf *datagram(struct flow flow, const char *payload)
{
	return make_datagram(dp->ports[0].pool, flow, payload, (uint16_t)strlen(payload));
}

static inline void poll_all(void)
{
	while (rx_poll(&dp->lcores[0]) > 0)
		;
	for (unsigned l = 0; l < dp->lcore_count; l++)
		while (pipeline_drain(&dp->lcores[l]) > 0)
			;
}

static inline int start_eal(void **state)
{
	static char *args[] = {(char *)"rx_test", (char *)"--no-huge", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"-m256", (char *)"--no-telemetry",
		(char *)"--log-level=error", (char *)"--lcores=0@(0-1),1@0,2@0",
		(char *)"--main-lcore=0", NULL};

	(void)state;
	clock_init();
	return rte_eal_init(9, args) < 0 ? -1 : 0;
}

static inline int stop_eal(void **state)
{
	(void)state;
	return rte_eal_cleanup();
}

#define TEST(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down)
