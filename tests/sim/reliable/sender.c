// SPDX-License-Identifier: BSD-3-Clause

// The owner of a sender's half: its clock, its receivers, its crashes.

#include "reliable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DATAGRAMS_MAX 200000u // in one round
#define CALLS_MAX 64u         // at one instant, without anything new

static struct sender senders[SENDERS];

static void wake_at(struct sender *s, uint64_t when);

static unsigned concern(const struct sender *s)
{
	return DRAW_SENDER + s->place;
}

static uint16_t first_port(const struct sender *s)
{
	return (uint16_t)(5000 * (1 + s->place) + s->incarnation * PORTS_MAX);
}

uint16_t sender_port(unsigned place)
{
	return first_port(&senders[place]);
}

static bool is_own_port(const struct sender *s, uint16_t port)
{
	return port >= first_port(s) && port < first_port(s) + plan.ports;
}

// A session goes on from whatever port; its beginning is bound to one.
static struct packet from(const struct sender *s, const uint8_t *data, uint32_t len)
{
	struct wire_header header;
	uint16_t port = first_port(s);

	if (wire_read_header(data, len, &header) && header.token != 0)
		port = (uint16_t)(port + draw_below(concern(s), plan.ports));
	return (struct packet){.direction = TO_RECEIVER,
		.place = s->place,
		.receiver = s->receiver,
		.peer = network_peer(s->place, s->receiver, port),
		.life = receiver_life(s->receiver)};
}

static void begin(struct sender *s, bool anew)
{
	s->incarnation++;
	s->blocked = s->finished = false;
	s->crash_in = 0;
	s->moved_at = world_now();
	s->wake = UINT64_MAX;
	application_start(s, anew);
	if (!anew)
		application_offer(s);
	wake_at(s, world_now());
}

static void end(struct sender *s)
{
	struct send_stats stats;

	if (!s->half)
		return;
	send_stats(s->half, &stats);
	tally_add(TALLY_sent_again, stats.events_again);
	tally_add(TALLY_lost_datagrams, stats.lost);
	tally_add(TALLY_timeouts, stats.timeouts);
	send_free(s->half);
	s->half = NULL;
}

static void restart(void *arg, uint64_t incarnation)
{
	struct sender *s = arg;

	if (s->half || s->incarnation != incarnation || s->finished)
		return;
	if (s->spool)
		tally(TALLY_spool_restarts);
	begin(s, !s->spool);
}

// What was heard and not saved nobody was told.
static void go_down(struct sender *s)
{
	if (!s->spool || memcmp(&s->saved, send_epoch_now(s->half), sizeof(s->saved)) == 0)
		application_look_all(s);
	end(s);
	world_at(world_now() + (plan.calm ? MS : draw_time(concern(s), 0, SEC)), restart, s,
		s->incarnation);
}

// A step of the program: true when it was its last.
static bool crashes(struct sender *s)
{
	if (s->crash_in == 0 || --s->crash_in > 0)
		return false;
	trace("sender %u crashes", s->place);
	tally(TALLY_sender_crashes);
	go_down(s);
	return true;
}

// An OPEN of the process before this one may come late, after the receiver has told this one that
// it knows nothing of the epoch.
static bool may_have_been_unknown(const struct sender *s, const struct log *log)
{
	return s->spool && s->incarnation > 1 && s->source->in[log->index].since >= s->moved_at;
}

// A new epoch has a reason: a move, or that this receiver's log doesn't know the old one.
static void look_at_epoch(struct sender *s)
{
	const struct log *log = receiver_log(s->receiver);
	uint32_t epoch = send_epoch_now(s->half)->number;

	if (epoch == s->epoch)
		return;
	require(epoch > s->epoch, "epoch", "sender %u: epoch %" PRIu32 " after %" PRIu32, s->place,
		epoch, s->epoch);
	require(s->moving || s->source->in[log->index].epoch != s->epoch ||
			s->source->in[log->index].row >= log->durable ||
			may_have_been_unknown(s, log),
		"epoch", "sender %u: epoch %" PRIu32 ", while the log knows %" PRIu32, s->place,
		epoch, s->epoch);
	trace("sender %u: epoch %" PRIu32, s->place, epoch);
	tally(TALLY_new_epochs);
	s->epoch = epoch;
}

static void move(struct sender *s, unsigned receiver)
{
	s->moving = true;
	send_move(s->half, world_now());
	look_at_epoch(s);
	s->moving = false;
	s->moved_at = world_now();
	trace("sender %u moves from receiver %u to %u", s->place, s->receiver, receiver);
	s->receiver = receiver;
	wake_at(s, world_now());
}

static bool waits(const struct sender *s)
{
	return send_durable(s->half) != send_next_seq(s->half);
}

static uint64_t failover_at(const struct sender *s)
{
	uint64_t progress = send_progress(s->half);

	if (send_state(s->half) == SEND_REFUSED)
		return s->moved_at + 100 * MS;
	if (plan.receivers == 1 || !waits(s) || plan.faults[FAULT_move] == 0)
		return UINT64_MAX;
	return (progress > s->moved_at ? progress : s->moved_at) + plan.failover_after;
}

static void failover(struct sender *s)
{
	if (failover_at(s) > world_now())
		return;
	tally(TALLY_failovers);
	move(s, (s->receiver + (plan.faults[FAULT_move] > 0)) % plan.receivers);
}

