// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the kernel knows of a network device that a port shares with it.

#include "common/config.h"

#include <stdbool.h>

// The kernel's own addresses on the device, link-local ones left out. Returns how many there are,
// at most max of them in ret; 0 also when the device is gone.
unsigned netdev_addresses(const char *name, struct config_address *ret, unsigned max);

// The drivers by sockets call every link up. False when there is no such device.
bool netdev_link(const char *name, bool *up, uint32_t *mbps); // *mbps 0: unknown

// True when one of the port's configured addresses is also the kernel's on that device.
bool netdev_has_any(const char *name, const struct config_port *port);

// Has the device take frames for all multicast groups as long as the descriptor is open: the
// drivers by sockets know no such thing. Negative errno.
int netdev_hear_groups(unsigned ifindex);

// Packets that the kernel dropped on the device: before any socket saw them, but also behind a
// packet socket that did, when nobody else wanted them (a frame with two VLAN tags, say).
uint64_t netdev_rx_dropped(const char *name);

// Packets of all devices that found a CPU's backlog full, so that no socket saw them.
uint64_t netdev_backlog_dropped(void);
