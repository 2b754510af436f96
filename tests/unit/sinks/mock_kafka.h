// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// librdkafka's mock cluster, and around it what it lacks: it keeps no offsets of a transaction,
// knows no offset of a time, and shows what was aborted. So these calls of librdkafka are wrapped
// (-Wl,--wrap), and a test says what is to become of a transaction.

#include "tests/unit/sinks/made_log.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum mock_fate {
	FATE_PLAIN,
	FATE_COMMITTED_UNHEARD, // it is committed, and the call never says so
	FATE_OPEN_UNHEARD,      // its messages can be seen, its cursor was not stored
	FATE_LATE,              // the call takes longer than the transaction may
};

struct mock_kafka {
	rd_kafka_t *owner;
	rd_kafka_mock_cluster_t *cluster;
	const char *brokers;
	enum mock_fate fate;
	// What is stored as the group's cursor, and what a transaction is about to store.
	bool has_cursor, has_pending;
	struct wal_cursor cursor, pending;
	char group[128];
	unsigned produced;      // messages in the transaction under way
	unsigned cursors_alone; // transactions that stored a cursor and had no messages
	unsigned commits;
	uint64_t lost_from, lost_to; // seqs that are given and never arrive
	uint64_t twice;              // a seq that arrives twice; UINT64_MAX: none
	uint64_t changed;            // a seq that arrives with another last byte; the same
	unsigned read_backs;
};

extern struct mock_kafka mock;

void mock_up(void);
void mock_down(void);
void mock_fail(int16_t api, rd_kafka_resp_err_t err);

#define API_PRODUCE 0
#define API_ADD_PARTITIONS 24
#define API_END 26

// All messages of a topic, as often as they are there.
struct mock_seen {
	uint64_t messages;
	uint8_t times[1000]; // by seq
};
void mock_read(
	const char *topic, struct mock_seen *ret, void (*look)(const rd_kafka_message_t *message));
