// SPDX-License-Identifier: BSD-3-Clause

// A partition's owner: takes datagrams in bursts, appends, submits blocks, sends what is due. It
// may be gone after each of its steps.

#include "reliable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BURST 64u
#define INBOX 4096u
#define ANSWERS_MAX 100000u // in one round
#define CALLS_MAX 64u       // at one instant, without anything new

enum receiver_state { DOWN, UP, FAILED };

static struct receiver {
	unsigned index;
	struct receive *r;
	enum receiver_state state;
	struct log log;
	struct saving saving;
	unsigned life;
	uint64_t wake, last_instant;
	unsigned calls;
	size_t seen_bytes;
	uint32_t crash_in; // steps; 0: none
	struct packet *inbox[INBOX];
	uint32_t inbox_first, inbox_count;
} receivers[RECEIVERS];

static void wake_at(struct receiver *receiver, uint64_t when);

unsigned receiver_life(unsigned receiver)
{
	return receivers[receiver].life;
}

struct log *receiver_log(unsigned receiver)
{
	return &receivers[receiver].log;
}

static void restore(struct receiver *receiver)
{
	struct log *log = &receiver->log;

	for (uint64_t i = saving_load(&receiver->saving, receiver->r, log); i < log->count; i++) {
		const struct row *row = &log->rows[i];
		struct received event = {.source = row->source->id,
			.seq = row->seq,
			.epoch = row->epoch,
			.len = row->len,
			.payload = row->opening,
			.is_opening = row->opening != NULL};
		int r;

		if (!row->opening)
			event.payload = payload_of(row->source, row->seq);
		r = receive_restore(receiver->r, &event, (uint32_t)(world_now() / SEC));
		require(r == 0, "restore", "row %" PRIu64 " is not restored: %s", i, strerror(-r));
	}
}

static void start(struct receiver *receiver)
{
	struct receive_config config = plan.receive;
	int r;

	memcpy(config.log_id, receiver->log.id, sizeof(config.log_id));
	r = receive_make(&receiver->r, &config);
	require(r == 0, "simulation", "receive_make: %s", strerror(-r));
	receiver->life++;
	receiver->state = UP;
	receiver->wake = UINT64_MAX;
	restore(receiver);
	// A start may need more windows than there were, and nothing after it.
	receiver->seen_bytes = seen_bytes(receive_seen(receiver->r));
	books_known(receiver->index, receive_seen(receiver->r));
	trace("receiver %u starts, log %02x%02x with %" PRIu64 " rows", receiver->index,
		receiver->log.id[0], receiver->log.id[1], receiver->log.count);
	wake_at(receiver, world_now());
}

static void tally_life(const uint64_t *counters)
{
	tally_add(TALLY_challenges, counters[RECEIVE_hellos]);
	tally_add(TALLY_resumed, counters[RECEIVE_resumed]);
	tally_add(TALLY_refusals, counters[RECEIVE_refused]);
	tally_add(TALLY_resets, counters[RECEIVE_resets]);
	tally_add(TALLY_acks, counters[RECEIVE_acks]);
	tally_add(TALLY_known_twice, counters[RECEIVE_duplicates]);
	tally_add(TALLY_wrong_epoch, counters[RECEIVE_DROP_epoch]);
	tally_add(TALLY_beyond_window, counters[RECEIVE_DROP_beyond_window]);
	tally_add(TALLY_no_window, counters[RECEIVE_DROP_no_window]);
	tally_add(TALLY_no_parts, counters[RECEIVE_DROP_no_parts]);
	tally_add(TALLY_busy, counters[RECEIVE_DROP_busy]);
	tally_add(TALLY_expired_sources, counters[RECEIVE_expired_sources]);
}

static void drop_inbox(struct receiver *receiver)
{
	for (; receiver->inbox_count > 0; receiver->inbox_count--) {
		network_free(receiver->inbox[receiver->inbox_first]);
		receiver->inbox_first = (receiver->inbox_first + 1) % INBOX;
	}
}

static void end_life(struct receiver *receiver)
{
	if (receiver->r) {
		tally_life(receive_counters(receiver->r));
		receive_free(receiver->r);
	}
	receiver->r = NULL;
	receiver->state = DOWN;
	receiver->crash_in = 0;
	saving_forget(&receiver->saving);
	drop_inbox(receiver);
}

static void restart(void *arg, uint64_t life)
{
	struct receiver *receiver = arg;

	if (receiver->state == DOWN && receiver->life == life)
		start(receiver);
}

