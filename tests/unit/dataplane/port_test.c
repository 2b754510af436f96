// SPDX-License-Identifier: BSD-3-Clause
#include "common/logmsg.h"
#include "dataplane/eal.h"
#include "dataplane/port.h"

#include <rte_eal.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config config;
static struct plan plan;
static struct port port;
static struct eal_args args;

static int set_up(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.cpu_count = 1;
	config.cpus[0] = 1;
	config.partitions = 1;
	config.ring_size = 64;
	config.hugepages = true;
	config.port_count = 1;
	snprintf(config.data, sizeof(config.data), "/data/one");
	snprintf(config.ports[0].name, sizeof(config.ports[0].name), "wan");
	config.ports[0].rx_queues = 1;
	config.ports[0].rx_descriptors = 128;
	config.ports[0].tx_descriptors = 128;
	return 0;
}

static void use(const char *device)
{
	snprintf(config.ports[0].device, sizeof(config.ports[0].device), "%s", device);
	plan_make(&plan, &config);
}

static bool has_arg(const char *text)
{
	for (int i = 0; i < args.count; i++)
		if (strncmp(args.list[i], text, strlen(text)) == 0)
			return true;
	return false;
}

static void eal_starts_without_devices_and_leaves_no_files(void **state)
{
	(void)state;
	use("net_null0");
	assert_int_equal(eal_args_make(&args, &config, &plan), 0);
	assert_true(has_arg("--no-pci"));
	assert_true(has_arg("--in-memory"));
	assert_true(has_arg("--file-prefix=millrace-"));
	assert_true(has_arg("--main-lcore=0"));
	assert_false(has_arg("--no-huge"));
	assert_false(has_arg("--no-telemetry"));
	assert_null(args.list[args.count]);
}

static void each_cpu_has_one_pinned_lcore(void **state)
{
	(void)state;
	config.cpu_count = 2;
	config.cpus[1] = 0;
	use("net_null0");
	assert_int_equal(eal_args_make(&args, &config, &plan), 0);
	for (int i = 0; i < args.count; i++)
		if (strncmp(args.list[i], "--lcores=", 9) == 0) {
			assert_memory_equal(args.list[i], "--lcores=0@(", 12);
			assert_string_equal(strchr(args.list[i], ')'), "),1@1,2@0");
			return;
		}
	fail_msg("no --lcores");
}

static void a_pci_port_is_the_only_device_allowed(void **state)
{
	(void)state;
	use("03:00.0,rx_vec=1");
	assert_int_equal(eal_args_make(&args, &config, &plan), 0);
	assert_true(has_arg("--allow=0000:03:00.0,rx_vec=1"));
	assert_false(has_arg("--no-pci"));
}

static void without_hugepages_the_memory_is_sized(void **state)
{
	unsigned mib = 0;

	(void)state;
	config.hugepages = false;
	use("net_null0");
	plan.mbufs[0] = 100000;
	assert_int_equal(eal_args_make(&args, &config, &plan), 0);
	assert_true(has_arg("--no-huge"));
	assert_false(has_arg("--in-memory"));
	for (int i = 0; i < args.count; i++)
		if (sscanf(args.list[i], "-m%u", &mib) == 1)
			break;
	assert_true(mib > plan_pool_bytes(100000) >> 20);
}

static void two_data_directories_have_two_prefixes(void **state)
{
	char first[64];

	(void)state;
	use("net_null0");
	assert_int_equal(eal_args_make(&args, &config, &plan), 0);
	snprintf(first, sizeof(first), "%s", args.list[1]);
	snprintf(config.data, sizeof(config.data), "/data/two");
	assert_int_equal(eal_args_make(&args, &config, &plan), 0);
	assert_string_not_equal(first, args.list[1]);
}

static void a_port_comes_up_and_says_what_it_is(void **state)
{
	(void)state;
	use("net_null0");
	assert_int_equal(port_open(&port, 0, &config, &plan), 0);
	assert_string_equal(port.driver_name, "net_null");
	assert_true(port.host.promiscuous);
	assert_false(port.answers);
	assert_true(port.link_up);
	assert_string_equal(port.set.labels, "port=\"wan\"");
	port_close(&port);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void a_device_that_is_not_there_is_an_error_that_leaves_nothing(void **state)
{
	(void)state;
	use("no-such-dev");
	assert_int_equal(port_open(&port, 0, &config, &plan), -ENODEV);
	port_close(&port);
	use("net_nonsense0");
	assert_true(port_open(&port, 0, &config, &plan) < 0);
	port_close(&port);
	use("04:00.0");
	assert_true(port_open(&port, 0, &config, &plan) < 0);
	port_close(&port);
	use("net_null1");
	assert_int_equal(port_open(&port, 0, &config, &plan), 0);
	port_close(&port);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void a_vdev_whose_arguments_are_wrong_is_an_error(void **state)
{
	(void)state;
	use("net_pcap0,rx_pcap=/no/such/file");
	assert_true(port_open(&port, 0, &config, &plan) < 0);
	port_close(&port);
}

static void a_port_with_addresses_answers_and_is_not_promiscuous(void **state)
{
	(void)state;
	config.ports[0].address_count = 1;
	use("net_ring9");
	assert_int_equal(port_open(&port, 0, &config, &plan), 0);
	assert_true(port.answers);
	assert_false(port.host.promiscuous);
	port_close(&port);
}

static void a_packet_that_finds_no_mbuf_is_lost_only_with_some_drivers(void **state)
{
	// An empty capture of Ethernet frames.
	static const uint32_t header[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	char capture[] = "/tmp/millrace-port-test-XXXXXX", device[64];
	int fd = mkstemp(capture);

	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	close(fd);
	(void)state;
	use("net_null0");
	assert_int_equal(port_open(&port, 0, &config, &plan), 0);
	assert_int_equal(port.defs[PORT_nombuf].role, ROLE_NONE);
	port_close(&port);
	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s", capture);
	use(device);
	assert_int_equal(port_open(&port, 0, &config, &plan), 0);
	assert_int_equal(port.defs[PORT_nombuf].role, ROLE_PKT_DROP);
	port_close(&port);
	unlink(capture);
}

static int start_eal(void **state)
{
	static char *list[] = {(char *)"port_test", (char *)"--no-huge", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"-m128", (char *)"--no-telemetry",
		(char *)"--log-level=lib.*:emerg", (char *)"--log-level=pmd.*:emerg", NULL};

	(void)state;
	log_setup("port_test", LOG_LEVEL_ERR);
	return rte_eal_init(8, list) < 0 ? -1 : 0;
}

static int stop_eal(void **state)
{
	(void)state;
	return rte_eal_cleanup();
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(eal_starts_without_devices_and_leaves_no_files),
		TEST(each_cpu_has_one_pinned_lcore),
		TEST(a_pci_port_is_the_only_device_allowed),
		TEST(without_hugepages_the_memory_is_sized),
		TEST(two_data_directories_have_two_prefixes),
		TEST(a_port_comes_up_and_says_what_it_is),
		TEST(a_device_that_is_not_there_is_an_error_that_leaves_nothing),
		TEST(a_vdev_whose_arguments_are_wrong_is_an_error),
		TEST(a_port_with_addresses_answers_and_is_not_promiscuous),
		TEST(a_packet_that_finds_no_mbuf_is_lost_only_with_some_drivers),
	};
	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
