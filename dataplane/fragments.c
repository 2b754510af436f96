// SPDX-License-Identifier: BSD-3-Clause
#define ALLOW_EXPERIMENTAL_API // of rte_ip_frag_table_del_expired_entries(), since DPDK 18.11
#include "dataplane/fragments.h"

#include "common/clock.h"
#include "dataplane/compose.h"
#include "dataplane/wire.h"

#include <rte_ip_frag.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdlib.h>

#define WAYS 8u
#define FLOWS_A_BUCKET 4u // the library doubles it: a quarter full at most
#define PREFETCH 3
#define MORE_FRAGMENTS 0x2000
#define OFFSET_BITS 0x1fff
#define IP_PAYLOAD_MAX 65535u
#define FRAGMENT_HEADER 8u

struct fragments {
	struct rte_ip_frag_tbl *table;
	struct rte_ip_frag_death_row row;
	uint64_t next_look; // ticks
	uint64_t look_gap;
};

int fragments_give_lcore(struct lcore *lcore)
{
	const struct config *config = lcore->dp->config;
	uint64_t timeout = clock_ns_to_ticks(config->fragment_timeout_ns);
	struct fragments *f;

	if (config->fragment_flows == 0)
		return 0;
	f = lcore->fragments = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->look_gap = timeout / 16 + 1;
	f->table = rte_ip_frag_table_create(config->fragment_flows / FLOWS_A_BUCKET + 1, WAYS,
		config->fragment_flows, timeout, SOCKET_ID_ANY);
	return f->table != NULL ? 0 : -ENOMEM;
}

// What lies on the death row, of which so many were held.
static void count_dead(struct lcore *lcore, enum pkt_drop drop, unsigned held)
{
	uint64_t *all = &lcore->values[LCORE_held_fragments];

	count_drop(lcore, drop, lcore->fragments->row.cnt);
	counter_set(all, *all - held);
}

static void free_dead(struct fragments *f)
{
	if (f->row.cnt > 0)
		rte_ip_frag_free_death_row(&f->row, PREFETCH);
}

// As often as the death row is full: it holds so many.
static void expire(struct lcore *lcore, uint64_t ticks)
{
	struct fragments *f = lcore->fragments;

	do {
		rte_ip_frag_table_del_expired_entries(f->table, &f->row, ticks);
		if (f->row.cnt == 0)
			return;
		count_dead(lcore, DROP_frag_timeout, f->row.cnt);
		free_dead(f);
	} while (true);
}

void fragments_expire(struct lcore *lcore, uint64_t ticks)
{
	struct fragments *f = lcore->fragments;

	if (ticks < f->next_look)
		return;
	f->next_look = ticks + f->look_gap;
	expire(lcore, ticks);
}

void fragments_free(struct lcore *lcore)
{
	struct fragments *f = lcore->fragments;

	if (f == NULL)
		return;
	count_drop(lcore, DROP_frag_timeout, (unsigned)lcore->values[LCORE_held_fragments]);
	counter_set(&lcore->values[LCORE_held_fragments], 0);
	free_dead(f);
	rte_ip_frag_table_destroy(f->table);
	free(f);
	lcore->fragments = NULL;
}

// A part of a datagram: whole multiples of 8 but for the last, none of it empty or beyond what an
// IP packet can be.
static bool is_sound(uint32_t offset, uint32_t len, bool more)
{
	return len > 0 && offset + len <= IP_PAYLOAD_MAX && (!more || len % 8 == 0);
}

static struct rte_mbuf *take_ip4(struct fragments *f, struct rte_mbuf *m,
	const struct packet *packet, uint64_t now, bool *sound)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, packet->l3);
	uint32_t header = (ip[0] & 15) * 4u, field = get16(ip + 6);

	*sound = is_sound(
		(field & OFFSET_BITS) * 8u, get16(ip + 2) - header, (field & MORE_FRAGMENTS) != 0);
	if (!*sound)
		return NULL;
	m->l2_len = packet->l3;
	m->l3_len = (uint16_t)header;
	return rte_ipv4_frag_reassemble_packet(
		f->table, &f->row, m, now, (struct rte_ipv4_hdr *)ip);
}

// The library wants the fragment header right behind the fixed one, where everybody puts it.
static struct rte_mbuf *take_ip6(struct fragments *f, struct rte_mbuf *m,
	const struct packet *packet, uint64_t now, bool *sound)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, packet->l3);
	uint8_t *fragment = ip + IP6_HEADER;
	uint32_t field = 0;

	*sound = packet->l4 == packet->l3 + IP6_HEADER && packet->l4_len >= FRAGMENT_HEADER;
	if (*sound)
		field = get16(fragment + 2);
	*sound = *sound && is_sound(field & ~7u, packet->l4_len - FRAGMENT_HEADER, field & 1);
	if (!*sound)
		return NULL;
	m->l2_len = packet->l3;
	m->l3_len = IP6_HEADER + FRAGMENT_HEADER;
	return rte_ipv6_frag_reassemble_packet(f->table, &f->row, m, now, (struct rte_ipv6_hdr *)ip,
		(struct rte_ipv6_fragment_ext *)fragment);
}

// The library leaves the checksum of the new header out, which the kernel may look at.
static void set_ip4_checksum(struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, m->l2_len);
	uint32_t header = (ip[0] & 15) * 4u;

	if (ip[0] >> 4 != 4)
		return;
	put16(ip + 10, 0);
	compose_checksum(ip + 10, checksum_add(0, ip, header));
}

struct rte_mbuf *fragments_take(
	struct lcore *lcore, struct rte_mbuf *m, const struct packet *packet)
{
	struct fragments *f = lcore->fragments;
	uint64_t *held = &lcore->values[LCORE_held_fragments];
	struct rte_mbuf *whole = NULL;
	bool sound = m->nb_segs == 1;
	uint64_t now = clock_ticks();
	uint32_t dead;

	// First what is too old: the library would put it on the row beside what it makes of this
	// one.
	expire(lcore, now);
	if (sound && packet->drop == DROP_ip4_fragment)
		whole = take_ip4(f, m, packet, now, &sound);
	else if (sound)
		whole = take_ip6(f, m, packet, now, &sound);
	if (!sound) {
		count_drop(lcore, DROP_frag_bad, 1);
		rte_pktmbuf_free(m);
		return NULL;
	}
	if (whole != NULL) {
		// One packet goes on; it was so many, of which all but this one were held.
		counter_set(held, *held - (whole->nb_segs - 1u));
		counter_add(&lcore->values[LCORE_joined_fragments], whole->nb_segs - 1u);
		set_ip4_checksum(whole);
		return whole;
	}
	dead = f->row.cnt;
	// Alone on the row it found no room in the table; else it takes the others with it.
	if (dead == 0)
		counter_set(held, *held + 1);
	else
		count_dead(lcore, dead == 1 ? DROP_frag_full : DROP_frag_bad, dead - 1);
	free_dead(f);
	return NULL;
}
