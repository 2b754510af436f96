// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/register.h"

#include "common/clock.h"
#include "common/logmsg.h"
#include "common/thread.h"
#include "control/supervisor/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS_NS 1000000ull
#define BACKOFF_MIN_NS (100 * MS_NS)
#define BACKOFF_MAX_NS (5000 * MS_NS)
#define LOOK_NS (5000 * MS_NS) // whether the node is still there, and still ours
#define CONTENT_MAX (1 << 20)  // of a node, in ZooKeeper

struct registration {
	const struct task *task;
	char path[CONFIG_PATH_MAX + CONFIG_NAME_MAX + sizeof(LIVE_DIR) + 2];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; // of CLOCK_MONOTONIC
	char *wanted;           // under 'lock'; NULL: nothing yet
	uint64_t wanted_number; // under 'lock': counts what was published
	bool stop, stopped;     // under 'lock'
	// The thread's own.
	struct session session;
	bool ours;               // the node is of this session
	int version;             // of its content
	uint64_t written_number; // what it holds
	uint64_t look_ns;        // when it is looked at again
	uint64_t backoff_ns;
	enum session_state seen;   // what this step acts on
	char told[TASK_WHY_BYTES]; // the last trouble that was logged: each is said once
};

static void tell_trouble(struct registration *r, const char *text)
{
	if (strcmp(r->told, text) == 0)
		return;
	snprintf(r->told, sizeof(r->told), "%s", text);
	log_warn("%s: not registered: %s; millraced goes on, and it is tried again", r->path, text);
}

static void tell_ours(struct registration *r, const char *how)
{
	log_notice("%s: registered%s", r->path, how);
	r->told[0] = '\0';
	r->backoff_ns = 0;
}

// A copy of what the node is to hold; NULL: nothing yet, or no memory.
static char *take_wanted(struct registration *r, uint64_t *ret_number)
{
	char *text;

	pthread_mutex_lock(&r->lock);
	text = r->wanted != NULL ? strdup(r->wanted) : NULL;
	*ret_number = r->wanted_number;
	pthread_mutex_unlock(&r->lock);
	return text;
}

static bool is_new(struct registration *r)
{
	bool found;

	pthread_mutex_lock(&r->lock);
	found = r->wanted_number != r->written_number;
	pthread_mutex_unlock(&r->lock);
	return found;
}

enum waking { FOR_THE_SESSION, FOR_NEWS_TOO };

// Until then, or until the session's state changes, a watch fires, it is to stop, or there is news.
static void wait_until_ns(struct registration *r, uint64_t then_ns, enum waking waking)
{
	const struct timespec then = {
		.tv_sec = (time_t)(then_ns / 1000000000), .tv_nsec = (long)(then_ns % 1000000000)};
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (rc == 0 && !r->stop && !r->session.watch_fired && r->session.state == r->seen &&
		!(waking == FOR_NEWS_TOO && r->wanted_number != r->written_number))
		rc = pthread_cond_timedwait(&r->changed, &r->lock, &then);
	r->session.watch_fired = false;
	pthread_mutex_unlock(&r->lock);
}

static void back_off(struct registration *r)
{
	r->backoff_ns = r->backoff_ns == 0 ? BACKOFF_MIN_NS : r->backoff_ns * 2;
	if (r->backoff_ns > BACKOFF_MAX_NS)
		r->backoff_ns = BACKOFF_MAX_NS;
	wait_until_ns(r, clock_monotonic_ns() + r->backoff_ns, FOR_THE_SESSION);
}

static bool is_ours(struct registration *r, const struct Stat *stat)
{
	return stat->ephemeralOwner == zoo_client_id(r->session.handle)->client_id;
}

static void own(struct registration *r, int version, uint64_t number)
{
	r->ours = true;
	r->version = version;
	r->written_number = number;
	r->look_ns = clock_monotonic_ns() + LOOK_NS;
}

// A session before this one of the same task: nobody else writes that id.
static bool is_of_this_task(const struct registration *r, const char *text, int len, char *who)
{
	json_t *json = json_loadb(text, len > 0 ? (size_t)len : 0, JSON_REJECT_DUPLICATES, NULL);
	struct live *live = malloc(sizeof(*live));
	bool same = false;

	snprintf(who, TASK_WHY_BYTES, "a node that is no receiver's");
	if (live != NULL && live_read(json, live) == 0) {
		same = strcmp(live->task_id, r->task->id) == 0;
		snprintf(who, TASK_WHY_BYTES, "task %.150s on %.150s", live->task_id,
			live->hostname);
		live_free(live);
	}
	free(live);
	json_decref(json);
	return same;
}

// The node is there: ours after all (the answer to its making was lost), or of an older session,
// which is removed or waited for.
static int meet(struct registration *r)
{
	char *text = malloc(CONTENT_MAX), who[TASK_WHY_BYTES], trouble[TASK_WHY_BYTES];
	struct Stat stat;
	int len = CONTENT_MAX;
	int rc = text != NULL ? zoo_wget(r->session.handle, r->path, session_watch, &r->session,
					text, &len, &stat)
			      : ZSYSTEMERROR;

	if (rc == ZOK && is_ours(r, &stat)) {
		own(r, stat.version, 0);
	} else if (rc == ZOK && is_of_this_task(r, text, len, who)) {
		rc = zoo_delete(r->session.handle, r->path, stat.version);
	} else if (rc == ZOK) {
		snprintf(trouble, sizeof(trouble), "%.320s holds it%s", who,
			stat.ephemeralOwner != 0 ? ", until its session ends"
						 : " for ever: remove it by hand");
		tell_trouble(r, trouble);
		wait_until_ns(r, clock_monotonic_ns() + LOOK_NS, FOR_THE_SESSION);
	}
	free(text);
	return rc == ZNONODE || rc == ZBADVERSION ? ZOK : rc;
}

