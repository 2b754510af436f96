// SPDX-License-Identifier: BSD-3-Clause
// Which master is tried when, and what is made of how it ended.

#include "common/logmsg.h"
#include "control/mesos/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull
#define ANSWER_DEFAULT (10 * SECOND)
#define MISSES_DEFAULT 5
#define HOPS_MAX 5

bool scheduler_may(const struct mesos *m)
{
	return m->handlers.may == NULL || m->handlers.may(m->arg);
}

uint64_t scheduler_answer_ns(const struct mesos *m)
{
	return m->options.answer_ns > 0 ? m->options.answer_ns : ANSWER_DEFAULT;
}

static void close_all(struct mesos *m)
{
	if (m->stream.subscribed)
		m->counters.disconnects++;
	stream_close(m);
	calls_drop(m);
	m->hops = 0;
}

// One master after the other fails when none is there: only what is new is said.
static void complain(struct mesos *m, const char *why)
{
	if (strcmp(m->complaint, why) == 0)
		return;
	snprintf(m->complaint, sizeof(m->complaint), "%s", why);
	log_warn("Mesos: %s; will try again", why);
}

static void try_later(struct mesos *m)
{
	loop_timer_set(m->options.loop, &m->retry, mesos_backoff_next(&m->backoff));
}

static void attempt(struct mesos *m, const char *master)
{
	bool may = scheduler_may(m);
	int r;

	if (!m->started)
		return;
	if (!may) {
		close_all(m);
		try_later(m);
		return;
	}
	r = stream_open(m, master);
	if (r < 0)
		scheduler_failed(m, RETRY_LATER, strerror(-r));
}

static void on_retry(void *arg)
{
	struct mesos *m = arg;
	char master[MASTER_BYTES];

	if (m->masters.count == 0)
		return; // mesos_set_masters() goes on
	m->at %= m->masters.count;
	snprintf(m->via, sizeof(m->via), "%s", m->masters.list[m->at]);
	snprintf(master, sizeof(master), "%s", m->via);
	attempt(m, master);
}

void scheduler_redirected(struct mesos *m, const char *location)
{
	char to[MASTER_BYTES], why[MESOS_WHY_BYTES];

	if (!masters_location(location, to)) {
		snprintf(why, sizeof(why), "%s redirected to no master: \"%s\"", m->stream.master,
			location);
		scheduler_failed(m, RETRY_LATER, why);
	} else if (++m->hops > HOPS_MAX) {
		snprintf(why, sizeof(why), "%s: redirected more than %d times", m->via, HOPS_MAX);
		scheduler_failed(m, RETRY_LATER, why);
	} else {
		attempt(m, to);
	}
}

void scheduler_failed(struct mesos *m, enum retry how, const char *why)
{
	close_all(m);
	complain(m, why);
	m->at++;
	if (how == RETRY_NEXT && ++m->tried < m->masters.count) {
		loop_timer_set(m->options.loop, &m->retry, 0);
	} else {
		m->tried = 0;
		try_later(m);
	}
	if (m->handlers.failed != NULL)
		m->handlers.failed(m->arg, why);
}

// One that lived for some time is sought again at once; one that ended as soon as it was there
// would be again, and again.
void scheduler_lost(struct mesos *m, enum retry how, const char *why)
{
	bool lived = loop_now_ns() - m->stream.subscribed_ns >= m->backoff.base_ns;

	if (!m->stream.subscribed) {
		scheduler_failed(m, how, why);
		return;
	}
	close_all(m);
	m->tried = 0;
	if (lived)
		m->backoff.failures = 0;
	if (lived && how == RETRY_NEXT)
		loop_timer_set(m->options.loop, &m->retry, 0);
	else
		try_later(m);
	log_warn("Mesos: lost the stream: %s", why);
	m->handlers.disconnected(m->arg, why);
}

void scheduler_ended(struct mesos *m, enum mesos_end end, const char *why)
{
	mesos_stop(m);
	log_err("Mesos: ended: %s", why);
	m->handlers.ended(m->arg, end, why);
}

static int copy_options(struct mesos *m, const struct mesos_options *options)
{
	struct mesos_options *o = &m->options;
	const char **texts[] = {&o->principal, &o->secret, &o->ca, &o->name, &o->user, &o->role,
		&o->hostname, &o->webui_url};

	_Static_assert(sizeof(texts) / sizeof(texts[0]) == MESOS_TEXTS, "a place for each");
	*o = *options;
	for (size_t i = 0; i < MESOS_TEXTS; i++) {
		if (*texts[i] == NULL)
			continue;
		m->texts[i] = strdup(*texts[i]);
		if (m->texts[i] == NULL)
			return -ENOMEM;
		*texts[i] = m->texts[i];
	}
	if (o->heartbeat_misses == 0)
		o->heartbeat_misses = MISSES_DEFAULT;
	return 0;
}

int mesos_new(struct mesos **ret, const struct mesos_options *options,
	const struct mesos_handlers *handlers, void *arg)
{
	struct mesos *m = calloc(1, sizeof(*m));
	int r;

	if (m == NULL)
		return -ENOMEM;
	m->handlers = *handlers;
	m->arg = arg;
	m->retry = (struct loop_timer){.fn = on_retry, .arg = m};
	mesos_backoff_init(&m->backoff, options->backoff_ns, options->backoff_max_ns);
	stream_init(m);
	calls_init(m);
	r = copy_options(m, options);
	if (r < 0) {
		mesos_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void mesos_free(struct mesos *m)
{
	if (m == NULL)
		return;
	mesos_stop(m);
	for (size_t i = 0; i < MESOS_TEXTS; i++)
		free(m->texts[i]);
	free(m);
}

static void start_at_once(struct mesos *m)
{
	m->backoff.failures = m->tried = m->hops = 0;
	loop_timer_set(m->options.loop, &m->retry, 0);
}

// A try that waits or goes on with a master of the old list begins anew with the new one.
int mesos_set_masters(struct mesos *m, const char *text)
{
	struct masters masters;
	bool had_stream = m->stream.open, kept;
	int r = masters_parse(text, &masters);

	if (r < 0)
		return r;
	if (masters_same(&m->masters, &masters))
		return 0;
	kept = had_stream &&
	       (masters_have(&masters, m->via) || masters_have(&masters, m->stream.master));
	m->masters = masters;
	m->at = 0;
	if (!m->started || kept)
		return 0;
	if (m->stream.subscribed)
		scheduler_lost(m, RETRY_NEXT, "its master is listed no more");
	else
		close_all(m);
	if (m->started && !m->stream.open)
		start_at_once(m);
	return 0;
}

int mesos_start(struct mesos *m, const char *framework_id)
{
	size_t len = strlen(framework_id);

	if (len >= sizeof(m->framework_id))
		return -EINVAL;
	memmove(m->framework_id, framework_id, len + 1); // may be our own
	mesos_stop(m);
	m->started = true;
	m->complaint[0] = '\0';
	start_at_once(m);
	return 0;
}

void mesos_stop(struct mesos *m)
{
	m->started = false;
	loop_timer_cancel(m->options.loop, &m->retry);
	close_all(m);
}

bool mesos_connected(const struct mesos *m)
{
	return m->stream.subscribed;
}

const struct mesos_counters *mesos_counters(const struct mesos *m)
{
	return &m->counters;
}
