// SPDX-License-Identifier: BSD-3-Clause
// The API's reads, and its server. Commands: api_commands.c.

#include "common/clock.h"
#include "common/units.h"
#include "control/api_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define LOOK_NS 50000000u // how often who waits for events makes us ask for them

static const char *const view_names[API_VIEWS] = {
	[API_STATUS] = "status",
	[API_RECEIVERS] = "receivers",
	[API_TASKS] = "tasks",
	[API_SPEC] = "spec",
	[API_EVENTS] = "events",
};

static json_t *text_or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

static void reply_leader(struct http_reply *reply, const char *name, const char *address, bool here)
{
	reply->schema = "millrace.cluster-leader/1";
	reply->data = json_pack("{s:o, s:o, s:b}", "leader", text_or_null(name), "address",
		text_or_null(address), "here", (int)here);
}

// "?KEY=" or "&KEY=" and its number; nothing where it has none.
static void add_number(const struct http_request *req, const char *key, char *query, size_t size)
{
	const char *text = req->query(req, key);
	size_t len = strlen(query);
	uint64_t number;

	if (text != NULL && units_parse_uint(text, &number))
		snprintf(query + len, size - len, "%c%s=%" PRIu64, len == 0 ? '?' : '&', key,
			number);
}

// The same request at the leader's.
static void redirect(const struct http_request *req, struct http_reply *reply, const char *name,
	const char *address)
{
	char query[96] = "";

	add_number(req, "from", query, sizeof(query));
	add_number(req, "wait_ms", query, sizeof(query));
	http_reply_header(reply, "Location", "%s%s%s", address, req->path, query);
	reply->status = 307;
	reply_leader(reply, name, address, false);
}

bool api_leads(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	char name[API_NAME_BYTES] = "", address[API_NAME_BYTES] = "";

	if (api->core.leads(api->core.arg, name, address, API_NAME_BYTES))
		return true;
	api->newest_event = 0; // the next leader's may count otherwise
	if (strncmp(address, "https://", 8) == 0)
		redirect(req, reply, name, address);
	else if (strncmp(address, "unix:", 5) == 0)
		http_reply_error(reply, 503,
			"%.63s leads, and serves only the Unix socket %.107s of its host: ask "
			"there, or "
			"set api.listen",
			name, address + 5);
	else
		http_reply_error(reply, 503,
			"no leader is known: an election takes seconds, else ZooKeeper is out of "
			"reach (see /healthz)");
	return false;
}

static void serve_leader(const struct http_request *req, struct http_reply *reply, void *arg)
{
	char name[API_NAME_BYTES] = "", address[API_NAME_BYTES] = "";
	struct api *api = arg;
	bool here = api->core.leads(api->core.arg, name, address, API_NAME_BYTES);

	(void)req;
	reply_leader(reply, name, address, here);
}

static void serve_health(const struct http_request *req, struct http_reply *reply, void *arg)
{
	char why[HTTP_WHY_BYTES] = "";
	struct api *api = arg;
	bool healthy = api->core.healthy(api->core.arg, why, sizeof(why));
	json_t *reasons = json_array();

	(void)req;
	if (!healthy)
		json_array_append_new(reasons, json_string(why));
	reply->status = healthy ? 200 : 503;
	reply->schema = "millrace.health/1";
	reply->data =
		json_pack("{s:s, s:o}", "health", healthy ? "ok" : "failed", "reasons", reasons);
}

static void show(struct api_page *page, uint64_t from, struct http_reply *reply)
{
	struct api *api = page->api;

	reply->schema = page->schema;
	reply->data = api->core.show(api->core.arg, page->view, from);
	if (reply->data == NULL)
		http_reply_error(reply, 500, "out of memory");
}

static void serve_view(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct api_page *page = arg;

	if (api_leads(page->api, req, reply))
		show(page, 0, reply);
}

