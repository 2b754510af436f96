// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/observe.h"

#include "common/clock.h"
#include "common/json.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "control/supervisor/ask.h"
#include "control/supervisor/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS_NS 1000000ull
#define ROUND_NS (1000 * MS_NS)
#define STARTING_ROUND_NS (50 * MS_NS)
#define COUNTED_NS (2000 * MS_NS) // what changes all the time is written no more often
#define SILENT_NS (5000 * MS_NS)  // so long without an answer, and it has failed

// What the main thread says.
struct launched {
	pid_t pid; // 0: none yet
	uint64_t restarts;
	int64_t at; // real time
	bool ending, stop;
};

struct observer {
	struct registration *registration;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; // of CLOCK_MONOTONIC
	struct launched said;   // under 'lock'
	// The thread's own.
	struct launched seen;
	struct asker asker;
	struct live live, published; // 'listeners' are those of both
	bool answered;               // this millraced did, since it was launched
	uint64_t answered_ns, published_ns;
	struct gather_totals totals;
};

static void publish(struct observer *o)
{
	json_t *json = live_write(&o->live);
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (text == NULL || register_publish(o->registration, text) != 0) {
		log_err("what is registered can't be written: %s", strerror(ENOMEM));
	} else {
		o->published = o->live;
		o->published_ns = clock_monotonic_ns();
	}
	free(text);
}

static void publish_if_it_matters(struct observer *o)
{
	enum live_change change = live_compare(&o->live, &o->published);

	if (change == LIVE_CHANGED ||
		(change == LIVE_COUNTED && clock_monotonic_ns() - o->published_ns >= COUNTED_NS))
		publish(o);
}

static void set_health(struct observer *o, enum live_health health, const char *why)
{
	o->live.health = health;
	snprintf(o->live.why, sizeof(o->live.why), "%s", why);
}

// What was said before is no more so.
static void forget_lags(struct observer *o)
{
	for (unsigned i = 0; i < o->live.sink_count; i++)
		o->live.sinks[i].lag_known = false;
}

// A new process, or the end: the node says so at once.
static void take_news(struct observer *o)
{
	if (o->seen.ending) {
		set_health(o, LIVE_FAILED, "it is being ended");
		return;
	}
	o->live.pid = o->seen.pid;
	o->live.restarts = o->seen.restarts;
	time_text(o->seen.at, o->live.started_at);
	set_health(o, LIVE_STARTING, "its API doesn't answer yet");
	o->answered = false;
	o->totals = (struct gather_totals){0};
	gather_load(&o->live, &o->totals, &o->totals);
	forget_lags(o);
}

// Whether it is this millraced that answers: one that was killed may have answered a moment ago.
static bool is_its(const struct observer *o, const json_t *status)
{
	return json_integer_value(json_object_get(status, "pid")) == o->seen.pid;
}

static bool take_lists(struct observer *o, char *why)
{
	json_t *partitions = ask(&o->asker, "/api/v1/partitions", why);
	json_t *sinks = partitions != NULL ? ask(&o->asker, "/api/v1/sinks", why) : NULL;
	bool good = sinks != NULL && gather_partitions(&o->live, partitions) &&
		    gather_sinks(&o->live, sinks);

	json_decref(partitions);
	json_decref(sinks);
	return good;
}

static bool take_load(struct observer *o, char *why)
{
	json_t *drops = ask(&o->asker, "/api/v1/drops", why);
	json_t *ports = drops != NULL ? ask(&o->asker, "/api/v1/ports", why) : NULL;
	struct gather_totals now = {.at_ns = clock_monotonic_ns()};
	bool good = ports != NULL && gather_totals(&now, drops, ports);

	if (good) {
		gather_load(&o->live, &o->totals, &now);
		o->totals = now;
	}
	json_decref(drops);
	json_decref(ports);
	return good;
}

static bool take_all(struct observer *o, char *why)
{
	json_t *status = ask(&o->asker, "/api/v1/status", why);
	bool good = status != NULL && is_its(o, status) && take_lists(o, why) && take_load(o, why);

	// Health last: whoever reads "ok" finds the logs beside it.
	if (good)
		good = gather_status(&o->live, status);
	json_decref(status);
	return good;
}

static void look(struct observer *o)
{
	char why[ASK_WHY_BYTES] = "its API doesn't say what it should";
	uint64_t now;

	if (o->seen.pid == 0 || o->seen.ending)
		return;
	if (take_all(o, why)) {
		o->answered = true;
		o->answered_ns = clock_monotonic_ns();
		return;
	}
	now = clock_monotonic_ns();
	if (o->answered && now - o->answered_ns >= SILENT_NS) {
		set_health(o, LIVE_FAILED, why);
		forget_lags(o);
	}
}

// Until then, or until the main thread says something; true when it did.
static bool wait_for_news(struct observer *o, uint64_t then_ns)
{
	const struct timespec then = {
		.tv_sec = (time_t)(then_ns / 1000000000), .tv_nsec = (long)(then_ns % 1000000000)};
	bool news;
	int rc = 0;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		news = o->said.pid != o->seen.pid || o->said.restarts != o->seen.restarts ||
		       o->said.ending != o->seen.ending || o->said.stop;
		if (news || rc != 0)
			break;
		rc = pthread_cond_timedwait(&o->changed, &o->lock, &then);
	}
	o->seen = o->said;
	pthread_mutex_unlock(&o->lock);
	return news;
}

static void *run(void *arg)
{
	struct observer *o = arg;

	for (uint64_t next = clock_monotonic_ns();;) {
		if (wait_for_news(o, next))
			take_news(o);
		if (o->seen.stop)
			return NULL;
		look(o);
		if (o->seen.pid != 0)
			publish_if_it_matters(o);
		next = clock_monotonic_ns() + (o->answered ? ROUND_NS : STARTING_ROUND_NS);
	}
}

static void free_observer(struct observer *o)
{
	ask_free(&o->asker);
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->lock);
	live_free(&o->live);
	free(o);
}

static int prepare(struct observer *o, const struct task *task, const struct config *config)
{
	struct live *live = &o->live;
	pthread_condattr_t attr;

	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->changed, &attr);
	pthread_condattr_destroy(&attr);
	memcpy(live->receiver, task->receiver, sizeof(live->receiver));
	memcpy(live->task_id, task->id, sizeof(live->task_id));
	memcpy(live->hostname, task->hostname, sizeof(live->hostname));
	memcpy(live->socket, config->socket, sizeof(live->socket));
	if (gather_listeners(live, config) != 0)
		return -ENOMEM;
	return ask_init(&o->asker, config->socket);
}

int observer_start(struct observer **ret, const struct task *task, const struct config *config,
	struct registration *registration)
{
	struct observer *o = calloc(1, sizeof(*o));
	int err;

	if (o == NULL)
		return -ENOMEM;
	o->registration = registration;
	err = prepare(o, task, config);
	if (err == 0)
		err = thread_start(&o->thread, "observe", run, o);
	if (err != 0) {
		free_observer(o);
		return err;
	}
	*ret = o;
	return 0;
}

void observer_launched(struct observer *o, pid_t pid, uint64_t restarts)
{
	pthread_mutex_lock(&o->lock);
	o->said.pid = pid;
	o->said.restarts = restarts;
	o->said.at = clock_system_ns();
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

void observer_ending(struct observer *o)
{
	pthread_mutex_lock(&o->lock);
	o->said.ending = true;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

void observer_stop(struct observer *o)
{
	pthread_mutex_lock(&o->lock);
	o->said.stop = true;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
	pthread_join(o->thread, NULL);
	free_observer(o);
}
