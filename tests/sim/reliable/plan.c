// SPDX-License-Identifier: BSD-3-Clause
#include "reliable.h"

#include <string.h>

struct plan plan;

static unsigned own_keys; // of the receiver's, that senders use

static uint32_t one_of(const uint32_t *choices, unsigned count)
{
	return choices[draw_below(DRAW_PLAN, count)];
}
#define ONE_OF(...) \
	one_of((const uint32_t[]){__VA_ARGS__}, \
		sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static uint32_t below(uint32_t n)
{
	return draw_below(DRAW_PLAN, n);
}

static bool chance(unsigned per_thousand)
{
	return draw_chance(DRAW_PLAN, per_thousand);
}

static void choose_events(void)
{
	switch (below(8)) {
	case 0: // so many that they fill the window of seqs
		plan.events = draw_between(DRAW_PLAN, 2000, 14000);
		plan.small_max = ONE_OF(20, 60);
		plan.large = below(2);
		break;
	case 1:
	case 2:
		plan.events = draw_between(DRAW_PLAN, 200, 1500);
		plan.small_max = ONE_OF(100, 500, 2000);
		plan.large = ONE_OF(0, 2, 10);
		break;
	default:
		plan.events = draw_between(DRAW_PLAN, 1, 300);
		plan.small_max = ONE_OF(100, 2000, 2000);
		plan.large = ONE_OF(0, 10, 50);
	}
	plan.huge = chance(150) && plan.large ? 2 : 0;
	plan.empty = ONE_OF(0, 20, 500);
	plan.burst = ONE_OF(1, 4, 32, 512);
}

static void choose_faults(void)
{
	static const uint32_t rates[][5] = {
		[FAULT_loss] = {1, 10, 10, 50, 200},
		[FAULT_dup] = {1, 10, 50, 200, 500},
		[FAULT_reorder] = {1, 10, 50, 200, 500},
		[FAULT_corrupt] = {1, 5, 10, 50, 100},
		[FAULT_partition] = {1, 1, 2, 5, 10},
		[FAULT_stall] = {1, 1, 2, 5, 10},
		[FAULT_full] = {1, 2, 5, 10, 30},
		[FAULT_crash] = {1, 2, 4, 8, 16},
		[FAULT_fail] = {1, 1, 2, 4, 8},
		[FAULT_wipe] = {1, 1, 1, 2, 2},
		[FAULT_move] = {1, 1, 2, 4, 8},
		[FAULT_mtu] = {1, 1, 1, 1, 1},
		[FAULT_replay] = {10, 50, 100, 200, 400},
		[FAULT_rogue] = {20, 50, 100, 200, 400},
		[FAULT_expiry] = {1, 1, 1, 1, 1},
	};
	static const unsigned often[FAULT_COUNT] = {[FAULT_loss] = 500,
		[FAULT_dup] = 300,
		[FAULT_reorder] = 300,
		[FAULT_corrupt] = 200,
		[FAULT_partition] = 250,
		[FAULT_stall] = 250,
		[FAULT_full] = 200,
		[FAULT_crash] = 500,
		[FAULT_fail] = 200,
		[FAULT_wipe] = 150,
		[FAULT_move] = 200,
		[FAULT_mtu] = 100,
		[FAULT_replay] = 300,
		[FAULT_rogue] = 150,
		[FAULT_expiry] = 50};

	plan.faults_ns = ONE_OF(30, 100, 300, 1000, 3000, 10000, 40000) * MS;
	for (unsigned i = 0; i < FAULT_COUNT; i++) {
		uint32_t rate = rates[i][below(5)];

		plan.faults[i] = chance(often[i]) ? rate : 0;
	}
	plan.outage_ns = plan.faults_ns / 2;
}

static void choose_network(void)
{
	plan.delay = ONE_OF(20, 100, 500, 5000, 40000) * US;
	plan.jitter = ONE_OF(0, 10, 100, 1000, 20000) * US;
	plan.rate = ONE_OF(0, 0, 0, 2000000, 12500000, 125000000);
	plan.mtu = ONE_OF(WIRE_MTU_MIN, 1452, 8972);
	plan.mtu_probe = ONE_OF(0, plan.mtu, 8972, 8972, WIRE_MTU_MAX);
	plan.path_mtu = chance(300) ? plan.mtu : draw_between(DRAW_PLAN, plan.mtu, WIRE_MTU_MAX);
	plan.failover_after = ONE_OF(300, 1000, 5000, 10000) * MS;
	plan.ports = ONE_OF(1, 1, PORTS_MAX);
	plan.inbox = chance(100) ? 16 : 4096;
}

static void choose_keys(void)
{
	unsigned how = below(10);
	enum seal_cipher cipher = SEAL_XCHACHA20_POLY1305;

	if (how == 9 && seal_cipher_here(SEAL_AES_256_GCM))
		cipher = SEAL_AES_256_GCM;
	own_keys = how < 3 ? 0 : how < 7 ? 1 : 2;
	plan.receive.key_count = own_keys;
	for (unsigned i = 0; i < own_keys; i++) {
		struct seal_key *key = &plan.receive.keys[i];

		key->id = (uint16_t)(1 + i * 700);
		key->cipher = cipher;
		for (unsigned k = 0; k < SEAL_KEY; k++)
			key->secret[k] = (uint8_t)below(256);
	}
}

static void choose_receiver(void)
{
	struct receive_config *config = &plan.receive;

	*config = (struct receive_config){
		.sources = SOURCES,
		.windows = ONE_OF(1, 2, 8, 64),
		.sessions = SOURCES,
		.snapshots = ONE_OF(1, 4, 16, 64),
		.credit = ONE_OF(64 << 10, 256 << 10, 1 << 20, 8 << 20),
		.event_max = ONE_OF(2000, 20000, 256 << 10, WIRE_EVENT_MAX),
		.large_events = 1 + below(3),
		.source_expiry_s = 3600,
	};
	plan.bytes_max = 2 * config->event_max + ONE_OF(64 << 10, 256 << 10, 2 << 20);
	plan.block_rows = ONE_OF(3, 50, 1000, 1000, 100000);
	plan.splits = plan.block_rows >= 50 && chance(200);
	plan.patient = chance(500);
	plan.saves = chance(500);
	plan.flights = 1 + below(FLIGHTS_MAX);
	plan.commit_ns = ONE_OF(100, 300, 1000, 3000) * US;
	plan.disk_ns = ONE_OF(20, 100, 1000, 5000) * US;
}

// Sources that are silent for so long that they are forgotten, and come back. Whoever still keeps
// an event tries again much sooner, whatever else happens: that is the rule for the expiry. A spool
// that is behind what its sender has heard keeps some for any time, and who keeps to no rule goes
// back to an epoch that nobody knows any more.
static void choose_expiry(void)
{
	if (plan.faults[FAULT_expiry] == 0)
		return;
	plan.events = draw_between(DRAW_PLAN, 2, 12);
	plan.burst = 1;
	plan.spool = 0;
	plan.faults[FAULT_rogue] = 0;
	plan.faults_ns = ONE_OF(600, 1200, 2400) * SEC;
	plan.outage_ns = 5 * SEC;
	plan.receive.source_expiry_s = ONE_OF(60, 60, 90);
}

void plan_make(const struct plan_wish *wish)
{
	memset(&plan, 0, sizeof(plan));
	plan.senders = 1 + below(SENDERS);
	plan.receivers = 1 + below(RECEIVERS);
	plan.spool = ONE_OF(0, 500, 1000);
	choose_events();
	choose_faults();
	choose_network();
	choose_receiver();
	choose_keys();
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		if (wish->off[i])
			plan.faults[i] = 0;
	choose_expiry();
	if (wish->events > 0)
		plan.events = wish->events;
}

bool plan_fault(enum fault fault)
{
	return plan.faults[fault] > 0 && !plan.calm;
}

const char *plan_fault_name(enum fault fault)
{
	static const char *const names[] = {
#define X(name) #name,
		FAULTS(X)
#undef X
	};

	return names[fault];
}

const struct seal_key *plan_key(uint32_t which)
{
	static const struct seal_key none;

	return own_keys > 0 ? &plan.receive.keys[which % own_keys] : &none;
}
