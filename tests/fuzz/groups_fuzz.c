// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: frames of any bytes, a second apart, to a host that is in groups: whatever is asked,
// its reports are whole frames with right checksums, and no more than a bounded number of them.

#include "../unit/dataplane/packets.h"
#include "dataplane/checksum.h"
#include "dataplane/host/groups.h"
#include "dataplane/wire.h"
#include "fuzz.h"

#define SECOND 1000000000ull
#define REPORTS_MAX 64 // of a few groups, within a second

static struct config config;
static struct listener_table table;

static void check_report(const uint8_t *frame, uint32_t len)
{
	const uint8_t *ip = frame + ETH_HEADER;

	expect(len >= ETH_FRAME_MIN && len <= GROUPS_FRAME_MAX);
	if (get16(frame + 12) == 0x0800) {
		uint32_t total = get16(ip + 2);

		expect(ip[8] == 1 && ETH_HEADER + total <= len);
		expect(checksum_fold(checksum_add(0, ip, 24)) == 0);
		expect(checksum_fold(checksum_add(0, ip + 24, total - 24)) == 0);
	} else {
		uint32_t payload = get16(ip + 4) - 8u;

		expect(ip[7] == 1 && ETH_HEADER + IP6_HEADER + 8 + payload <= len);
		expect(checksum_fold(checksum_add(checksum_pseudo(ip, IPPROTO_ICMPV6, payload),
			       ip + IP6_HEADER + 8, payload)) == 0);
	}
}

static void check_reports(struct groups *g, uint64_t now)
{
	static uint8_t frame[GROUPS_FRAME_MAX];
	unsigned count = 0;
	uint32_t len;

	while ((len = groups_next(g, now, frame)) > 0) {
		check_report(frame, len);
		expect(++count < REPORTS_MAX);
	}
}

// The input: for each frame its length in two bytes, then itself.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_identity host;
	struct groups g;
	uint64_t now = SECOND;

	table.config = &config;
	make_host(&host);
	host.groups[host.group_count++] = address_of("239.1.2.3", 0).ip;
	host.groups[host.group_count++] = address_of("ff15::7", 0).ip;
	groups_init(&g, &host, 1);
	groups_announce(&g, now);
	while (size >= 2) {
		uint32_t len = get16(data);
		struct packet packet;
		uint8_t *frame;

		data += 2;
		size -= 2;
		len = len < size ? len : (uint32_t)size;
		frame = malloc(len + 1);
		expect(frame != NULL);
		memcpy(frame, data, len);
		packet_parse(frame, len, CHECKSUM_GOOD, CHECKSUM_GOOD, &host, &table, &packet);
		if (packet.kind == PACKET_GROUP_QUERY)
			groups_query(&g, frame, &packet, now);
		free(frame);
		check_reports(&g, now);
		now += SECOND;
		data += len;
		size -= len;
	}
	groups_leave(&g, now);
	check_reports(&g, now);
	return 0;
}
