// SPDX-License-Identifier: BSD-3-Clause

// What anybody could see on the wire: that no number is used for two datagrams of a session, and
// that nobody is sent more than he sent before he has a session.

#include "reliable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNTS 512u

// A datagram of a session, by token, direction and number.
struct used {
	uint64_t token, number; // token 0: nothing
	uint64_t digest;
	enum direction direction;
};

struct account {
	uint8_t address[16];
	uint16_t port;
	unsigned receiver;
	bool spoofed, opened;
	uint64_t heard, answered; // bytes
};

static struct used *used;
static size_t used_count, used_room;
static struct account accounts[ACCOUNTS];
static unsigned account_count;
static bool secret_ports[UINT16_MAX + 1];

void wiretap_reset(void)
{
	free(used);
	used = NULL;
	used_room = 0;
	used_count = 0;
	account_count = 0;
	memset(secret_ports, 0, sizeof(secret_ports));
}

static uint64_t digest_of(const uint8_t *data, uint32_t len)
{
	uint64_t h = len, word;

	for (; len >= 8; data += 8, len -= 8) {
		memcpy(&word, data, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	for (; len > 0; data++, len--)
		h = (h ^ *data) * 0x100000001b3u;
	return h ^ h >> 29;
}

static struct used *place_of(const struct wire_header *header, enum direction direction)
{
	uint64_t hash = (header->token ^ header->number * 0x9e3779b97f4a7c15u) + direction;
	size_t at = (hash ^ hash >> 31) & (used_room - 1);

	while (used[at].token != 0 &&
		(used[at].token != header->token || used[at].number != header->number ||
			used[at].direction != direction))
		at = (at + 1) & (used_room - 1);
	return &used[at];
}

static void grow(void)
{
	struct used *old = used;
	size_t room = used_room;

	used_room = room ? 4 * room : 4096;
	used = calloc(used_room, sizeof(*used));
	if (!used)
		abort();
	for (size_t i = 0; i < room; i++)
		if (old[i].token != 0)
			*place_of(&(struct wire_header){.token = old[i].token,
					  .number = old[i].number},
				old[i].direction) = old[i];
	free(old);
}

static void check_number(const struct packet *like, const struct wire_header *header,
	const uint8_t *data, uint32_t len)
{
	uint64_t digest = digest_of(data, len);
	struct used *slot;

	if (header->token == 0 || header->number == 0)
		return;
	if (2 * used_count >= used_room)
		grow();
	slot = place_of(header, like->direction);
	require(slot->token == 0 || slot->digest == digest, "nonce",
		"%s uses number %" PRIu64 " of session %" PRIx64 " for two datagrams",
		like->direction == TO_RECEIVER ? "a sender" : "a receiver", header->number,
		header->token);
	if (slot->token == 0)
		used_count++;
	*slot = (struct used){header->token, header->number, digest, like->direction};
}

static struct account *account_of(const struct peer *peer, unsigned receiver, bool make)
{
	struct account *account;

	for (unsigned i = account_count; i > 0; i--) {
		account = &accounts[i - 1];
		if (account->receiver == receiver && account->port == peer->port &&
			memcmp(account->address, peer->address, sizeof(peer->address)) == 0)
			return account;
	}
	if (!make)
		return NULL;
	require(account_count < ACCOUNTS, "simulation", "too many addresses");
	account = &accounts[account_count++];
	*account = (struct account){.port = peer->port, .receiver = receiver};
	memcpy(account->address, peer->address, sizeof(peer->address));
	account->spoofed = peer->address[15] == 1 + STRANGER;
	return account;
}

void wiretap_secret(uint16_t port)
{
	secret_ports[port] = true;
}

void wiretap_heard(const struct packet *packet)
{
	account_of(&packet->peer, packet->receiver, true)->heard += packet->len;
}

// On whatever port: a sender may have several.
static bool has_session(const struct account *account)
{
	for (unsigned i = 0; i < account_count; i++)
		if (accounts[i].opened && accounts[i].receiver == account->receiver &&
			memcmp(accounts[i].address, account->address, sizeof(account->address)) ==
				0)
			return true;
	return false;
}

// Whoever has a session is no stranger: he has shown that he gets mail there.
static void check_answer(const struct packet *like, const struct wire_header *header, uint32_t len)
{
	struct account *account = account_of(&like->peer, like->receiver, false);
	bool in_session = header->type == WIRE_ACK || header->type == WIRE_OPENED;

	require(account, "answer", "port %u is answered and never asked", like->peer.port);
	require(header->type != WIRE_ACK || len <= WIRE_ACK_MAX, "answer",
		"an ACK of %" PRIu32 " bytes", len);
	if (in_session && has_session(account))
		return;
	account->opened |= header->type == WIRE_OPENED;
	account->answered += len;
	require(account->answered <= account->heard, "answer",
		"port %u sent %" PRIu64 " bytes, is sent %" PRIu64, account->port, account->heard,
		account->answered);
	require(!account->spoofed || !secret_ports[account->port], "answer",
		"port %u has no key and gets an answer", account->port);
}

void wiretap_sent(const struct packet *like, const uint8_t *data, uint32_t len)
{
	struct wire_header header;

	require(wire_read_header(data, len, &header), "wire", "no header in %" PRIu32 " bytes",
		len);
	if (like->direction == TO_SENDER)
		check_answer(like, &header, len);
	if (like->place != ROGUE || like->direction == TO_SENDER)
		check_number(like, &header, data, len);
}
