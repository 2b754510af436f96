// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between zk.c (the session) and zk_request.c (what is asked in it).

#ifndef THREADED
#define THREADED // the client's multi-threaded kind
#endif
#include "control/zk.h"

#include <stdatomic.h>
#include <zookeeper/zookeeper.h>

struct zk {
	atomic_uint refs; // the owner's, and one of each request, watch and change under way
	struct loop *loop;
	char *servers, *auth;
	uint64_t timeout_ns;
	void (*on_state)(void *arg, enum zk_state state);
	void *arg;
	zhandle_t *handle; // NULL: between two sessions
	enum zk_state state;
	bool closed;
	struct loop_timer reopen;
	_Atomic uint64_t last_reply_ns; // the client's thread writes it
};

void zk_ref(struct zk *zk);
void zk_unref(struct zk *zk);
void zk_on_watch(zhandle_t *handle, int type, int state, const char *path, void *context);
