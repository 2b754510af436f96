// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Frames of Ethernet, IPv4 and UDP around datagrams. What all frames of a run share is summed once;
// a frame costs its digits, its lengths and two folded sums.

#include "cli/send/send.h"

#define FRAME_HEADER_BYTES 42u // 14 Ethernet, 20 IPv4, 8 UDP

struct frame_template {
	uint8_t header[FRAME_HEADER_BYTES]; // lengths, source port and checksums zero
	uint16_t src_port;                  // host order, of flow 0
	uint32_t ip_sum;                    // of the IPv4 header without its length
	uint32_t udp_sum;  // of pseudo header and ports without lengths and source port
	uint32_t head_sum; // of the 8 digits of the id
	// Sum of the filler of an event of so many bytes.
	uint32_t filler_sum[SEND_PORT_MAX + 1];
};

// 'from' and 'to' as "IPv4:PORT", 'dst_mac' as "02:00:00:00:00:01" or NULL for broadcast.
int frame_template_init(struct frame_template *ret, const struct send_plan *plan,
	const uint8_t src_mac[6], const char *dst_mac, const char *from, const char *to, char *why);

// Completes the headers of a frame that holds the template's header and, behind it, a datagram of
// one event of 'size' bytes but for its digits, which it writes.
void frame_patch_event(const struct frame_template *t, uint8_t *frame, uint32_t size, uint32_t flow,
	const uint8_t digits[10]);

// Completes the headers around any datagram of 'len' bytes.
void frame_patch(const struct frame_template *t, uint8_t *frame, uint32_t len, uint32_t flow);
