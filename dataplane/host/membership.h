// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The messages of IGMP and MLD.

#include "dataplane/host/groups.h"

struct membership_query {
	unsigned version;   // 1 to 3 of IGMP, 1 or 2 of MLD
	uint8_t robustness; // 0: it says none
	bool general;       // of all groups
	uint8_t group[16];  // else of this one
	uint64_t within_ns; // an answer is to come
};

// A query as packet_parse() has found it: whole, its checksum right. False when it is malformed or
// can't be a neighbour's.
bool membership_query_read(
	const uint8_t *frame, const struct packet *packet, struct membership_query *ret);

struct membership_record {
	enum group_report report;
	const uint8_t *group; // 16 bytes
};

// A report as a frame (room for GROUPS_FRAME_MAX); 0 when the host has no address to send it from.
// Of an older version it has one record.
uint32_t membership_report4(const struct host_identity *host, unsigned version,
	const struct membership_record *records, unsigned count, uint8_t *frame);
uint32_t membership_report6(const struct host_identity *host, unsigned version,
	const struct membership_record *records, unsigned count, uint8_t *frame);
