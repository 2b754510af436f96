// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The API of millraced over HTTP on a Unix socket, and over TCP with TLS and tokens where that is
// configured (libmicrohttpd, in one thread of the server's own). It serves /metrics (OpenMetrics)
// and /api/v1/stats, /api/v1/drops from the registered counters by itself; everything that needs to
// know more comes as a route from main().

#include "common/config.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_WHY_BYTES 1024
#define HTTP_PARAMS_MAX 2
#define HTTP_PARAM_BYTES 80 // a longer part of a path is none of a route's
#define HTTP_HEADERS_MAX 8
#define HTTP_BODY_MAX (64u << 10)

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_METHODS }; // GET: HEAD, too

// What a token allows; each role what those before it may, too.
enum http_role { HTTP_READ, HTTP_CONSUME, HTTP_ADMIN };

struct http_request {
	const char *path;
	const char *(*query)(const struct http_request *req, const char *key); // NULL when absent
	void *connection;
	const char *params[HTTP_PARAMS_MAX]; // what stands for {…} of the route's path, in order
	const char *body;                    // of a route that takes one; a zero byte behind it
	size_t body_len;
	uint64_t began_ns;   // CLOCK_MONOTONIC: when all of it was there
	bool waited;         // the handler is called again
	uint64_t wait_value; // then: of its http_wait
};

struct http_header {
	const char *name; // static
	char value[256];
};

// A body of any length, in pieces as the client takes them.
struct http_stream {
	// Up to 'room' bytes. Above 0: how many; 0: that was all; below 0: the connection is cut,
	// so that nobody takes what came for all of it. It holds up every other request while it
	// runs.
	ssize_t (*read)(void *arg, char *buf, size_t room);
	void (*close)(void *arg); // once, whatever happened
	void *arg;
	const char *type; // Content-Type
};

// The handler has no answer yet and wants to be called again, with the same request.
struct http_wait {
	bool (*ready)(void *arg, uint64_t value); // NULL: doesn't wait; else asked every 10 ms
	void *arg;
	uint64_t value;
	uint64_t until_ns; // CLOCK_MONOTONIC: at latest then
	// NULL, or called once where the handler is not called again: the client has gone, or the
	// server stops.
	void (*gone)(void *arg, uint64_t value);
};

struct http_reply {
	unsigned status;    // 200 by default
	const char *schema; // of the envelope, for data
	json_t *data;       // owned by the reply
	json_t *warnings;   // owned by the reply
	char error[256];    // for status >= 400
	unsigned header_count;
	struct http_header headers[HTTP_HEADERS_MAX];
	struct http_stream stream; // instead of data, when read is set
	struct http_wait wait;     // instead of an answer, when ready is set
};

// A query value as a number: true, and *ret set when the key is there. False when it is none or
// above max; the reply then says so with 400 and the handler returns.
bool http_query_u64(const struct http_request *req, const char *key, uint64_t max, uint64_t *ret,
	struct http_reply *reply);

// Adds a header; what finds no room is left out. 'name' is static.
void http_reply_header(struct http_reply *reply, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

// The reply is an error of that status, which the text explains.
void http_reply_error(struct http_reply *reply, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

typedef void (*http_handler)(const struct http_request *req, struct http_reply *reply, void *arg);

struct http_route {
	const char *path; // "/api/v1/ports", "/api/v1/partitions/{n}/batches/{m}"
	http_handler handler;
	void *arg;
	enum http_method method;
	enum http_role role; // that a token must have; the Unix socket asks for none
	bool body;           // takes one; else it is read and forgotten
	size_t body_max;     // of one, bytes; 0: HTTP_BODY_MAX
};

struct http;

struct http_options {
	const char *socket_path;
	const char *receiver;
	// Both end with an entry without a path, and outlive the server. NULL is fine.
	const struct http_route *routes, *more_routes;
	const struct config_api *api; // NULL, or its 'listen' is "": the Unix socket only
	void (*tick)(void *arg);      // NULL, or called about once a second
	void *tick_arg;
};

// A stale socket file is replaced; -EADDRINUSE when somebody still listens on it, -ENOTSOCK when
// the name is taken by another kind of file. Socket mode 0660. Handlers, streams and tick run in
// the server's thread, one at a time. After an error 'why' (HTTP_WHY_BYTES) says what and the mend.
int http_start_with(struct http **ret, const struct http_options *options, char *why);

// What would keep TCP from being served as it is configured, but for an address or port that can't
// be had and a key that isn't the certificate's: 0, or negative errno and 'why'. Opens no socket.
int http_tcp_check(const struct config_api *api, char *why);

// http_start_with() on the Unix socket alone.
int http_start(struct http **ret, const char *socket_path, const char *receiver,
	const struct http_route *routes);

// Whoever still waits or reads is cut off.
void http_stop(struct http *http);

// The port that TCP is served on: what was asked for by ":0". 0: TCP isn't served.
unsigned http_tcp_port(const struct http *http);