// The id of the last event there is, as it was at most LOOK_NS ago.
static uint64_t newest_event(struct api *api)
{
	uint64_t now = clock_monotonic_ns();
	json_t *events;

	if (now < api->look_at)
		return api->newest_event;
	api->look_at = now + LOOK_NS;
	events = api->core.show(api->core.arg, API_EVENTS, api->newest_event);
	if (json_array_size(events) > 0) {
		json_t *last = json_array_get(events, json_array_size(events) - 1);

		api->newest_event = (uint64_t)json_integer_value(json_object_get(last, "id"));
	}
	json_decref(events);
	return api->newest_event;
}

static bool events_ready(void *arg, uint64_t from)
{
	char name[API_NAME_BYTES], address[API_NAME_BYTES];
	struct api *api = arg;

	return newest_event(api) > from ||
	       !api->core.leads(api->core.arg, name, address, API_NAME_BYTES);
}

static void serve_events(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct api_page *page = arg;
	uint64_t from = 0, wait_ms = 0;

	if (!http_query_u64(req, "from", INT64_MAX, &from, reply) ||
		!http_query_u64(req, "wait_ms", API_WAIT_MAX_MS, &wait_ms, reply) ||
		!api_leads(page->api, req, reply))
		return;
	show(page, from, reply);
	if (req->waited || wait_ms == 0 || reply->data == NULL || json_array_size(reply->data) > 0)
		return;
	json_decref(reply->data);
	reply->data = NULL;
	reply->wait = (struct http_wait){.ready = events_ready,
		.arg = page->api,
		.value = from,
		.until_ns = req->began_ns + wait_ms * 1000000u};
}

static struct http_route *add_route(struct api *api, const struct http_route *route)
{
	api->routes[api->route_count] = *route;
	return &api->routes[api->route_count++];
}

static void add_views(struct api *api)
{
	for (unsigned i = 0; i < API_VIEWS; i++) {
		struct api_page *page = &api->pages[i];

		page->api = api;
		page->view = (enum api_view)i;
		snprintf(page->path, sizeof(page->path), "/api/v1/cluster/%s", view_names[i]);
		snprintf(
			page->schema, sizeof(page->schema), "millrace.cluster-%s/1", view_names[i]);
		add_route(api, &(struct http_route){.path = page->path,
				       .handler = i == API_EVENTS ? serve_events : serve_view,
				       .arg = page});
	}
}

static void add_commands(struct api *api)
{
	for (unsigned i = 0; i < API_COMMANDS; i++) {
		struct api_page *page = &api->pages[API_VIEWS + i];
		const char *name = api_command_name(i);

		page->api = api;
		page->command = i;
		snprintf(page->path, sizeof(page->path), "/api/v1/cluster/%s", name);
		snprintf(page->schema, sizeof(page->schema), "millrace.cluster-%s/1", name);
		add_route(api, &(struct http_route){.path = page->path,
				       .handler = api_serve_command,
				       .arg = page,
				       .method = HTTP_POST,
				       .role = HTTP_ADMIN,
				       .body = true,
				       .body_max = API_BODY_MAX});
	}
}

int api_start(struct api **ret, const struct conf *conf, const struct api_core *core, char *why)
{
	struct api *api = calloc(1, sizeof(*api));
	struct http_options options = {
		.socket_path = conf->socket, .receiver = conf->name, .api = &conf->api};
	int err;

	if (api == NULL) {
		snprintf(why, HTTP_WHY_BYTES, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	api->core = *core;
	add_route(api, &(struct http_route){"/healthz", serve_health, api});
	add_route(api, &(struct http_route){"/api/v1/cluster/leader", serve_leader, api});
	add_views(api);
	add_commands(api);
	options.routes = api->routes;
	err = http_start_with(&api->http, &options, why);
	if (err < 0) {
		free(api);
		return err;
	}
	*ret = api;
	return 0;
}

void api_stop(struct api *api)
{
	if (api == NULL)
		return;
	http_stop(api->http);
	free(api);
}

unsigned api_tcp_port(const struct api *api)
{
	return http_tcp_port(api->http);
}
