// SPDX-License-Identifier: BSD-3-Clause
#include "transport/receive.h"

#include "transport/receive_internal.h"

#include <errno.h>
#include <stdlib.h>

int receive_make(struct receive **ret, const struct receive_config *config)
{
	struct receive *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->config = *config;
	err = seen_make(&r->seen, config->sources, config->windows);
	if (err == 0 && !sessions_make(r))
		err = -ENOMEM;
	if (err == 0)
		err = parts_make(r);
	r->answers = calloc(ANSWERS, sizeof(*r->answers));
	r->snapshots = calloc(config->snapshots, sizeof(*r->snapshots));
	r->touched = calloc(config->snapshots, sizeof(*r->touched));
	if (r->answers == NULL || r->snapshots == NULL || r->touched == NULL)
		err = -ENOMEM;
	if (err != 0) {
		receive_free(r);
		return err;
	}
	seal_cookie_new(&r->cookie);
	*ret = r;
	return 0;
}

void receive_free(struct receive *r)
{
	if (r == NULL)
		return;
	parts_free(r);
	seen_free(r->seen);
	free(r->sessions);
	free(r->answers);
	free(r->snapshots);
	free(r->touched);
	free(r);
}

const uint64_t *receive_counters(const struct receive *r)
{
	return r->counters;
}

int receive_dropped(const struct receive *r)
{
	return r->dropped;
}

const struct seen *receive_seen(const struct receive *r)
{
	return r->seen;
}

// A sender of before a restart, or whose session has gone: told, where it has a right to be.
static void no_session(struct receive *r, const struct wire_header *header, const uint8_t *data,
	uint32_t len, const struct peer *peer)
{
	const struct seal_key *key = key_of(r, header->key);
	bool may_know = header->type == WIRE_PROBE || r->config.key_count == 0;

	if (key == NULL || !may_know || seal_verify(key, data, len) == 0)
		drop(r, RECEIVE_DROP_no_session);
	else
		answer_reset(r, header, peer);
}

static enum receive_counter dropped_as(enum seen_is is)
{
	if (is == SEEN_NEW)
		return RECEIVE_DROP_too_large;
	return is == SEEN_BEYOND ? RECEIVE_DROP_beyond_window : RECEIVE_DROP_no_window;
}

// What of a datagram is to be appended. False: something of it must come again.
static bool sort_events(struct receive *r, const struct seen_source *source,
	const struct wire_events *all, struct received *events, unsigned *ret)
{
	uint64_t next = source->floor; // after those that were handed out
	uint32_t at = 0, len;
	bool whole = true;
	unsigned n = 0;

	for (unsigned i = 0; i < all->count; i++) {
		uint64_t seq = all->first_seq + i;
		const uint8_t *payload = wire_next_event(all, &at, &len);
		enum seen_is is = seen_look(r->seen, source, seq);

		if (seq == next && is != SEEN_BEYOND) {
			next++;
			is = is == SEEN_NO_WINDOW ? SEEN_NEW : is;
		}
		if (is == SEEN_TWICE) {
			count(r, RECEIVE_duplicates);
		} else if (is == SEEN_NEW && len <= r->config.event_max) {
			events[n++] = (struct received){
				source->id, seq, source->epoch, len, payload, false};
		} else {
			drop(r, dropped_as(is));
			whole = false;
		}
	}
	*ret = n;
	return whole;
}

static unsigned take_events(struct receive *r, struct session *session, struct seen_source *source,
	const uint8_t *body, uint32_t len, struct received *events)
{
	struct handed *handed = &r->handed;
	struct wire_events all;

	if (!wire_read_events(body, len, &all)) {
		drop(r, RECEIVE_DROP_malformed);
		return 0;
	}
	handed->all = sort_events(r, source, &all, events, &handed->count);
	handed->events = events;
	if (handed->count > 0)
		handed->what = HANDED_EVENTS;
	else if (handed->all)
		hear(r, session, handed->number, handed->now);
	return handed->count;
}

static unsigned take_large(struct receive *r, struct session *session, struct seen_source *source,
	const uint8_t *body, uint32_t len, struct received *events)
{
	struct wire_part part;
	enum seen_is is;

	if (!wire_read_part(body, len, &part)) {
		drop(r, RECEIVE_DROP_malformed);
		return 0;
	}
	is = seen_look(r->seen, source, part.seq);
	if (is == SEEN_NEW && part.total <= r->config.event_max)
		return take_part(r, session, source, &part, r->handed.now, events);
	if (is == SEEN_TWICE) {
		count(r, RECEIVE_duplicates);
		hear(r, session, r->handed.number, r->handed.now);
	} else {
		drop(r, dropped_as(is));
	}
	return 0;
}

// The body's length, opened; 0, counted: nothing of the session's sender, or nothing new.
static uint32_t open_body(struct receive *r, const struct session *session,
	const struct wire_header *header, uint8_t *data, uint32_t len)
{
	uint32_t opened = 0;

	if (header->epoch != seen_at(r->seen, session->source)->epoch) {
		drop(r, RECEIVE_DROP_epoch);
		return 0;
	}
	if (!number_is_new(session, header->number)) {
		drop(r, RECEIVE_DROP_replayed);
		return 0;
	}
	if (header->key == session->seal.key)
		opened = header->type == WIRE_PROBE ? seal_verify(key_of(r, header->key), data, len)
						    : seal_open(&session->seal, true, data, len);
	if (opened == 0)
		drop(r, RECEIVE_DROP_unsigned);
	return opened > WIRE_HEADER ? opened - WIRE_HEADER : 0;
}

