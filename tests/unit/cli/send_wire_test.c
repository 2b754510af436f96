// SPDX-License-Identifier: BSD-3-Clause
// The two ways out: sockets in a network namespace of the test's own, and a capture file by the
// real EAL.

#include "cli/send/send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const volatile bool stop;
static char why[SEND_WHY_BYTES];
static bool has_namespace;

// A kernel that takes one datagram a call, to see that the next one is given up and not offered
// again.
static unsigned offered;
static bool take_one;

int __real_sendmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags);

int __wrap_sendmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags)
{
	if (!take_one)
		return __real_sendmmsg(fd, msg, n, flags);
	offered += n > 1 ? 2 : 1;
	return 1;
}

static struct send_plan plan_of(uint64_t count)
{
	return (struct send_plan){.id = 0xfeed0001,
		.count = count,
		.size_min = 18,
		.size_max = 200,
		.lines = 3,
		.burst = 16,
		.flows = 3};
}

// root makes the namespace directly, others in a user namespace where the kernel allows it.
static int enter_namespace(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	has_namespace = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	close(fd);
	return 0;
}

static int listen_on(int family, char target[64])
{
	struct sockaddr_in6 addr6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in addr4 = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *addr = (struct sockaddr *)&addr4;
	socklen_t len = sizeof(addr4);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (family == AF_INET6) {
		addr = (struct sockaddr *)&addr6;
		len = sizeof(addr6);
	}
	assert_int_equal(bind(fd, addr, len), 0);
	assert_int_equal(getsockname(fd, addr, &len), 0);
	if (family == AF_INET6)
		snprintf(target, 64, "[::1]:%u", ntohs(addr6.sin6_port));
	else
		snprintf(target, 64, "127.0.0.1:%u", ntohs(addr4.sin_port));
	return fd;
}

static void run(const struct send_plan *plan, struct send_wire *wire, struct send_tally *tally)
{
	send_run(plan, wire, &stop, NULL, NULL, tally);
	wire->close(wire);
}

// Checks that buf is datagram number d of the plan.
static void assert_datagram(
	const struct send_plan *plan, uint64_t d, const uint8_t *buf, size_t len)
{
	uint8_t expected[1500];
	uint32_t bytes;

	assert_int_equal(len, send_datagram_write(plan, d, expected, &bytes));
	assert_memory_equal(buf, expected, len);
}

static void sockets_carry_every_datagram_from_all_flows(int family)
{
	struct send_plan plan = plan_of(200);
	struct sockaddr_in6 from = {0};
	struct send_wire *wire;
	struct send_tally tally;
	uint64_t seen = 0;
	in_port_t ports[3] = {0};
	uint8_t buf[1500] = {0};
	char target[64];
	int fd = listen_on(family, target);

	assert_int_equal(send_plan_settle(&plan, SEND_UDP_MAX, why), 0);
	assert_int_equal(send_udp_open(&wire, &plan, target, why), 0);
	run(&plan, wire, &tally);
	assert_int_equal(tally.sent, 200);
	assert_int_equal(tally.refused, 0);
	assert_int_equal(tally.datagrams, 67);
	for (;;) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);
		uint64_t seq = 0;

		if (n < 0)
			break;
		assert_int_equal(
			send_payload_parse(buf, n < 18 ? 0 : 18, plan.id, &seq), SEND_PAYLOAD_OURS);
		assert_datagram(&plan, seq / 3, buf, (size_t)n);
		// sin_port and sin6_port lie at the same place.
		if (ports[seq / 3 % 3] == 0)
			ports[seq / 3 % 3] = from.sin6_port;
		assert_int_equal(ports[seq / 3 % 3], from.sin6_port);
		seen++;
	}
	assert_int_equal(seen, 67);
	assert_int_not_equal(ports[0], ports[1]);
	close(fd);
}

static void udp_over_ip4(void **state)
{
	(void)state;
	if (!has_namespace)
		skip();
	sockets_carry_every_datagram_from_all_flows(AF_INET);
}

static void udp_over_ip6(void **state)
{
	(void)state;
	if (!has_namespace)
		skip();
	sockets_carry_every_datagram_from_all_flows(AF_INET6);
}

static void fixed_sizes_need_only_new_digits(void **state)
{
	struct send_plan plan = plan_of(100);
	struct send_wire *wire;
	struct send_tally tally;
	uint8_t buf[1500];
	char target[64];
	int fd;

	(void)state;
	if (!has_namespace)
		skip();
	fd = listen_on(AF_INET, target);
	plan.size_min = plan.size_max = 77;
	plan.flows = 1;
	assert_int_equal(send_udp_open(&wire, &plan, target, why), 0);
	run(&plan, wire, &tally);
	assert_int_equal(tally.bytes, 7700);
	for (uint64_t d = 0; d < 34; d++)
		assert_datagram(&plan, d, buf, (size_t)recv(fd, buf, sizeof(buf), 0));
	close(fd);
}

