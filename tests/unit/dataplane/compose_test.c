// SPDX-License-Identifier: BSD-3-Clause
// What is composed is what the parser takes: addresses, ports, payload and both checksums.

#include "dataplane/compose.h"
#include "parsing.h"

static const uint8_t from_mac[6] = {2, 0, 0, 0, 0, 7};

static struct packet composed(const uint8_t source[16], const uint8_t target[16], uint16_t vlan,
	const uint8_t *payload, uint32_t len)
{
	struct udp_fields fields = {
		.to_mac = host.mac,
		.mac = from_mac,
		.vlan = vlan,
		.source = source,
		.target = target,
		.source_port = 4321,
		.target_port = 514,
	};
	uint8_t frame[COMPOSE_UDP_HEADERS + 1500];
	uint32_t frame_len = compose_udp(frame, &fields, payload, len);
	struct packet packet = parse_with(frame, frame_len, CHECKSUM_UNKNOWN, CHECKSUM_UNKNOWN);

	assert_int_equal(packet.kind, PACKET_DATAGRAM);
	assert_memory_equal(packet.src_addr, source, 16);
	assert_int_equal(packet.src_port, 4321);
	assert_int_equal(packet.payload_len, len);
	assert_memory_equal(frame + packet.payload, payload, len);
	assert_memory_equal(frame + 6, from_mac, 6);
	if (vlan != 0)
		assert_int_equal(get16(frame + ETH_HEADER), vlan);
	return packet;
}

static void a_datagram_is_what_the_parser_takes(void **state)
{
	uint8_t payload[1000], source[16];

	(void)state;
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 31);
	for (unsigned i = 0; i < host.address_count; i++) {
		const uint8_t *own = host.addresses[i].ip.s6_addr;

		memcpy(source, own, sizeof(source));
		source[15] ^= 3;
		for (uint32_t len = 1; len < 300; len++) {
			composed(source, own, 0, payload, len);
			composed(source, own, 0x6005, payload, len);
		}
		composed(source, own, 0, payload, sizeof(payload));
	}
}

// A sum of 0 is stored as ones: 0 would say that there is none.
static void a_checksum_is_never_zero(void **state)
{
	const uint8_t *own = host.addresses[0].ip.s6_addr;
	uint8_t frame[COMPOSE_UDP_HEADERS + 2], source[16];
	struct udp_fields fields = {
		.to_mac = host.mac, .mac = from_mac, .source = source, .target = own};
	unsigned ones = 0;

	(void)state;
	memcpy(source, own, sizeof(source));
	for (uint32_t i = 0; i < 65536; i++) {
		const uint8_t payload[2] = {(uint8_t)(i >> 8), (uint8_t)i};
		uint32_t len = compose_udp(frame, &fields, payload, 2);
		uint16_t sum = get16(frame + len - 4);

		assert_int_not_equal(sum, 0);
		ones += sum == UINT16_MAX;
	}
	// Those of 0, and of the other zero.
	assert_int_equal(ones, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_datagram_is_what_the_parser_takes, fresh),
		cmocka_unit_test_setup(a_checksum_is_never_zero, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
