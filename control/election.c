// SPDX-License-Identifier: BSD-3-Clause

#include "control/election.h"

#include "common/logmsg.h"

#include <jansson.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define GUID_BYTES 16
#define SEQUENCE_DIGITS 10
#define RETRY_NS 500000000u
#define PULSES 6 // in a session timeout

enum stage { STAGE_OUT, STAGE_JOINING, STAGE_WAITING, STAGE_LEADING };

struct election {
	struct election_options options;
	char root[ZK_PATH_BYTES];
	char name[ELECTION_NAME_BYTES], address[ELECTION_ADDRESS_BYTES];
	enum stage stage;
	unsigned session; // counts sessions: an answer of an older one is nobody's
	char guid[2 * GUID_BYTES + 1];
	char node[ZK_PATH_BYTES];   // path of the own node; "": none
	char before[ZK_PATH_BYTES]; // of the one that is watched
	struct zk_watch watch;
	struct loop_timer pulse, retry;
	bool asking;               // a list of the candidates is under way
	char first[ZK_PATH_BYTES]; // whose data the two below are
	char leader_name[ELECTION_NAME_BYTES], leader_address[ELECTION_ADDRESS_BYTES];
	bool leader_known;
};

// Of an answer, in whose session it was asked for.
struct asked {
	struct election *election;
	unsigned session;
};

static void list(struct election *e);
static void join(struct election *e);

static uint64_t lease_ns(const struct election *e)
{
	return zk_session_timeout_ns(e->options.zk) / 3 * 2;
}

static bool in_time(const struct election *e)
{
	uint64_t last = zk_last_reply_ns(e->options.zk);

#ifndef MUTANT_LEASE_IGNORED
	return last != 0 && loop_now_ns() - last < lease_ns(e);
#else
	return last != 0 && lease_ns(e) > 0;
#endif
}

bool election_leads(const struct election *e)
{
	return e->stage == STAGE_LEADING && in_time(e);
}

uint64_t election_lease_ends_ns(const struct election *e)
{
	return zk_last_reply_ns(e->options.zk) + lease_ns(e);
}

const char *election_node(const struct election *e)
{
	return e->node;
}

bool election_leader(const struct election *e, char *ret_name, char *ret_address)
{
	snprintf(ret_name, ELECTION_NAME_BYTES, "%s", e->leader_known ? e->leader_name : "");
	snprintf(ret_address, ELECTION_ADDRESS_BYTES, "%s",
		e->leader_known ? e->leader_address : "");
	return e->leader_known;
}

static void give_up(struct election *e, enum stage next, const char *why)
{
	bool led = e->stage == STAGE_LEADING;

	e->stage = next;
	if (led)
		e->options.lost(e->options.arg, why);
}

// Not to be called again before the answer: the answer, or the timer, goes on.
static struct asked *asked_new(struct election *e)
{
	struct asked *asked = malloc(sizeof(*asked));

	if (asked != NULL)
		*asked = (struct asked){.election = e, .session = e->session};
	return asked;
}

// NULL: of an older session.
static struct election *asked_by(void *arg)
{
	struct asked asked = *(struct asked *)arg;

	free(arg);
	return asked.session == asked.election->session ? asked.election : NULL;
}

static void again(struct election *e)
{
	loop_timer_set(e->options.loop, &e->retry, RETRY_NS);
}

static void seen_leader(void *arg, const struct zk_answer *answer)
{
	struct election *e = asked_by(arg);
	json_t *json;

	if (e == NULL || answer->err != 0)
		return;
	json = json_loadb(answer->value, answer->len, 0, NULL);
	snprintf(e->leader_name, sizeof(e->leader_name), "%s",
		json_is_string(json_object_get(json, "name"))
			? json_string_value(json_object_get(json, "name"))
			: "");
	snprintf(e->leader_address, sizeof(e->leader_address), "%s",
		json_is_string(json_object_get(json, "address"))
			? json_string_value(json_object_get(json, "address"))
			: "");
	e->leader_known = e->leader_name[0] != '\0';
	json_decref(json);
}

static void look_at_leader(struct election *e, const char *node)
{
	struct asked *asked;

	if (strcmp(e->first, node) == 0 && e->leader_known)
		return;
	snprintf(e->first, sizeof(e->first), "%s", node);
	e->leader_known = false;
	asked = asked_new(e);
	if (asked != NULL && zk_get(e->options.zk, node, NULL, seen_leader, asked) != 0)
		free(asked);
}

