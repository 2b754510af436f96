// SPDX-License-Identifier: BSD-3-Clause
// The API's commands: from a body to the core's outcome.

#include "common/clock.h"
#include "control/api_internal.h"

#include <stdlib.h>

enum kind { KIND_OBJECT, KIND_COUNT, KIND_TEXT, KIND_TEXT_OR_NULL, KIND_BOOL };

struct field {
	const char *name; // NULL ends the list
	enum kind kind;
	bool required;
};

#define FIELDS_MAX 3

static const struct command {
	const char *name;
	struct field fields[FIELDS_MAX];
} commands[API_COMMANDS] = {
	{"apply", {{"spec", KIND_OBJECT, true}, {"dry_run", KIND_BOOL, false}}},
	{"scale", {{"count", KIND_COUNT, true}}},
	{"drain", {{"slave", KIND_TEXT, true}, {"off", KIND_BOOL, false}}},
	{"replace", {{"slave", KIND_TEXT, true}}},
	{"restart", {{"receiver", KIND_TEXT_OR_NULL, false}}},
	{"reset", {{NULL}}},
};

// One that was submitted and waits for its outcome.
struct pending {
	struct api *api;
	uint64_t ticket;
	bool done;
	unsigned status;
	json_t *data;
	char error[256];
};

const char *api_command_name(unsigned command)
{
	return commands[command].name;
}

static bool fits(enum kind kind, const json_t *value)
{
	switch (kind) {
	case KIND_OBJECT:
		return json_is_object(value);
	case KIND_COUNT:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case KIND_TEXT:
		return json_string_length(value) > 0;
	case KIND_TEXT_OR_NULL:
		return json_is_null(value) || json_string_length(value) > 0;
	default:
		return json_is_boolean(value);
	}
}

static const struct field *find_field(const struct command *command, const char *name)
{
	const struct field *field = command->fields;

	while (field->name != NULL && strcmp(field->name, name) != 0)
		field++;
	return field->name != NULL ? field : NULL;
}

static bool check_fields(const struct command *command, json_t *body, struct http_reply *reply)
{
	static const char *const wants[] = {[KIND_OBJECT] = "an object",
		[KIND_COUNT] = "a whole number from 0",
		[KIND_TEXT] = "a text",
		[KIND_TEXT_OR_NULL] = "a text or null",
		[KIND_BOOL] = "true or false"};
	const char *name;
	json_t *value;

	json_object_foreach(body, name, value)
	{
		if (find_field(command, name) == NULL) {
			http_reply_error(reply, 400, "%s: '%.64s' is none of its fields",
				command->name, name);
			return false;
		}
	}
	for (const struct field *field = command->fields; field->name != NULL; field++) {
		value = json_object_get(body, field->name);
		if (value == NULL ? field->required : !fits(field->kind, value)) {
			http_reply_error(reply, 400, "%s: '%s' wants %s", command->name,
				field->name, wants[field->kind]);
			return false;
		}
	}
	return true;
}

// NULL: the reply says why.
static json_t *read_body(
	const struct command *command, const struct http_request *req, struct http_reply *reply)
{
	json_error_t error;
	json_t *body = req->body_len == 0 ? json_object()
					  : json_loadb(req->body, req->body_len,
						    JSON_REJECT_DUPLICATES, &error);

	if (!json_is_object(body))
		http_reply_error(reply, 400, "%s: the body is no JSON object%s%s", command->name,
			body == NULL ? ": " : "", body == NULL ? error.text : "");
	else if (check_fields(command, body, reply))
		return body;
	json_decref(body);
	return NULL;
}

static bool look(struct pending *pending)
{
	const struct api_core *core = &pending->api->core;

	if (!pending->done)
		pending->done = core->outcome(core->arg, pending->ticket, &pending->status,
			&pending->data, pending->error);
	return pending->done;
}

static bool is_ready(void *arg, uint64_t value)
{
	(void)arg;
	return look((struct pending *)(uintptr_t)value);
}

static void pending_free(struct pending *pending)
{
	const struct api_core *core = &pending->api->core;

	if (!pending->done)
		core->forget(core->arg, pending->ticket);
	json_decref(pending->data);
	free(pending);
}

static void client_gone(void *arg, uint64_t value)
{
	(void)arg;
	pending_free((struct pending *)(uintptr_t)value);
}

static void give_outcome(
	const struct api_page *page, struct pending *pending, struct http_reply *reply)
{
	if (!pending->done) {
		http_reply_error(reply, 504,
			"%s: not stored yet; it may still take effect: see 'millrace cluster "
			"status' "
			"and 'millrace cluster events'",
			commands[page->command].name);
	} else if (pending->data != NULL) {
		reply->status = pending->status;
		reply->schema = page->schema;
		reply->data = json_incref(pending->data);
	} else {
		http_reply_error(reply, pending->status, "%s", pending->error);
	}
	pending_free(pending);
}

// NULL: the reply says why.
static struct pending *submit(
	struct api_page *page, const struct http_request *req, struct http_reply *reply)
{
	const struct command *command = &commands[page->command];
	const struct api_core *core = &page->api->core;
	json_t *body = read_body(command, req, reply);
	struct pending *pending;

	if (body == NULL)
		return NULL;
	pending = calloc(1, sizeof(*pending));
	if (pending == NULL) {
		json_decref(body);
		http_reply_error(reply, 500, "out of memory");
		return NULL;
	}
	pending->api = page->api;
	pending->ticket = core->submit(core->arg, command->name, body);
	return pending;
}

void api_serve_command(const struct http_request *req, struct http_reply *reply, void *arg)
{
	struct api_page *page = arg;
	uint64_t wait_ms = API_WAIT_MAX_MS;
	struct pending *pending;

	if (req->waited) {
		give_outcome(page, (struct pending *)(uintptr_t)req->wait_value, reply);
		return;
	}
	if (!http_query_u64(req, "wait_ms", API_WAIT_MAX_MS, &wait_ms, reply) ||
		!api_leads(page->api, req, reply))
		return;
	pending = submit(page, req, reply);
	if (pending == NULL)
		return;
	if (look(pending)) {
		give_outcome(page, pending, reply);
		return;
	}
	reply->wait = (struct http_wait){.ready = is_ready,
		.value = (uintptr_t)pending,
		.until_ns = req->began_ns + wait_ms * 1000000u,
		.gone = client_gone};
}
