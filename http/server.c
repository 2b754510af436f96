// SPDX-License-Identifier: BSD-3-Clause

#include "http/server.h"

#include "common/counters.h"
#include "common/json.h"
#include "http/pages.h"
#include "http/pool.h"
#include "http/socket.h"

#include <microhttpd.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTION_TIMEOUT_S 5u
#define CONNECTION_MEMORY ((size_t)16 << 10)
#define QUERY_VALUE_MAX 256

static const struct counter_def http_counters[] = {
	{"requests", "requests answered", COUNTER_TOTAL, ROLE_NONE},
	{"refused_requests", "requests answered with a status of 400 or above", COUNTER_TOTAL,
		ROLE_NONE},
	{"closed_connections", "connections closed to make room for another", COUNTER_TOTAL,
		ROLE_NONE},
	{"connections", "connections open", COUNTER_GAUGE, ROLE_NONE},
};

enum { HTTP_REQUESTS, HTTP_REFUSED, HTTP_CLOSED, HTTP_CONNECTIONS, HTTP_COUNTER_COUNT };

// All but the first four belong to the daemon's one thread.
struct http {
	const struct http_route *routes;
	char *receiver;
	char *path;
	struct http_socket sock;
	struct MHD_Daemon *daemon;
	struct http_pool pool;
	struct counter_set set;
	uint64_t values[HTTP_COUNTER_COUNT];
};

typedef json_t *(*page_fn)(void);

static const struct page {
	const char *path;
	const char *schema;
	page_fn fn; // NULL: /metrics
} pages[] = {
	{"/metrics", NULL, NULL},
	{"/api/v1/stats", "millrace.stats/1", stats_json},
	{"/api/v1/drops", "millrace.drops/1", drops_json},
};

#define PAGE_COUNT (sizeof(pages) / sizeof(pages[0]))

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
	reply->status = MHD_HTTP_BAD_REQUEST;
	snprintf(reply->error, sizeof(reply->error),
		"%s=%.32s: wants a whole number from 0 to %" PRIu64, key, text, max);
	return false;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
	const char *type, char *text, size_t len)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result ret;

	if (response == NULL) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ret = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return ret;
}

// The text may hold a piece of what a client sent, which need not be UTF-8.
static json_t *text_json(const char *text)
{
	json_t *ret = json_string(text);
	char plain[256];
	size_t i;

	for (i = 0; ret == NULL && text[i] != '\0' && i < sizeof(plain) - 1; i++)
		plain[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	if (ret == NULL) {
		plain[i] = '\0';
		ret = json_string(plain);
	}
	return ret;
}

static json_t *known_paths(const struct http *http)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < PAGE_COUNT; i++)
		json_array_append_new(ret, json_string(pages[i].path));
	for (const struct http_route *r = http->routes; r != NULL && r->path != NULL; r++)
		json_array_append_new(ret, json_string(r->path));
	return ret;
}

static void make_error(const struct http *http, struct http_reply *reply)
{
	json_t *paths = reply->status == MHD_HTTP_NOT_FOUND ? known_paths(http) : json_null();
	const char *text = reply->error[0] != '\0' ? reply->error : "the request failed";

	reply->schema = "millrace.error/1";
	reply->data = json_pack("{s:i, s:o, s:o}", "status", (int)reply->status, "text",
		text_json(text), "paths", paths);
}

// Takes over what the reply owns.
static enum MHD_Result send_reply(
	struct http *http, struct MHD_Connection *connection, struct http_reply *reply)
{
	json_t *envelope;
	char *text;
	size_t len;

	if (reply->status >= 400)
		counter_add(&http->values[HTTP_REFUSED], 1);
	if (reply->status >= 400 && reply->data == NULL)
		make_error(http, reply);
	envelope = json_envelope(reply->schema, http->receiver, reply->data, reply->warnings);
	text = envelope == NULL ? NULL : json_dumps(envelope, JSON_COMPACT);
	json_decref(envelope);
	if (text == NULL)
		return MHD_NO; // closes the connection
	len = strlen(text);
	text[len++] = '\n'; // in place of the zero byte, for terminals
	return send_text(connection, reply->status, "application/json", text, len);
}

static enum MHD_Result send_error(
	struct http *http, struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct http_reply reply = {.status = status};

	snprintf(reply.error, sizeof(reply.error), "%s", text);
	return send_reply(http, connection, &reply);
}

static enum MHD_Result send_page(
	struct http *http, struct MHD_Connection *connection, const struct page *page)
{
	struct http_reply reply = {.status = MHD_HTTP_OK, .schema = page->schema};
	char *text;
	size_t len;

