// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/below.h"

#include <dirent.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

// Descriptors that some port has claimed; control thread only.
static bool claimed[4096];

static bool has_family(int fd, int family)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len) == 0 && value == family;
}

static bool on_device(int fd, unsigned ifindex)
{
	struct sockaddr_ll address = {0};
	socklen_t len = sizeof(address);

	return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
	       address.sll_ifindex == (int)ifindex;
}

// ifindex 0: any device (an AF_XDP socket doesn't say which).
static void claim(struct below *below, int family, unsigned ifindex)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	below->count = 0;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *end;
		long fd = strtol(entry->d_name, &end, 10);
		if (end == entry->d_name || fd < 0 || fd >= (long)sizeof(claimed) || claimed[fd])
			continue;
		if (!has_family((int)fd, family) || (ifindex != 0 && !on_device((int)fd, ifindex)))
			continue;
		if (below->count == BELOW_SOCKETS_MAX)
			break;
		claimed[fd] = true;
		memset(below->seen[below->count], 0, sizeof(below->seen[0]));
		below->fds[below->count++] = (int)fd;
	}
	if (dir != NULL)
		closedir(dir);
}

void below_claim_packet(struct below *below, unsigned ifindex)
{
	claim(below, AF_PACKET, ifindex);
}

void below_claim_xdp(struct below *below)
{
	claim(below, AF_XDP, 0);
}

void below_release(struct below *below)
{
	for (unsigned i = 0; i < below->count; i++)
		claimed[below->fds[i]] = false;
	below->count = 0;
}

void below_read_packet(struct below *below, struct below_drops *sum)
{
	for (unsigned i = 0; i < below->count; i++) {
		struct tpacket_stats stats = {0};
		socklen_t len = sizeof(stats);

		// Reading sets the kernel's counter to zero.
		if (getsockopt(below->fds[i], SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
			sum->packet_drops += stats.tp_drops;
	}
}

static uint64_t grown(uint64_t *seen, uint64_t now)
{
	uint64_t delta = now - *seen;

	*seen = now;
	return delta;
}

void below_read_xdp(struct below *below, struct below_drops *sum)
{
	for (unsigned i = 0; i < below->count; i++) {
		struct xdp_statistics stats = {0};
		socklen_t len = sizeof(stats);

		if (getsockopt(below->fds[i], SOL_XDP, XDP_STATISTICS, &stats, &len) != 0)
			continue;
		sum->xdp_dropped += grown(&below->seen[i][0], stats.rx_dropped);
		sum->xdp_ring_full += grown(&below->seen[i][1], stats.rx_ring_full);
	}
}

const char *below_xdp_mode(const struct below *below)
{
	for (unsigned i = 0; i < below->count; i++) {
		struct xdp_options options = {0};
		socklen_t len = sizeof(options);

		if (getsockopt(below->fds[i], SOL_XDP, XDP_OPTIONS, &options, &len) == 0 &&
			(options.flags & XDP_OPTIONS_ZEROCOPY) != 0)
			return "zero_copy";
	}
	return "copy";
}
