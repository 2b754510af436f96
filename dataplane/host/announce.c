// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/announce.h"

#include "dataplane/compose.h"

#include <net/if_arp.h>
#include <string.h>

#define SECOND_NS 1000000000ull
#define ARP_ANNOUNCEMENTS 2 // ANNOUNCE_NUM and ANNOUNCE_INTERVAL of RFC 5227, 1.1
#define ARP_INTERVAL_NS (2 * SECOND_NS)
#define ND_ANNOUNCEMENTS 3 // MAX_NEIGHBOR_ADVERTISEMENT and RetransTimer of RFC 4861, 10
#define ND_INTERVAL_NS SECOND_NS
#define DEFEND_NS (10 * SECOND_NS) // DEFEND_INTERVAL of RFC 5227, 1.1

void announce_init(struct announcer *a, const struct host_identity *host)
{
	memset(a, 0, sizeof(*a));
	a->host = host;
	for (unsigned i = 0; i < HOST_ADDRESSES_MAX; i++)
		a->addresses[i].due = UINT64_MAX;
}

static void announce(struct announcer *a, unsigned i, unsigned count, uint64_t now)
{
	a->addresses[i].left = (uint8_t)count;
	a->addresses[i].due = now;
}

void announce_all(struct announcer *a, uint64_t now)
{
	for (unsigned i = 0; i < a->host->address_count; i++)
		announce(a, i, a->host->addresses[i].is_ip4 ? ARP_ANNOUNCEMENTS : ND_ANNOUNCEMENTS,
			now);
}

bool announce_defend(struct announcer *a, const uint8_t *address, uint64_t now)
{
	for (unsigned i = 0; i < a->host->address_count; i++) {
		uint64_t *last = &a->addresses[i].defended_at;

		if (memcmp(&a->host->addresses[i].ip, address, 16) != 0)
			continue;
		if (*last == 0 || now - *last >= DEFEND_NS) {
			*last = now;
			announce(a, i, 1, now);
		}
		return true;
	}
	return false;
}

// RFC 5227, 2.3, and RFC 4861, 7.2.6.
static uint32_t compose(const struct announcer *a, unsigned i, uint8_t *frame)
{
	const struct config_address *own = &a->host->addresses[i];

	if (!own->is_ip4)
		return compose_nd_advert(frame, a->host->mac, own->ip.s6_addr);
	return compose_arp(frame, a->host->mac,
		&(struct arp_fields){.operation = ARPOP_REQUEST,
			.sender = own->ip.s6_addr,
			.target = own->ip.s6_addr});
}

uint32_t announce_next(struct announcer *a, uint64_t now, uint8_t *frame)
{
	for (unsigned i = 0; i < a->host->address_count; i++) {
		if (a->addresses[i].due > now)
			continue;
		if (--a->addresses[i].left == 0)
			a->addresses[i].due = UINT64_MAX;
		else
			a->addresses[i].due = now + (a->host->addresses[i].is_ip4 ? ARP_INTERVAL_NS
										  : ND_INTERVAL_NS);
		return compose(a, i, frame);
	}
	return 0;
}
