// SPDX-License-Identifier: BSD-3-Clause
// A request from its headers to its answer.

#include "common/clock.h"
#include "common/counters.h"
#include "http/internal.h"
#include "http/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_VALUE_MAX 256
#define FORGET_MAX (1u << 20) // of a body that is read though nobody wants it

static const char *query(const struct http_request *req, const char *key)
{
	return MHD_lookup_connection_value(req->connection, MHD_GET_ARGUMENT_KIND, key);
}

bool http_query_u64(const struct http_request *req, const char *key, uint64_t max, uint64_t *ret,
	struct http_reply *reply)
{
	const char *text = req->query(req, key);
	char *end;

	if (text == NULL)
		return true;
	errno = 0;
	// strtoull takes signs and blanks; a number of ours begins with a digit
	if (text[0] >= '0' && text[0] <= '9') {
		unsigned long long value = strtoull(text, &end, 10);

		if (*end == '\0' && errno == 0 && value <= max) {
			*ret = value;
			return true;
		}
	}
	http_reply_error(reply, MHD_HTTP_BAD_REQUEST,
		"%s=%.32s: wants a whole number from 0 to %" PRIu64, key, text, max);
	return false;
}

static struct http_slot *slot_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

// A value with a zero byte in it would be judged by what stands before.
static enum MHD_Result find_bad_value(void *arg, enum MHD_ValueKind kind, const char *key,
	size_t key_size, const char *value, size_t value_size)
{
	bool *bad = arg;

	(void)kind;
	if (strlen(key) != key_size || value_size > QUERY_VALUE_MAX ||
		(value != NULL && strlen(value) != value_size))
		*bad = true;
	return *bad ? MHD_NO : MHD_YES;
}

static void refuse(struct http_call *call, unsigned status, const char *why)
{
	call->refused = status;
	call->refused_why = why;
}