static unsigned take_in_session(struct receive *r, const struct wire_header *header, uint8_t *data,
	uint32_t len, const struct peer *peer, uint64_t now, struct received *events)
{
	struct seen_source *source = seen_find(r->seen, header->source);
	struct session *session = session_of(r, source, header->token);
	const uint8_t *body = data + WIRE_HEADER;
	struct wire_probe probe;

	if (session == NULL) {
		no_session(r, header, data, len, peer);
		return 0;
	}
	len = open_body(r, session, header, data, len);
	if (len == 0)
		return 0;
	r->handed = (struct handed){
		.session = session, .number = header->number, .now = now, .peer = *peer};
	if (header->type == WIRE_CLOSE) {
		session_end(r, session);
		return 0;
	}
	if (header->type == WIRE_PROBE) {
		if (!wire_read_probe(body, len, &probe)) {
			drop(r, RECEIVE_DROP_malformed);
			return 0;
		}
		count(r, RECEIVE_probes);
		hear(r, session, header->number, now);
		ask_ack(r, session, true, now);
		return 0;
	}
	if (source->touched != (uint32_t)r->submitted + 1 && !may_touch(r)) {
		drop(r, RECEIVE_DROP_busy);
		return 0;
	}
	if (header->type == WIRE_PART)
		return take_large(r, session, source, body, len, events);
	return take_events(r, session, source, body, len, events);
}

unsigned receive_take(struct receive *r, uint8_t *data, uint32_t len, const struct peer *peer,
	uint64_t now, struct received *events)
{
	struct wire_header header;

	r->handed.what = HANDED_NOTHING;
	r->dropped = -1;
	if (r->failed) {
		drop(r, RECEIVE_DROP_failed);
		return 0;
	}
	sessions_expire(r, now);
	if (wire_read_header(data, len, &header)) {
		switch (header.type) {
		case WIRE_HELLO:
			take_hello(r, &header, data, len, peer, now);
			return 0;
		case WIRE_OPEN:
			return take_open(r, &header, data, len, peer, now, events);
		case WIRE_EVENTS:
		case WIRE_PART:
		case WIRE_PROBE:
		case WIRE_CLOSE:
			return take_in_session(r, &header, data, len, peer, now, events);
		default:
			break;
		}
	}
	drop(r, RECEIVE_DROP_malformed);
	return 0;
}

static void mark(struct receive *r, uint64_t seq)
{
	struct seen_source *source = seen_at(r->seen, r->handed.session->source);

	seen_mark(r->seen, source, seq);
	touch(r, source);
	count(r, RECEIVE_events);
}

static void events_appended(struct receive *r, unsigned n)
{
	const struct handed *handed = &r->handed;

	for (unsigned i = 0; i < n; i++)
		mark(r, handed->events[i].seq);
	if (n == handed->count && handed->all)
		hear(r, handed->session, handed->number, handed->now);
}

void receive_appended(struct receive *r, unsigned n)
{
	struct handed *handed = &r->handed;

	if (handed->what == HANDED_NOTHING)
		return;
	if (n < handed->count) {
		r->counters[RECEIVE_untaken] += handed->count - n;
		r->full_until = handed->now + FULL_NS;
	}
	if (handed->what == HANDED_OPENING && n == 1) {
		opening_appended(r);
	} else if (handed->what == HANDED_EVENTS) {
		events_appended(r, n);
	} else if (handed->what == HANDED_PART && n == 1) {
		mark(r, handed->part.seq);
		hear(r, handed->session, handed->number, handed->now);
		part_appended(r);
	} else if (handed->what == HANDED_PART) {
		part_refused(r);
	}
	handed->what = HANDED_NOTHING;
}

void receive_fail(struct receive *r)
{
	r->failed = true;
	r->answer_count = 0;
}

size_t receive_save_room(const struct receive *r)
{
	return seen_save_room(r->seen);
}

int receive_save(
	struct receive *r, uint32_t *at, uint32_t count, uint8_t *to, size_t *len, size_t room)
{
	return seen_save(r->seen, at, count, to, len, room);
}

int receive_load(struct receive *r, const uint8_t *from, size_t len, uint32_t now_s)
{
	return seen_load(r->seen, from, len, now_s);
}

int receive_adopt(struct receive *r, const struct receive *from,
	bool (*moves)(void *arg, uint64_t id), void *arg, uint32_t now_s)
{
	return seen_merge(r->seen, from->seen, moves, arg, now_s);
}

void receive_disown(struct receive *r, bool (*goes)(void *arg, uint64_t id), void *arg)
{
	seen_forget_all(r->seen, goes, arg);
}

static int restore_opening(struct receive *r, const struct received *row,
	const struct seen_source *source, uint32_t now_s)
{
	struct receive_opening opening;

	if (!receive_read_opening(row->payload, row->len, &opening))
		return -EINVAL;
	// Saved when it had a later one already.
	if (source != NULL && source->epoch > row->epoch)
		return 0;
	return seen_open(r->seen, row->source, row->epoch, opening.first_seq, now_s) != NULL
		       ? 0
		       : -ENOSPC;
}

int receive_restore(struct receive *r, const struct received *row, uint32_t now_s)
{
	struct seen_source *source = seen_find(r->seen, row->source);
	enum seen_is is;

	if (row->is_opening)
		return restore_opening(r, row, source, now_s);
	if (source == NULL || source->epoch < row->epoch)
		return -EINVAL;
#ifndef MUTANT_RECEIVE_NOT_REBUILT
	is = seen_mark_again(r->seen, source, row->seq);
	if (is == SEEN_NO_WINDOW)
		return -ENOMEM;
	if (is == SEEN_BEYOND)
		return -EINVAL;
	source->durable = source->floor;
#else
	(void)is;
#endif
	return 0;
}