	if (page->fn == NULL) {
		text = metrics_render(http->receiver, &len);
		if (text == NULL)
			return MHD_NO;
		return send_text(connection, MHD_HTTP_OK,
			"application/openmetrics-text; version=1.0.0; charset=utf-8", text, len);
	}
	reply.data = page->fn();
	if (reply.data == NULL)
		return MHD_NO;
	return send_reply(http, connection, &reply);
}

static enum MHD_Result send_route(struct http *http, struct MHD_Connection *connection,
	const char *path, const struct http_route *route)
{
	struct http_request req = {.path = path, .query = query, .connection = connection};
	struct http_reply reply = {.status = MHD_HTTP_OK};

	route->handler(&req, &reply, route->arg);
	return send_reply(http, connection, &reply);
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

static enum MHD_Result dispatch(
	struct http *http, struct MHD_Connection *connection, const char *path)
{
	bool bad = false;

	counter_add(&http->values[HTTP_REQUESTS], 1);
	MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, find_bad_value, &bad);
	if (bad)
		return send_error(http, connection, MHD_HTTP_BAD_REQUEST,
			"a query's value is too long or holds a zero byte");
	for (size_t i = 0; i < PAGE_COUNT; i++) {
		if (strcmp(path, pages[i].path) == 0)
			return send_page(http, connection, &pages[i]);
	}
	for (const struct http_route *r = http->routes; r != NULL && r->path != NULL; r++) {
		if (strcmp(path, r->path) == 0)
			return send_route(http, connection, path, r);
	}
	return send_error(http, connection, MHD_HTTP_NOT_FOUND, "no such path");
}

// libmicrohttpd calls this once when the headers are read, then for each piece of a body, then once
// for the answer.
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **state)
{
	static int seen;
	struct http *http = arg;

	(void)version;
	(void)upload;
	if (*state == NULL) {
		*state = &seen;
		if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
			return MHD_YES;
		counter_add(&http->values[HTTP_REQUESTS], 1);
		return send_error(http, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			"only GET and HEAD are served");
	}
	if (*upload_size != 0) { // a body has no meaning here; it is read and forgotten
		*upload_size = 0;
		return MHD_YES;
	}
	http_pool_answering(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
				    ->socket_context);
	return dispatch(http, connection, path);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	struct http *http = arg;

	(void)code;
	*state = NULL;
	http_pool_waiting(
		&http->pool, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
				     ->socket_context);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = http_pool_add(&http->pool, fd);
		counter_set(&http->values[HTTP_CLOSED], http->pool.evicted);
	} else if (*context != NULL) {
		http_pool_remove(&http->pool, *context);
		*context = NULL;
	}
	counter_set(&http->values[HTTP_CONNECTIONS], http->pool.count);
}

// The daemon's thread must take no signal that main() waits for.
static struct MHD_Daemon *start_daemon(struct http *http)
{
	struct MHD_Daemon *ret;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, (MHD_socket)http->sock.fd, MHD_OPTION_CONNECTION_LIMIT,
		HTTP_POOL_SLOTS, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

static void http_free(struct http *http)
{
	free(http->receiver);
	free(http->path);
	free(http);
}

int http_start(struct http **ret, const char *socket_path, const char *receiver,
	const struct http_route *routes)
{
	struct http *http = calloc(1, sizeof(*http));
	int err = -ENOMEM;

	if (http == NULL)
		return -ENOMEM;
	http->routes = routes;
	http->receiver = strdup(receiver);
	http->path = strdup(socket_path);
	if (http->receiver == NULL || http->path == NULL)
		goto fail;
	err = http_socket_listen(&http->sock, socket_path, HTTP_POOL_SLOTS);
	if (err < 0)
		goto fail;
	http->set = (struct counter_set){.subsystem = "http",
		.defs = http_counters,
		.values = http->values,
		.count = HTTP_COUNTER_COUNT};
	counters_register(&http->set);
	http->daemon = start_daemon(http);
	if (http->daemon == NULL) {
		err = errno > 0 ? -errno : -EIO;
		counters_unregister(&http->set);
		http_socket_unlink(&http->sock, http->path);
		close(http->sock.fd);
		goto fail;
	}
	*ret = http;
	return 0;
fail:
	http_free(http);
	return err;
}

void http_stop(struct http *http)
{
	if (http == NULL)
		return;
	http_socket_unlink(&http->sock, http->path);
	MHD_stop_daemon(http->daemon); // closes the socket
	counters_unregister(&http->set);
	http_free(http);
}
