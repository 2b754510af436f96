// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The Internet checksum (RFC 1071): ones' complement of the ones' complement sum of 16-bit words.
// Sums are unfolded and in memory order, so a part that is followed by another must be of even
// length. A sum that includes a right checksum folds to 0.

#include "dataplane/wire.h"

#include <stddef.h>
#include <stdint.h>

// Adds len bytes to sum; an odd last byte counts as if a zero followed. len < 2^32.
uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len);

// An IPv4 header without options.
static inline uint64_t checksum_add20(uint64_t sum, const uint8_t *ip)
{
	return sum + raw32(ip) + raw32(ip + 4) + raw32(ip + 8) + raw32(ip + 12) + raw32(ip + 16);
}

// The complement, as it is stored: with put of raw order, memcpy(field, &ret, 2).
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

// The pseudo header of the IPv4 or IPv6 header at ip, for len bytes of protocol proto.
uint64_t checksum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t len);
