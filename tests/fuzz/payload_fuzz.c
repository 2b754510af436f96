// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: a captured packet of any bytes has a payload within it or a name for having none, and
// what was found stays what it is however much of the packet behind it was captured.

#include "cli/send/payload.h"
#include "fuzz.h"

#include <pcap/dlt.h>
#include <string.h>

static const int links[] = {DLT_EN10MB, DLT_RAW, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_IPV4, DLT_IPV6};

// From a copy of just the bytes that are captured, so that reading too far is noticed.
static enum payload_skip find(int link, const uint8_t *packet, uint32_t captured, uint32_t length,
	uint32_t *ret_at, uint32_t *ret_len)
{
	uint8_t *copy = malloc(captured > 0 ? captured : 1);
	const uint8_t *payload;
	enum payload_skip skip;

	expect(copy != NULL);
	memcpy(copy, packet, captured);
	skip = payload_find(link, copy, captured, length, &payload, ret_len);
	expect(skip < PAYLOAD_SKIP_COUNT);
	if (skip == PAYLOAD_FOUND) {
		expect(payload >= copy && *ret_len <= captured);
		*ret_at = (uint32_t)(payload - copy);
		expect(*ret_at <= captured - *ret_len);
	}
	free(copy);
	return skip;
}

// The input: the link, by how much the packet was longer, and it.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t captured, length, at, len, at_again, len_again;
	int link;

	if (size < 2 || size > 2048)
		return 0;
	link = links[data[0] % (sizeof(links) / sizeof(links[0]))];
	captured = (uint32_t)size - 2;
	length = captured + data[1];
	expect(payload_reads(link));
	if (find(link, data + 2, captured, length, &at, &len) != PAYLOAD_FOUND)
		return 0;
	expect(find(link, data + 2, at + len, length, &at_again, &len_again) == PAYLOAD_FOUND);
	expect(at == at_again && len == len_again);
	for (uint32_t i = 0; i < at + len; i++)
		expect(find(link, data + 2, i, length, &at_again, &len_again) == PAYLOAD_CUT);
	return 0;
}
