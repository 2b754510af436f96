// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: a frame of any bytes is dropped, cut into events or answered without a byte read or
// written outside it. The first byte of the input says what the device would, and who is asked.

#include "../unit/dataplane/packets.h"
#include "dataplane/host/neighbours.h"
#include "dataplane/lines.h"
#include "dataplane/packet.h"
#include "fuzz.h"

#define STATE_MASK 3u
#define L4_SHIFT 2
#define PROMISCUOUS 16u
#define ANSWER_ROOM 16u // more than the ND option needs

static struct config config;
static struct listener_table table;

static void listen_once(void)
{
	if (table.config != NULL)
		return;
	config.listeners[0] = listener_on(5000, "192.0.2.1");
	config.listeners[1] = listener_on(514, NULL);
	config.listeners[1].split = SPLIT_LINES;
	config.listener_count = 2;
	listener_table_init(&table, &config);
}

static void check_events(const uint8_t *frame, uint32_t len, const struct packet *packet)
{
	const uint8_t *payload = frame + packet->payload, *event, *last = payload;
	struct lines lines;
	uint32_t event_len;

	expect(packet->payload_len > 0 && packet->payload + packet->payload_len <= (int)len);
	expect(packet->listener < config.listener_count);
	lines_init(&lines, payload, packet->payload_len);
	while (lines_next(&lines, &event, &event_len)) {
		expect(event_len > 0 && event >= last);
		last = event + event_len;
		expect(last <= payload + packet->payload_len);
	}
}

// What the host thread reads of it must lie in the frame, too.
static void check_news(const uint8_t *frame, uint32_t len, const struct packet *packet)
{
	static const uint8_t none[6];
	uint8_t *copy = malloc(len);
	struct neighbour_news news;

	expect(copy != NULL);
	memcpy(copy, frame, len);
	neighbour_news(copy, packet, &news);
	expect(!news.has_mac || ((news.mac[0] & 1) == 0 && memcmp(news.mac, none, 6) != 0));
	free(copy);
}

// Into a buffer of just the room that is stated, so that writing too far is noticed too.
static void check_answer(const uint8_t *frame, uint32_t len, const struct packet *packet,
	const struct host_identity *host)
{
	uint32_t room = (len < 60 ? 60 : len) + ANSWER_ROOM, n;
	uint32_t most = room - ANSWER_ROOM + (packet->kind == PACKET_ND_SOLICIT ? 8 : 0);
	uint8_t *buffer = calloc(1, room);
	struct packet again;

	expect(buffer != NULL);
	memcpy(buffer, frame, len);
	n = host_answer(buffer, len, room, packet, host);
	expect(n >= 60 && n <= most);
	// What is sent must not be an inquiry itself.
	memcpy(buffer, host->mac, sizeof(host->mac));
	packet_parse(buffer, n, CHECKSUM_UNKNOWN, CHECKSUM_UNKNOWN, host, &table, &again);
	expect(!packet_is_inquiry(&again));
	free(buffer);
}

// What is said to be readable in the first mbuf of a chain must be: nothing lies behind it here.
static void check_readable(const uint8_t *frame, uint32_t len, const struct host_identity *host)
{
	static const uint32_t heads[] = {14, 20, 42, 54, 62, 70, 128, 256};

	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct packet packet;
		uint8_t *head;

		if (heads[i] >= len || !packet_is_readable(frame, heads[i], len))
			continue;
		head = malloc(heads[i]);
		expect(head != NULL);
		memcpy(head, frame, heads[i]);
		packet_parse(head, len, CHECKSUM_UNKNOWN, CHECKSUM_GOOD, host, &table, &packet);
		free(head);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_identity host;
	struct packet packet;

	if (size == 0 || size > 1 + 65535)
		return 0;
	listen_once();
	make_host(&host);
	if ((data[0] & PROMISCUOUS) != 0) {
		host.promiscuous = true;
		host.address_count = 0;
	}
	check_readable(data + 1, (uint32_t)size - 1, &host);
	packet_parse(data + 1, (uint32_t)size - 1, data[0] & STATE_MASK,
		data[0] >> L4_SHIFT & STATE_MASK, &host, &table, &packet);
	if (packet.kind == PACKET_DATAGRAM)
		check_events(data + 1, (uint32_t)size - 1, &packet);
	else if (packet.kind == PACKET_NEIGHBOUR)
		check_news(data + 1, (uint32_t)size - 1, &packet);
	else if (packet.kind != PACKET_DROP)
		check_answer(data + 1, (uint32_t)size - 1, &packet, &host);
	else
		expect(packet.drop < DROP_COUNT);
	return 0;
}
