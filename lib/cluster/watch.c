// SPDX-License-Identifier: BSD-3-Clause
// What ZooKeeper says of the receivers. Who comes and goes is watched, and what the leader tells
// senders. What a receiver says of itself changes each second: that is read when somebody came or
// went, and now and then.

#include "common/clock.h"
#include "lib/cluster/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS 1000000000ull

static void no_words(const char *message)
{
	(void)message;
}

static void on_session(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	struct millrace_cluster *c = context;

	(void)handle, (void)path;
	if (type != ZOO_SESSION_EVENT)
		return;
	pthread_mutex_lock(&c->lock);
	c->connected = state == ZOO_CONNECTED_STATE;
	c->over = state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE;
	c->outdated |= c->connected;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static void on_watch(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	struct millrace_cluster *c = context;

	(void)handle, (void)state, (void)path;
	if (type == ZOO_SESSION_EVENT)
		return;
	pthread_mutex_lock(&c->lock);
	c->outdated = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

// With the lock held, as all of a reading.
static void note_failure(struct millrace_cluster *c, const char *path, int rc)
{
	c->failed = true;
	if (!c->members.read)
		snprintf(c->why, sizeof(c->why), "ZooKeeper: %.120s: %s", path, zerror(rc));
}

static void answered(struct millrace_cluster *c)
{
	uint64_t now = clock_monotonic_ns();

	if (--c->answers > 0)
		return;
	if (c->failed) {
		c->again_at = now + SECOND_NS;
	} else {
		members_end(&c->members, now);
		c->again_at = 0;
		c->why[0] = '\0';
	}
	pthread_cond_signal(&c->changed);
}

// What the client said to a question: it answers none that it didn't take.
static void asked(struct millrace_cluster *c, const char *path, int rc)
{
	c->answers++;
	if (rc == ZOK)
		return;
	note_failure(c, path, rc);
	answered(c);
}

static void on_exists(int rc, const struct Stat *stat, const void *data)
{
	struct millrace_cluster *c = (struct millrace_cluster *)data;

	(void)stat;
	pthread_mutex_lock(&c->lock);
	// It is there after all.
	c->outdated |= rc == ZOK;
	if (rc != ZOK && rc != ZNONODE)
		note_failure(c, c->live, rc);
	answered(c);
	pthread_mutex_unlock(&c->lock);
}

// A node that isn't there: whether it comes.
static void await(struct millrace_cluster *c, const char *path)
{
	asked(c, path, zoo_awexists(c->handle, path, on_watch, c, on_exists, c));
}

static json_t *parse(const char *value, int len)
{
	return json_loadb(value, len > 0 ? (size_t)len : 0, JSON_REJECT_DUPLICATES, NULL);
}

// A receiver; one that went meanwhile is none.
static void on_live(int rc, const char *value, int len, const struct Stat *stat, const void *data)
{
	struct millrace_cluster *c = (struct millrace_cluster *)data;
	json_t *live = rc == ZOK ? parse(value, len) : NULL;

	(void)stat;
	pthread_mutex_lock(&c->lock);
	if (rc == ZOK)
		members_take(&c->members, live);
	else if (rc != ZNONODE)
		note_failure(c, c->live, rc);
	answered(c);
	pthread_mutex_unlock(&c->lock);
	json_decref(live);
}

static void on_names(int rc, const struct String_vector *names, const void *data)
{
	struct millrace_cluster *c = (struct millrace_cluster *)data;
	char path[2 * CLUSTER_TEXT];

	pthread_mutex_lock(&c->lock);
	for (int i = 0; rc == ZOK && i < names->count; i++) {
		snprintf(path, sizeof(path), "%s/%.200s", c->live, names->data[i]);
		asked(c, path, zoo_aget(c->handle, path, 0, on_live, c));
	}
	if (rc == ZNONODE)
		await(c, c->live);
	else if (rc != ZOK)
		note_failure(c, c->live, rc);
	answered(c);
	pthread_mutex_unlock(&c->lock);
}

static void on_senders(
	int rc, const char *value, int len, const struct Stat *stat, const void *data)
{
	struct millrace_cluster *c = (struct millrace_cluster *)data;
	json_t *senders = rc == ZOK ? parse(value, len) : NULL;

	(void)stat;
	pthread_mutex_lock(&c->lock);
	// What can't be understood changes nothing.
	if (senders != NULL || rc == ZNONODE)
		members_told(&c->members, senders, clock_monotonic_ns());
	if (rc == ZNONODE)
		await(c, c->senders);
	else if (rc != ZOK)
		note_failure(c, c->senders, rc);
	answered(c);
	pthread_mutex_unlock(&c->lock);
	json_decref(senders);
}

void watch_read(struct millrace_cluster *c)
{
	c->outdated = c->failed = false;
	// Held until both are asked: the first may be answered at once.
	c->answers = 1;
	members_begin(&c->members);
	asked(c, c->senders, zoo_awget(c->handle, c->senders, on_watch, c, on_senders, c));
	asked(c, c->live, zoo_awget_children(c->handle, c->live, on_watch, c, on_names, c));
	answered(c);
}

void watch_open(struct millrace_cluster *c)
{
	char why[CLUSTER_TEXT] = "ZooKeeper doesn't answer";

	errno = 0;
	c->handle = zookeeper_init2(c->servers, on_session, c->session_timeout_ms, NULL, c,
		ZOO_NO_LOG_CLIENTENV, no_words);
	c->open_at = clock_monotonic_ns() + SECOND_NS;
	if (c->handle == NULL)
		snprintf(why, sizeof(why), "ZooKeeper at %.150s: %s", c->servers,
			errno == ENOENT ? "no such host" : strerrordesc_np(errno));
	pthread_mutex_lock(&c->lock);
	if (!c->members.read)
		memcpy(c->why, why, sizeof(why));
	pthread_mutex_unlock(&c->lock);
}

void watch_close(struct millrace_cluster *c)
{
	if (c->handle != NULL)
		zookeeper_close(c->handle);
	c->handle = NULL;
	pthread_mutex_lock(&c->lock);
	c->connected = c->over = false;
	c->answers = 0;
	pthread_mutex_unlock(&c->lock);
}
