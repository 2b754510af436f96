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

// The same for few bytes, inline.
static inline uint64_t checksum_add_short(uint64_t sum, const uint8_t *data, size_t len)
{
	typedef uint64_t lanes __attribute__((vector_size(16)));
	const lanes low = {UINT32_MAX, UINT32_MAX};
	lanes both = {sum};

	for (; len >= sizeof(both); len -= sizeof(both), data += sizeof(both)) {
		lanes words;

		memcpy(&words, data, sizeof(words));
		both += (words & low) + (words >> 32);
	}
	sum = both[0] + both[1];
	if (len & 8) {
		sum += (uint64_t)raw32(data) + raw32(data + 4);
		data += 8;
	}
	if (len & 4) {
		sum += raw32(data);
		data += 4;
	}
	if (len & 2) {
		sum += raw16(data);
		data += 2;
	}
	return len & 1 ? sum + *data : sum;
}

// An IPv4 header without options.
static inline uint64_t checksum_add20(uint64_t sum, const uint8_t *ip)
{
	return sum + raw32(ip) + raw32(ip + 4) + raw32(ip + 8) + raw32(ip + 12) + raw32(ip + 16);
}

// The complement, as it is stored: with put of raw order, memcpy(field, &ret, 2).
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half;

	// Both halves twice: the upper one then holds the sum with its carry.
	sum += sum << 32 | sum >> 32;
	half = (uint32_t)(sum >> 32);
	half += half << 16 | half >> 16;
	return (uint16_t) ~(half >> 16);
}

// The pseudo header of the IPv4 or IPv6 header at ip, for len bytes of protocol proto.
uint64_t checksum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t len);