static int make(struct registration *r)
{
	uint64_t number;
	char *text = take_wanted(r, &number);
	int rc;

	if (text == NULL) {
		wait_until_ns(r, clock_monotonic_ns() + LOOK_NS, FOR_NEWS_TOO);
		return ZOK;
	}
	rc = zoo_create(r->session.handle, r->path, text, (int)strlen(text), r->session.shown_acl,
		ZOO_EPHEMERAL, NULL, 0);
	free(text);
	if (rc == ZNONODE)
		return session_make_parents(&r->session, r->path);
	if (rc == ZNODEEXISTS)
		rc = meet(r);
	else if (rc == ZOK)
		own(r, 0, number);
	if (r->ours)
		tell_ours(r, "");
	return rc;
}

static int update(struct registration *r)
{
	uint64_t number;
	char *text = take_wanted(r, &number);
	struct Stat stat;
	int rc;

	if (text == NULL)
		return ZSYSTEMERROR;
	rc = zoo_set2(r->session.handle, r->path, text, (int)strlen(text), r->version, &stat);
	free(text);
	if (rc == ZOK)
		own(r, stat.version, number);
	return rc;
}

static int look(struct registration *r)
{
	struct Stat stat;
	int rc = zoo_exists(r->session.handle, r->path, 0, &stat);

	if (rc == ZOK && !is_ours(r, &stat))
		return ZNONODE;
	if (rc == ZOK)
		own(r, stat.version, r->written_number);
	return rc;
}

static int keep(struct registration *r)
{
	int rc = ZOK;

	if (is_new(r))
		rc = update(r);
	else if (clock_monotonic_ns() >= r->look_ns)
		rc = look(r);
	else
		wait_until_ns(r, r->look_ns, FOR_NEWS_TOO);
	if (rc == ZNONODE || rc == ZBADVERSION) {
		// Somebody removed it, or wrote into it.
		r->ours = false;
		rc = ZOK;
	}
	return rc;
}

static void end_session(struct registration *r)
{
	bool was_ours = r->ours;

	r->ours = false;
	if (r->session.refused)
		tell_trouble(r, "ZooKeeper refuses the credentials");
	else if (was_ours)
		tell_trouble(r, "the session is over");
	session_close(&r->session);
}

static void step_connected(struct registration *r)
{
	int rc = r->ours ? keep(r) : make(r);

	if (rc == ZOK)
		return;
	if (rc != ZCONNECTIONLOSS && rc != ZOPERATIONTIMEOUT && rc != ZSESSIONEXPIRED &&
		rc != ZINVALIDSTATE && rc != ZCLOSING)
		tell_trouble(r, zerror(rc));
	back_off(r);
}

static void step(struct registration *r)
{
	char why[TASK_WHY_BYTES];

	r->seen = session_state(&r->session);
	if (r->session.handle == NULL) {
		if (session_open(&r->session, r->task, why) == 0)
			return;
		tell_trouble(r, why);
		back_off(r);
		return;
	}
	switch (r->seen) {
	case SESSION_OVER:
		end_session(r);
		back_off(r);
		break;
	case SESSION_CONNECTED:
		step_connected(r);
		break;
	default:
		wait_until_ns(r, clock_monotonic_ns() + LOOK_NS, FOR_THE_SESSION);
	}
}

static bool stopping(struct registration *r)
{
	bool stop;

	pthread_mutex_lock(&r->lock);
	stop = r->stop;
	pthread_mutex_unlock(&r->lock);
	return stop;
}

static void *run(void *arg)
{
	struct registration *r = arg;

	while (!stopping(r))
		step(r);
	session_close(&r->session);
	pthread_mutex_lock(&r->lock);
	r->stopped = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void free_registration(struct registration *r)
{
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r->wanted);
	free(r);
}

int register_start(struct registration **ret, const struct task *task)
{
	struct registration *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->task = task;
	snprintf(r->path, sizeof(r->path), "%s/" LIVE_DIR "/%s", task->root, task->receiver);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	r->session.lock = &r->lock;
	r->session.changed = &r->changed;
	err = thread_start(&r->thread, "register", run, r);
	if (err != 0) {
		free_registration(r);
		return err;
	}
	*ret = r;
	return 0;
}

int register_publish(struct registration *r, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	free(r->wanted);
	r->wanted = copy;
	r->wanted_number++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

void register_stop(struct registration *r, uint64_t patience_ns)
{
	uint64_t until_ns = clock_monotonic_ns() + patience_ns;
	const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
		.tv_nsec = (long)(until_ns % 1000000000)};
	bool stopped;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->changed);
	while (rc == 0 && !r->stopped)
		rc = pthread_cond_timedwait(&r->changed, &r->lock, &until);
	stopped = r->stopped;
	pthread_mutex_unlock(&r->lock);
	if (!stopped) {
		log_warn("%s: ZooKeeper doesn't answer; the node goes when its session times out",
			r->path);
		return;
	}
	pthread_join(r->thread, NULL);
	free_registration(r);
}
