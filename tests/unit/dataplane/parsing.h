// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// One host with a listener on port 514, and every kind of well-formed frame.

#include "packets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct config config;
static struct listener_table table;
static struct host_identity host;

static inline int fresh(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.listeners[0] = listener_on(514, NULL);
	config.listener_count = 1;
	listener_table_init(&table, &config);
	make_host(&host);
	return 0;
}

// Parses the frame's bytes twice: before a page without access, and in a heap block of just that
// size, where a sanitizer also sees what is read in front of it.
static inline struct packet parse_with(
	const uint8_t *frame, uint32_t len, enum checksum_state ip, enum checksum_state l4)
{
	struct packet ret = {0}, again = {0};
	uint8_t *heap = malloc(len == 0 ? 1 : len);

	assert_non_null(heap);
	memcpy(heap, frame, len);
	packet_parse(at_guard_page(frame, len), len, ip, l4, &host, &table, &ret);
	packet_parse(heap, len, ip, l4, &host, &table, &again);
	free(heap);
	assert_memory_equal(&ret, &again, sizeof(ret));
	return ret;
}

static inline struct packet parse(const struct frame *f)
{
	return parse_with(f->data, f->len, CHECKSUM_UNKNOWN, CHECKSUM_UNKNOWN);
}

static const struct {
	const char *name;
	void (*make)(struct frame *f);
	enum packet_kind kind;
} well_formed[] = {
	{"udp4", make_udp4, PACKET_DATAGRAM},
	{"udp4 vlan", make_udp4_vlan, PACKET_DATAGRAM},
	{"udp4 qinq", make_udp4_qinq, PACKET_DATAGRAM},
	{"udp4 old qinq", make_udp4_qinq_old, PACKET_DATAGRAM},
	{"udp4 options", make_udp4_options, PACKET_DATAGRAM},
	{"udp6", make_udp6, PACKET_DATAGRAM},
	{"udp6 vlan", make_udp6_vlan, PACKET_DATAGRAM},
	{"udp6 extensions", make_udp6_extensions, PACKET_DATAGRAM},
	{"arp", make_arp, PACKET_ARP_REQUEST},
	{"echo4", make_echo4, PACKET_ECHO4},
	{"echo6", make_echo6, PACKET_ECHO6},
	{"solicit", make_solicit, PACKET_ND_SOLICIT},
	{"dad", make_dad, PACKET_ND_SOLICIT},
	{"arp reply", make_arp_reply, PACKET_NEIGHBOUR},
	{"advert", make_advert, PACKET_NEIGHBOUR},
};
#define WELL_FORMED (sizeof(well_formed) / sizeof(well_formed[0]))
