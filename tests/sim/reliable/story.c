// SPDX-License-Identifier: BSD-3-Clause

// One seed: a time of faults, then a calm one in which everything must come to its end.

#include "reliable.h"

#include <inttypes.h>

#define CALM_NS (60 * SEC) // without anything new being durable

static uint64_t ends_at;

static void strike_crash(void)
{
	unsigned who = draw_below(DRAW_FAULTS, plan.senders + plan.receivers);
	uint32_t points = 1 + draw_below(DRAW_FAULTS, draw_chance(DRAW_FAULTS, 500) ? 8 : 300);

	if (who < plan.senders)
		sender_crash(who, points);
	else
		receiver_crash(who - plan.senders, points);
}

static void strike_log(bool stall)
{
	struct log *log = receiver_log(draw_below(DRAW_FAULTS, plan.receivers));
	uint64_t until = world_now() + draw_time(DRAW_FAULTS, MS, plan.outage_ns);

	*(stall ? &log->stall_until : &log->full_until) = until;
	if (stall)
		tally(TALLY_stalls);
	trace("log %u is %s for %" PRIu64 " us", log->index, stall ? "stalled" : "full",
		(until - world_now()) / US);
}

// Another route, which carries what a sender was told at first to be carried, and no more.
static void strike_mtu(void)
{
	if (plan.path_mtu > plan.mtu)
		tally(TALLY_shrunk);
	trace("the path carries %" PRIu32 " bytes now", plan.mtu);
	plan.path_mtu = plan.mtu;
}

static void strike(void *arg, uint64_t fault)
{
	uint64_t gap = plan.faults_ns / (plan.faults[fault] + 1);

	(void)arg;
	if (!plan_fault((enum fault)fault))
		return;
	if (fault == FAULT_partition)
		network_partition();
	else if (fault == FAULT_stall || fault == FAULT_full)
		strike_log(fault == FAULT_stall);
	else if (fault == FAULT_crash)
		strike_crash();
	else if (fault == FAULT_fail)
		receiver_fail(draw_below(DRAW_FAULTS, plan.receivers));
	else if (fault == FAULT_move)
		sender_move(draw_below(DRAW_FAULTS, plan.senders));
	else if (fault == FAULT_mtu)
		strike_mtu();
	else if (fault == FAULT_replay)
		attack();
	else if (fault == FAULT_rogue)
		rogue_act();
	world_at(world_now() + 1 + draw(DRAW_FAULTS) % (2 * gap), strike, NULL, fault);
}

static void give_time(uint64_t ns)
{
	if (ends_at < world_now() + ns || ends_at == UINT64_MAX)
		ends_at = world_now() + ns;
}

// How long a sender may still be silent that has fallen so before the calm.
static uint64_t silence(void)
{
	return plan.faults[FAULT_expiry] ? 2 * plan.faults_ns / (plan.events + 1) : 0;
}

static void be_calm(void *arg, uint64_t tag)
{
	(void)arg;
	(void)tag;
	plan.calm = true;
	trace("--- no more faults");
	network_calm();
	receivers_calm();
	senders_calm();
	give_time(CALM_NS + silence());
}

static void begin(void)
{
	world_reset(SEC + draw(DRAW_PLAN) % (1000000 * SEC));
	ends_at = UINT64_MAX;
	network_reset();
	wiretap_reset();
	books_reset();
	attack_reset();
}

static void tell(void)
{
	trace("%u senders, %u receivers, %" PRIu32 " events each, keys %u, mtu %" PRIu32 "/%" PRIu32
	      "/%" PRIu32 ", delay %" PRIu64 " + %" PRIu64 " us, credit %" PRIu64
	      ", event_max %" PRIu32 ", faults for %" PRIu64 " ms",
		plan.senders, plan.receivers, plan.events, plan.receive.key_count, plan.mtu,
		plan.mtu_probe, plan.path_mtu, plan.delay / US, plan.jitter / US,
		plan.receive.credit, plan.receive.event_max, plan.faults_ns / MS);
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		if (plan.faults[i] > 0)
			trace("fault %s: %" PRIu32, plan_fault_name((enum fault)i), plan.faults[i]);
}

static void end(void)
{
	senders_free();
	receivers_free();
	network_reset();
	books_reset();
	attack_reset();
	if (plan.receive.key_count > 0)
		tally(TALLY_sealed_runs);
	tally(TALLY_seeds);
}

// Something becomes durable at least every so often.
static void look_at_calm(uint64_t *left)
{
	uint64_t now_left;

	if (!plan.calm)
		return;
	now_left = senders_left();
	if (now_left < *left)
		give_time(CALM_NS);
	*left = now_left;
	if (world_now() < ends_at)
		return;
	receivers_describe();
	senders_describe();
	violated("stall", "%" PRIu64 " events don't become durable", now_left);
}

void story_run(uint64_t seed, const struct plan_wish *wish, enum trace_mode mode)
{
	uint64_t left = UINT64_MAX;

	draw_seed(seed);
	plan_make(wish);
	begin();
	trace_start(mode);
	tell();
	receivers_reset();
	rogue_reset();
	senders_reset();
	for (unsigned i = FAULT_partition; i < FAULT_COUNT; i++)
		if (i != FAULT_wipe && i != FAULT_expiry)
			world_at(world_now() + draw(DRAW_FAULTS) % plan.faults_ns, strike, NULL, i);
	world_at(world_now() + plan.faults_ns, be_calm, NULL, 0);
	while (!senders_done()) {
		require(world_step(), "stall", "nothing happens any more");
		look_at_calm(&left);
	}
	end();
}
