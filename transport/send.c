// SPDX-License-Identifier: BSD-3-Clause
#include "transport/send_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64u
// What keeping an event costs beside itself: malloc's header, and at most four slots of the ring,
// which is never less than a quarter full once it has grown.
#define EVENT_COST (sizeof(struct event) + 16 + 4 * sizeof(struct event *))

static bool config_is_right(const struct send_config *config)
{
	return config->source != 0 && config->epoch.number > 0 &&
	       config->first_seq >= config->epoch.first_seq && config->mtu >= WIRE_MTU_MIN &&
	       config->mtu <= WIRE_MTU_MAX && config->mtu_probe <= WIRE_MTU_MAX &&
	       (config->key.id == 0 || seal_cipher_here(config->key.cipher));
}

int send_make(struct send_half **ret, const struct send_config *config, uint64_t now)
{
	struct send_half *s;

	if (!config_is_right(config))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->config = *config;
	s->lowest = s->next_seq = config->first_seq;
	s->epoch = config->epoch;
	if (!config->resumed)
		s->epoch.first_seq = config->first_seq;
	s->used = s->acknowledged = config->resumed;
	s->sent_end = config->resumed ? config->sent_end : config->first_seq;
	s->hold_end = UINT64_MAX;
	s->event_max = WIRE_EVENT_MAX;
	s->slots = SLOTS_MIN;
	s->progress = now;
	s->events = calloc(s->slots, sizeof(struct event *));
	if (s->events == NULL ||
		recovery_make(&s->recovery, SEND_DATAGRAMS, config->mtu, take_fate, s) < 0) {
		send_free(s);
		return -ENOMEM;
	}
	begin(s, now);
	*ret = s;
	return 0;
}

void send_free(struct send_half *s)
{
	if (s == NULL)
		return;
	if (s->events != NULL)
		for (uint64_t seq = s->lowest; seq < s->next_seq; seq++)
			free(event_of(s, seq));
	free(s->events);
	recovery_free(s->recovery);
	free(s);
}

static int resize(struct send_half *s, uint32_t slots)
{
	struct event **events = calloc(slots, sizeof(struct event *));

	if (events == NULL)
		return -ENOMEM;
	for (uint64_t seq = s->lowest; seq < s->next_seq; seq++)
		events[seq & (slots - 1)] = event_of(s, seq);
	free(s->events);
	s->events = events;
	s->slots = slots;
	return 0;
}

// States of parts, were they of the smallest size.
static uint32_t part_room(const struct send_half *s, uint32_t len)
{
	return len / wire_part_room(s->config.mtu) + 1;
}

static uint64_t cost_of(const struct send_half *s, uint32_t len)
{
	return EVENT_COST + len + part_room(s, len);
}

int send_event(struct send_half *s, const void *payload, uint32_t len, uint64_t *seq)
{
	uint64_t cost = cost_of(s, len);
	struct event *e;

	if (len > s->event_max || cost > s->config.bytes_max)
		return -EMSGSIZE;
	if (s->kept + cost > s->config.bytes_max)
		return -EAGAIN;
	if (s->next_seq < s->ahead) {
		*seq = s->next_seq++;
		s->lowest = s->unsent = s->again = s->next_seq;
		return 0;
	}
	if (s->next_seq - s->lowest == s->slots && resize(s, s->slots * 2) < 0)
		return -ENOMEM;
	e = calloc(1, sizeof(*e) + len + part_room(s, len));
	if (e == NULL)
		return -ENOMEM;
	e->len = len;
	if (len > 0)
		memcpy(e->bytes, payload, len);
	s->kept += cost;
	s->closed = false;
	*seq = s->next_seq++;
	s->events[*seq & (s->slots - 1)] = e;
	return 0;
}

static void forget(struct send_half *s, struct event *e)
{
	if (e->state != EVENT_WAITING && e->state != EVENT_DURABLE) {
		s->unsettled -= e->len;
		s->large -= e->part_size != 0 && e->state != EVENT_HEARD;
	}
	if (e->state == EVENT_AGAIN)
		s->again_count--;
	s->kept -= cost_of(s, e->len);
	free(e);
}

bool may_be_durable(const struct send_half *s, uint64_t seq)
{
#ifdef MUTANT_SEND_END_UNCHECKED
	return seq <= s->next_seq || s->config.resumed;
#endif
	return seq <= s->sent_end;
}

void forget_below(struct send_half *s, uint64_t seq)
{
	if (s->ahead < seq)
		s->ahead = seq;
	if (seq > s->next_seq)
		seq = s->next_seq;
	for (; s->lowest < seq; s->lowest++)
		forget(s, event_of(s, s->lowest));
	if (s->unsent < seq)
		s->unsent = seq;
	if (s->again < seq)
		s->again = seq;
	// Where there is no memory for a smaller ring, the larger one stays.
	while (s->slots > SLOTS_MIN && s->next_seq - s->lowest < s->slots / 4)
		if (resize(s, s->slots / 2) < 0)
			break;
}

