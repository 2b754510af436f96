// SPDX-License-Identifier: BSD-3-Clause
// Sessions: in the order in which they were last heard, the active ones, which share the credit, at
// the end.

#include "transport/receive_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static uint32_t index_of(const struct receive *r, const struct session *session)
{
	return (uint32_t)(session - r->sessions);
}

bool sessions_make(struct receive *r)
{
	uint32_t n = r->config.sessions;

	r->sessions = calloc(n, sizeof(*r->sessions));
	if (r->sessions == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++)
		r->sessions[i].age.next = i + 1 < n ? i + 1 : SEEN_NONE;
	r->free_session = n > 0 ? 0 : SEEN_NONE;
	r->ages = r->waiting = r->ready = (struct list){SEEN_NONE, SEEN_NONE};
	r->active_from = SEEN_NONE;
	return true;
}

struct session *session_of(struct receive *r, struct seen_source *source, uint64_t token)
{
	struct session *session;

	if (source == NULL || source->session == SEEN_NONE)
		return NULL;
	session = &r->sessions[source->session];
	return session->token == token ? session : NULL;
}

static void unlink_age(struct receive *r, struct session *session)
{
	const struct links *links = &session->age;

	if (links->prev != SEEN_NONE)
		r->sessions[links->prev].age.next = links->next;
	else
		r->ages.first = links->next;
	if (links->next != SEEN_NONE)
		r->sessions[links->next].age.prev = links->prev;
	else
		r->ages.last = links->prev;
	if (r->active_from == index_of(r, session))
		r->active_from = links->next;
}

static void link_newest(struct receive *r, struct session *session)
{
	uint32_t index = index_of(r, session);

	session->age = (struct links){r->ages.last, SEEN_NONE};
	if (r->ages.last != SEEN_NONE)
		r->sessions[r->ages.last].age.next = index;
	else
		r->ages.first = index;
	r->ages.last = index;
	if (r->active_from == SEEN_NONE)
		r->active_from = index;
}

static void set_active(struct receive *r, struct session *session, bool active)
{
	if (session->active == active)
		return;
	session->active = active;
	r->active = active ? r->active + 1 : r->active - 1;
}

void session_heard(struct receive *r, struct session *session, uint64_t now)
{
	session->heard_at = now;
	set_active(r, session, true);
	if (r->ages.last == index_of(r, session)) {
		if (r->active_from == SEEN_NONE)
			r->active_from = r->ages.last;
		return;
	}
	unlink_age(r, session);
	link_newest(r, session);
}

// A session is soon opened again, so one that is idle makes room.
static bool make_room(struct receive *r, uint64_t now)
{
	struct session *oldest;

	if (r->free_session != SEEN_NONE)
		return true;
	if (r->ages.first == SEEN_NONE)
		return false;
	oldest = &r->sessions[r->ages.first];
	if (now - oldest->heard_at < ACTIVE_NS)
		return false;
	session_end(r, oldest);
	return true;
}

struct session *session_new(struct receive *r, struct seen_source *source, uint64_t now)
{
	struct session *session;
	uint32_t index;

	if (source->session != SEEN_NONE)
		session_end(r, &r->sessions[source->session]);
	if (!make_room(r, now))
		return NULL;
	index = r->free_session;
	session = &r->sessions[index];
	r->free_session = session->age.next;
	memset(session, 0, sizeof(*session));
	// Not 0, which is no session's.
	while (session->token == 0)
		randombytes_buf(&session->token, sizeof(session->token));
	session->source = seen_index(r->seen, source);
	session->parts = SEEN_NONE;
	session->heard_at = now;
	source->session = index;
	link_newest(r, session);
	set_active(r, session, true);
	return session;
}

void session_end(struct receive *r, struct session *session)
{
	uint32_t index = index_of(r, session);

	parts_end(r, session);
	forget_ack(r, session);
	set_active(r, session, false);
	unlink_age(r, session);
	seen_at(r->seen, session->source)->session = SEEN_NONE;
	sodium_memzero(session, sizeof(*session));
	session->age.next = r->free_session;
	r->free_session = index;
}

static void expire_sources(struct receive *r, uint64_t now)
{
	uint32_t expiry = r->config.source_expiry_s;
	struct seen_source *source;

	if (seconds(now) < expiry)
		return;
	while ((source = seen_oldest(r->seen, seconds(now) - expiry)) != NULL) {
		if (source->session != SEEN_NONE) {
			seen_touch(r->seen, source, seconds(now));
			continue;
		}
		seen_forget(r->seen, source);
		count(r, RECEIVE_expired_sources);
	}
}

void sessions_expire(struct receive *r, uint64_t now)
{
	while (r->active_from != SEEN_NONE &&
		now - r->sessions[r->active_from].heard_at > ACTIVE_NS) {
		struct session *session = &r->sessions[r->active_from];

		set_active(r, session, false);
		r->active_from = session->age.next;
	}
	while (r->ages.first != SEEN_NONE &&
		now - r->sessions[r->ages.first].heard_at > SESSION_NS) {
		session_end(r, &r->sessions[r->ages.first]);
		count(r, RECEIVE_expired_sessions);
	}
	expire_sources(r, now);
}
