// SPDX-License-Identifier: BSD-3-Clause

#include "http/internal.h"
#include "http/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void serve_stats(const struct http_request *req, struct http_reply *reply, void *arg)
{
	(void)req;
	(void)arg;
	reply->schema = "millrace.stats/1";
	reply->data = stats_json();
}

static void serve_drops(const struct http_request *req, struct http_reply *reply, void *arg)
{
	(void)req;
	(void)arg;
	reply->schema = "millrace.drops/1";
	reply->data = drops_json();
}

// Without a handler: the one page that isn't JSON.
static const struct http_route pages[] = {
	{"/metrics", NULL, NULL},
	{"/api/v1/stats", serve_stats, NULL},
	{"/api/v1/drops", serve_drops, NULL},
	{NULL, NULL, NULL},
};

static const struct http_route *table(const struct http *http, unsigned i)
{
	return i == 0 ? pages : i < 3 ? http->tables[i - 1] : NULL;
}

#define TABLES 3u

bool http_match(const char *pattern, const char *path, char params[][HTTP_PARAM_BYTES])
{
	unsigned count = 0;

	while (*pattern != '\0') {
		size_t len;

		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		len = strcspn(path, "/");
		if (len == 0 || len >= HTTP_PARAM_BYTES || count == HTTP_PARAMS_MAX)
			return false;
		memcpy(params[count], path, len);
		params[count++][len] = '\0';
		path += len;
		pattern += strcspn(pattern, "}") + 1;
	}
	return *path == '\0';
}

static void allow(struct http_call *call, enum http_method method)
{
	static const char *const names[HTTP_METHODS] = {"GET, HEAD", "POST", "PUT", "DELETE"};
	size_t len = strlen(call->allow);

	snprintf(call->allow + len, sizeof(call->allow) - len, "%s%s", len > 0 ? ", " : "",
		names[method]);
}

unsigned http_find_route(struct http_call *call, const char *path, enum http_method method)
{
	for (unsigned i = 0; i < TABLES; i++) {
		const struct http_route *r = table(call->door->http, i);

		for (; r != NULL && r->path != NULL; r++) {
			if (!http_match(r->path, path, call->params))
				continue;
			call->route = r;
			if (r->method == method)
				return 0;
			allow(call, r->method);
		}
	}
	if (call->route != NULL)
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	allow(call, HTTP_GET); // for methods that are none of HTTP's or ours
	return MHD_HTTP_NOT_FOUND;
}

// A path that several methods go to is there once for each, one behind the other.
json_t *http_known_paths(const struct http *http)
{
	json_t *ret = json_array();
	const char *last = "";

	for (unsigned i = 0; i < TABLES; i++) {
		const struct http_route *r = table(http, i);

		for (; r != NULL && r->path != NULL; r++) {
			if (strcmp(r->path, last) != 0)
				json_array_append_new(ret, json_string(r->path));
			last = r->path;
		}
	}
	return ret;
}
