// SPDX-License-Identifier: BSD-3-Clause
// The handshake. Until an OPEN has brought back what its sender was asked at its address, nothing
// of it is kept; then its epoch is a row of the log before it is anything here.

#include "transport/bytes.h"
#include "transport/receive_internal.h"

#include <sodium.h>
#include <string.h>

const struct seal_key *key_of(const struct receive *r, uint16_t id)
{
	static const struct seal_key none;

	if (r->config.key_count == 0)
		return id == 0 ? &none : NULL;
	for (unsigned i = 0; i < r->config.key_count; i++)
		if (r->config.keys[i].id == id)
			return &r->config.keys[i];
	return NULL;
}

// Room for an answer to fill, its header written; NULL: all is taken, and whoever asked will again.
static struct answer *begin_answer(struct receive *r, enum wire_type type,
	const struct wire_header *to, const struct peer *peer)
{
	struct wire_header header = {
		type, to->key, to->epoch, to->source, type == WIRE_RESET ? to->token : 0, 0};
	struct answer *answer;

	if (r->answer_count == ANSWERS) {
		count(r, RECEIVE_unanswered);
		return NULL;
	}
	answer = &r->answers[(r->answer_first + r->answer_count++) % ANSWERS];
	answer->peer = *peer;
	wire_write_header(answer->data, &header);
	return answer;
}

static void end_answer(struct receive *r, struct answer *answer, uint16_t key, uint32_t body)
{
	answer->len = seal_sign(key_of(r, key), answer->data, WIRE_HEADER + body);
}

bool take_answer(struct receive *r, uint8_t *data, struct peer *to, uint32_t *len)
{
	const struct answer *answer = &r->answers[r->answer_first];

	if (r->answer_count == 0)
		return false;
	memcpy(data, answer->data, answer->len);
	*len = answer->len;
	*to = answer->peer;
	r->answer_first = (r->answer_first + 1) % ANSWERS;
	r->answer_count--;
	return true;
}

// The body's length; 0, counted: not signed as it must be.
static uint32_t verify(
	struct receive *r, const struct wire_header *header, const uint8_t *data, uint32_t len)
{
	const struct seal_key *key = key_of(r, header->key);
	uint32_t signed_len = key != NULL ? seal_verify(key, data, len) : 0;

	if (signed_len != 0)
		return signed_len - WIRE_HEADER;
	drop(r, RECEIVE_DROP_unsigned);
	return 0;
}

void take_hello(struct receive *r, const struct wire_header *header, const uint8_t *data,
	uint32_t len, const struct peer *peer, uint64_t now)
{
	struct wire_challenge challenge = {.made = now / MS_NS};
	struct wire_hello hello;
	struct answer *answer;
	uint32_t body = verify(r, header, data, len);

	if (body == 0)
		return;
	if (!wire_read_hello(data + WIRE_HEADER, body, &hello)) {
		drop(r, RECEIVE_DROP_malformed);
		return;
	}
	answer = begin_answer(r, WIRE_CHALLENGE, header, peer);
	if (answer == NULL)
		return;
	memcpy(challenge.random, hello.random, sizeof(challenge.random));
	seal_cookie_mac(&r->cookie, header, hello.random, peer, sizeof(*peer), challenge.made,
		challenge.mac);
	end_answer(r, answer, header->key,
		wire_write_challenge(answer->data + WIRE_HEADER, &challenge));
	count(r, RECEIVE_hellos);
}

void answer_reset(struct receive *r, const struct wire_header *header, const struct peer *peer)
{
	struct answer *answer = begin_answer(r, WIRE_RESET, header, peer);

	if (answer == NULL)
		return;
	end_answer(r, answer, header->key, 0);
	count(r, RECEIVE_resets);
}

