// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/neighbours.h"

#include "dataplane/compose.h"
#include "dataplane/wire.h"

#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#define SECOND_NS 1000000000ull
#define RETRANS_NS SECOND_NS // RetransTimer, and ARP's one a second (RFC 1122, 2.3.2.1)
#define TRIES 3              // MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT
#define REACHABLE_NS (30 * SECOND_NS)
#define FAILED_NS (20 * SECOND_NS) // before it may be asked for again
#define UNUSED_NS (600 * SECOND_NS)

static uint64_t mac_word(const uint8_t mac[6])
{
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	return word;
}

static uint32_t set_of(const uint8_t *address)
{
	uint64_t mixed = (raw64(address) ^ raw64(address + 8)) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(mixed >> 32) % NEIGHBOUR_SETS;
}

static bool is_of(const struct neighbour *e, const uint8_t *address)
{
	return atomic_load_explicit(&e->address[0], memory_order_relaxed) == raw64(address) &&
	       atomic_load_explicit(&e->address[1], memory_order_relaxed) == raw64(address + 8);
}

static bool on_link(const struct host_identity *host, const uint8_t *address)
{
	for (unsigned i = 0; i < host->address_count; i++)
		if (config_covers(&host->addresses[i], address))
			return true;
	return false;
}

// The MAC of an entry, read while the host thread may be changing it; 0: not known.
static uint64_t read_mac(const struct neighbour *e, const uint8_t *address)
{
	uint32_t before = atomic_load_explicit(&e->version, memory_order_acquire);
	bool mine = is_of(e, address);
	uint64_t mac = atomic_load_explicit(&e->mac, memory_order_relaxed);

	atomic_thread_fence(memory_order_acquire);
	if ((before & 1) != 0 || !mine ||
		atomic_load_explicit(&e->version, memory_order_relaxed) != before)
		return 0;
	return mac;
}

const struct neighbour *neighbours_find(const struct neighbours *n, const uint8_t *address)
{
	const struct neighbour *set = n->entries[set_of(address)];

	for (unsigned i = 0; i < NEIGHBOUR_WAYS; i++)
		if (is_of(&set[i], address))
			return &set[i];
	return NULL;
}

const uint8_t *neighbours_next_hop(const struct neighbours *n, const uint8_t *address)
{
	const uint8_t *any = NULL;

	if (on_link(n->host, address))
		return address;
	for (unsigned i = 0; i < n->gateway_count; i++) {
		const uint8_t *gateway = n->gateways[i].ip.s6_addr;
		const struct neighbour *e;

		if (n->gateways[i].is_ip4 != address_is_ip4(address))
			continue;
		e = neighbours_find(n, gateway);
		if (e != NULL && read_mac(e, gateway) != 0)
			return gateway;
		if (any == NULL)
			any = gateway;
	}
	return any;
}

// One lcore at a time gets in; what it writes is taken at the host thread's next round.
static void want(struct neighbours *n, const uint8_t *address)
{
	uint32_t none = 0;

	if (!atomic_compare_exchange_strong_explicit(
		    &n->wanted_version, &none, 1, memory_order_acquire, memory_order_relaxed))
		return;
	atomic_store_explicit(&n->wanted[0], raw64(address), memory_order_relaxed);
	atomic_store_explicit(&n->wanted[1], raw64(address + 8), memory_order_relaxed);
	atomic_store_explicit(&n->wanted_version, 2, memory_order_release);
}

bool neighbours_mac(struct neighbours *n, const uint8_t *address, uint8_t mac[6])
{
	const uint8_t *hop = neighbours_next_hop(n, address);
	struct neighbour *e = hop != NULL ? (struct neighbour *)neighbours_find(n, hop) : NULL;
	uint64_t word = e != NULL ? read_mac(e, hop) : 0;

	if (word == 0) {
		if (hop != NULL && e == NULL)
			want(n, hop);
		return false;
	}
	if (!atomic_load_explicit(&e->used, memory_order_relaxed))
		atomic_store_explicit(&e->used, true, memory_order_relaxed);
	memcpy(mac, &word, 6);
	return true;
}

static void set_entry(struct neighbour *e, const uint8_t *address, uint64_t mac)
{
	uint32_t version = atomic_load_explicit(&e->version, memory_order_relaxed);

	atomic_store_explicit(&e->version, version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&e->address[0], raw64(address), memory_order_relaxed);
	atomic_store_explicit(&e->address[1], raw64(address + 8), memory_order_relaxed);
	atomic_store_explicit(&e->mac, mac, memory_order_relaxed);
	atomic_store_explicit(&e->version, version + 2, memory_order_release);
}

