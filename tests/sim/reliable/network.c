// SPDX-License-Identifier: BSD-3-Clause

// Between each sender and each receiver two ways, each with its own delay and its own faults.

#include "reliable.h"
#include "transport/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_NS (200 * MS) // of a way's narrowest place; what would wait longer is dropped

struct way {
	uint64_t blocked_until, free_at;
};

static struct way ways[PLACES][RECEIVERS][2];
static struct packet *packets; // under way

void network_reset(void)
{
	for (struct packet *packet = packets, *next; packet; packet = next) {
		next = packet->next;
		free(packet);
	}
	packets = NULL;
	memset(ways, 0, sizeof(ways));
}

void network_calm(void)
{
	memset(ways, 0, sizeof(ways));
}

struct peer network_peer(unsigned place, unsigned receiver, uint16_t port)
{
	struct peer peer = {.port = port, .own_port = 9000, .way = receiver};

	peer.address[10] = peer.address[11] = peer.own[10] = peer.own[11] = 0xff;
	peer.address[12] = peer.own[12] = 10;
	peer.address[15] = (uint8_t)(1 + place);
	peer.own[14] = 1;
	peer.own[15] = (uint8_t)(1 + receiver);
	return peer;
}

static struct packet *copy(const struct packet *like, const uint8_t *data, uint32_t len)
{
	struct packet *packet = malloc(sizeof(*packet) + len);

	if (!packet)
		abort();
	*packet = *like;
	packet->len = len;
	memcpy(packet->data, data, len);
	packet->prev = NULL;
	packet->next = packets;
	if (packets)
		packets->prev = packet;
	packets = packet;
	return packet;
}

void network_free(struct packet *packet)
{
	if (packet->prev)
		packet->prev->next = packet->next;
	else
		packets = packet->next;
	if (packet->next)
		packet->next->prev = packet->prev;
	free(packet);
}

static void deliver(void *arg, uint64_t tag)
{
	struct packet *packet = arg;

	(void)tag;
	if (packet->direction == TO_RECEIVER)
		receiver_arrive(packet);
	else if (packet->place < SENDERS)
		sender_arrive(packet);
	else if (packet->place == ROGUE)
		rogue_arrive(packet);
	else
		network_free(packet);
}

void network_inject(const struct packet *like, const uint8_t *data, uint32_t len, uint64_t delay)
{
	world_at(world_now() + delay, deliver, copy(like, data, len), 0);
}

// Without a key there is nothing in a datagram to tell; the checksum of UDP tells instead.
static bool corrupt(struct packet *packet)
{
	uint32_t flips = draw_between(DRAW_NETWORK, 1, 3), at = 0;

	tally(TALLY_corrupted);
	trace("  corrupted: %s", network_describe(packet, packet->data, packet->len));
	if (plan.receive.key_count == 0)
		return false;
	if (draw_chance(DRAW_NETWORK, 200)) {
		packet->len = draw_below(DRAW_NETWORK, packet->len);
	} else {
		// Never the same byte twice, which could bring back what was.
		for (uint32_t i = 0; i < flips && at < packet->len; i++) {
			uint32_t reach = draw_chance(DRAW_NETWORK, 500) ? WIRE_HEADER : packet->len;

			at += draw_below(DRAW_NETWORK, reach < packet->len ? reach : packet->len);
			if (at < packet->len)
				packet->data[at++] ^= (uint8_t)(1u << draw_below(DRAW_NETWORK, 8));
		}
	}
	packet->nothing = "it was corrupted";
	return true;
}

// The time at which it is there; 0: the queue is full.
static uint64_t arrival(struct way *way, uint32_t len)
{
	uint64_t now = world_now(), out = now;

	if (plan.rate > 0 && !plan.calm) {
		out = way->free_at > now ? way->free_at : now;
		if (out - now > QUEUE_NS)
			return 0;
		way->free_at = out + len * SEC / plan.rate;
	}
	if (plan_fault(FAULT_reorder) && draw_chance(DRAW_NETWORK, plan.faults[FAULT_reorder])) {
		tally(TALLY_reordered);
		out += draw_time(
			DRAW_NETWORK, 0, draw_chance(DRAW_NETWORK, 20) ? 2 * SEC : 50 * MS);
	}
	return out + plan.delay + (plan.calm ? 0 : draw_time(DRAW_NETWORK, 0, plan.jitter));
}