static bool emit(struct sender *s)
{
	static uint8_t data[WIRE_MTU_MAX];
	struct packet like;
	uint32_t len, most = plan.mtu > plan.mtu_probe ? plan.mtu : plan.mtu_probe;

	for (unsigned i = 0; (len = send_next(s->half, world_now(), data)) > 0; i++) {
		require(i < DATAGRAMS_MAX, "spin", "a sender sends without end");
		require(len <= most, "api", "a datagram of %" PRIu32 " bytes", len);
		like = from(s, data, len);
		network_send(&like, data, len);
		if (crashes(s))
			return true;
	}
	return false;
}

// With everything durable: the end, or the end of this source.
static bool finish(struct sender *s)
{
	uint8_t data[WIRE_DATA_MIN];
	bool done = application_done(s) && plan.calm;
	struct packet like;
	uint32_t len;

	if (!done && (s->spool || waits(s) || plan.calm || books_count() > SOURCES / 2 ||
			     !draw_chance(concern(s), 1)))
		return false;
	application_look_all(s);
	if (send_state(s->half) == SEND_OPEN && (!done || s->place % 2 == 0)) {
		len = send_close(s->half, data);
		require(len > 0 && len <= sizeof(data), "api", "a CLOSE of %" PRIu32 " bytes", len);
		like = from(s, data, len);
		network_send(&like, data, len);
		tally(TALLY_closes);
	}
	trace("sender %u: all is durable", s->place);
	end(s);
	s->finished = done;
	if (!done)
		begin(s, true);
	return true;
}

static void round_of(void *arg, uint64_t when)
{
	struct sender *s = arg;
	uint64_t due, failover_due;

	if (!s->half || s->wake != when)
		return;
	s->wake = UINT64_MAX;
	failover(s);
	if (s->blocked)
		application_offer(s);
	application_save(s);
	if (emit(s) || finish(s))
		return;
	application_look(s);
	s->calls = when == s->last_instant ? s->calls + 1 : 0;
	s->last_instant = when;
	require(s->calls < CALLS_MAX, "spin", "sender %u has something due and does nothing",
		s->place);
	due = send_due(s->half);
	failover_due = failover_at(s);
	wake_at(s, due < failover_due ? due : failover_due);
}

static void wake_at(struct sender *s, uint64_t when)
{
	if (when < world_now())
		when = world_now();
	if (when >= s->wake || when == UINT64_MAX)
		return;
	s->wake = when;
	world_at(when, round_of, s, when);
}

void sender_arrive(struct packet *packet)
{
	struct sender *s = &senders[packet->place];

	// Its socket is connected.
	if (s->half && is_own_port(s, packet->peer.port) && packet->receiver == s->receiver) {
		send_take(s->half, packet->data, packet->len, world_now());
		look_at_epoch(s);
		s->calls = 0;
		if (!crashes(s)) {
			application_save(s);
			application_look(s);
			wake_at(s, world_now());
		}
	}
	network_free(packet);
}

static void tick(void *arg, uint64_t tag)
{
	struct sender *s = arg;
	uint64_t gap = 2 * plan.faults_ns * plan.burst / (plan.events + plan.burst);

	(void)tag;
	if (s->finished || s->index >= plan.events)
		return;
	if (s->half && !s->blocked) {
		application_offer(s);
		s->calls = 0;
		if (!crashes(s))
			wake_at(s, world_now());
	}
	gap = plan.calm ? 200 * US : 10 * US + draw(concern(s)) % (gap + 1);
	world_at(world_now() + gap, tick, s, 0);
}

void sender_crash(unsigned place, uint32_t points)
{
	struct sender *s = &senders[place];

	if (s->half && (s->spool || books_count() < SOURCES / 2))
		s->crash_in = points;
}

void sender_move(unsigned place)
{
	struct sender *s = &senders[place];

	if (!s->half)
		return;
	tally(TALLY_moves);
	move(s, draw_below(DRAW_FAULTS, plan.receivers));
}

void senders_reset(void)
{
	for (unsigned i = 0; i < plan.senders; i++) {
		struct sender *s = &senders[i];

		*s = (struct sender){.place = i};
		s->spool = draw_chance(concern(s), plan.spool);
		s->receiver = draw_below(concern(s), plan.receivers);
		begin(s, true);
		world_at(world_now(), tick, s, 0);
	}
}

void senders_calm(void)
{
	for (unsigned i = 0; i < plan.senders; i++) {
		struct sender *s = &senders[i];

		s->crash_in = 0;
		if (s->half)
			wake_at(s, world_now());
		else if (!s->finished)
			begin(s, !s->spool);
	}
}

bool senders_done(void)
{
	for (unsigned i = 0; i < plan.senders; i++)
		if (!senders[i].finished)
			return false;
	return true;
}

uint64_t senders_left(void)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < plan.senders; i++) {
		const struct sender *s = &senders[i];

		left += plan.events - s->index;
		if (s->half)
			left += send_next_seq(s->half) - send_durable(s->half);
	}
	return left;
}

void senders_describe(void)
{
	struct send_stats stats;

	for (unsigned i = 0; i < plan.senders; i++) {
		const struct sender *s = &senders[i];

		if (!s->half)
			continue;
		send_stats(s->half, &stats);
		trace("sender %u: state %u to receiver %u, epoch %" PRIu32
		      ", durable up to %" PRIu64 ", next seq %" PRIu64 ", keeps %" PRIu64
		      " bytes, lost %" PRIu64 ", timeouts %" PRIu64 ", cwnd %" PRIu64,
			i, send_state(s->half), s->receiver, send_epoch_now(s->half)->number,
			send_durable(s->half), send_next_seq(s->half), send_kept(s->half),
			stats.lost, stats.timeouts, stats.cwnd);
	}
}

void senders_free(void)
{
	for (unsigned i = 0; i < SENDERS; i++)
		end(&senders[i]);
}
