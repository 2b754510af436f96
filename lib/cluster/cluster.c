// SPDX-License-Identifier: BSD-3-Clause
#include "lib/cluster/cluster.h"

#include "common/clock.h"
#include "common/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_NS 1000000ull
#define SECOND_NS 1000000000ull
#define REFRESH_NS (30 * SECOND_NS)
#define SESSION_MS 10000u
#define NAME_MAX_BYTES 63u

static int complain(char *why, const char *text)
{
	snprintf(why, MILLRACE_TEXT, "%s", text);
	return -EINVAL;
}

static bool is_name(const char *text)
{
	return text != NULL && text[0] != '\0' && strlen(text) <= NAME_MAX_BYTES &&
	       strchr(text, '/') == NULL && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int check(const struct millrace_cluster_options *cluster,
	const struct millrace_options *options, char *why)
{
	if (cluster->size != sizeof(*cluster))
		return complain(why, "size: not that of struct millrace_cluster_options");
	if (cluster->zookeeper == NULL || strchr(cluster->zookeeper, ':') == NULL)
		return complain(why, "zookeeper: not HOST:PORT");
	if (!is_name(cluster->cluster))
		return complain(why, "cluster: not the name of one");
	if (cluster->listener != NULL && !is_name(cluster->listener))
		return complain(why, "listener: not the name of one");
	if (options->size != sizeof(*options))
		return complain(why, "size: not that of struct millrace_options");
	if (options->receivers != NULL || options->resolve != NULL || options->next != NULL)
		return complain(why, "receivers: they are the cluster's");
	return 0;
}

static void cluster_free(struct millrace_cluster *c)
{
	members_free(&c->members);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c->servers);
	free(c->name);
	free(c->listener);
	free(c);
}

static int cluster_make(
	struct millrace_cluster **ret, const struct millrace_cluster_options *options)
{
	struct millrace_cluster *c = calloc(1, sizeof(*c));
	pthread_condattr_t attributes;

	if (c == NULL)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	c->session_timeout_ms =
		(int)(options->session_timeout_ms != 0 ? options->session_timeout_ms : SESSION_MS);
	c->servers = strdup(options->zookeeper);
	c->name = strdup(options->cluster);
	c->listener = options->listener != NULL ? strdup(options->listener) : NULL;
	if (c->servers == NULL || c->name == NULL ||
		(options->listener != NULL && c->listener == NULL)) {
		cluster_free(c);
		return -ENOMEM;
	}
	snprintf(c->live, sizeof(c->live), "/millrace/%s/live", c->name);
	snprintf(c->senders, sizeof(c->senders), "/millrace/%s/senders", c->name);
	snprintf(c->why, sizeof(c->why), "ZooKeeper isn't connected yet");
	members_init(&c->members, 0, c->listener);
	*ret = c;
	return 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

// When there is to be a reading; now: there is.
static uint64_t keep_current(struct millrace_cluster *c, uint64_t now, bool wanted)
{
	uint64_t at = c->members.read ? c->members.read_at + REFRESH_NS : 0;

	if (!c->connected || c->answers > 0)
		return UINT64_MAX;
	if (wanted || c->outdated)
		at = 0;
	if (at < c->again_at)
		at = c->again_at;
	if (now < at)
		return at;
	watch_read(c);
	return UINT64_MAX;
}

// Whether nothing becomes durable though something waits: its receiver may have fallen ill.
static bool is_stuck(struct millrace_cluster *c, uint64_t now)
{
	struct millrace_stats stats;
	bool stuck;

	if (now < c->look_at)
		return false;
	millrace_get_stats(c->m, &stats, sizeof(stats));
	stuck = stats.bytes_kept > 0 && stats.acknowledged == c->acknowledged;
	c->acknowledged = stats.acknowledged;
	c->look_at = now + c->members.move_after_ns;
	return stuck;
}

// When the handle is to be told to go somewhere; now: it is told.
static uint64_t steer(struct millrace_cluster *c, uint64_t now, bool *ret_read)
{
	uint64_t due;
	unsigned n = members_wish(&c->members, now, &due, ret_read);

	if (c->own_time && c->told_move_after != c->members.move_after_ns) {
		c->told_move_after = c->members.move_after_ns;
		millrace_failover_after(c->m, (uint32_t)(c->told_move_after / MS_NS));
	}
	if (n != MEMBERS_NONE)
		millrace_go_to(c->m, n);
	return due > now ? due : UINT64_MAX;
}

// With the lock held, but for what takes long.
static uint64_t step(struct millrace_cluster *c)
{
	uint64_t now = clock_monotonic_ns(), due;
	bool wanted;

	if (c->over || (c->handle == NULL && now >= c->open_at)) {
		pthread_mutex_unlock(&c->lock);
		watch_close(c);
		watch_open(c);
		pthread_mutex_lock(&c->lock);
		return 0;
	}
	if (c->handle == NULL)
		return c->open_at;
	due = steer(c, now, &wanted);
	wanted |= is_stuck(c, now);
	return earlier(earlier(due, c->look_at), keep_current(c, now, wanted));
}

static void *cluster_main(void *arg)
{
	struct millrace_cluster *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->ending) {
		uint64_t until = step(c);
		const struct timespec then = {.tv_sec = (time_t)(until / SECOND_NS),
			.tv_nsec = (long)(until % SECOND_NS)};

		if (c->ending)
			break;
		if (until == UINT64_MAX)
			pthread_cond_wait(&c->changed, &c->lock);
		else
			pthread_cond_timedwait(&c->changed, &c->lock, &then);
	}
	pthread_mutex_unlock(&c->lock);
	watch_close(c);
	return NULL;
}

static int start(struct millrace_cluster *c, const struct millrace_options *options, char *why)
{
	struct millrace_options own = *options;
	int err;

	c->own_time = options->failover_after_ms == 0;
	own.resolve = place_resolve;
	own.next = place_next;
	own.resolve_arg = c;
	err = millrace_open(&c->m, &own, why);
	if (err != 0)
		return err;
	pthread_mutex_lock(&c->lock);
	members_init(&c->members, millrace_source(c->m), c->listener);
	pthread_mutex_unlock(&c->lock);
	err = thread_start(&c->thread, "millrace-find", cluster_main, c);
	if (err != 0)
		millrace_close(c->m, 0);
	return err;
}

int millrace_cluster_open(struct millrace_cluster **ret,
	const struct millrace_cluster_options *cluster, const struct millrace_options *options,
	char *why)
{
	struct millrace_cluster *c = NULL;
	char text[MILLRACE_TEXT] = "";
	int err = check(cluster, options, text);

	if (err == 0)
		err = cluster_make(&c, cluster);
	if (err == 0)
		err = start(c, options, text);
	if (err == 0)
		*ret = c;
	else if (c != NULL)
		cluster_free(c);
	if (err != 0 && text[0] == '\0')
		snprintf(text, sizeof(text), "%s", strerrordesc_np(-err));
	if (why != NULL)
		memcpy(why, text, sizeof(text));
	return err;
}

struct millrace *millrace_cluster_handle(const struct millrace_cluster *c)
{
	return c->m;
}

uint64_t millrace_cluster_close(struct millrace_cluster *c, int timeout_ms)
{
	uint64_t left;

	if (c == NULL)
		return 0;
	// Its thread asks for addresses until then.
	left = millrace_stop(c->m, timeout_ms);
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	millrace_close(c->m, 0);
	cluster_free(c);
	return left;
}