static void go_down(struct receiver *receiver)
{
	end_life(receiver);
	log_crash(&receiver->log);
	if (plan_fault(FAULT_wipe) && draw_chance(DRAW_FAULTS, 250 * plan.faults[FAULT_wipe])) {
		log_new(&receiver->log, receiver->index);
		tally(TALLY_wipes);
		trace("log %u is wiped", receiver->index);
	}
	world_at(world_now() + (plan.calm ? MS : draw_time(DRAW_FAULTS, 0, 3 * SEC)), restart,
		receiver, receiver->life);
}

// A step of the program: true when it was its last.
static bool crashes(struct receiver *receiver)
{
	if (receiver->crash_in == 0 || --receiver->crash_in > 0)
		return false;
	trace("receiver %u crashes", receiver->index);
	tally(TALLY_receiver_crashes);
	go_down(receiver);
	return true;
}

// Any datagram may be that with which sources expire.
static unsigned take(struct receiver *receiver, struct packet *packet, struct received *events)
{
	const uint64_t *expired = &receive_counters(receiver->r)[RECEIVE_expired_sources];
	uint64_t before = *expired;
	unsigned count;

	wiretap_heard(packet);
	count = receive_take(
		receiver->r, packet->data, packet->len, &packet->peer, world_now(), events);
	if (*expired > before)
		books_known(receiver->index, receive_seen(receiver->r));
	return count;
}

static bool take_one(struct receiver *receiver, struct packet *packet)
{
	static struct received events[RECEIVE_EVENTS];
	unsigned count, taken;
	bool gone;

	count = take(receiver, packet, events);
	require(count <= RECEIVE_EVENTS, "api", "%u events", count);
	require(count == 0 || !packet->nothing, "replay", "%u events are taken though %s", count,
		packet->nothing);
	require(count == 0 || !packet->replayed || packet->life == receiver->life, "replay",
		"%u events are taken from traffic of another life", count);
	require(count == 0 || receiver->state == UP, "failed", "events are taken after a failure");
	if (count == 0)
		return crashes(receiver);
	gone = crashes(receiver);
	if (gone)
		return true;
	taken = log_takes(&receiver->log, count);
	if (taken < count)
		tally(TALLY_refused_appends);
	for (unsigned i = 0; i < taken; i++)
		log_append(&receiver->log, &events[i]);
	trace("r%u: appends %u of %u rows, source %04x seq %" PRIu64 " ...", receiver->index, taken,
		count, (unsigned)(events[0].source & 0xffff), events[0].seq);
	receive_appended(receiver->r, taken);
	return crashes(receiver);
}

static bool work_log(struct receiver *receiver)
{
	if (receiver->state != UP)
		return false;
	while (log_finish(&receiver->log)) {
		receive_durable(receiver->r);
		if (crashes(receiver))
			return true;
	}
	while (log_wants_submit(&receiver->log)) {
		log_submitted(&receiver->log);
		receive_submitted(receiver->r);
		if (crashes(receiver))
			return true;
	}
	return false;
}

static bool answer(struct receiver *receiver)
{
	static uint8_t data[WIRE_QUESTION_MIN];
	uint32_t len;

	for (unsigned i = 0;; i++) {
		struct packet like = {.direction = TO_SENDER,
			.receiver = receiver->index,
			.life = receiver->life};

		len = receive_next(receiver->r, world_now(), data, &like.peer);
		if (len == 0)
			return false;
		require(i < ANSWERS_MAX, "spin", "a receiver answers without end");
		require(len <= sizeof(data), "api", "an answer of %" PRIu32 " bytes", len);
		require(like.peer.way == receiver->index && like.peer.address[12] == 10 &&
				like.peer.address[15] - 1u < PLACES,
			"answer", "an answer to an address nobody has");
		like.place = like.peer.address[15] - 1u;
		network_send(&like, data, len);
		if (crashes(receiver))
			return true;
	}
}

static void check(struct receiver *receiver)
{
	const struct seen *seen = receive_seen(receiver->r);

	require(seen_bytes(seen) == receiver->seen_bytes, "memory", "the state of sources grew");
	require(seen_count(seen) <= books_count(), "memory",
		"%" PRIu32 " sources are known, there are %u", seen_count(seen), books_count());
}

// Nothing can be appended before a block is durable, so what comes stays in the NIC.
static bool waits_for_log(const struct receiver *receiver)
{
	return plan.patient && receiver->state == UP && log_is_full(&receiver->log);
}

