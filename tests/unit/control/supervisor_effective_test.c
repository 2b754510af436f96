// SPDX-License-Identifier: BSD-3-Clause

#include "control/supervisor/effective.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TWO_PORTS \
	"receiver: other\n" \
	"cpus: 0-1\n" \
	"mode: pipeline\n" \
	"ports:\n" \
	"- {name: a, device: 'af_packet:eth0', addresses: [10.0.0.1/24]}\n" \
	"- {name: b, device: 'eth9', addresses: ['fd00::1/64', 10.0.1.1/24]}\n" \
	"listeners:\n" \
	"- {name: in, port: 514}\n"

struct fixture {
	struct task task;
	struct config config;
	struct config_problems problems;
	const char *of;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->task = (struct task){.receiver = "r1",
		.log = "/var/lib/millrace/r1",
		.root = "/millrace/first",
		.config = TWO_PORTS,
		.lcores = "",
		.nics = "",
		.addresses = ""};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int make(struct fixture *f)
{
	return effective_make(&f->task, &f->config, &f->problems, &f->of);
}

static void assert_made(struct fixture *f)
{
	if (make(f) != 0)
		fail_msg("refused: %s", f->problems.list[0].text);
}

// Refused for what 'of' says, in these words.
static void assert_refused(struct fixture *f, const char *of, const char *words)
{
	assert_int_equal(make(f), -EINVAL);
	for (unsigned i = 0; i < f->problems.count; i++)
		if (!f->problems.list[i].warning &&
			strstr(f->problems.list[i].text, words) != NULL) {
			assert_string_equal(f->of, of);
			return;
		}
	fail_msg("not said: %s, but: %s", words, f->problems.list[0].text);
}

static void the_tasks_names_take_the_files_place(void **state)
{
	struct fixture *f = *state;

	assert_made(f);
	assert_string_equal(f->config.receiver, "r1");
	assert_string_equal(f->config.data, "/var/lib/millrace/r1");
	assert_string_equal(f->config.socket, "/run/millrace/first.r1.sock");
	assert_string_equal(f->config.ports[0].device, "af_packet:eth0");
	assert_string_equal(f->config.ports[1].device, "eth9");
	assert_int_equal(f->config.cpu_count, 2);
	assert_int_equal(f->config.ports[1].address_count, 2);
	assert_string_equal(f->config.listeners[0].name, "in");
	assert_int_equal(f->config.mode, MODE_PIPELINE);
}

static void lcores_nics_and_addresses_are_the_slaves(void **state)
{
	struct fixture *f = *state;
	char text[INET6_ADDRSTRLEN];

	f->task.lcores = "2-3,6";
	f->task.nics = "eth1,0000:03:00.0";
	f->task.addresses = "10.9.0.7/16,fd09::7/64;10.9.1.7/24";
	assert_made(f);
	assert_int_equal(f->config.cpu_count, 3);
	assert_int_equal(f->config.cpus[1], 3);
	assert_int_equal(f->config.cpus[2], 6);
	assert_string_equal(f->config.ports[0].device, "af_packet:eth1");
	assert_string_equal(f->config.ports[1].device, "0000:03:00.0");
	assert_int_equal(f->config.ports[0].address_count, 2);
	assert_int_equal(f->config.ports[1].address_count, 1);
	assert_string_equal(
		config_address_text(&f->config.ports[0].addresses[1], text, sizeof(text)),
		"fd09::7");
	assert_int_equal(f->config.ports[0].addresses[0].prefix_len, 16);
	assert_string_equal(
		config_address_text(&f->config.ports[1].addresses[0], text, sizeof(text)),
		"10.9.1.7");
	// One may have none.
	f->task.addresses = ";10.9.1.7/24";
	assert_made(f);
	assert_int_equal(f->config.ports[0].address_count, 0);
	assert_int_equal(f->config.ports[1].address_count, 1);
}

static void a_closed_one_lets_nobody_send(void **state)
{
	struct fixture *f = *state;
	char text[INET6_ADDRSTRLEN];

	assert_made(f);
	assert_int_equal(f->config.listeners[0].allow_count, 0);
	f->task.closed = true;
	assert_made(f);
	assert_int_equal(f->config.listeners[0].allow_count, 1);
	assert_int_equal(f->config.listeners[0].allow[0].prefix_len, 32);
	assert_string_equal(
		config_address_text(&f->config.listeners[0].allow[0], text, sizeof(text)),
		"255.255.255.255");
}

static void what_does_not_fit_is_refused_in_words(void **state)
{
	static const char task[] = "the task's environment";
	static const char result[] = "the receiver's millraced.yaml";
	struct fixture *f = *state;
	const struct task good = f->task;

	f->task.config = "ports: 7\n";
	assert_refused(f, "MILLRACE_CONFIG", "ports");
	f->task = good;
	f->task.nics = "eth1";
	assert_refused(f, task, "1 NICs for 2 ports");
	f->task.nics = "eth1,eth2,eth3";
	assert_refused(f, task, "3 NICs for 2 ports");
	f->task.nics = "eth1,";
	assert_refused(f, task, "is no network device");
	f->task.nics = "0000:03:00.0,eth1";
	assert_refused(f, task, "port a: '0000:03:00.0' is a PCI device");
	f->task.nics = "eth1,af_packet:eth1";
	assert_refused(f, result, "ports[1].device: 'af_packet:eth1' is also ports[0]");
	f->task = good;
	f->task.lcores = "2-x";
	assert_refused(f, task, "cpus: '2-x' is no list of numbers");
	f->task.lcores = "2\"\nreceiver: x";
	assert_refused(f, task, "a quote or an end of line");
	f->task.lcores = "2"; // the file's mode is pipeline
	assert_refused(f, result, "pipeline mode needs more CPUs (1) than rx_lcores (1)");
	f->task = good;
	f->task.addresses = "10.9.0.7/16";
	assert_refused(f, task, "of 1 ports, but the receiver's file has 2");
	f->task.addresses = "10.9.0.7/16;10.9.1.7";
	assert_refused(f, task, "ports[1].addresses");
	f->task = good;
	snprintf(f->task.receiver, sizeof(f->task.receiver), "a b");
	assert_refused(f, result, "receiver");
}

static void names_that_make_no_socket_are_refused(void **state)
{
	struct fixture *f = *state;
	char name[CONFIG_NAME_MAX] = {0};

	memset(name, 'n', CONFIG_NAME_MAX - 1);
	memcpy(f->task.receiver, name, sizeof(name));
	snprintf(f->task.root, sizeof(f->task.root), "/millrace/%.24s", name);
	assert_made(f);
	assert_int_equal(strlen(f->config.socket), 107);
	snprintf(f->task.root, sizeof(f->task.root), "/millrace/%.25s", name);
	assert_refused(f, "the task's environment", "a socket of 108 bytes");
}

static void a_nic_is_named_as_the_file_drives_it(void **state)
{
	static const struct {
		const char *file, *nic, *device; // device NULL: refused
	} cases[] = {
		{"eth0", "eth1", "eth1"},
		{"eth0", "af_xdp:eth1", "af_xdp:eth1"},
		{"eth0", "0000:03:00.0", "0000:03:00.0"},
		{"af_xdp:eth0", "eth1", "af_xdp:eth1"},
		{"af_packet:eth0", "eth1", "af_packet:eth1"},
		{"af_packet:eth0", "af_xdp:eth1", "af_xdp:eth1"},
		{"af_packet:eth0", "0000:03:00.0", NULL},
		{"0000:02:00.0", "0000:03:00.0", "0000:03:00.0"},
		{"0000:02:00.0", "03:00.0", "03:00.0"},
		{"0000:02:00.0", "eth1", "eth1"},
		{"0000:02:00.0,rx=1,tx=2", "0000:03:00.0", "0000:03:00.0,rx=1,tx=2"},
		{"0000:02:00.0,rx=1", "eth1", NULL},
		{"net_af_packet0,iface=eth0", "eth1", "net_af_packet0,iface=eth1"},
		{"net_af_packet0,x=1,iface=eth0,y=iface=", "eth1",
			"net_af_packet0,x=1,iface=eth1,y=iface="},
		{"net_af_packet0,iface=eth0", "0000:03:00.0", NULL},
		{"net_af_packet0,iface=eth0", "af_xdp:eth1", NULL},
		{"net_memif0,role=server,myiface=x", "eth1", NULL},
		{"eth0", "net_memif0", NULL},
		{"eth0", "eth1,x=1", NULL},
		{"eth0", "", NULL},
		{"eth0", "a name of more than 15", NULL},
	};
	char device[CONFIG_DEVICE_MAX], why[TASK_WHY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool fits =
			effective_device(cases[i].file, cases[i].nic, device, sizeof(device), why);

		if (fits != (cases[i].device != NULL))
			fail_msg("%s by %s: %s", cases[i].file, cases[i].nic, fits ? device : why);
		if (fits)
			assert_string_equal(device, cases[i].device);
	}
	assert_false(effective_device("net_x,iface=eth0", "eth1", device, 14, why));
	assert_false(effective_device("af_xdp:eth0", "eth1", device, 11, why));
	assert_true(effective_device("af_xdp:eth0", "eth1", device, 12, why));
}

static void what_is_stored_is_its_owners_alone_and_reads_back(void **state)
{
	struct fixture *f = *state;
	struct config *again = malloc(sizeof(*again));
	char path[] = "/tmp/millrace-effective-XXXXXX";
	struct stat st;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	fchmod(fd, 0644); // as an earlier run of something else may have left it
	close(fd);
	assert_made(f);
	assert_int_equal(effective_store(&f->config, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(config_load(path, again, &f->problems), 0);
	assert_string_equal(again->receiver, "r1");
	assert_int_equal(effective_store(&f->config, "/no/such/directory/x"), -ENOENT);
	unlink(path);
	free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_tasks_names_take_the_files_place, setup, teardown),
		cmocka_unit_test_setup_teardown(
			lcores_nics_and_addresses_are_the_slaves, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_one_lets_nobody_send, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_does_not_fit_is_refused_in_words, setup, teardown),
		cmocka_unit_test_setup_teardown(
			names_that_make_no_socket_are_refused, setup, teardown),
		cmocka_unit_test(a_nic_is_named_as_the_file_drives_it),
		cmocka_unit_test_setup_teardown(
			what_is_stored_is_its_owners_alone_and_reads_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
