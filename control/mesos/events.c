// SPDX-License-Identifier: BSD-3-Clause
// What the master says on the stream.

#include "common/logmsg.h"
#include "control/mesos/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND 1e9
#define HEARTBEAT_DEFAULT 15.0
#define HEARTBEAT_MAX 3600.0

// The text of {"NAME": {"value": TEXT}}; NULL: it isn't there.
static const char *value_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(json_object_get(object, name), "value"));
}

static int on_subscribed(struct mesos *m, const json_t *body)
{
	const char *id = value_of(body, "framework_id");
	const json_t *interval = json_object_get(body, "heartbeat_interval_seconds");
	double seconds = json_is_number(interval) ? json_number_value(interval) : HEARTBEAT_DEFAULT;
	char master[MASTER_BYTES];
	int r;

	if (m->stream.subscribed || id == NULL || id[0] == '\0' ||
		strlen(id) >= sizeof(m->framework_id))
		return -EBADMSG;
	if (!(seconds > 0 && seconds <= HEARTBEAT_MAX))
		seconds = HEARTBEAT_DEFAULT;
	snprintf(m->framework_id, sizeof(m->framework_id), "%s", id);
	snprintf(master, sizeof(master), "%s", m->stream.master);
	m->stream.heartbeat_ns = (uint64_t)(seconds * SECOND);
	r = calls_begin(m);
	if (r < 0)
		return r;
	m->stream.subscribed = true;
	m->stream.subscribed_ns = loop_now_ns();
	m->counters.connects++;
	m->complaint[0] = '\0';
	stream_alive(m);
	log_notice("Mesos: subscribed to %s as framework %s", master, id);
	m->handlers.subscribed(m->arg, id, master);
	return 0;
}

static int on_offers(struct mesos *m, const json_t *body)
{
	const json_t *offers = json_object_get(body, "offers");

	if (!json_is_array(offers))
		return -EBADMSG;
	m->counters.offers += json_array_size(offers);
	m->handlers.offers(m->arg, offers);
	return 0;
}

static int on_rescind(struct mesos *m, const json_t *body)
{
	const char *id = value_of(body, "offer_id");

	if (id == NULL)
		return -EBADMSG;
	m->handlers.rescinded(m->arg, id);
	return 0;
}

static int on_update(struct mesos *m, const json_t *body)
{
	const json_t *status = json_object_get(body, "status");

	if (value_of(status, "task_id") == NULL ||
		!json_is_string(json_object_get(status, "state")))
		return -EBADMSG;
	m->handlers.update(m->arg, status);
	return 0;
}

// With an executor's id, only that one ended: its task's update says so.
static int on_failure(struct mesos *m, const json_t *body)
{
	const char *id = value_of(body, "agent_id");

	if (json_object_get(body, "executor_id") != NULL)
		return 0;
	if (id == NULL)
		return -EBADMSG;
	m->handlers.agent_lost(m->arg, id);
	return 0;
}

// The master has no codes for these, only words. After any other, it is tried again.
static const struct {
	const char *words;
	enum mesos_end end;
} last_words[] = {
#ifndef MUTANT_FAILOVER_FOUGHT
	{"failed over", MESOS_FAILED_OVER},
#endif
	{"has been removed", MESOS_REMOVED},
	{"not authorized", MESOS_REFUSED},
};

static int on_error(struct mesos *m, const json_t *body)
{
	const char *text = json_string_value(json_object_get(body, "message"));
	char why[MESOS_WHY_BYTES];

	snprintf(why, sizeof(why), "%s: %s", m->stream.master, text != NULL ? text : "an error");
	for (size_t i = 0; i < sizeof(last_words) / sizeof(last_words[0]); i++) {
		if (text == NULL || strcasestr(text, last_words[i].words) == NULL)
			continue;
		scheduler_ended(m, last_words[i].end, why);
		return 0;
	}
	scheduler_lost(m, RETRY_LATER, why);
	return 0;
}

static int on_heartbeat(struct mesos *m, const json_t *body)
{
	(void)body;
	m->counters.heartbeats++;
	return 0;
}

// Of these, 'early' may come before SUBSCRIBED.
static const struct {
	const char *type, *field;
	bool early;
	int (*take)(struct mesos *m, const json_t *body);
} kinds[] = {
	{"SUBSCRIBED", "subscribed", true, on_subscribed},
	{"OFFERS", "offers", false, on_offers},
	{"RESCIND", "rescind", false, on_rescind},
	{"UPDATE", "update", false, on_update},
	{"FAILURE", "failure", false, on_failure},
	{"ERROR", "error", true, on_error},
	{"HEARTBEAT", NULL, true, on_heartbeat},
};

static int take(struct mesos *m, const json_t *event)
{
	const char *type = json_string_value(json_object_get(event, "type"));

	if (type == NULL)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].type, type) != 0)
			continue;
		if (!kinds[i].early && !m->stream.subscribed)
			return -EBADMSG;
		return kinds[i].take(
			m, kinds[i].field == NULL ? NULL : json_object_get(event, kinds[i].field));
	}
	log_debug("Mesos: event %s is not for us", type);
	return 0;
}

int events_take(struct mesos *m, const char *data, size_t len)
{
	json_t *event = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
	int r;

	if (event == NULL)
		return -EBADMSG;
	m->counters.events++;
	r = take(m, event);
	json_decref(event);
	return r;
}