// By the number that ZooKeeper gave, whatever stands before it.
static const char *sequence(const char *name)
{
	size_t len = strlen(name);

	return len > SEQUENCE_DIGITS ? name + len - SEQUENCE_DIGITS : NULL;
}

struct standing {
	const char *own, *first, *before; // names, NULL: there is none
};

static struct standing standing_of(const struct election *e, const struct zk_answer *answer)
{
	struct standing s = {0};

	for (unsigned i = 0; i < answer->count; i++) {
		const char *name = answer->names[i];

		if (sequence(name) == NULL)
			continue;
		// A creation that was repeated may have left two: the older one counts.
		if (strncmp(name, e->guid, 2 * GUID_BYTES) == 0 &&
			(s.own == NULL || strcmp(sequence(name), sequence(s.own)) < 0))
			s.own = name;
		if (s.first == NULL || strcmp(sequence(name), sequence(s.first)) < 0)
			s.first = name;
	}
	for (unsigned i = 0; s.own != NULL && i < answer->count; i++) {
		const char *at = sequence(answer->names[i]);

		if (at == NULL || strcmp(at, sequence(s.own)) >= 0)
			continue;
		if (s.before == NULL || strcmp(at, sequence(s.before)) > 0)
			s.before = answer->names[i];
	}
	return s;
}

static void path_of(const struct election *e, const char *name, char *ret)
{
	snprintf(ret, ZK_PATH_BYTES, "%.200s/election/%.200s", e->root, name);
}

static void watched(void *arg, const struct zk_answer *answer)
{
	struct election *e = asked_by(arg);

	if (e == NULL)
		return;
	if (answer->err != 0) {
		e->before[0] = '\0'; // gone already, or the watch isn't set
		again(e);
	}
}

static void watch_before(struct election *e, const char *name)
{
	char path[ZK_PATH_BYTES];
	struct asked *asked;

	path_of(e, name, path);
	if (strcmp(e->before, path) == 0)
		return;
	snprintf(e->before, sizeof(e->before), "%s", path);
	asked = asked_new(e);
	if (asked == NULL || zk_exists(e->options.zk, path, &e->watch, watched, asked) != 0) {
		free(asked);
		e->before[0] = '\0';
		again(e);
	}
}

static void gone(void *arg)
{
	struct election *e = arg;

	e->before[0] = '\0';
	list(e);
}

static void stand(struct election *e, const struct standing *s)
{
	char first[ZK_PATH_BYTES];

	path_of(e, s->own, e->node);
	path_of(e, s->first, first);
	look_at_leader(e, first);
	if (s->before != NULL) {
		give_up(e, STAGE_WAITING, "an older candidate has come back");
		watch_before(e, s->before);
	} else if (e->stage != STAGE_LEADING && in_time(e)) {
		e->stage = STAGE_LEADING;
		e->options.won(e->options.arg);
	}
}

static void listed(void *arg, const struct zk_answer *answer)
{
	struct election *e = asked_by(arg);
	struct standing s;

	if (e == NULL)
		return;
	e->asking = false;
	if (answer->err != 0) {
		again(e);
		return;
	}
	s = standing_of(e, answer);
	if (s.own != NULL) {
		stand(e, &s);
		return;
	}
	give_up(e, STAGE_JOINING, "its election node was removed");
	e->node[0] = '\0';
	e->before[0] = '\0';
	join(e);
}

// Looks who there is: at each change, at each pulse (which is what keeps the lease), and after a
// creation, whatever its answer was.
static void list(struct election *e)
{
	char path[ZK_PATH_BYTES];
	struct asked *asked;

	if (e->asking || e->stage == STAGE_OUT)
		return;
	snprintf(path, sizeof(path), "%.400s/election", e->root);
	asked = asked_new(e);
	if (asked == NULL || zk_children(e->options.zk, path, NULL, listed, asked) != 0) {
		free(asked);
		again(e);
		return;
	}
	e->asking = true;
}

static void joined(void *arg, const struct zk_answer *answer)
{
	struct election *e = asked_by(arg);

	if (e == NULL)
		return;
	if (answer->err != 0 && answer->err != -ECONNRESET)
		log_warn("can't stand for election under %s/election: %s", e->root,
			strerror(-answer->err));
	if (answer->err == 0)
		list(e);
	else
		again(e);
}

