// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The API of millraced over HTTP on a Unix socket (libmicrohttpd, threads of its own). It serves
// /metrics (OpenMetrics) and /api/v1/stats, /api/v1/drops from the registered counters by itself;
// everything that needs to know more comes as a route from main().

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

struct http_request {
	const char *path;
	const char *(*query)(const struct http_request *req, const char *key); // NULL when absent
	void *connection;
};

struct http_reply {
	unsigned status;    // 200 by default
	const char *schema; // of the envelope, for data
	json_t *data;       // owned by the reply
	json_t *warnings;   // owned by the reply
	char error[256];    // for status >= 400
};

// A query value as a number: true, and *ret set when the key is there. False when it is none or
// above max; the reply then says so with 400 and the handler returns.
bool http_query_u64(const struct http_request *req, const char *key, uint64_t max, uint64_t *ret,
	struct http_reply *reply);

typedef void (*http_handler)(const struct http_request *req, struct http_reply *reply, void *arg);

struct http_route {
	const char *path; // exact: "/api/v1/ports"
	http_handler handler;
	void *arg;
};

struct http;

// 'routes' (a terminating entry has path NULL) must outlive the server. A stale socket file is
// replaced; -EADDRINUSE when somebody still listens on it, -ENOTSOCK when the name is taken by
// another kind of file. Socket mode 0660. Handlers run in the server's thread, one at a time.
int http_start(struct http **ret, const char *socket_path, const char *receiver,
	const struct http_route *routes);
void http_stop(struct http *http);