static const char *header(const struct http_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

// Who asks. The Unix socket has let in only whom its mode lets in.
static bool authorize(struct http_call *call, enum http_role *ret)
{
	struct http_tokens *tokens = call->door->tokens;
	int r = 0;

	*ret = HTTP_ADMIN;
	if (tokens != NULL)
		r = http_tokens_check(tokens, header(call, MHD_HTTP_HEADER_AUTHORIZATION), ret);
	if (r == -EIO)
		refuse(call, MHD_HTTP_SERVICE_UNAVAILABLE,
			"the tokens' file can't be taken as it is; the log of this server says "
			"why");
	else if (r < 0)
		refuse(call, MHD_HTTP_UNAUTHORIZED,
			"wants a token that is known: Authorization: Bearer SECRET");
	return r == 0;
}

// HTTP_METHODS: one that no path has.
static enum http_method parse_method(const char *text)
{
	static const char *const names[HTTP_METHODS] = {"GET", "POST", "PUT", "DELETE"};
	unsigned i = 0;

	if (strcmp(text, "HEAD") == 0)
		return HTTP_GET;
	while (i < HTTP_METHODS && strcmp(text, names[i]) != 0)
		i++;
	return (enum http_method)i;
}

static void find_route(
	struct http_call *call, const char *path, enum http_method method, enum http_role role)
{
	unsigned status = http_find_route(call, path, method);

	if (status == MHD_HTTP_NOT_FOUND && method < HTTP_METHODS)
		refuse(call, status, "no such path");
	else if (status != 0)
		refuse(call, MHD_HTTP_METHOD_NOT_ALLOWED,
			"another method than this path has; Allow says which it has");
#ifndef MUTANT_ROLES_IGNORED
	else if (role < call->route->role) {
		counter_add(&call->door->http->values[HTTP_refused_tokens], 1);
		refuse(call, MHD_HTTP_FORBIDDEN,
			call->route->role == HTTP_ADMIN ? "wants a token of the role admin"
							: "wants a token of the role consume");
	}
#else
	(void)role;
#endif
}

static size_t body_max(const struct http_route *route)
{
	return route->body_max != 0 ? route->body_max : HTTP_BODY_MAX;
}

// All that the headers can be refused for.
static void judge(struct http_call *call, const char *path, const char *method)
{
	const char *length = header(call, MHD_HTTP_HEADER_CONTENT_LENGTH);
	enum http_role role;

	if (!authorize(call, &role)) {
		counter_add(&call->door->http->values[HTTP_refused_tokens], 1);
		return;
	}
	find_route(call, path, parse_method(method), role);
	if (call->refused == 0 && call->route->body && length != NULL &&
		strtoull(length, NULL, 10) > body_max(call->route))
		refuse(call, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than this path takes");
}

static enum MHD_Result send_metrics(struct http_call *call)
{
	size_t len;
	char *text = metrics_render(call->door->http->receiver, &len);

	if (text == NULL)
		return MHD_NO;
	return http_send_text(call, MHD_HTTP_OK,
		"application/openmetrics-text; version=1.0.0; charset=utf-8", text, len);
}

static void count_waiting(struct http *http)
{
	uint64_t n = 0;

	for (const struct http_call *c = http->waiting; c != NULL; c = c->next)
		n++;
	counter_set(&http->values[HTTP_waiting_requests], n);
}

static enum MHD_Result wait_for(struct http_call *call, const struct http_wait *wait)
{
	struct http *http = call->door->http;

	call->wait = *wait;
	call->waiting = call->waited = true;
	call->next = http->waiting;
	http->waiting = call;
	MHD_suspend_connection(call->connection);
	count_waiting(http);
	return MHD_YES;
}

static void stop_waiting(struct http_call *call)
{
	struct http *http = call->door->http;
	struct http_call **at = &http->waiting;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	call->waiting = false;
	count_waiting(http);
}

static enum MHD_Result send_route(struct http_call *call)
{
	const struct http_route *route = call->route;
	struct http_request req = {.path = route->path,
		.query = query,
		.connection = call->connection,
		.body = call->body != NULL ? call->body : "",
		.body_len = call->body_len,
		.began_ns = call->began_ns,
		.waited = call->waited,
		.wait_value = call->wait.value};
	struct http_reply reply = {.status = MHD_HTTP_OK};

	for (unsigned i = 0; i < HTTP_PARAMS_MAX; i++)
		req.params[i] = call->params[i];
	call->wait = (struct http_wait){0};
	route->handler(&req, &reply, route->arg);
	if (reply.wait.ready != NULL)
		return wait_for(call, &reply.wait);
	return http_send_reply(call, &reply);
}

static void count(struct http_call *call)
{
	if (!call->counted)
		counter_add(&call->door->http->values[HTTP_requests], 1);
	call->counted = true;
}

static enum MHD_Result answer(struct http_call *call)
{
	bool bad = false;

	count(call);
	if (call->refused != 0)
		return http_send_error(call, call->refused, call->refused_why);
	MHD_get_connection_values_n(call->connection, MHD_GET_ARGUMENT_KIND, find_bad_value, &bad);
	if (bad)
		return http_send_error(call, MHD_HTTP_BAD_REQUEST,
			"a query's value is too long or holds a zero byte");
	if (call->route->handler == NULL)
		return send_metrics(call);
	return send_route(call);
}

// A piece of the body. No answer may be given before all of it was taken; one that comes without
// its length and doesn't end is cut off.
static enum MHD_Result take_body(struct http_call *call, const char *data, size_t *len)
{
	char *body;

	if (call->refused != 0 || !call->route->body) {
		*len = 0;
		return MHD_YES;
	}
	if (call->body_len + *len > body_max(call->route))
		return MHD_NO;
	body = realloc(call->body, call->body_len + *len + 1);
	if (body == NULL)
		return MHD_NO;
	memcpy(body + call->body_len, data, *len);
	call->body = body;
	call->body_len += *len;
	body[call->body_len] = '\0';
	*len = 0;
	return MHD_YES;
}

// With an answer before its end a body need not be read, but the connection ends with that, and a
// client that is still sending may see nothing else. So this is for those that are long only.
static bool is_long(const struct http_call *call)
{
	const char *length = header(call, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return header(call, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
	       (length != NULL && strtoull(length, NULL, 10) > FORGET_MAX);
}

static enum MHD_Result begin(struct http_door *door, struct MHD_Connection *connection,
	const char *path, const char *method, const char *version, void **state)
{
	struct http_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return MHD_NO;
	*state = call;
	call->door = door;
	call->connection = connection;
	call->old_version = strcmp(version, MHD_HTTP_VERSION_1_1) != 0;
	judge(call, path, method);
	return call->refused != 0 && is_long(call) ? answer(call) : MHD_YES;
}

// libmicrohttpd calls this once when the headers are read, then for each piece of a body, then for
// the answer, and for that again when the request has waited.
enum MHD_Result http_on_request(void *arg, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **state)
{
	struct http_door *door = arg;
	struct http_call *call = *state;

	if (call == NULL)
		return begin(door, connection, path, method, version, state);
	if (*upload_size != 0)
		return take_body(call, upload, upload_size);
	if (call->gone || atomic_load(&door->http->stop))
		return MHD_NO;
	if (call->began_ns == 0)
		call->began_ns = clock_monotonic_ns();
	http_pool_answering(slot_of(connection));
	return answer(call);
}

void http_on_completed(void *arg, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	struct http_door *door = arg;
	struct http_call *call = *state;

	(void)code;
	*state = NULL;
	if (call != NULL) {
		if (call->waiting)
			stop_waiting(call);
		if (call->wait.gone != NULL)
			call->wait.gone(call->wait.arg, call->wait.value);
		free(call->body);
		free(call);
	}
	http_pool_waiting(&door->pool, slot_of(connection));
}

static void count_connections(struct http *http)
{
	uint64_t evicted = 0, open = 0;

	for (unsigned i = 0; i < DOORS; i++) {
		evicted += http->doors[i].pool.evicted;
		open += http->doors[i].pool.count;
	}
	counter_set(&http->values[HTTP_closed_connections], evicted);
	counter_set(&http->values[HTTP_connections], open);
}

void http_on_connection(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http_door *door = arg;
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = http_pool_add(&door->pool, fd);
	} else if (*context != NULL) {
		http_pool_remove(&door->pool, *context);
		*context = NULL;
	}
	count_connections(door->http);
}

// The library doesn't look at the socket of who waits.
static bool is_gone(struct http_call *call)
{
	struct pollfd fd = {.events = POLLRDHUP};

	fd.fd = MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			->connect_fd;
	return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void http_wake_waiting(struct http *http, bool all)
{
	struct http_call *call = http->waiting;
	uint64_t now = clock_monotonic_ns();

	while (call != NULL) {
		struct http_call *next = call->next;

		call->gone = is_gone(call);
		if (all || call->gone || now >= call->wait.until_ns ||
			call->wait.ready(call->wait.arg, call->wait.value)) {
			stop_waiting(call);
			MHD_resume_connection(call->connection);
		}
		call = next;
	}
}