static void refuse(struct receive *r, const struct wire_header *header, const uint8_t random[32],
	const struct peer *peer, enum wire_refusal reason, uint32_t epoch)
{
	struct wire_refused refused = {.reason = reason, .epoch = epoch};
	struct answer *answer = begin_answer(r, WIRE_REFUSED, header, peer);

	if (answer == NULL)
		return;
	memcpy(refused.random, random, sizeof(refused.random));
	end_answer(
		r, answer, header->key, wire_write_refused(answer->data + WIRE_HEADER, &refused));
	count(r, RECEIVE_refused);
}

static void answer_opened(struct receive *r, const struct session *session, uint64_t now)
{
	const struct seen_source *source = seen_at(r->seen, session->source);
	struct wire_header header = {
		.key = session->seal.key, .epoch = source->epoch, .source = source->id};
	struct answer *answer = begin_answer(r, WIRE_OPENED, &header, &session->opened);
	struct wire_opened opened = {
		.token = session->token,
		.durable = source->durable,
		.credit = credit_of(r, now),
		.window = SEEN_WINDOW,
		.event_max = r->config.event_max,
	};

	if (answer == NULL)
		return;
	memcpy(opened.random, session->random, sizeof(opened.random));
	memcpy(opened.server, session->server, sizeof(opened.server));
	memcpy(opened.log_id, r->config.log_id, sizeof(opened.log_id));
	end_answer(r, answer, header.key, wire_write_opened(answer->data + WIRE_HEADER, &opened));
}

// What its sender was asked, not long ago, and not what another OPEN of the session brought: a
// captured one would end a session that is in use.
static bool cookie_fits(const struct receive *r, const struct wire_header *header,
	const struct wire_open *open, const struct peer *peer, const struct session *session,
	uint64_t now)
{
	uint64_t now_ms = now / MS_NS;

	if (open->made > now_ms || now_ms - open->made > COOKIE_MS)
		return false;
	if (session != NULL && open->made <= session->made)
		return false;
	return seal_cookie_fits(
		&r->cookie, header, open->random, peer, sizeof(*peer), open->made, open->mac);
}

static void open_session(struct receive *r, const struct wire_header *header,
	const struct wire_open *open, const struct peer *peer, struct seen_source *source,
	uint64_t now)
{
	struct session *session = session_new(r, source, now);

	if (session == NULL) {
		refuse(r, header, open->random, peer, WIRE_NO_ROOM, 0);
		return;
	}
	session->peer = session->opened = *peer;
	session->made = open->made;
	memcpy(session->random, open->random, sizeof(session->random));
	randombytes_buf(session->server, sizeof(session->server));
	seal_make_session(&session->seal, key_of(r, header->key), session->random, session->server,
		source->id, source->epoch);
	seen_touch(r->seen, source, seconds(now));
	answer_opened(r, session, now);
	count(r, RECEIVE_opened);
}

static void write_opening(uint8_t *payload, const struct wire_open *open)
{
	memset(payload, 0, RECEIVE_OPENING);
	put_le32(payload, WIRE_VERSION);
	put_le32(payload + 4, open->prev_epoch);
	put_le64(payload + 8, open->first_seq);
	put_le64(payload + 16, open->prev_seq);
	memcpy(payload + 24, open->prev_log, sizeof(open->prev_log));
}

bool receive_read_opening(const uint8_t *payload, uint32_t len, struct receive_opening *ret)
{
	if (len != RECEIVE_OPENING || le32(payload) != WIRE_VERSION)
		return false;
	ret->prev_epoch = le32(payload + 4);
	ret->first_seq = le64(payload + 8);
	ret->prev_seq = le64(payload + 16);
	memcpy(ret->prev_log, payload + 24, sizeof(ret->prev_log));
	return true;
}

// The row that makes a later restart know the epoch. The session begins when it is appended.
static unsigned hand_opening(struct receive *r, const struct wire_header *header,
	const struct wire_open *open, const struct peer *peer, uint64_t now,
	struct received *events)
{
	struct handed *handed = &r->handed;

