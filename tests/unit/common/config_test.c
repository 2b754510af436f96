// SPDX-License-Identifier: BSD-3-Clause

#include "tests/unit/common/config_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void the_defaults_are_those_of_the_reference(void **state)
{
	(void)state;
	assert_int_equal(config_load(NULL, &config, &problems), 0);
	assert_string_equal(config.data, "/var/lib/millrace");
	assert_string_equal(config.socket, "/run/millrace/millraced.sock");
	assert_true(config.receiver[0] != '\0');
	assert_int_equal(config.mode, MODE_RUN_TO_COMPLETION);
	assert_int_equal(config.partitions, 1);
	assert_int_equal(config.rx_lcores, 1);
	assert_int_equal(config.idle_sleep_ns, 250000);
	assert_true(config.hugepages);
	assert_int_equal(config.mbufs, 0);
	assert_int_equal(config.ring_size, 4096);
	assert_int_equal(config.log.segment_bytes, 1ull << 30);
	assert_int_equal(config.log.block_bytes, 1 << 20);
	assert_int_equal(config.log.queue_depth, 8);
	assert_int_equal(config.log.commit_interval_ns, 50000000);
	assert_int_equal(config.log.seal_interval_ns, 200000000);
	assert_int_equal(config.log.seal_bytes, 64 << 20);
	assert_int_equal(config.log.seal_events, 1000000);
	assert_int_equal(config.log.retain_bytes, 0);
	assert_int_equal(config.log.retain_age_ns, 0);
	assert_int_equal(config.log.durability, DURABILITY_FLUSH);
	assert_int_equal(config.log.compression, COMPRESSION_NONE);
	assert_true(config.log.compressed_partitions == CONFIG_ALL_PARTITIONS);
	assert_int_equal(config.log.io, IO_AUTO);
	assert_true(config.log.direct);
}

static void the_default_cpu_is_the_last_allowed(void **state)
{
	cpu_set_t set;
	unsigned last = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			last = i;
	assert_valid(PORT LISTENER);
	assert_int_equal(config.cpu_count, 1);
	assert_int_equal(config.cpus[0], last);
}

static void the_bare_defaults_only_warn_that_port_and_listener_lack(void **state)
{
	(void)state;
	assert_int_equal(config_load(NULL, &config, &problems), 0);
	assert_int_equal(problems.errors, 0);
	assert_true(has(true, 0, "ports: there must be at least one"));
	assert_true(has(true, 0, "listeners: there must be at least one"));
}

static void a_file_without_port_or_listener_is_refused(void **state)
{
	static const char *const texts[] = {"", "# nothing\n", "---\n", "~\n", "{}\n",
		"ports:\nlisteners:\n", "ports: []\nlisteners: []\n", "log:\nmemory:\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i]), -EINVAL);
		assert_int_equal(problems.errors, 2);
	}
	assert_refused(PORT, 0, "listeners: there must be at least one");
	assert_refused(LISTENER "ports:\n", 2, "ports: there must be at least one");
}

static void every_key_is_read(void **state)
{
	(void)state;
	assert_valid("receiver: slave-7.example\ndata: /data/m\nsocket: /tmp/s\nmode: pipeline\n"
		     "partitions: 2\ncpus: 0-2,5\nrx_lcores: 2\nidle_sleep: 0\n"
		     "memory: {hugepages: false, mbufs: 8191, ring_size: 1024}\n"
		     "ports:\n- {name: a, device: '0000:03:00.0', rx_queues: 4, "
		     "rx_descriptors: 512, tx_descriptors: 128, addresses: [10.0.0.1/24, "
		     "'fd00::1/64']}\n"
		     "listeners:\n- {name: l, kind: plain, port: 514, address: 10.0.0.1, "
		     "split: lines}\n- port: 1\n"
		     "log: {segment_size: 16MiB, block_size: 128KiB, queue_depth: 4, "
		     "commit_interval: 100us, seal_interval: 1h, seal_size: 1MiB, seal_events: 7, "
		     "retain_size: 1GiB, retain_age: 30d, durability: dsync, io: pwrite, "
		     "direct: false, compression: lz4, compressed_partitions: '1'}\n");
	assert_string_equal(config.receiver, "slave-7.example");
	assert_string_equal(config.data, "/data/m");
	assert_string_equal(config.socket, "/tmp/s");
	assert_int_equal(config.mode, MODE_PIPELINE);
	assert_int_equal(config.partitions, 2);
	assert_int_equal(config.cpu_count, 4);
	assert_int_equal(config.cpus[3], 5);
	assert_int_equal(config.rx_lcores, 2);
	assert_int_equal(config.idle_sleep_ns, 0);
	assert_false(config.hugepages);
	assert_int_equal(config.mbufs, 8191);
	assert_int_equal(config.ring_size, 1024);
	assert_int_equal(config.log.segment_bytes, 16 << 20);
	assert_int_equal(config.log.block_bytes, 128 << 10);
	assert_int_equal(config.log.queue_depth, 4);
	assert_int_equal(config.log.commit_interval_ns, 100000);
	assert_int_equal(config.log.seal_interval_ns, 3600000000000);
	assert_int_equal(config.log.seal_bytes, 1 << 20);
	assert_int_equal(config.log.seal_events, 7);
	assert_int_equal(config.log.retain_bytes, 1 << 30);
	assert_int_equal(config.log.retain_age_ns, 30 * 86400000000000);
	assert_int_equal(config.log.durability, DURABILITY_DSYNC);
	assert_int_equal(config.log.io, IO_SYNC);
	assert_int_equal(config.log.compression, COMPRESSION_LZ4);
	assert_int_equal(config.log.compressed_partitions, 2);
	assert_false(config.log.direct);
}