static void pass(struct way *way, const struct packet *like, const uint8_t *data, uint32_t len)
{
	uint64_t at = arrival(way, len);
	struct packet *packet;

	if (at == 0) {
		tally(TALLY_overrun);
		return;
	}
	packet = copy(like, data, len);
	if (plan_fault(FAULT_corrupt) && draw_chance(DRAW_NETWORK, plan.faults[FAULT_corrupt]) &&
		!corrupt(packet))
		network_free(packet);
	else
		world_at(at, deliver, packet, 0);
}

void network_send(const struct packet *like, const uint8_t *data, uint32_t len)
{
	struct way *way = &ways[like->place][like->receiver][like->direction];
	const char *fate = "";

	if (like->place < SENDERS || like->direction == TO_SENDER)
		wiretap_sent(like, data, len);
	if (like->place < SENDERS && len <= plan.path_mtu)
		attack_record(like, data, len);
	if (like->direction == TO_RECEIVER && len > plan.path_mtu) {
		tally(TALLY_oversized);
		fate = ": too large for the path";
	} else if (world_now() < way->blocked_until) {
		tally(TALLY_losses);
		fate = ": into a partition";
	} else if (plan_fault(FAULT_loss) && draw_chance(DRAW_NETWORK, plan.faults[FAULT_loss])) {
		tally(TALLY_losses);
		fate = ": lost";
	}
	if (trace_wanted())
		trace("%s%s", network_describe(like, data, len), fate);
	if (*fate)
		return;
	pass(way, like, data, len);
	if (plan_fault(FAULT_dup) && draw_chance(DRAW_NETWORK, plan.faults[FAULT_dup])) {
		tally(TALLY_duplicates);
		pass(way, like, data, len);
	}
}

void network_partition(void)
{
	unsigned place = draw_below(DRAW_FAULTS, plan.senders);
	unsigned receiver = draw_below(DRAW_FAULTS, plan.receivers);
	unsigned what = draw_below(DRAW_FAULTS, 4);
	uint64_t until = world_now() + draw_time(DRAW_FAULTS, MS, plan.outage_ns);

	// One way, both ways, or everybody's.
	for (unsigned i = 0; i < plan.senders; i++) {
		if (i != place && what != 3)
			continue;
		if (what != TO_SENDER)
			ways[i][receiver][TO_RECEIVER].blocked_until = until;
		if (what != TO_RECEIVER)
			ways[i][receiver][TO_SENDER].blocked_until = until;
	}
	tally(TALLY_partitions);
	trace("partition of receiver %u from %s, ways %u, for %" PRIu64 " us", receiver,
		what == 3 ? "all" : "one", what, (until - world_now()) / US);
}

const char *network_describe(const struct packet *packet, const uint8_t *data, uint32_t len)
{
	static const char *const types[] = {"?", "HELLO", "CHALLENGE", "OPEN", "OPENED", "REFUSED",
		"EVENTS", "PART", "PROBE", "ACK", "RESET", "CLOSE"};
	static char text[160];
	struct wire_header header;
	int n;

	n = packet->direction == TO_RECEIVER
		    ? snprintf(text, sizeof(text), "s%u > r%u", packet->place, packet->receiver)
		    : snprintf(text, sizeof(text), "s%u < r%u", packet->place, packet->receiver);
	if (!wire_read_header(data, len, &header)) {
		snprintf(text + n, sizeof(text) - (size_t)n, " %u bytes of nothing", len);
		return text;
	}
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		" %s #%" PRIu64 " source %04x epoch %u token %04x, %u bytes",
		types[header.type < 12 ? header.type : 0], header.number,
		(unsigned)(header.source & 0xffff), header.epoch, (unsigned)(header.token & 0xffff),
		len);
	if (header.key == 0 && header.type == WIRE_EVENTS && len >= WIRE_HEADER + 8)
		snprintf(text + n, sizeof(text) - (size_t)n, ", from seq %" PRIu64,
			le64(data + WIRE_HEADER));
	return text;
}
