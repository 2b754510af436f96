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

typedef void (*http_handler)(const struct http_request *req, struct http_reply *reply, void *arg);

struct http_route {
	const char *path; // exact: "/api/v1/ports"
	http_handler handler;
	void *arg;
};

struct http;

// 'routes' (a terminating entry has path NULL) must outlive the server. A stale socket file is
// replaced; -EADDRINUSE when somebody still listens on it. Socket mode 0660.
int http_start(struct http **ret, const char *socket_path, const char *receiver,
	const struct http_route *routes);
void http_stop(struct http *http);