static void ports_and_listeners_are_read(void **state)
{
	const struct config_port *port = &config.ports[0];
	char ip[INET6_ADDRSTRLEN];

	(void)state;
	assert_valid("ports:\n- {name: a, device: 'net_pcap0,rx_pcap=/a b', rx_queues: 4, "
		     "rx_descriptors: 512, tx_descriptors: 128, addresses: [10.0.0.1/24, "
		     "'fd00::1/64']}\n- device: eth2\n"
		     "listeners:\n- {name: l, port: 514, address: 10.0.0.1, split: lines}\n"
		     "- port: 1\n- {port: 2, address: 'fd00::1'}\n");
	assert_int_equal(config.port_count, 2);
	assert_string_equal(port->name, "a");
	assert_string_equal(port->device, "net_pcap0,rx_pcap=/a b");
	assert_int_equal(port->rx_queues, 4);
	assert_int_equal(port->rx_descriptors, 512);
	assert_int_equal(port->tx_descriptors, 128);
	assert_int_equal(port->address_count, 2);
	assert_true(port->addresses[0].is_ip4);
	assert_int_equal(port->addresses[0].prefix_len, 24);
	assert_string_equal(config_address_text(&port->addresses[0], ip, sizeof(ip)), "10.0.0.1");
	assert_memory_equal(
		port->addresses[0].ip.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01", 16);
	assert_false(port->addresses[1].is_ip4);
	assert_int_equal(port->addresses[1].prefix_len, 64);
	assert_string_equal(config_address_text(&port->addresses[1], ip, sizeof(ip)), "fd00::1");
	assert_string_equal(config.ports[1].name, "port1");
	assert_int_equal(config.ports[1].rx_queues, 1);

	assert_int_equal(config.listener_count, 3);
	assert_string_equal(config.listeners[0].name, "l");
	assert_int_equal(config.listeners[0].udp_port, 514);
	assert_false(config.listeners[0].any_address);
	assert_int_equal(config.listeners[0].split, SPLIT_LINES);
	assert_string_equal(config.listeners[1].name, "listener1");
	assert_int_equal(config.listeners[1].number, 1);
	assert_true(config.listeners[1].any_address);
	assert_int_equal(config.listeners[1].split, SPLIT_DATAGRAM);
	assert_false(config.listeners[2].address.is_ip4);
}

static void anchors_and_aliases_are_followed(void **state)
{
	(void)state;
	assert_valid("ports:\n- &p {device: eth1, rx_queues: &n 3}\n- {device: eth2, rx_queues: "
		     "*n}\n" LISTENER);
	assert_int_equal(config.ports[1].rx_queues, 3);
	assert_refused("ports:\n- &p {device: eth1}\n- *p\n" LISTENER, 3,
		"ports[1].device: 'eth1' is also ports[0]");
}

static void what_is_printed_is_read_back_to_the_same(void **state)
{
	static const char *const texts[] = {
		PORT LISTENER,
		"receiver: r\ndata: '/a\"b\\c d'\nsocket: /s\nmode: pipeline\npartitions: 2\n"
		"cpus: 7,1-3,5\nrx_lcores: 3\nidle_sleep: 1500ns\n"
		"memory: {hugepages: false, mbufs: 1, ring_size: 64}\n"
		"ports: [{device: 'net_memif0,id=0', rx_queues: 64, addresses: ['fd00::1/128', "
		"1.2.3.4/1], gateways: [64.0.0.1, 'fe80::1'], exception: x-0, exception_rate: 7}, "
		"{name: x, device: eth2}]\n"
		"listeners: [{port: 65535, split: lines, address: 'ff02::1', allow: [0.0.0.0/0, "
		"'2001:db8::/32', 10.1.2.3], source_rate: 9}, {port: 1, kind: reliable}]\n"
		"reliable: {sources: 9, sessions: 8, credit: 7MiB, event_size: 6KiB, large_events: "
		"5, keys: /k}\n"
		"log: {segment_size: 17MiB, block_size: 132KiB, queue_depth: 1, commit_interval: "
		"1.5ms, retain_size: 100GB, retain_age: 90s, durability: dsync, io: io_uring, "
		"direct: false, compression: lz4, compressed_partitions: 0-1}\n",
		PORT "listeners: [{port: 1, kind: reliable, ack: sink}]\n"
		     "sinks: [{name: out, kind: kafka, topic: '{port}', properties: "
		     "{bootstrap.servers: 'a\"b:1', sasl.password: 'file:/p', x: 'env:Y'}}, "
		     "{name: f, kind: files, path: /s, roll_interval: 0}]\n"
		     "api: {listen: '1.2.3.4:5', certificate: /c, key: /k, tokens: /t}\n",
		PORT LISTENER "mode: pipeline\npartitions: 64\ncpus: 0-64\nlog: {compression: lz4, "
			      "compressed_partitions: '0,5-7,63'}\n",
	};
	static struct config back;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		assert_valid(texts[i]);
		config_print(&config, out);
		fclose(out);
		assert_int_equal(config_parse(text, len, &back, &problems), 0);
		assert_memory_equal(&back, &config, sizeof(config));
		free(text);
	}
}

