// SPDX-License-Identifier: BSD-3-Clause

#include "dataplane/packet.h"
#include "parsing.h"

static void assert_in_bounds(const struct packet *packet, uint32_t len)
{
	if (packet->kind == PACKET_DROP) {
		assert_true(packet->drop < DROP_COUNT);
		return;
	}
	assert_true(packet->l3 >= 14 && packet->l3 <= 22);
	if (packet->kind == PACKET_ARP_REQUEST ||
		(packet->kind == PACKET_NEIGHBOUR && packet->l4 == 0)) {
		assert_true(packet->l3 + 28u <= len);
		return;
	}
	assert_true(packet->l4 >= packet->l3 + 20 && packet->l4 + packet->l4_len <= (int)len);
	if (packet->kind == PACKET_DATAGRAM) {
		assert_int_equal(packet->payload, packet->l4 + 8);
		assert_true(packet->payload_len > 0 && packet->payload_len <= packet->l4_len - 8);
	}
}

static void assert_answer_is_bounded(
	const struct frame *f, uint32_t len, const struct packet *packet)
{
	uint32_t most = len < 60 ? 60 : len, room = len + 64, n;
	uint8_t *buffer = malloc(room);

	assert_non_null(buffer);
	memcpy(buffer, f->data, len);
	n = host_answer(buffer, len, room, packet, &host);
	free(buffer);
	if (!packet_is_inquiry(packet))
		assert_int_equal(n, 0);
	else
		assert_in_range(n, 60, packet->kind == PACKET_ND_SOLICIT ? most + 8 : most);
}

static uint32_t mutate(struct frame *f)
{
	uint32_t len = f->len;

	for (unsigned changes = (unsigned)random() % 6; changes > 0; changes--)
		put8(f, (uint32_t)random() % f->len, (unsigned)random());
	if (random() % 4 == 0)
		len = (uint32_t)random() % (f->len + 40);
	// Half of them with right checksums, or little would get behind those.
	if (random() % 2 == 0 && f->proto != 0 && f->data[f->l3] != 0)
		seal(f, f->proto);
	return len;
}

static void no_mutation_leads_out_of_the_frame(void **state)
{
	struct frame f;
	unsigned taken = 0;

	(void)state;
	srandom(20240607);
	for (unsigned i = 0; i < 100000; i++) {
		struct packet packet;
		uint32_t len;

		well_formed[i % WELL_FORMED].make(&f);
		len = mutate(&f);
		packet = parse_with(f.data, len, (enum checksum_state)(random() % 4),
			(enum checksum_state)(random() % 4));
		assert_in_bounds(&packet, len);
		assert_answer_is_bounded(&f, len, &packet);
		taken += packet.kind != PACKET_DROP;
	}
	assert_in_range(taken, 10000, 90000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_mutation_leads_out_of_the_frame, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
