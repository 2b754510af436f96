// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// libmillrace-cluster: a handle of libmillrace that finds the receivers of a cluster by itself.
// ZooKeeper knows them; each source has one that is its own, evenly and the same at each start. It
// goes to the next when that one fails, leaves one that retires, and comes back, as docs/cluster.md
// says.
//
// Its own header and library, because they bring ZooKeeper's client with them: who knows where the
// receivers are needs millrace.h alone.
//
//   millrace_cluster_open() ──▶ millrace_send() … with millrace_cluster_handle()
//                                           ──▶ millrace_cluster_close()
//
// Threads: as of a handle. Of the library's own there are two more, and ZooKeeper's client has two;
// all with all signals blocked. Neither it nor its handle survives fork().
//
// Without ZooKeeper, also for long, a handle goes on with what it knows.

#include "millrace.h"

#ifdef __cplusplus
extern "C" {
#endif

struct millrace_cluster;

// All zero but the first three is right. Copied by millrace_cluster_open().
struct millrace_cluster_options {
	size_t size;                 // sizeof(struct millrace_cluster_options)
	const char *zookeeper;       // "HOST:PORT", several separated by commas
	const char *cluster;         // its name
	const char *listener;        // of the receivers; NULL: the first one of the kind reliable
	uint32_t session_timeout_ms; // ZooKeeper's; 0: 10000
};

// Opens a handle, as millrace_open() does, for a cluster's receivers: 'receivers', 'resolve',
// 'resolve_arg' and 'next' of 'options' must be NULL. failover_after_ms 0: the cluster's own
// move_after. Does not wait for ZooKeeper, nor for a receiver. Its errors, and -EINVAL when one of
// 'cluster' is wrong; 'why' as there.
int millrace_cluster_open(struct millrace_cluster **ret,
	const struct millrace_cluster_options *cluster, const struct millrace_options *options,
	char *why);

// For millrace_send() and the others, but for millrace_close(). Valid until
// millrace_cluster_close().
struct millrace *millrace_cluster_handle(const struct millrace_cluster *cluster);

// As millrace_close(). It takes up to 3 s longer when ZooKeeper hangs. NULL: nothing, 0.
uint64_t millrace_cluster_close(struct millrace_cluster *cluster, int timeout_ms);

#ifdef __cplusplus
}
#endif