// The sample as it stands, and with every key taken from its comment.
static void the_sample_is_the_defaults_and_all_its_keys_are_right(void **state)
{
	static struct config plain;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	config_print_sample(out);
	fclose(out);
	assert_int_equal(config_parse(text, len, &config, &problems), 0);
	assert_int_equal(problems.count, 0);
	assert_int_equal(parse("ports: [{device: eth1}]\nlisteners: [{port: 5140}]\n"), 0);
	plain = config;
	assert_int_equal(config_parse(text, len, &config, &problems), 0);
	assert_memory_equal(&plain, &config, sizeof(config));
	for (char *c = text; (c = strchr(c, '#')) != NULL; c++)
		if (c[1] != ' ')
			memmove(c, c + 1, strlen(c));
	if (config_parse(text, strlen(text), &config, &problems) != 0) {
		print_problems();
		fail_msg("the sample's commented keys are not right:\n%s", text);
	}
	assert_int_equal(config.ports[0].address_count, 2);
	free(text);
}

static void the_reference_has_every_key(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	config_print_docs(out);
	fclose(out);
	assert_non_null(strstr(text, "| `receiver` | the host's name |"));
	assert_non_null(strstr(text, "| `commit_interval` | `50ms` | 100us to 10s |"));
	assert_non_null(strstr(text, "| `device` | required |"));
	assert_non_null(strstr(text, "## listeners"));
	free(text);
}

static void a_file_is_read_and_what_cannot_be_read_is_an_errno(void **state)
{
	char path[] = "/tmp/millrace-config-XXXXXX";
	int fd = mkstemp(path);
	const char text[] = PORT LISTENER "partitions: 0\n";

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(config_load(path, &config, &problems), -EINVAL);
	assert_true(has(false, 3, "partitions: '0' is out of range (1 to 64)"));
	assert_int_equal(ftruncate(fd, 1 << 21), 0);
	assert_int_equal(config_load(path, &config, &problems), -EINVAL);
	assert_true(has(false, 0, "larger than 1 MiB"));
	close(fd);
	unlink(path);
	assert_int_equal(config_load(path, &config, &problems), -ENOENT);
	assert_int_equal(problems.count, 0);
	assert_int_equal(config_load("/", &config, &problems), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_those_of_the_reference),
		cmocka_unit_test(the_default_cpu_is_the_last_allowed),
		cmocka_unit_test(the_bare_defaults_only_warn_that_port_and_listener_lack),
		cmocka_unit_test(a_file_without_port_or_listener_is_refused),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(ports_and_listeners_are_read),
		cmocka_unit_test(anchors_and_aliases_are_followed),
		cmocka_unit_test(what_is_printed_is_read_back_to_the_same),
		cmocka_unit_test(the_sample_is_the_defaults_and_all_its_keys_are_right),
		cmocka_unit_test(the_reference_has_every_key),
		cmocka_unit_test(a_file_is_read_and_what_cannot_be_read_is_an_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
