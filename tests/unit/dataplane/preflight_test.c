// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/preflight_rows.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// config_address_text() is not what is tested here.
const char *config_address_text(const struct config_address *, char *buf, size_t len)
{
	snprintf(buf, len, "address");
	return buf;
}

static struct config config;
static struct plan plan;
static struct preflight out;
static char root[64];
static struct checks checks;

static void put(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void put_hugepages(const char *free_pages, const char *all)
{
	put("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", free_pages);
	put("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", all);
}

static void use_device(const char *device)
{
	snprintf(config.ports[0].device, sizeof(config.ports[0].device), "%s", device);
	plan_make(&plan, &config);
}

static int set_up(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.cpu_count = 1;
	config.partitions = 1;
	config.ring_size = 256;
	config.hugepages = true;
	config.port_count = 1;
	config.ports[0].rx_queues = 1;
	config.ports[0].rx_descriptors = 1024;
	config.ports[0].tx_descriptors = 256;
	snprintf(config.ports[0].name, sizeof(config.ports[0].name), "wan");
	config.log.block_bytes = 1 << 20;
	config.log.queue_depth = 8;
	config.log.segment_bytes = 16 << 20;
	config.log.direct = true;
	use_device("net_null0");
	out.count = 0;
	snprintf(root, sizeof(root), "/tmp/millrace-preflight-XXXXXX");
	assert_non_null(mkdtemp(root));
	checks = (struct checks){.config = &config, .plan = &plan, .root = root, .out = &out};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static const struct check_row *row(const char *name)
{
	for (unsigned i = 0; i < out.count; i++)
		if (strcmp(out.rows[i].name, name) == 0)
			return &out.rows[i];
	fail_msg("no row '%s'", name);
	return NULL;
}

static void enough_hugepages_are_ok(void **state)
{
	(void)state;
	put_hugepages("512\n", "512\n");
	check_memory(&checks);
	assert_int_equal(row("hugepages node 0")->result, CHECK_OK);
	assert_int_equal(row("mempool wan")->result, CHECK_OK);
}

static void too_few_hugepages_fail_with_the_command_that_reserves_them(void **state)
{
	(void)state;
	unsigned long pages;

	put_hugepages("3\n", "10\n");
	check_memory(&checks);
	assert_int_equal(row("hugepages node 0")->result, CHECK_FAIL);
	// Those in use by others have to stay.
	assert_int_equal(
		sscanf(row("hugepages node 0")->mend, "scripts/setup.sh hugepages %lu", &pages), 1);
	assert_true(pages > 7);
}

// The lcore's memory is on node 0, the threads that don't poll are on node 1.
static void the_node_of_the_main_lcore_needs_pages_too(void **state)
{
	static const char node1[] = "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/";
	cpu_set_t allowed;
	char path[128];

	(void)state;
	CPU_ZERO(&allowed);
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	config.cpus[0] = CPU_SETSIZE - 1; // none of this machine's, so that all of those are main's
	put_hugepages("512\n", "512\n");
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/node1", cpu);
		put(path, "");
	}
	snprintf(path, sizeof(path), "%sfree_hugepages", node1);
	put(path, "0\n");
	snprintf(path, sizeof(path), "%snr_hugepages", node1);
	put(path, "0\n");
	check_memory(&checks);
	assert_int_equal(row("hugepages node 0")->result, CHECK_OK);
	assert_int_equal(row("hugepages node 1")->result, CHECK_FAIL);
	assert_non_null(strstr(row("hugepages node 1")->mend, "hugepages 4 --node 1"));
}

static void without_hugepages_wanted_none_are_looked_for(void **state)
{
	(void)state;
	config.hugepages = false;
	check_memory(&checks);
	assert_int_equal(row("hugepages")->result, CHECK_SKIP);
	assert_int_equal(preflight_worst(&out), CHECK_OK);
}

static void too_small_a_pool_is_warned_of(void **state)
{
	(void)state;
	config.hugepages = false;
	config.mbufs = 64;
	plan_make(&plan, &config);
	check_memory(&checks);
	assert_int_equal(row("mempool wan")->result, CHECK_WARN);
	assert_non_null(strstr(row("mempool wan")->mend, "memory.mbufs"));
}

static void a_device_that_is_not_there_fails(void **state)
{
	(void)state;
	use_device("eth9");
	check_ports(&checks);
	assert_int_equal(row("port wan")->result, CHECK_FAIL);
	assert_non_null(strstr(row("port wan")->found, "eth9"));
}

static void a_device_that_is_down_fails_with_the_command_that_lifts_it(void **state)
{
	(void)state;
	use_device("eth9");
	put("/sys/class/net/eth9/flags", "0x1002\n");
	check_ports(&checks);
	assert_int_equal(row("port wan")->result, CHECK_FAIL);
	assert_string_equal(row("port wan")->mend, "ip link set dev eth9 up");
}

static void a_device_that_is_up_is_ok(void **state)
{
	(void)state;
	use_device("eth9");
	put("/sys/class/net/eth9/flags", "0x1003\n");
	put("/sys/class/net/eth9/mtu", "1500\n");
	check_ports(&checks);
	assert_int_equal(row("port wan")->result, CHECK_OK);
	assert_int_equal(out.count, 1);
}

static void a_large_mtu_is_warned_of(void **state)
{
	(void)state;
	use_device("eth9");
	put("/sys/class/net/eth9/flags", "0x1003\n");
	put("/sys/class/net/eth9/mtu", "9000\n");
	check_ports(&checks);
	assert_int_equal(preflight_worst(&out), CHECK_WARN);
}

static void an_mtu_that_the_sockets_cannot_take_fails_with_the_way_that_can(void **state)
{
	static const struct {
		const char *device;
		uint16_t mtu;
		enum check_result result;
	} rows[] = {
		{"eth9", 1770, CHECK_OK},
		{"eth9", 1771, CHECK_FAIL},
		{"af_packet:eth9", 1771, CHECK_OK},
		{"af_packet:eth9", 1961, CHECK_FAIL},
		{"eth9", 9000, CHECK_FAIL},
	};

	(void)state;
	put("/sys/class/net/eth9/flags", "0x1003\n");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[16];

		out.count = 0;
		config.ports[0].mtu = rows[i].mtu;
		snprintf(text, sizeof(text), "%u\n", rows[i].mtu);
		put("/sys/class/net/eth9/mtu", text);
		use_device(rows[i].device);
		check_ports(&checks);
		assert_int_equal(preflight_worst(&out), rows[i].result);
		if (rows[i].result == CHECK_FAIL)
			assert_non_null(
				strstr(out.rows[out.count - 1].mend, "scripts/setup.sh bind eth9"));
	}
	config.ports[0].mtu = 1600; // the kernel has another
	out.count = 0;
	use_device("eth9");
	check_ports(&checks);
	assert_int_equal(preflight_worst(&out), CHECK_WARN);
}

