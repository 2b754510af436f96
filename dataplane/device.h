// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a port's 'device' in the configuration means. Text only: no EAL.

#include "common/config.h"

#include <net/if.h>

enum device_kind {
	DEVICE_PCI,    // "0000:03:00.0" or "03:00.0", device arguments may follow a comma
	DEVICE_NETDEV, // "eth1", "af_xdp:eth1", "af_packet:eth1"
	DEVICE_VDEV,   // "net_memif0,role=server,socket=/run/x.sock"
};

enum device_driver {
	DRIVER_ANY, // a network device: AF_XDP where it can, else AF_PACKET
	DRIVER_AF_XDP,
	DRIVER_AF_PACKET,
};

struct device {
	enum device_kind kind;
	enum device_driver forced;    // network devices only
	char name[CONFIG_DEVICE_MAX]; // canonical PCI address, network device, or vdev's name
	char args[CONFIG_DEVICE_MAX]; // what followed the first comma, "" when nothing
};

// -EINVAL when the text is none of the three.
int device_parse(const char *text, struct device *ret);

// True when a vdev's argument stands there with this value: "zero-copy", "yes".
bool device_has_arg(const struct device *device, const char *key, const char *value);

const char *device_kind_text(enum device_kind kind);
