// SPDX-License-Identifier: BSD-3-Clause

#include "control/receiver.h"

#include "control/live.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "millrace.receiver/1"

enum field_type { FIELD_TEXT, FIELD_BOOL, FIELD_INT };

struct field {
	const char *name;
	enum field_type type;
	size_t offset, size;
};

#define FIELD(type, member) \
	{ \
#member, type, offsetof(struct receiver, member), \
			sizeof(((struct receiver *)0)->member) \
	}

// What is kept as it is; the rest has lines of its own below.
static const struct field fields[] = {
	FIELD(FIELD_TEXT, name),
	FIELD(FIELD_TEXT, slave),
	FIELD(FIELD_TEXT, log_path),
	FIELD(FIELD_TEXT, volume),
	FIELD(FIELD_BOOL, volume_made),
	FIELD(FIELD_BOOL, retiring),
	FIELD(FIELD_BOOL, moving),
	FIELD(FIELD_BOOL, restart),
	FIELD(FIELD_INT, since_ns),
	FIELD(FIELD_TEXT, task_id),
	FIELD(FIELD_TEXT, agent_id),
	FIELD(FIELD_TEXT, task_state),
	FIELD(FIELD_TEXT, reason),
	FIELD(FIELD_TEXT, message),
	FIELD(FIELD_TEXT, why),
	FIELD(FIELD_INT, version),
	FIELD(FIELD_INT, launches),
	FIELD(FIELD_INT, failures),
	FIELD(FIELD_INT, next_launch_ns),
	FIELD(FIELD_BOOL, closed),
	FIELD(FIELD_BOOL, drained),
};

static const char *const states[RECEIVER_STATES] = {
	[RECEIVER_WAITING] = "waiting",
	[RECEIVER_LAUNCHING] = "launching",
	[RECEIVER_RUNNING] = "running",
	[RECEIVER_ENDING] = "ending",
	[RECEIVER_UNREACHABLE] = "unreachable",
};

const char *receiver_state_text(enum receiver_state state)
{
	return states[state];
}

bool receiver_registered(const struct receiver *r)
{
	const char *task = json_string_value(json_object_get(r->live, "task_id"));

	return task != NULL && strcmp(task, r->task_id) == 0;
}

static bool says_of_itself(const struct receiver *r, enum live_health health)
{
	const char *text = json_string_value(json_object_get(r->live, "health"));

	return text != NULL && strcmp(text, live_health_text(health)) == 0;
}

bool receiver_starting(const struct receiver *r)
{
	return says_of_itself(r, LIVE_STARTING);
}

bool receiver_well(const struct receiver *r)
{
	return r->state == RECEIVER_RUNNING && receiver_registered(r) && says_of_itself(r, LIVE_OK);
}

struct receiver *receiver_new(const char *name)
{
	struct receiver *r = calloc(1, sizeof(*r));

	if (r != NULL)
		snprintf(r->name, sizeof(r->name), "%s", name);
	return r;
}

void receiver_free(struct receiver *r)
{
	if (r == NULL)
		return;
	json_decref(r->attributes);
	json_decref(r->live);
	free(r);
}

static json_t *field_write(const struct field *field, const struct receiver *r)
{
	const void *at = (const char *)r + field->offset;

	if (field->type == FIELD_TEXT)
		return json_string(at);
	if (field->type == FIELD_BOOL)
		return json_boolean(*(const bool *)at);
	return json_integer(*(const int64_t *)at);
}

json_t *receiver_write(const struct receiver *r)
{
	char lcores[CPUS_TEXT_BYTES];
	json_t *nics = json_array(), *ret;

	for (unsigned i = 0; i < r->taken.nic_count; i++)
		json_array_append_new(nics, json_string(r->taken.nics[i]));
	ret = json_pack("{s:s, s:s, s:s, s:o, s:O?}", "schema", SCHEMA, "state", states[r->state],
		"lcores", resources_lcores_text(&r->taken, lcores, sizeof(lcores)), "nics", nics,
		"attributes", r->attributes);
	for (size_t i = 0; ret != NULL && i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (json_object_set_new(ret, fields[i].name, field_write(&fields[i], r)) != 0) {
			json_decref(ret);
			ret = NULL;
		}
	}
	return ret;
}

static bool field_read(const struct field *field, const json_t *json, struct receiver *r)
{
	const json_t *value = json_object_get(json, field->name);
	void *at = (char *)r + field->offset;

	if (field->type == FIELD_TEXT) {
		if (!json_is_string(value))
			return false;
#ifndef MUTANT_RECEIVER_UNBOUNDED
		if (json_string_length(value) >= field->size)
			return false;
#endif
		memcpy(at, json_string_value(value), json_string_length(value) + 1);
	} else if (field->type == FIELD_BOOL) {
		*(bool *)at = json_is_true(value);
		return json_is_boolean(value);
	} else {
		*(int64_t *)at = json_integer_value(value);
		return json_is_integer(value) && json_integer_value(value) >= 0;
	}
	return true;
}

static bool state_read(const json_t *json, struct receiver *r)
{
	const char *text = json_string_value(json_object_get(json, "state"));

	for (unsigned i = 0; text != NULL && i < RECEIVER_STATES; i++) {
		if (strcmp(states[i], text) == 0) {
			r->state = (enum receiver_state)i;
			return true;
		}
	}
	return false;
}

static bool taken_read(const json_t *json, struct resources *ret)
{
	const char *lcores = json_string_value(json_object_get(json, "lcores"));
	const json_t *nics = json_object_get(json, "nics");

	if (lcores == NULL || !json_is_array(nics) || json_array_size(nics) > RESOURCES_NICS_MAX ||
		(lcores[0] != '\0' && !resources_lcores_parse(lcores, ret)))
		return false; // without any it was never launched
	for (size_t i = 0; i < json_array_size(nics); i++) {
		const char *nic = json_string_value(json_array_get(nics, i));

		if (nic == NULL || strlen(nic) >= sizeof(ret->nics[0]))
			return false;
		snprintf(ret->nics[ret->nic_count++], sizeof(ret->nics[0]), "%s", nic);
	}
	return true;
}

int receiver_read(const json_t *json, struct receiver **ret)
{
	const char *schema = json_string_value(json_object_get(json, "schema"));
	struct receiver *r;
	bool good = schema != NULL && strcmp(schema, SCHEMA) == 0;

	r = receiver_new("");
	if (r == NULL)
		return -ENOMEM;
	for (size_t i = 0; good && i < sizeof(fields) / sizeof(fields[0]); i++)
		good = field_read(&fields[i], json, r);
	if (!good || r->name[0] == '\0' || !state_read(json, r) || !taken_read(json, &r->taken)) {
		receiver_free(r);
		return -EINVAL;
	}
	r->attributes = json_deep_copy(json_object_get(json, "attributes"));
	r->sent = true; // it may have been: the master knows
	*ret = r;
	return 0;
}