static void more_queues_than_the_device_has_fail_only_where_af_xdp_is_forced(void **state)
{
	(void)state;
	config.ports[0].rx_queues = 2;
	use_device("af_xdp:eth9");
	put("/sys/class/net/eth9/flags", "0x1003\n");
	put("/sys/class/net/eth9/queues/rx-0/rps_cpus", "0\n");
	check_ports(&checks);
	assert_int_equal(preflight_worst(&out), CHECK_FAIL);
	out.count = 0;
	use_device("eth9");
	check_ports(&checks);
	assert_int_equal(preflight_worst(&out), CHECK_WARN);
}

static void a_pci_device_of_the_kernel_fails_with_the_bind_command(void **state)
{
	(void)state;
	char link[512];

	use_device("03:00.0");
	check_ports(&checks);
	assert_int_equal(row("port wan")->result, CHECK_FAIL);
	out.count = 0;
	put("/sys/bus/pci/devices/0000:03:00.0/numa_node", "-1\n");
	snprintf(link, sizeof(link), "%s/sys/bus/pci/devices/0000:03:00.0/driver", root);
	assert_int_equal(symlink("../../drivers/e1000e", link), 0);
	check_ports(&checks);
	assert_int_equal(row("port wan")->result, CHECK_FAIL);
	assert_string_equal(row("port wan")->mend, "scripts/setup.sh bind 0000:03:00.0");
}

