// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/tap.h"

#include "common/logmsg.h"
#include "dataplane/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int open_device(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

// Before any address: the kernel derives its link-local one from the MAC. The errors of this and
// the next function are libnl's.
static int set_link(struct nl_sock *nl, int ifindex, const uint8_t *mac, unsigned mtu)
{
	struct rtnl_link *old = rtnl_link_alloc(), *new = rtnl_link_alloc();
	struct nl_addr *address = nl_addr_build(AF_LLC, mac, 6);
	int err = -NLE_NOMEM;

	if (old != NULL && new != NULL && address != NULL) {
		rtnl_link_set_ifindex(old, ifindex);
		rtnl_link_set_addr(new, address);
		rtnl_link_set_mtu(new, mtu);
		rtnl_link_set_flags(new, IFF_UP);
		err = rtnl_link_change(nl, old, new, 0);
	}
	nl_addr_put(address);
	rtnl_link_put(old);
	rtnl_link_put(new);
	return err;
}

// Without duplicate address detection: it is this host's by configuration, and announced as such.
static int add_address(struct nl_sock *nl, int ifindex, const struct config_address *address)
{
	int family = address->is_ip4 ? AF_INET : AF_INET6;
	size_t skip = address->is_ip4 ? MAPPED_IP4 : 0;
	struct nl_addr *local =
		nl_addr_build(family, address->ip.s6_addr + skip, sizeof(address->ip) - skip);
	struct rtnl_addr *request = rtnl_addr_alloc();
	int err = -NLE_NOMEM;

	if (local != NULL && request != NULL) {
		nl_addr_set_prefixlen(local, address->prefix_len);
		rtnl_addr_set_ifindex(request, ifindex);
		err = rtnl_addr_set_local(request, local);
		rtnl_addr_set_flags(request, IFA_F_NODAD);
	}
	if (err == 0)
		err = rtnl_addr_add(nl, request, 0);
	nl_addr_put(local);
	rtnl_addr_put(request);
	return err == -NLE_EXIST ? 0 : err;
}

// What can't be set is said, not fatal: the device may be set up already, or be by hand.
static void configure(
	const char *port, const char *name, const struct host_identity *host, unsigned mtu)
{
	struct nl_sock *nl = nl_socket_alloc();
	int ifindex = (int)if_nametoindex(name);
	int err = nl != NULL ? nl_connect(nl, NETLINK_ROUTE) : -NLE_NOMEM;
	const uint8_t *mac = host->mac;
	char text[INET6_ADDRSTRLEN];

	if (err == 0)
		err = set_link(nl, ifindex, mac, mtu);
	if (err != 0)
		log_warn("port %s: exception device %s: %s; mend: ip link set dev %s "
			 "address " MAC_TEXT " mtu %u up",
			port, name, nl_geterror(err), name, MAC_BYTES(mac), mtu);
	for (unsigned i = 0; i < host->address_count; i++) {
		err = add_address(nl, ifindex, &host->addresses[i]);
		if (err == 0)
			continue;
		config_address_text(&host->addresses[i], text, sizeof(text));
		log_warn("port %s: exception device %s: %s; mend: ip addr add %s/%u dev %s", port,
			name, nl_geterror(err), text, host->addresses[i].prefix_len, name);
	}
	nl_socket_free(nl);
}

int tap_open(const char *port, const char *name, const struct host_identity *host, unsigned mtu)
{
	int fd = open_device(name);

	if (fd < 0)
		log_err("port %s: the exception device %s can't be had: %s; mend: %s", port, name,
			strerror(-fd),
			fd == -EBUSY
				? "end the program that holds it, or give it another name"
				: "run as root, or: ip tuntap add dev NAME mode tap user USER");
	else
		configure(port, name, host, mtu);
	return fd;
}
