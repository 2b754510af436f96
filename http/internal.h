// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The server from within. All of it belongs to the server's one thread.

#include "common/counters.h"
#include "http/pool.h"
#include "http/server.h"
#include "http/socket.h"
#include "http/tokens.h"

#include <microhttpd.h>

#include <pthread.h>
#include <stdatomic.h>

#define HTTP_COUNTERS(X) \
	X(requests, TOTAL, "requests answered") \
	X(refused_requests, TOTAL, "requests answered with a status of 400 or above") \
	X(refused_tokens, TOTAL, "requests without a token that is known, or of too small a role") \
	X(closed_connections, TOTAL, "connections closed to make room for another") \
	X(connections, GAUGE, "connections open") \
	X(waiting_requests, GAUGE, "requests that wait for something to happen")

enum http_counter {
#define X(name, kind, help) HTTP_##name,
	HTTP_COUNTERS(X)
#undef X
		HTTP_COUNTER_COUNT
};

// Where clients come in.
struct http_door {
	struct http *http;
	struct MHD_Daemon *daemon;  // NULL: not there
	struct http_tokens *tokens; // NULL: needs none
	unsigned port;              // of TCP
	int epoll_fd;
	struct http_pool pool;
	char *why; // while it is opened: the library's words
};

enum { DOOR_SOCKET, DOOR_TCP, DOORS };

struct http {
	const struct http_route *tables[2];
	char *receiver;
	char *path;
	struct http_socket sock;
	struct http_door doors[DOORS];
	void (*tick)(void *arg);
	void *tick_arg;
	uint64_t tick_at; // CLOCK_MONOTONIC
	pthread_t thread;
	int wake_fd; // eventfd: stop
	_Atomic bool stop;
	struct http_call *waiting;
	uint64_t look_at; // CLOCK_MONOTONIC: when those are looked at next
	struct counter_set set;
	uint64_t values[HTTP_COUNTER_COUNT];
};

// One request, from its headers to its end.
struct http_call {
	struct http_door *door;
	struct MHD_Connection *connection;
	const struct http_route *route;
	char params[HTTP_PARAMS_MAX][HTTP_PARAM_BYTES];
	char *body;
	size_t body_len;
	bool old_version; // HTTP/1.0: can't tell an end from a cut
	bool counted;
	uint64_t began_ns;
	unsigned refused; // 0, or the status
	const char *refused_why;
	char allow[40]; // for 405
	bool gone;      // the client
	bool waiting, waited;
	struct http_wait wait;
	struct http_call *next; // that waits, too
};

// request.c

enum MHD_Result http_on_request(void *door, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **state);
void http_on_completed(void *door, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code);
void http_on_connection(void *door, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code);

// Resumes whoever's time has come or whose client is gone; 'all': everybody.
void http_wake_waiting(struct http *http, bool all);

// route.c

// Finds the route: 0 and call->route, call->params; else 404, or 405 and call->allow.
unsigned http_find_route(struct http_call *call, const char *path, enum http_method method);

// Whether the path has the pattern's form; params as HTTP_PARAMS_MAX texts.
bool http_match(const char *pattern, const char *path, char params[][HTTP_PARAM_BYTES]);

json_t *http_known_paths(const struct http *http);

// reply.c

// Takes over what the reply owns.
enum MHD_Result http_send_reply(struct http_call *call, struct http_reply *reply);
enum MHD_Result http_send_error(struct http_call *call, unsigned status, const char *text);
enum MHD_Result http_send_text(
	struct http_call *call, unsigned status, const char *type, char *text, size_t len);

// door.c

int http_open_socket(struct http *http, const char *path, char *why);
int http_open_tcp(struct http *http, const struct config_api *api, char *why);
void http_close_door(struct http_door *door);