static void vfio_without_an_iommu_fails(void **state)
{
	(void)state;
	char link[512];

	use_device("03:00.0");
	put("/sys/bus/pci/devices/0000:03:00.0/numa_node", "-1\n");
	snprintf(link, sizeof(link), "%s/sys/bus/pci/devices/0000:03:00.0/driver", root);
	assert_int_equal(symlink("../../drivers/vfio-pci", link), 0);
	check_ports(&checks);
	assert_int_equal(row("port wan")->result, CHECK_OK);
	assert_int_equal(row("IOMMU wan")->result, CHECK_FAIL);
	out.count = 0;
	put("/sys/class/iommu/dmar0/x", "");
	check_ports(&checks);
	assert_int_equal(row("IOMMU wan")->result, CHECK_OK);
}

static void missing_rights_fail_or_fall_back(void **state)
{
	(void)state;
	use_device("eth9");
	put("/proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
	check_permissions(&checks);
	assert_int_equal(row("packet sockets")->result, CHECK_FAIL);
	assert_int_equal(row("AF_XDP")->result, CHECK_WARN);
	out.count = 0;
	use_device("af_xdp:eth9");
	check_permissions(&checks);
	assert_int_equal(row("AF_XDP")->result, CHECK_FAIL);
	out.count = 0;
	put("/proc/self/status", "CapEff:\t000001ffffffffff\n");
	check_permissions(&checks);
	assert_int_equal(row("AF_XDP")->result, CHECK_OK);
	assert_int_equal(row("packet sockets")->result, CHECK_OK);
}

static void a_cpu_that_is_not_there_fails(void **state)
{
	(void)state;
	config.cpus[0] = 1023;
	check_permissions(&checks);
	assert_int_equal(row("cpus")->result, CHECK_FAIL);
}

static void a_data_directory_that_can_be_made_is_ok_and_is_not_made(void **state)
{
	(void)state;
	snprintf(config.data, sizeof(config.data), "%s/a/b", root);
	check_disk(&checks);
	assert_int_equal(row("data directory")->result, CHECK_OK);
	assert_int_not_equal(access(config.data, F_OK), 0);
}

static void a_data_directory_that_is_a_file_fails(void **state)
{
	(void)state;
	put("/a/file", "");
	snprintf(config.data, sizeof(config.data), "%s/a/file", root);
	check_disk(&checks);
	assert_int_equal(row("data directory")->result, CHECK_FAIL);
}

static void too_small_a_disk_is_warned_of(void **state)
{
	(void)state;
	snprintf(config.data, sizeof(config.data), "%s", root);
	config.log.segment_bytes = 1ull << 50;
	check_disk(&checks);
	assert_int_equal(row("disk space")->result, CHECK_WARN);
	assert_true(row("disk space")->mend[0] != '\0');
}

static void more_rows_than_fit_overrun_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PREFLIGHT_ROWS_MAX + 10; i++)
		check_mend(check_add(&checks, CHECK_FAIL, "row", "%u", i), "%0300u", i);
	assert_int_equal(out.count, PREFLIGHT_ROWS_MAX);
	assert_string_equal(out.rows[PREFLIGHT_ROWS_MAX - 1].found, "73");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enough_hugepages_are_ok),
		TEST(too_few_hugepages_fail_with_the_command_that_reserves_them),
		TEST(the_node_of_the_main_lcore_needs_pages_too),
		TEST(without_hugepages_wanted_none_are_looked_for),
		TEST(too_small_a_pool_is_warned_of),
		TEST(a_device_that_is_not_there_fails),
		TEST(a_device_that_is_down_fails_with_the_command_that_lifts_it),
		TEST(a_device_that_is_up_is_ok),
		TEST(a_large_mtu_is_warned_of),
		TEST(an_mtu_that_the_sockets_cannot_take_fails_with_the_way_that_can),
		TEST(more_queues_than_the_device_has_fail_only_where_af_xdp_is_forced),
		TEST(a_pci_device_of_the_kernel_fails_with_the_bind_command),
		TEST(vfio_without_an_iommu_fails),
		TEST(missing_rights_fail_or_fall_back),
		TEST(a_cpu_that_is_not_there_fails),
		TEST(a_data_directory_that_can_be_made_is_ok_and_is_not_made),
		TEST(a_data_directory_that_is_a_file_fails),
		TEST(too_small_a_disk_is_warned_of),
		TEST(more_rows_than_fit_overrun_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
