// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Next hops of one port: whose MAC a packet of ours goes to, learned by ARP (RFC 826) and neighbour
// discovery (RFC 4861), and kept fresh. The host thread owns it; lcores look up, and may ask for an
// address to be resolved. Times are ns of the monotonic clock.

#include "dataplane/packet.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NEIGHBOUR_SETS 256
#define NEIGHBOUR_WAYS 4

enum neighbour_state {
	NEIGHBOUR_FREE,
	NEIGHBOUR_INCOMPLETE, // asked everybody; no MAC yet
	NEIGHBOUR_REACHABLE,
	NEIGHBOUR_PROBE,  // asked itself whether it is still there; its MAC is used meanwhile
	NEIGHBOUR_FAILED, // nobody answered
};

struct neighbour {
	_Atomic uint32_t version;    // odd while the next two are written
	_Atomic uint64_t address[2]; // 16 bytes, IPv4 mapped
	_Atomic uint64_t mac;        // its 6 bytes in memory order; 0: not known
	_Atomic bool used;           // since it was last confirmed; lcores set it
	// The host thread's own.
	_Atomic enum neighbour_state state; // read by the API, too
	uint8_t tries;
	bool gateway; // kept always
	uint64_t due; // when the state ends or the next solicitation goes out
	uint64_t last_used;
};

struct neighbours {
	const struct host_identity *host;
	unsigned gateway_count;
	struct config_address gateways[CONFIG_GATEWAYS_MAX];
	// An address that an lcore has missed; one at a time, others are missed again.
	_Atomic uint32_t wanted_version; // odd: being written; even and not 0: to be taken
	_Atomic uint64_t wanted[2];
	uint64_t due; // no entry is due before
	struct neighbour entries[NEIGHBOUR_SETS][NEIGHBOUR_WAYS];
};

// What a message says of a neighbour: packet_parse() has found it well-formed.
struct neighbour_news {
	uint8_t address[16];
	uint8_t mac[6];
	bool has_mac;
	bool solicited; // an answer to us: it is reachable
	bool override;  // its MAC replaces one that differs
};
void neighbour_news(const uint8_t *frame, const struct packet *packet, struct neighbour_news *ret);

// Where a packet for 'address' goes first: the address itself on a network of ours (RFC 1122,
// 3.3.1.1), else a gateway of its family whose MAC is known, else any of its family; NULL: nowhere.
const uint8_t *neighbours_next_hop(const struct neighbours *n, const uint8_t *address);

// Any lcore: the MAC of the next hop for 'address'; false: not known (yet), it is asked for.
bool neighbours_mac(struct neighbours *n, const uint8_t *address, uint8_t mac[6]);

// What follows is the host thread's.

void neighbours_init(
	struct neighbours *n, const struct host_identity *host, const struct config_port *config);
void neighbours_heard(struct neighbours *n, const struct neighbour_news *news, uint64_t now);
// Takes what an lcore asked for.
void neighbours_take_wanted(struct neighbours *n, uint64_t now);
// The next solicitation that is due, as a frame (room for 128 bytes); 0: none. Ages the table.
uint32_t neighbours_next(struct neighbours *n, uint64_t now, uint8_t *frame);
// NULL: not in the table.
const struct neighbour *neighbours_find(const struct neighbours *n, const uint8_t *address);
const char *neighbour_state_text(enum neighbour_state state);
