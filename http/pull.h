// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The pull API: sealed, durable batches as Arrow IPC streams, and named consumers whose committed
// places hold retention (docs/api.md). All of it is the server's thread's, by the routes and the
// tick; only pull_new(), pull_free() and pull_alarms() are for others.
//
// Nothing here has a thread: what waits for a batch is looked at every 10 ms by the server, while
// something does wait; a consumer's time to live by the tick.

#include "common/config.h"
#include "http/server.h"
#include "wal/wal.h"

struct pull;

// 'partitions' is copied, the logs must outlive it. Consumers that are known hold retention from
// here on: call it while the logs still keep everything (struct wal_options.hold). A file of
// consumers that can't be taken is no error, but an alarm. Control thread.
int pull_new(struct pull **ret, const struct config_api *api, const char *receiver,
	const struct wal_live *partitions, unsigned count);
// After the server has stopped, and before the logs are closed. NULL is fine.
void pull_free(struct pull *pull);

// For struct http_options: more_routes, tick.
const struct http_route *pull_routes(struct pull *pull);
void pull_tick(void *pull);

// Adds a line for each partition whose consumers need looking at; how many. Any thread; NULL has
// none.
unsigned pull_alarms(const struct pull *pull, json_t *reasons);
