// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The UDP payload of a captured packet. Checksums are not looked at: a capture on the sender's own
// machine has those that its device was still to fill in.

#include <stdbool.h>
#include <stdint.h>

// Why a packet has none to give: symbol, counter name, text.
#define PAYLOAD_SKIPS(X) \
	X(NOT_IP, not_ip, "not IP") \
	X(NOT_UDP, not_udp, "IP, but not UDP") \
	X(FRAGMENT, fragment, "fragments of a datagram") \
	X(CUT, cut, "cut by the capture's snaplen") \
	X(MALFORMED, malformed, "with lengths that don't add up")

enum payload_skip {
	PAYLOAD_FOUND,
#define X(symbol, name, text) PAYLOAD_##symbol,
	PAYLOAD_SKIPS(X)
#undef X
		PAYLOAD_SKIP_COUNT,
};

// True for link types (DLT_…) that can be read: Ethernet, raw IP, Linux cooked.
bool payload_reads(int link);

// 'captured' bytes of a packet that had 'length'. PAYLOAD_FOUND: the payload is *ret, within the
// packet, and may be of 0 bytes.
enum payload_skip payload_find(int link, const uint8_t *packet, uint32_t captured, uint32_t length,
	const uint8_t **ret, uint32_t *ret_len);