// The kernel tells of the missing listener instead of sending the next datagram: that one is lost.
static void nobody_listening_is_told_and_the_run_goes_on(void **state)
{
	struct send_plan plan = plan_of(60);
	struct send_wire *wire;
	struct send_tally tally;
	char target[64];

	(void)state;
	if (!has_namespace)
		skip();
	close(listen_on(AF_INET, target));
	plan.burst = 1;
	assert_int_equal(send_udp_open(&wire, &plan, target, why), 0);
	run(&plan, wire, &tally);
	assert_int_equal(tally.sent + tally.refused, 60);
	assert_true(tally.no_listener > 0);
	assert_int_equal(tally.last_error, ECONNREFUSED);
	assert_int_equal(tally.refused, tally.no_listener * 3);
}

static void what_the_kernel_refuses_is_lost_once(void **state)
{
	struct send_plan plan = plan_of(10);
	struct send_wire *wire;
	struct send_tally tally;

	(void)state;
	if (!has_namespace)
		skip();
	plan.lines = 1;
	plan.size_min = plan.size_max = SEND_UDP_MAX + 1; // EMSGSIZE
	assert_int_equal(send_udp_open(&wire, &plan, "127.0.0.1:9", why), 0);
	run(&plan, wire, &tally);
	assert_int_equal(tally.sent, 0);
	assert_int_equal(tally.refused, 10);
	assert_int_equal(tally.last_error, EMSGSIZE);
}

static void a_datagram_that_the_kernel_stops_at_is_not_offered_again(void **state)
{
	struct send_plan plan = plan_of(160);
	struct send_wire *wire;
	struct send_tally tally;

	(void)state;
	plan.lines = plan.flows = 1;
	assert_int_equal(send_udp_open(&wire, &plan, "127.0.0.1:9", why), 0);
	take_one = true;
	run(&plan, wire, &tally);
	take_one = false;
	assert_int_equal(offered, 160);
	assert_int_equal(tally.sent, 80);
	assert_int_equal(tally.refused, 80);
	assert_int_equal(tally.last_error, 0);
}

static void targets_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "localhost", ":5", "127.0.0.1:", "::1:5", "[]:5", "127.0.0.1:bogus"};
	struct send_plan plan = plan_of(1);
	struct send_wire *wire;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		assert_true(send_udp_open(&wire, &plan, bad[i], why) < 0);
		assert_string_not_equal(why, "");
	}
}

static uint32_t sum_words(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += (i & 1) != 0 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void assert_frame(
	const struct send_plan *plan, uint64_t d, const uint8_t *frame, uint32_t len)
{
	uint32_t udp_len = len - 34;

	assert_int_equal(sum_words(0, frame + 14, 20), 0xffff);
	assert_int_equal(
		sum_words(sum_words(17 + udp_len, frame + 26, 8), frame + 34, udp_len), 0xffff);
	assert_int_equal((uint32_t)frame[34] << 8 | frame[35], 40000 + d % plan->flows);
	assert_datagram(plan, d, frame + 42, len - 42);
}

// Classic pcap: 24 bytes, then before each frame 16 with its length as the third word.
static void assert_capture(const struct send_plan *plan, const char *path, uint64_t datagrams)
{
	FILE *f = fopen(path, "re");
	uint8_t frame[1514];
	uint32_t head[4];
	uint64_t d = 0;

	assert_non_null(f);
	assert_int_equal(fseek(f, 24, SEEK_SET), 0);
	for (; fread(head, sizeof(head), 1, f) == 1; d++) {
		assert_in_range(head[2], 60, sizeof(frame));
		assert_int_equal(fread(frame, head[2], 1, f), 1);
		assert_frame(plan, d, frame, head[2]);
	}
	assert_int_equal(d, datagrams);
	fclose(f);
}

static void a_port_carries_every_frame_complete(void **state)
{
	char path[] = "/tmp/send_wire_XXXXXX", device[128];
	const struct send_port_options options = {
		.device = device,
		.to = "10.9.8.7:514",
		.from = "198.18.0.1:40000",
		.no_huge = true,
	};
	struct send_plan plan = plan_of(50000);
	struct send_tally tally;
	struct send_wire *wire;

	(void)state;
	close(mkstemp(path));
	snprintf(device, sizeof(device), "net_pcap0,tx_pcap=%s", path);
	plan.lines = 1;
	assert_int_equal(send_port_open(&wire, &plan, &options, &stop, why), 0);
	run(&plan, wire, &tally);
	assert_int_equal(tally.sent, 50000);
	assert_int_equal(tally.datagrams, 50000);
	assert_capture(&plan, path, 50000);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_over_ip4),
		cmocka_unit_test(udp_over_ip6),
		cmocka_unit_test(fixed_sizes_need_only_new_digits),
		cmocka_unit_test(nobody_listening_is_told_and_the_run_goes_on),
		cmocka_unit_test(what_the_kernel_refuses_is_lost_once),
		cmocka_unit_test(a_datagram_that_the_kernel_stops_at_is_not_offered_again),
		cmocka_unit_test(targets_that_are_none_are_refused),
		cmocka_unit_test(a_port_carries_every_frame_complete),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
