// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdint.h>

// Where a datagram came from, and where its answer goes. Compared by bytes: no padding.
struct peer {
	uint8_t address[16]; // IPv4 mapped into IPv6
	uint8_t own[16];     // the address it came to
	uint16_t port;       // host order
	uint16_t own_port;
	uint32_t way;   // these three the receiver's own: port and listener,
	uint8_t hop[6]; // the MAC that its frames come from,
	uint16_t vlan;  // their tag; 0: none
};
