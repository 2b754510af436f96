// SPDX-License-Identifier: BSD-3-Clause
// So many sources at one partition's half of the protocol, without network and log: what each costs
// in memory, in opening, and in an event of every one in turn. One line of JSON.

#include "common/clock.h"
#include "transport/receive.h"

#include <inttypes.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD 600
#define BLOCK 1500 // events

struct source {
	uint64_t token, number, seq;
};

static struct receive *r;
static struct source *sources;
static struct received events[RECEIVE_EVENTS];
static uint8_t data[2048], answer[WIRE_QUESTION_MIN];
static uint64_t open_rows, acks;

static uint64_t now_ns(void)
{
	return clock_monotonic_ns();
}

static void fail(const char *what)
{
	fprintf(stderr, "sources: %s\n", what);
	exit(1);
}

static struct peer peer_of(uint64_t id)
{
	struct peer peer = {.port = 1};

	memcpy(peer.address, &id, sizeof(id));
	return peer;
}

static uint32_t begin(uint8_t type, uint64_t id, const struct source *source)
{
	struct wire_header header = {.type = type, .epoch = 1, .source = id + 1};

	if (source != NULL) {
		header.token = source->token;
		header.number = source->number;
	}
	wire_write_header(data, &header);
	return WIRE_HEADER;
}

// What the worker of a partition does, but for the log.
static void give(uint64_t id, uint32_t len)
{
	struct peer peer = peer_of(id);
	unsigned count = receive_take(r, data, len, &peer, now_ns(), events);

	if (count > 0)
		receive_appended(r, count);
	open_rows += count;
	if (open_rows >= BLOCK && receive_submitted(r)) {
		receive_durable(r);
		open_rows = 0;
	}
}

static uint32_t next_answer(void)
{
	struct peer to;

	return receive_next(r, now_ns(), answer, &to);
}

static void drain(void)
{
	while (next_answer() > 0)
		acks++;
}

// Among what else is due.
static void find_answer(uint8_t type)
{
	struct wire_header header;
	uint32_t len;

	while ((len = next_answer()) > 0)
		if (wire_read_header(answer, len, &header) && header.type == type)
			return;
	fail("an answer is missing");
}

static void open_source(uint64_t id)
{
	struct wire_hello hello = {{0}};
	struct wire_open open = {.flags = WIRE_FRESH};
	struct wire_challenge challenge;
	struct wire_opened opened;

	memcpy(hello.random, &id, sizeof(id));
	give(id, begin(WIRE_HELLO, id, NULL) + wire_write_hello(data + WIRE_HEADER, &hello));
	find_answer(WIRE_CHALLENGE);
	if (!wire_read_challenge(answer + WIRE_HEADER, 56, &challenge))
		fail("no challenge");
	memcpy(open.random, challenge.random, sizeof(open.random));
	memcpy(open.mac, challenge.mac, sizeof(open.mac));
	open.made = challenge.made;
	give(id, begin(WIRE_OPEN, id, NULL) + wire_write_open(data + WIRE_HEADER, &open));
	find_answer(WIRE_OPENED);
	if (!wire_read_opened(answer + WIRE_HEADER, 112, &opened))
		fail("not opened");
	sources[id].token = opened.token;
}

static void send_event(uint64_t id)
{
	static const uint8_t payload[PAYLOAD];
	struct source *source = &sources[id];
	struct wire_writer w;

	source->number++;
	begin(WIRE_EVENTS, id, source);
	wire_begin_events(&w, data + WIRE_HEADER, 1400, source->seq++);
	wire_add_event(&w, payload, sizeof(payload));
	give(id, WIRE_HEADER + wire_end_events(&w));
}

static size_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 3;
	struct receive_config config = {.sources = count,
		.windows = 1024,
		.sessions = count,
		.snapshots = 4 * BLOCK,
		.credit = 1ull << 40,
		.event_max = 65536,
		.large_events = 16,
		.source_expiry_s = 1u << 30};
	uint64_t begun, opened, ended;
	size_t before;

	if (sodium_init() < 0 || count == 0)
		fail("no libsodium, or no sources");
	sources = calloc(count, sizeof(*sources));
	before = in_use();
	if (sources == NULL || receive_make(&r, &config) != 0)
		fail("no memory");
	before = in_use() - before;
	begun = now_ns();
	for (uint64_t id = 0; id < count; id++)
		open_source(id);
	opened = now_ns();
	for (uint64_t i = 0; i < rounds * count; i++) {
		send_event(i % count);
		if (i % 32 == 31)
			drain();
	}
	ended = now_ns();
	if (receive_counters(r)[RECEIVE_events] != rounds * count)
		fail("events are missing");
	printf("{\"sources\": %" PRIu32
	       ", \"source_bytes\": %zu, \"bytes\": %zu, \"opened_per_second\": "
	       "%.0f, \"events_per_second\": %.0f, \"acks\": %" PRIu64 "}\n",
		count, seen_bytes(receive_seen(r)) / count, before / count,
		count * 1e9 / (double)(opened - begun),
		(double)(rounds * count) * 1e9 / (double)(ended - opened), acks);
	receive_free(r);
	free(sources);
	return 0;
}