static char *own_data(const struct election *e)
{
	json_t *json = json_pack("{s:s, s:s}", "name", e->name, "address", e->address);
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

static void draw_guid(struct election *e)
{
	uint8_t random[GUID_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort(); // can't be for so few bytes, once the kernel is up
	for (unsigned i = 0; i < GUID_BYTES; i++)
		snprintf(e->guid + (size_t)2 * i, 3, "%02x", random[i]);
}

// The node may have been made by a creation whose answer was lost: listed() has not seen it then.
static void join(struct election *e)
{
	char path[ZK_PATH_BYTES];
	char *data = own_data(e);
	struct asked *asked = asked_new(e);

	snprintf(path, sizeof(path), "%.400s/election/%s-n_", e->root, e->guid);
	if (data == NULL || asked == NULL ||
		zk_create(e->options.zk, path, data, strlen(data), ZK_EPHEMERAL | ZK_SEQUENCE,
			joined, asked) != 0) {
		free(asked);
		again(e);
	}
	free(data);
}

static void made(void *arg, const struct zk_answer *answer)
{
	struct election *e = asked_by(arg);

	if (e == NULL)
		return;
	if (answer->err == 0) {
#ifndef MUTANT_GUID_FORGOTTEN
		list(e); // it may stand already
#else
		join(e);
#endif
		return;
	}
	log_warn("can't make %s/election: %s", e->root, strerror(-answer->err));
	again(e);
}

static void enter(struct election *e)
{
	char path[ZK_PATH_BYTES];
	struct asked *asked = asked_new(e);

	snprintf(path, sizeof(path), "%.400s/election", e->root);
	if (asked == NULL || zk_make_path(e->options.zk, path, made, asked) != 0) {
		free(asked);
		again(e);
	}
}

static void retry(void *arg)
{
	struct election *e = arg;

	if (e->stage == STAGE_JOINING && e->node[0] == '\0' && !e->asking)
		enter(e); // finds the node when it is there, by the list
	else
		list(e);
}

static void pulse(void *arg)
{
	struct election *e = arg;
	uint64_t every = zk_session_timeout_ns(e->options.zk) / PULSES;
	char why[160];

	loop_timer_set(e->options.loop, &e->pulse, every);
	if (e->stage == STAGE_LEADING && !in_time(e)) {
		snprintf(why, sizeof(why), "ZooKeeper has answered nothing for %" PRIu64 " ms",
			(loop_now_ns() - zk_last_reply_ns(e->options.zk)) / 1000000);
		give_up(e, STAGE_WAITING, why);
	}
	list(e);
}

static void session_begins(struct election *e)
{
	draw_guid(e);
	e->stage = STAGE_JOINING;
	enter(e);
	loop_timer_set(e->options.loop, &e->pulse, 0);
}

static void session_ends(struct election *e, const char *why)
{
	e->session++;
	e->asking = false;
	e->node[0] = '\0';
	e->before[0] = '\0';
	e->leader_known = false;
	give_up(e, STAGE_OUT, why);
}

void election_session(struct election *e, enum zk_state state)
{
	if (state == ZK_EXPIRED || state == ZK_DENIED)
		session_ends(e, state == ZK_EXPIRED ? "its session with ZooKeeper has expired"
						    : "ZooKeeper doesn't take its credentials");
	else if (state == ZK_CONNECTED && e->stage == STAGE_OUT)
		session_begins(e);
	else if (state == ZK_CONNECTED)
		list(e);
}

int election_new(struct election **ret, const struct election_options *options)
{
	struct election *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	e->options = *options;
	snprintf(e->root, sizeof(e->root), "%s", options->root);
	snprintf(e->name, sizeof(e->name), "%s", options->name);
	snprintf(e->address, sizeof(e->address), "%s", options->address);
	e->watch = (struct zk_watch){.fn = gone, .arg = e};
	e->pulse = (struct loop_timer){.fn = pulse, .arg = e};
	e->retry = (struct loop_timer){.fn = retry, .arg = e};
	*ret = e;
	return 0;
}

void election_free(struct election *e)
{
	if (e == NULL)
		return;
	loop_timer_cancel(e->options.loop, &e->pulse);
	loop_timer_cancel(e->options.loop, &e->retry);
	free(e);
}