	if (!may_touch(r)) {
		drop(r, RECEIVE_DROP_busy);
		return 0;
	}
	*handed = (struct handed){.what = HANDED_OPENING,
		.now = now,
		.count = 1,
		.header = *header,
		.open = *open,
		.peer = *peer};
	write_opening(handed->payload, open);
	events[0] = (struct received){.source = header->source,
		.seq = open->first_seq,
		.epoch = header->epoch,
		.len = RECEIVE_OPENING,
		.payload = handed->payload,
		.is_opening = true};
	return 1;
}

void opening_appended(struct receive *r)
{
	const struct handed *handed = &r->handed;
	const struct wire_open *open = &handed->open;
	struct seen_source *source = seen_open(r->seen, handed->header.source, handed->header.epoch,
		open->first_seq, seconds(handed->now));

	// There was room when it was handed out.
	if (source == NULL)
		return;
	touch(r, source);
	if (open->prev_epoch != 0 &&
		memcmp(open->prev_log, r->config.log_id, sizeof(open->prev_log)) != 0)
		count(r, RECEIVE_overlaps);
	open_session(r, &handed->header, open, &handed->peer, source, handed->now);
}

// Which epoch this is to what is known of the source. 0: the known one; 1: a new one; else refused.
static int judge(struct receive *r, const struct wire_header *header, const struct wire_open *open,
	const struct seen_source *source, const struct peer *peer)
{
	enum wire_refusal reason = WIRE_UNKNOWN_EPOCH;
	uint32_t epoch = 0;

	if (source != NULL && source->epoch == header->epoch)
		return 0;
#ifndef MUTANT_RECEIVE_EPOCH_IGNORED
	if (source != NULL && source->epoch > header->epoch) {
		reason = WIRE_OLD_EPOCH;
		epoch = source->epoch;
	} else
#endif
#ifndef MUTANT_RECEIVE_UNKNOWN_TAKEN
		if ((open->flags & WIRE_FRESH) != 0)
#endif
	{
		if (source != NULL || seen_count(r->seen) < r->config.sources)
			return 1;
		reason = WIRE_NO_ROOM;
	}
	refuse(r, header, open->random, peer, reason, epoch);
	return -1;
}

// Heard again, by the address that was asked: its answer was lost, or is on its way.
static bool is_same_open(const struct session *session, const struct seen_source *source,
	const struct wire_header *header, const struct wire_open *open, const struct peer *peer)
{
	return source->epoch == header->epoch &&
	       memcmp(session->random, open->random, sizeof(open->random)) == 0 &&
	       memcmp(&session->opened, peer, sizeof(*peer)) == 0;
}

unsigned take_open(struct receive *r, const struct wire_header *header, const uint8_t *data,
	uint32_t len, const struct peer *peer, uint64_t now, struct received *events)
{
	struct seen_source *source = seen_find(r->seen, header->source);
	struct session *session = NULL;
	struct wire_open open;
	uint32_t body = verify(r, header, data, len);
	int verdict;

	if (body == 0)
		return 0;
	if (!wire_read_open(data + WIRE_HEADER, body, &open)) {
		drop(r, RECEIVE_DROP_malformed);
		return 0;
	}
	if (source != NULL && source->session != SEEN_NONE)
		session = &r->sessions[source->session];
	if (session != NULL && is_same_open(session, source, header, &open, peer)) {
		answer_opened(r, session, now);
		count(r, RECEIVE_resumed);
		return 0;
	}
	if (!cookie_fits(r, header, &open, peer, session, now)) {
		drop(r, RECEIVE_DROP_stale_cookie);
		return 0;
	}
	verdict = judge(r, header, &open, source, peer);
	if (verdict > 0)
		return hand_opening(r, header, &open, peer, now, events);
	if (verdict == 0)
		open_session(r, header, &open, peer, source, now);
	return 0;
}