static void forget(struct neighbour *e)
{
	static const uint8_t nobody[16];

	set_entry(e, nobody, 0);
	e->state = NEIGHBOUR_FREE;
	e->due = UINT64_MAX;
}

// A free place for the address, or that of the one unused longest, never a gateway's.
static struct neighbour *place_for(struct neighbours *n, const uint8_t *address)
{
	struct neighbour *set = n->entries[set_of(address)], *oldest = NULL;

	for (unsigned i = 0; i < NEIGHBOUR_WAYS; i++) {
		if (set[i].state == NEIGHBOUR_FREE)
			return &set[i];
		if (!set[i].gateway && (oldest == NULL || set[i].last_used < oldest->last_used))
			oldest = &set[i];
	}
	return oldest;
}

static void wake_at(struct neighbours *n, struct neighbour *e, uint64_t due)
{
	e->due = due;
	if (due < n->due)
		n->due = due;
}

static void ask(struct neighbours *n, const uint8_t *address, bool gateway, uint64_t now)
{
	struct neighbour *e = place_for(n, address);

	if (e == NULL)
		return;
	set_entry(e, address, 0);
	e->state = NEIGHBOUR_INCOMPLETE;
	e->tries = 0;
	e->gateway = gateway;
	e->last_used = now;
	atomic_store_explicit(&e->used, false, memory_order_relaxed);
	wake_at(n, e, now);
}

void neighbours_init(
	struct neighbours *n, const struct host_identity *host, const struct config_port *config)
{
	memset(n, 0, sizeof(*n));
	n->host = host;
	n->gateway_count = config->gateway_count;
	memcpy(n->gateways, config->gateways, sizeof(n->gateways));
	for (unsigned s = 0; s < NEIGHBOUR_SETS; s++)
		for (unsigned i = 0; i < NEIGHBOUR_WAYS; i++)
			n->entries[s][i].due = UINT64_MAX;
	n->due = UINT64_MAX;
	for (unsigned i = 0; i < n->gateway_count; i++)
		ask(n, n->gateways[i].ip.s6_addr, true, 0);
}

void neighbours_take_wanted(struct neighbours *n, uint64_t now)
{
	uint64_t words[2];
	uint8_t address[16];

	if (atomic_load_explicit(&n->wanted_version, memory_order_acquire) != 2)
		return;
	words[0] = atomic_load_explicit(&n->wanted[0], memory_order_relaxed);
	words[1] = atomic_load_explicit(&n->wanted[1], memory_order_relaxed);
	atomic_store_explicit(&n->wanted_version, 0, memory_order_release);
	memcpy(address, words, sizeof(address));
	if (neighbours_find(n, address) == NULL)
		ask(n, address, false, now);
}

static void confirm(struct neighbours *n, struct neighbour *e, uint64_t now)
{
	e->state = NEIGHBOUR_REACHABLE;
	e->tries = 0;
	wake_at(n, e, now + REACHABLE_NS);
}

// Only of those that are asked for: nobody fills the table with himself (RFC 4861, 7.2.5; of ARP
// RFC 826 asks the same). What was not asked for may change a MAC, for gateways that take over
// announce themselves so, and is then to be confirmed by the neighbour itself.
void neighbours_heard(struct neighbours *n, const struct neighbour_news *news, uint64_t now)
{
	struct neighbour *e = (struct neighbour *)neighbours_find(n, news->address);
	uint64_t old, mac;

	if (e == NULL)
		return;
	old = atomic_load_explicit(&e->mac, memory_order_relaxed);
	mac = news->has_mac ? mac_word(news->mac) : old;
	if (mac == 0 || (old != 0 && mac != old && !news->override))
		return;
	if (mac != old)
		set_entry(e, news->address, mac);
	if (news->solicited) {
		confirm(n, e, now);
	} else if (mac != old) {
		e->state = NEIGHBOUR_PROBE;
		e->tries = 0;
		wake_at(n, e, now);
	}
}

static const uint8_t *source_for(const struct host_identity *host, const uint8_t *target)
{
	const uint8_t *any = NULL;

	for (unsigned i = 0; i < host->address_count; i++) {
		const struct config_address *own = &host->addresses[i];

		if (own->is_ip4 != address_is_ip4(target))
			continue;
		if (config_covers(own, target))
			return own->ip.s6_addr;
		if (any == NULL)
			any = own->ip.s6_addr;
	}
	return any;
}

