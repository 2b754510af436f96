// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_pci_address_is_made_canonical(void **state)
{
	(void)state;
	struct device device;

	assert_int_equal(device_parse("3:0.1", &device), 0);
	assert_int_equal(device.kind, DEVICE_PCI);
	assert_string_equal(device.name, "0000:03:00.1");
	assert_int_equal(device_parse("0001:AF:1f.7,rx_vec=1", &device), 0);
	assert_string_equal(device.name, "0001:af:1f.7");
	assert_string_equal(device.args, "rx_vec=1");
}

static void a_network_device_is_taken_by_any_driver(void **state)
{
	(void)state;
	struct device device;

	assert_int_equal(device_parse("veth0", &device), 0);
	assert_int_equal(device.kind, DEVICE_NETDEV);
	assert_int_equal(device.forced, DRIVER_ANY);
	assert_string_equal(device.name, "veth0");
}

static void a_prefix_forces_the_driver(void **state)
{
	(void)state;
	struct device device;

	assert_int_equal(device_parse("af_packet:veth0", &device), 0);
	assert_int_equal(device.forced, DRIVER_AF_PACKET);
	assert_string_equal(device.name, "veth0");
	assert_int_equal(device_parse("af_xdp:eth1.5", &device), 0);
	assert_int_equal(device.forced, DRIVER_AF_XDP);
	assert_string_equal(device.name, "eth1.5");
	assert_int_equal(device_parse("af_packet:net_a", &device), 0);
	assert_int_equal(device.kind, DEVICE_NETDEV);
}

static void a_vdev_keeps_its_arguments(void **state)
{
	(void)state;
	struct device device;

	assert_int_equal(
		device_parse("net_memif0,role=server,socket=/run/x.sock,zero-copy=yes", &device),
		0);
	assert_int_equal(device.kind, DEVICE_VDEV);
	assert_string_equal(device.name, "net_memif0");
	assert_string_equal(device.args, "role=server,socket=/run/x.sock,zero-copy=yes");
	assert_true(device_has_arg(&device, "zero-copy", "yes"));
	assert_true(device_has_arg(&device, "role", "server"));
	assert_false(device_has_arg(&device, "zero-copy", "ye"));
	assert_false(device_has_arg(&device, "copy", "yes"));
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ",", "a/b", "a name", "af_xdp:", "veth0,x=1",
		"00:20.0x", "0123456789abcdef", "..", "af_packet:net_null0,x=1", "00:20:1:2.0",
		"123456789:00:00.0"};
	struct device device;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (device_parse(bad[i], &device) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
}

static void a_device_that_fills_the_field_is_not_overrun(void **state)
{
	(void)state;
	char text[CONFIG_DEVICE_MAX + 8];
	struct device device;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(device_parse(text, &device), -EINVAL);
	memcpy(text, "net_null0,", 10);
	text[CONFIG_DEVICE_MAX - 1] = '\0';
	assert_int_equal(device_parse(text, &device), 0);
	assert_int_equal(strlen(device.args), CONFIG_DEVICE_MAX - 1 - 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pci_address_is_made_canonical),
		cmocka_unit_test(a_network_device_is_taken_by_any_driver),
		cmocka_unit_test(a_prefix_forces_the_driver),
		cmocka_unit_test(a_vdev_keeps_its_arguments),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_device_that_fills_the_field_is_not_overrun),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
