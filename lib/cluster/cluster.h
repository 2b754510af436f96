// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of libmillrace-cluster share. Three kinds of threads meet in it, under one lock:
// the handle's, which asks for addresses; ZooKeeper's client's, which brings answers; and its own,
// which opens sessions, asks, and says when to move.

#include "include/millrace_cluster.h"
#include "lib/cluster/members.h"

#include <pthread.h>
#include <zookeeper/zookeeper.h>

#define CLUSTER_TEXT 256

struct millrace_cluster {
	struct millrace *m;
	pthread_t thread;
	bool own_time; // failover_after_ms is the cluster's affair
	int session_timeout_ms;
	char *servers, *name, *listener;
	char live[CLUSTER_TEXT], senders[CLUSTER_TEXT]; // paths
	// The thread's.
	zhandle_t *handle; // NULL: none
	uint64_t open_at;
	uint64_t look_at; // whether anything has become durable
	uint64_t acknowledged;

	pthread_mutex_t lock;
	pthread_cond_t changed; // of CLOCK_MONOTONIC
	// All below is under 'lock'.
	struct members members;
	bool ending;
	bool connected, over;     // of the session
	bool outdated;            // something has changed since it was asked for
	unsigned answers;         // that the reading under way waits for; 0: none is
	bool failed;              // one of them was none
	uint64_t again_at;        // after a reading that failed
	char why[CLUSTER_TEXT];   // nothing is known; "": something is
	uint64_t told_move_after; // ns, to the handle
};

// lib/cluster/watch.c
// Opens a session, or says in 'why' what is wrong. The thread's.
void watch_open(struct millrace_cluster *c);
// No callback comes afterwards.
void watch_close(struct millrace_cluster *c);
// Begins a reading; with the lock held. Its end signals 'changed'.
void watch_read(struct millrace_cluster *c);

// lib/cluster/place.c: what the handle asks, in its thread.
int place_resolve(void *arg, unsigned n, struct sockaddr_storage *address, socklen_t *address_len,
	char name[MILLRACE_TEXT]);
unsigned place_next(void *arg, unsigned n);
