// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/checksum.h"

#include <arpa/inet.h>

// Two 64-bit lanes, each taking 32-bit halves, so that no carry is lost below 2^32 additions.
typedef uint64_t lanes __attribute__((vector_size(16)));

uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	const lanes low = {UINT32_MAX, UINT32_MAX};
	lanes even = {0}, odd = {0};

	for (; len >= 2 * sizeof(lanes); len -= 2 * sizeof(lanes), data += 2 * sizeof(lanes)) {
		lanes a, b;

		memcpy(&a, data, sizeof(a));
		memcpy(&b, data + sizeof(a), sizeof(b));
		even += (a & low) + (b & low);
		odd += (a >> 32) + (b >> 32);
	}
	even += odd;
	return checksum_add_short(sum + even[0] + even[1], data, len);
}

uint64_t checksum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t len)
{
	// Folded sums of 32-bit words: where a word stands in the pseudo header doesn't matter.
	uint64_t sum = (uint64_t)htonl(proto) + htonl(len);

	if (ip[0] >> 4 == 4)
		return sum + raw32(ip + 12) + raw32(ip + 16);
	for (unsigned i = 8; i < IP6_HEADER; i += 4)
		sum += raw32(ip + i);
	return sum;
}
