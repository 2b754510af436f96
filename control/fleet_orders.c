// SPDX-License-Identifier: BSD-3-Clause
// What commands ask of the fleet, and the part of it that is stored as one.

#include "control/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA "millrace.desired/1"
#define SENDERS_SCHEMA "millrace.senders/1"

int fleet_new(struct fleet *ret)
{
	*ret = (struct fleet){.next_number = 1, .draining = json_array(), .removed = json_array()};
	if (history_new(&ret->history) == 0 && ret->draining != NULL && ret->removed != NULL)
		return 0;
	fleet_free(ret);
	return -ENOMEM;
}

void fleet_free(struct fleet *fleet)
{
	for (struct receiver *r = fleet->receivers, *after; r != NULL; r = after) {
		after = r->next;
		receiver_free(r);
	}
	if (fleet->applied)
		spec_free(&fleet->spec);
	json_decref(fleet->draining);
	json_decref(fleet->removed);
	history_free(&fleet->history);
	*fleet = (struct fleet){0};
}

json_t *fleet_write(const struct fleet *fleet)
{
	return json_pack("{s:s, s:I, s:I, s:O, s:o}", "schema", SCHEMA, "version",
		(json_int_t)fleet->version, "next_number", (json_int_t)fleet->next_number,
		"draining", fleet->draining, "spec",
		fleet->applied ? spec_write(&fleet->spec) : json_null());
}

json_t *fleet_senders(const struct fleet *fleet)
{
	json_t *leave = json_array();

	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		if (r->retiring)
			json_array_append_new(leave, json_string(r->name));
	return json_pack("{s:s, s:I, s:o}", "schema", SENDERS_SCHEMA, "move_after_ms",
		(json_int_t)(fleet->spec.move_after_ns / 1000000), "leave", leave);
}

int fleet_read(struct fleet *fleet, const json_t *json)
{
	const json_t *version = json_object_get(json, "version");
	const json_t *number = json_object_get(json, "next_number");
	const json_t *draining = json_object_get(json, "draining");
	const json_t *spec = json_object_get(json, "spec");
	int err;

	if (!json_is_integer(version) || !json_is_integer(number) || !json_is_array(draining))
		return -EINVAL;
	if (!json_is_null(spec)) {
		err = spec_read(spec, &fleet->spec);
		if (err != 0)
			return err;
		fleet->applied = true;
	}
	fleet->version = (uint64_t)json_integer_value(version);
	fleet->next_number = (uint64_t)json_integer_value(number);
	json_decref(fleet->draining);
	fleet->draining = json_deep_copy(draining);
	return fleet->draining != NULL ? 0 : -ENOMEM;
}

int fleet_apply(struct fleet *fleet, struct spec *spec, int64_t now_ns)
{
	bool restarts = fleet->applied && spec_needs_restart(&fleet->spec, spec);

	if (fleet->applied)
		spec_free(&fleet->spec);
	fleet->spec = *spec;
	*spec = (struct spec){0};
	fleet->applied = true;
	fleet->version++;
	fleet->changed = true;
	history_add(&fleet->history, now_ns, "apply", NULL, NULL, "version %llu: %u receivers%s",
		(unsigned long long)fleet->version, fleet->spec.count,
		restarts ? "; those that run are restarted in turn" : "");
	if (restarts)
		fleet_restart(fleet, NULL, now_ns, NULL);
	return 0;
}

static void name_it(json_t *names, const struct receiver *r)
{
	if (names != NULL)
		json_array_append_new(names, json_string(r->name));
}

static void forget_slave(json_t *draining, const char *slave)
{
	for (size_t i = json_array_size(draining); i-- > 0;)
		if (strcmp(json_string_value(json_array_get(draining, i)), slave) == 0)
			json_array_remove(draining, i);
}

void fleet_drain(struct fleet *fleet, const char *slave, bool off, int64_t now_ns, json_t *names)
{
	forget_slave(fleet->draining, slave);
	if (!off)
		json_array_append_new(fleet->draining, json_string(slave));
	fleet->changed = true;
	history_add(&fleet->history, now_ns, "drain", NULL, slave, "%s",
		off ? "it may have receivers again" : "asked for");
	for (struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		if (strcmp(r->slave, slave) == 0)
			name_it(names, r);
}

void fleet_replace(struct fleet *fleet, const char *slave, int64_t now_ns, json_t *names)
{
	for (struct receiver *r = fleet->receivers; r != NULL; r = r->next) {
		if (strcmp(r->slave, slave) != 0 || r->retiring)
			continue;
		fleet_retire(fleet, r, r->state == RECEIVER_RUNNING, now_ns,
			"its replacement was asked for");
		name_it(names, r);
	}
}

void fleet_restart(struct fleet *fleet, const char *name, int64_t now_ns, json_t *names)
{
	for (struct receiver *r = fleet->receivers; r != NULL; r = r->next) {
		if (r->retiring || (name != NULL && strcmp(r->name, name) != 0))
			continue;
		r->restart = r->state != RECEIVER_WAITING;
		r->changed = true;
		name_it(names, r);
	}
	history_add(&fleet->history, now_ns, "restart", name, NULL, "asked for, one at a time");
}