static void round_of(void *arg, uint64_t when)
{
	struct receiver *receiver = arg;
	uint64_t due, log_at;
	bool idle;

	if (receiver->state == DOWN || receiver->wake != when)
		return;
	receiver->wake = UINT64_MAX;
	idle = receiver->inbox_count == 0;
	for (unsigned i = 0; i < BURST && receiver->inbox_count > 0; i++) {
		if (waits_for_log(receiver))
			break;
		struct packet *packet = receiver->inbox[receiver->inbox_first];
		bool gone;

		receiver->inbox_first = (receiver->inbox_first + 1) % INBOX;
		receiver->inbox_count--;
		gone = take_one(receiver, packet);
		network_free(packet);
		if (gone || work_log(receiver))
			return;
	}
	if (work_log(receiver) || answer(receiver))
		return;
	if (receiver->state == UP)
		saving_step(&receiver->saving, receiver->r, &receiver->log);
	check(receiver);
	receiver->calls = idle && when == receiver->last_instant ? receiver->calls + 1 : 0;
	receiver->last_instant = when;
	require(receiver->calls < CALLS_MAX, "spin",
		"receiver %u has something due and does nothing", receiver->index);
	due = receive_due(receiver->r);
	log_at = receiver->state == UP ? log_due(&receiver->log) : UINT64_MAX;
	if (receiver->inbox_count > 0 && !waits_for_log(receiver))
		due = world_now();
	wake_at(receiver, due < log_at ? due : log_at);
}

static void wake_at(struct receiver *receiver, uint64_t when)
{
	if (when < world_now())
		when = world_now();
	if (when >= receiver->wake || when == UINT64_MAX)
		return;
	receiver->wake = when;
	world_at(when, round_of, receiver, when);
}

void receiver_arrive(struct packet *packet)
{
	struct receiver *receiver = &receivers[packet->receiver];

	if (receiver->state == DOWN || receiver->inbox_count >= plan.inbox ||
		receiver->inbox_count == INBOX) {
		if (receiver->state != DOWN)
			tally(TALLY_overrun);
		network_free(packet);
		return;
	}
	receiver->inbox[(receiver->inbox_first + receiver->inbox_count++) % INBOX] = packet;
	wake_at(receiver, world_now() + draw_time(DRAW_RECEIVER, 0, 50 * US));
}

void receiver_crash(unsigned index, uint32_t points)
{
	if (receivers[index].state != DOWN)
		receivers[index].crash_in = points;
}

static void recover(void *arg, uint64_t life)
{
	struct receiver *receiver = arg;

	if (receiver->state == FAILED && receiver->life == life)
		go_down(receiver);
}

void receiver_fail(unsigned index)
{
	struct receiver *receiver = &receivers[index];

	if (receiver->state != UP)
		return;
	trace("receiver %u: a block failed", index);
	tally(TALLY_failures);
	receiver->state = FAILED;
	receive_fail(receiver->r);
	wake_at(receiver, world_now());
	world_at(world_now() + draw_time(DRAW_FAULTS, 0, 2 * SEC), recover, receiver,
		receiver->life);
}

void receivers_reset(void)
{
	for (unsigned i = 0; i < plan.receivers; i++) {
		receivers[i].index = i;
		receivers[i].life = 0;
		log_new(&receivers[i].log, i);
		start(&receivers[i]);
	}
}

void receivers_calm(void)
{
	for (unsigned i = 0; i < plan.receivers; i++) {
		struct log *log = &receivers[i].log;

		receivers[i].crash_in = 0;
		log->full_until = log->stall_until = 0;
		if (receivers[i].state == FAILED)
			go_down(&receivers[i]);
		else if (receivers[i].state == DOWN)
			start(&receivers[i]);
	}
}

void receivers_describe(void)
{
	static const char *const names[] = {
#define X(name, help) #name,
		RECEIVE_COUNTERS(X)
#undef X
#define X(name, help) "drop " #name,
			RECEIVE_DROPS(X)
#undef X
	};

	for (unsigned i = 0; i < plan.receivers; i++)
		for (unsigned k = 0; receivers[i].r && k < RECEIVE_COUNTER_COUNT; k++)
			if (receive_counters(receivers[i].r)[k] > 0)
				trace("receiver %u: %s %" PRIu64, i, names[k],
					receive_counters(receivers[i].r)[k]);
}

void receivers_free(void)
{
	for (unsigned i = 0; i < RECEIVERS; i++) {
		end_life(&receivers[i]);
		log_free(&receivers[i].log);
		saving_free(&receivers[i].saving);
	}
}