uint32_t write_header(const struct send_half *s, uint8_t *data, enum wire_type type)
{
	bool in_session = type != WIRE_HELLO && type != WIRE_OPEN;
	struct wire_header header = {
		.type = (uint8_t)type,
		.key = s->config.key.id,
		.epoch = s->epoch.number,
		.source = s->config.source,
		.token = in_session ? s->token : 0,
		.number = in_session ? recovery_next(s->recovery) : 0,
	};

	wire_write_header(data, &header);
	return WIRE_HEADER;
}

// RESET says nothing but which session it means.
static bool take_reset(
	struct send_half *s, const struct wire_header *header, uint32_t len, uint64_t now)
{
	if (s->state != SEND_OPEN || header->token != s->token || len != WIRE_HEADER)
		return false;
	begin_again(s, now);
	return true;
}

static bool take_sealed(struct send_half *s, const struct wire_header *header, uint8_t *data,
	uint32_t len, uint64_t now)
{
	struct wire_ack ack;

	if (s->state != SEND_OPEN || header->token != s->token || header->epoch != s->epoch.number)
		return false;
	len = seal_open(&s->seal, false, data, len);
	return len >= WIRE_HEADER && wire_read_ack(data + WIRE_HEADER, len - WIRE_HEADER, &ack) &&
	       take_ack(s, header->number, &ack, now);
}

static bool take(struct send_half *s, uint8_t *data, uint32_t len, uint64_t now)
{
	struct wire_header header;

	if (!wire_read_header(data, len, &header) || header.source != s->config.source)
		return false;
	if (header.type == WIRE_ACK)
		return take_sealed(s, &header, data, len, now);
	len = seal_verify(&s->config.key, data, len);
	if (len < WIRE_HEADER)
		return false;
	if (header.type == WIRE_RESET)
		return take_reset(s, &header, len, now);
	return take_handshake(s, &header, data + WIRE_HEADER, len - WIRE_HEADER, now);
}

void send_take(struct send_half *s, uint8_t *data, uint32_t len, uint64_t now)
{
	if (!take(s, data, len, now))
		s->stats.ignored++;
}

uint32_t send_next(struct send_half *s, uint64_t now, uint8_t *data)
{
	uint32_t len;

	if (s->closed)
		return 0;
	if (s->state == SEND_OPEN)
		len = next_of_session(s, now, data);
	else
		len = next_of_handshake(s, now, data);
	if (len > 0) {
		s->stats.datagrams++;
		s->stats.bytes += len;
	}
	return len;
}

uint64_t send_due(const struct send_half *s)
{
	if (s->closed)
		return UINT64_MAX;
	return s->state == SEND_OPEN ? session_due(s) : s->due;
}

enum send_state send_state(const struct send_half *s)
{
	return s->state;
}

uint64_t send_durable(const struct send_half *s)
{
	return s->lowest;
}

bool send_is_durable(const struct send_half *s, uint64_t seq)
{
	if (seq < s->lowest)
		return true;
	return seq < s->next_seq && event_of(s, seq)->durable;
}

bool send_was_sent(const struct send_half *s, uint64_t seq)
{
	if (seq < s->lowest)
		return true;
	return seq < s->next_seq && event_of(s, seq)->sent;
}

uint64_t send_next_seq(const struct send_half *s)
{
	return s->next_seq;
}

uint32_t send_event_max(const struct send_half *s)
{
	return s->event_max;
}

uint64_t send_kept(const struct send_half *s)
{
	return s->kept;
}

bool send_is_outdated(const struct send_half *s)
{
	return s->outdated;
}

const struct send_epoch *send_epoch_now(const struct send_half *s)
{
	return &s->epoch;
}

uint64_t send_progress(const struct send_half *s)
{
	return s->progress;
}

void send_move(struct send_half *s, uint64_t now)
{
	if (s->used)
		new_epoch(s, s->epoch.number + 1);
	s->closed = false;
	s->failures = s->refusals = 0;
	s->hold_end = UINT64_MAX;
	s->event_max = WIRE_EVENT_MAX;
	begin(s, now);
}

uint64_t send_hold(struct send_half *s)
{
	s->hold_end = s->sent_end;
	return s->hold_end;
}

void send_go_on(struct send_half *s)
{
	s->hold_end = UINT64_MAX;
}

uint64_t send_sent_end(const struct send_half *s)
{
	return s->sent_end;
}

uint32_t send_close(struct send_half *s, uint8_t *data)
{
	uint32_t len;

	if (s->state != SEND_OPEN || s->lowest != s->next_seq)
		return 0;
	len = write_header(s, data, WIRE_CLOSE);
	len += wire_write_close(data + len);
	len = seal_close(&s->seal, true, data, len);
	begin(s, 0);
	s->closed = true;
	return len;
}

void send_stats(const struct send_half *s, struct send_stats *ret)
{
	*ret = s->stats;
	ret->lost = recovery_lost(s->recovery);
	ret->timeouts = recovery_timeouts(s->recovery);
	ret->rtt_ns = recovery_rtt(s->recovery);
	ret->cwnd = recovery_cwnd(s->recovery);
}
