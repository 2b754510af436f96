// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/below.h"
#include "dataplane/netdev.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

// A packet socket on lo, in a network namespace of this process, that nobody reads.
static int packet_socket(void)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("lo"),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), size = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_some(unsigned count)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char payload[1000] = {0};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (unsigned i = 0; i < count; i++)
		sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to));
	close(fd);
}

static void a_packet_socket_is_claimed_once(void **state)
{
	struct below one = {0}, two = {0};
	int fd = packet_socket();

	(void)state;
	below_claim_packet(&one, if_nametoindex("lo"));
	assert_int_equal(one.count, 1);
	assert_int_equal(one.fds[0], fd);
	below_claim_packet(&two, if_nametoindex("lo"));
	assert_int_equal(two.count, 0);
	below_release(&one);
	below_claim_packet(&two, if_nametoindex("lo"));
	assert_int_equal(two.count, 1);
	below_release(&two);
	close(fd);
}

static void a_socket_of_another_device_is_left_alone(void **state)
{
	struct below below = {0};
	int fd = packet_socket();

	(void)state;
	below_claim_packet(&below, if_nametoindex("lo") + 1);
	assert_int_equal(below.count, 0);
	below_claim_xdp(&below);
	assert_int_equal(below.count, 0);
	close(fd);
}

static void drops_add_up_though_the_kernel_forgets_them_when_read(void **state)
{
	struct below below = {0};
	struct below_drops sum = {0};
	int fd = packet_socket();
	uint64_t first;

	(void)state;
	below_claim_packet(&below, if_nametoindex("lo"));
	send_some(200);
	below_read_packet(&below, &sum);
	first = sum.packet_drops;
	assert_true(first >= 190);
	below_read_packet(&below, &sum);
	assert_int_equal(sum.packet_drops, first);
	send_some(200);
	below_read_packet(&below, &sum);
	assert_true(sum.packet_drops >= first + 200);
	below_release(&below);
	close(fd);
}

static void the_kernels_addresses_of_a_device_are_found(void **state)
{
	struct config_address address;
	struct config_port port = {.address_count = 1};

	(void)state;
	assert_int_equal(netdev_addresses("no-such-device", &address, 1), 0);
	assert_true(netdev_addresses("lo", &address, 1) >= 1);
	assert_true(address.is_ip4);
	assert_int_equal(address.prefix_len, 8);
	memcpy(&port.addresses[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	assert_true(netdev_has_any("lo", &port));
	port.addresses[0].ip.s6_addr[15] = 2;
	assert_false(netdev_has_any("lo", &port));
}

static int enter_namespace(void **state)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) != 0)
		_exit(77);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	request.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		return -1;
	return close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_socket_is_claimed_once),
		cmocka_unit_test(a_socket_of_another_device_is_left_alone),
		cmocka_unit_test(drops_add_up_though_the_kernel_forgets_them_when_read),
		cmocka_unit_test(the_kernels_addresses_of_a_device_are_found),
	};
	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
