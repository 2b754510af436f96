// SPDX-License-Identifier: BSD-3-Clause

#include "common/logmsg.h"
#include "control/zk_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000u
#define REOPEN_NS (1000u * NS_PER_MS)

struct change {
	struct zk *zk;
	const zhandle_t *handle; // whose state it was
	int state;
};

struct fired {
	struct zk *zk;
	struct zk_watch *watch;
};

void zk_ref(struct zk *zk)
{
	atomic_fetch_add(&zk->refs, 1);
}

void zk_unref(struct zk *zk)
{
	if (atomic_fetch_sub(&zk->refs, 1) != 1)
		return;
	free(zk->servers);
	free(zk->auth);
	free(zk);
}

static void tell(struct zk *zk, enum zk_state state)
{
	zk->state = state;
	if (zk->on_state != NULL)
		zk->on_state(zk->arg, state);
}

static void on_message(const char *message)
{
	log_debug("zookeeper: %s", message);
}

static void close_handle(struct zk *zk)
{
	zhandle_t *handle = zk->handle;

	zk->handle = NULL;
	if (handle != NULL)
		zookeeper_close(handle);
}

static void begin_anew(struct zk *zk, enum zk_state why)
{
	close_handle(zk);
	loop_timer_set(zk->loop, &zk->reopen, why == ZK_EXPIRED ? 0 : REOPEN_NS);
	tell(zk, why);
}

static void take_change(void *arg)
{
	struct change *change = arg;
	struct zk *zk = change->zk;
	int state = change->state;
	bool ours = zk->handle != NULL && zk->handle == change->handle && !zk->closed;

	free(change);
	if (!ours) {
	} else if (state == ZOO_EXPIRED_SESSION_STATE) {
		begin_anew(zk, ZK_EXPIRED);
	} else if (state == ZOO_AUTH_FAILED_STATE) {
		begin_anew(zk, ZK_DENIED);
	} else if (state == ZOO_CONNECTED_STATE) {
		tell(zk, ZK_CONNECTED);
	} else if (zk->state == ZK_CONNECTED) {
		tell(zk, ZK_CONNECTING);
	}
	zk_unref(zk);
}

// In the client's thread.
static void on_session(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	struct zk *zk = context;
	struct change *change;

	(void)path;
	if (type != ZOO_SESSION_EVENT)
		return;
	change = malloc(sizeof(*change));
	if (change == NULL)
		return; // the next pulse of whoever uses the session finds out
	*change = (struct change){.zk = zk, .handle = handle, .state = state};
	zk_ref(zk);
	if (loop_post(zk->loop, take_change, change) != 0) {
		free(change);
		zk_unref(zk);
	}
}

static void take_fired(void *arg)
{
	struct fired fired = *(struct fired *)arg;

	free(arg);
	if (!fired.zk->closed)
		fired.watch->fn(fired.watch->arg);
	zk_unref(fired.zk);
}

// In the client's thread.
void zk_on_watch(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	struct zk_watch *watch = context;
	struct fired *fired;

	(void)handle, (void)state, (void)path;
	if (type == ZOO_SESSION_EVENT)
		return;
	fired = malloc(sizeof(*fired));
	if (fired == NULL)
		return;
	*fired = (struct fired){.zk = watch->zk, .watch = watch};
	zk_ref(fired->zk);
	if (loop_post(fired->zk->loop, take_fired, fired) != 0) {
		zk_unref(fired->zk);
		free(fired);
	}
}

// The client closes connections itself in its threads; what it can't begin is tried again.
static void open_handle(void *arg)
{
	struct zk *zk = arg;

	zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
	zk->handle = zookeeper_init2(zk->servers, on_session, (int)(zk->timeout_ns / NS_PER_MS),
		NULL, zk, 0, on_message);
	if (zk->handle == NULL) {
		log_warn("ZooKeeper at %s: %s: trying again", zk->servers, strerror(errno));
		loop_timer_set(zk->loop, &zk->reopen, REOPEN_NS);
		return;
	}
	if (zk->auth != NULL)
		zoo_add_auth(zk->handle, "digest", zk->auth, (int)strlen(zk->auth), NULL, NULL);
}

int zk_open(struct zk **ret, const struct zk_options *options)
{
	struct zk *zk = calloc(1, sizeof(*zk));

	if (zk == NULL)
		return -ENOMEM;
	zk->refs = 1;
	zk->loop = options->loop;
	zk->on_state = options->state;
	zk->arg = options->arg;
	zk->timeout_ns = options->session_timeout_ns;
	zk->reopen = (struct loop_timer){.fn = open_handle, .arg = zk};
	zk->servers = strdup(options->servers);
	zk->auth = options->auth != NULL ? strdup(options->auth) : NULL;
	if (zk->servers == NULL || (options->auth != NULL && zk->auth == NULL)) {
		zk_unref(zk);
		return -ENOMEM;
	}
	open_handle(zk);
	*ret = zk;
	return 0;
}

void zk_close(struct zk *zk)
{
	if (zk == NULL)
		return;
	zk->closed = true;
	loop_timer_cancel(zk->loop, &zk->reopen);
	close_handle(zk);
}

void zk_free(struct zk *zk)
{
	if (zk != NULL)
		zk_unref(zk);
}

enum zk_state zk_state(const struct zk *zk)
{
	return zk->state;
}

uint64_t zk_session_timeout_ns(const struct zk *zk)
{
	int ms = zk->handle != NULL ? zoo_recv_timeout(zk->handle) : 0;

	return ms > 0 ? (uint64_t)ms * NS_PER_MS : zk->timeout_ns;
}

uint64_t zk_last_reply_ns(const struct zk *zk)
{
	return atomic_load(&zk->last_reply_ns);
}
