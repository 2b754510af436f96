// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned mask_bits(const struct sockaddr *mask, size_t offset, size_t len)
{
	unsigned bits = 0;

	if (mask == NULL)
		return (unsigned)len * 8;
	for (size_t i = 0; i < len; i++)
		bits += (unsigned)__builtin_popcount(((const uint8_t *)mask)[offset + i]);
	return bits;
}

static bool take_address(const struct ifaddrs *entry, struct config_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (entry->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)entry->ifa_addr;
		ret->is_ip4 = true;
		ret->ip.s6_addr[10] = ret->ip.s6_addr[11] = 0xff;
		memcpy(&ret->ip.s6_addr[12], &sin->sin_addr, 4);
		ret->prefix_len = (uint8_t)mask_bits(
			entry->ifa_netmask, offsetof(struct sockaddr_in, sin_addr), 4);
		return true;
	}
	if (entry->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const void *)entry->ifa_addr;
		ret->ip = sin6->sin6_addr;
		ret->prefix_len = (uint8_t)mask_bits(
			entry->ifa_netmask, offsetof(struct sockaddr_in6, sin6_addr), 16);
		return !IN6_IS_ADDR_LINKLOCAL(&ret->ip);
	}
	return false;
}

unsigned netdev_addresses(const char *name, struct config_address *ret, unsigned max)
{
	struct ifaddrs *list = NULL;
	struct config_address address;
	unsigned n = 0;

	if (getifaddrs(&list) != 0)
		return 0;
	for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
		if (entry->ifa_addr == NULL || strcmp(entry->ifa_name, name) != 0 ||
			!take_address(entry, &address))
			continue;
		if (n < max)
			ret[n] = address;
		n++;
	}
	freeifaddrs(list);
	return n;
}

bool netdev_has_any(const char *name, const struct config_port *port)
{
	struct config_address kernel[CONFIG_ADDRESSES_MAX];
	unsigned count = netdev_addresses(name, kernel, CONFIG_ADDRESSES_MAX);

	if (count > CONFIG_ADDRESSES_MAX)
		count = CONFIG_ADDRESSES_MAX;
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < port->address_count; j++)
			if (memcmp(&kernel[i].ip, &port->addresses[j].ip, 16) == 0)
				return true;
	return false;
}

// A number that /sys knows of the device, in the base given; false when it doesn't.
static bool read_number(const char *name, const char *file, int base, uint64_t *ret)
{
	char path[128], line[32], *end = line;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, file);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	if (fgets(line, sizeof(line), f) != NULL && line[0] != '-')
		*ret = strtoull(line, &end, base);
	fclose(f);
	return end != line;
}

static uint64_t read_statistic(const char *name, const char *statistic)
{
	char file[64];
	uint64_t value = 0;

	snprintf(file, sizeof(file), "statistics/%s", statistic);
	read_number(name, file, 10, &value);
	return value;
}

bool netdev_link(const char *name, bool *up, uint32_t *mbps)
{
	uint64_t flags = 0, carrier = 0, speed = 0;

	*up = false;
	*mbps = 0;
	if (!read_number(name, "flags", 16, &flags))
		return false;
	// Neither can be read of a device that is down.
	if ((flags & IFF_UP) != 0)
		read_number(name, "carrier", 10, &carrier);
	*up = carrier != 0;
	if (*up && read_number(name, "speed", 10, &speed))
		*mbps = (uint32_t)speed;
	return true;
}

uint64_t netdev_rx_dropped(const char *name)
{
	return read_statistic(name, "rx_dropped") + read_statistic(name, "rx_missed_errors");
}

// Second column of /proc/net/softnet_stat, in hexadecimal, a line for each CPU.
uint64_t netdev_backlog_dropped(void)
{
	FILE *f = fopen("/proc/net/softnet_stat", "re");
	uint64_t sum = 0, dropped;
	char line[512];

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%*x %" SCNx64, &dropped) == 1)
			sum += dropped;
	fclose(f);
	return sum;
}

// Bound to no protocol, so that no packet comes to it.
int netdev_hear_groups(unsigned ifindex)
{
	const struct packet_mreq all = {.mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_ALLMULTI};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}
