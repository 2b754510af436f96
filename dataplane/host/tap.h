// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The exception device: a TAP that stands for a port in the kernel, so that what is not Millrace's
// (ssh, DHCP, LLDP) goes on by the same NIC. Host thread, but for tap_open() and tap_close().

#include "dataplane/packet.h"

#include <stdbool.h>
#include <stdint.h>

#define TAP_NAME_MAX 16

// Makes the device, or attaches to one that is there (made by `ip tuntap add ... mode tap user U`
// for a receiver without CAP_NET_ADMIN). It gets the port's MAC, its addresses and its MTU, and is
// brought up; what this process may not set and isn't so already is told, with the command that
// mends it. Returns a non-blocking descriptor or a negative errno, told.
int tap_open(const char *port, const char *name, const struct host_identity *host, unsigned mtu);