// To everybody while the MAC isn't known, else to the neighbour alone.
static uint32_t solicit(struct neighbours *n, const struct neighbour *e, uint8_t *frame)
{
	uint64_t words[2] = {e->address[0], e->address[1]};
	uint64_t word = atomic_load_explicit(&e->mac, memory_order_relaxed);
	const uint8_t *source;
	uint8_t target[16], mac[6];

	memcpy(target, words, sizeof(target));
	memcpy(mac, &word, sizeof(mac));
	source = source_for(n->host, target);
	if (source == NULL)
		return 0;
	if (!address_is_ip4(target))
		return compose_nd_solicit(
			frame, n->host->mac, word != 0 ? mac : NULL, source, target);
	return compose_arp(frame, n->host->mac,
		&(struct arp_fields){.operation = ARPOP_REQUEST,
			.dst = word != 0 ? mac : NULL,
			.sender = source,
			.target = target});
}

static void give_up(struct neighbours *n, struct neighbour *e, uint64_t now)
{
	uint64_t words[2] = {e->address[0], e->address[1]};
	uint8_t address[16];

	memcpy(address, words, sizeof(address));
	set_entry(e, address, 0);
	// Who doesn't answer itself may have a new MAC that others know.
	if (e->state == NEIGHBOUR_PROBE) {
		e->state = NEIGHBOUR_INCOMPLETE;
		wake_at(n, e, now);
	} else {
		e->state = NEIGHBOUR_FAILED;
		wake_at(n, e, now + FAILED_NS);
	}
	e->tries = 0;
}

// What is due with an entry. True when it is to be solicited.
static bool advance(struct neighbours *n, struct neighbour *e, uint64_t now)
{
	switch ((enum neighbour_state)e->state) {
	case NEIGHBOUR_REACHABLE:
		if (atomic_exchange_explicit(&e->used, false, memory_order_relaxed) || e->gateway) {
			e->last_used = now;
			e->state = NEIGHBOUR_PROBE;
			e->tries = 0;
			break;
		}
		if (now - e->last_used >= UNUSED_NS)
			forget(e);
		else
			wake_at(n, e, now + REACHABLE_NS);
		return false;
	case NEIGHBOUR_FAILED:
		if (!e->gateway) {
			forget(e);
			return false;
		}
		e->state = NEIGHBOUR_INCOMPLETE;
		break;
	default:
		break;
	}
	if (e->tries++ == TRIES) {
		give_up(n, e, now);
		return false;
	}
	wake_at(n, e, now + RETRANS_NS);
	return true;
}

uint32_t neighbours_next(struct neighbours *n, uint64_t now, uint8_t *frame)
{
	struct neighbour *all = &n->entries[0][0];
	uint32_t len;

	while (now >= n->due) {
		n->due = UINT64_MAX;
		for (unsigned i = 0; i < NEIGHBOUR_SETS * NEIGHBOUR_WAYS; i++) {
			struct neighbour *e = &all[i];

			if (e->due <= now && advance(n, e, now)) {
				len = solicit(n, e, frame);
				n->due = now; // the others that are due come with the next call
				if (len > 0)
					return len;
			}
			if (e->due < n->due)
				n->due = e->due;
		}
	}
	return 0;
}

void neighbour_news(const uint8_t *frame, const struct packet *packet, struct neighbour_news *ret)
{
	const uint8_t *arp = frame + packet->l3, *nd = frame + packet->l4;
	uint32_t at = ND_MESSAGE;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->address, packet->src_addr, sizeof(ret->address));
	if (address_is_ip4(packet->src_addr)) {
		memcpy(ret->mac, arp + 8, 6);
		ret->has_mac = ret->override = true;
		// An announcement has the same address on both sides.
		ret->solicited =
			get16(arp + 6) == ARPOP_REPLY && raw32(arp + 14) != raw32(arp + 24);
		return;
	}
	ret->solicited = (nd[4] & ND_SOLICITED) != 0;
	ret->override = (nd[4] & ND_OVERRIDE) != 0;
	for (; at < packet->l4_len; at += nd[at + 1] * 8u) {
		if (nd[at] != ND_OPT_TARGET_LINKADDR)
			continue;
		memcpy(ret->mac, nd + at + 2, 6);
		ret->has_mac = true;
	}
}

const char *neighbour_state_text(enum neighbour_state state)
{
	static const char *const text[] = {"none", "incomplete", "reachable", "probe", "failed"};

	return text[state];
}
