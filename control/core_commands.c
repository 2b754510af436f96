// SPDX-License-Identifier: BSD-3-Clause
// The API's commands, in the loop's thread. Each is checked whole before anything changes.

#include "control/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a command has come to: 'data' when it is to be stored and then answered, else an error.
struct result {
	json_t *data;
	unsigned status;
	char error[256];
};

static void refuse(struct result *ret, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct result *ret, unsigned status, const char *fmt, ...)
{
	va_list args;

	ret->status = status;
	va_start(args, fmt);
	vsnprintf(ret->error, sizeof(ret->error), fmt, args);
	va_end(args);
}

static unsigned running(const struct fleet *fleet)
{
	unsigned count = 0;

	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		count += !r->retiring && r->state != RECEIVER_WAITING;
	return count;
}

static void apply(struct core *core, const json_t *body, struct result *ret)
{
	struct fleet *fleet = &core->fleet;
	const struct spec *from = fleet->applied ? &fleet->spec : NULL;
	bool dry = json_is_true(json_object_get(body, "dry_run"));
	struct spec spec;
	json_t *changes;
	unsigned restarts;

	if (spec_read(json_object_get(body, "spec"), &spec) != 0) {
		refuse(ret, 400,
			"'spec' is none that this version knows: apply with a command of the same "
			"version");
		return;
	}
	changes = spec_diff(from, &spec);
	restarts = from != NULL && spec_needs_restart(from, &spec) ? running(fleet) : 0;
	if (!dry)
		fleet_apply(fleet, &spec, core_now_ns());
	else
		spec_free(&spec);
	ret->data = json_pack("{s:I, s:o, s:i}", "version", (json_int_t)fleet->version, "changes",
		changes, "restarts", (int)restarts);
}

static void scale(struct core *core, const json_t *body, struct result *ret)
{
	struct fleet *fleet = &core->fleet;
	const json_t *count = json_object_get(body, "count");
	unsigned from = fleet->spec.count;

	if (!json_is_integer(count) || json_integer_value(count) < 0 ||
		json_integer_value(count) > SPEC_COUNT_MAX) {
		refuse(ret, 400, "'count' must be a number from 0 to %u", SPEC_COUNT_MAX);
		return;
	}
	fleet->spec.count = (unsigned)json_integer_value(count);
	fleet->version++;
	fleet->changed = true;
	history_add(&fleet->history, core_now_ns(), "scale", NULL, NULL, "from %u to %u receivers",
		from, fleet->spec.count);
	ret->data = json_pack("{s:I, s:i, s:i}", "version", (json_int_t)fleet->version, "count",
		(int)fleet->spec.count, "from", (int)from);
}

static const char *slave_of(
	const struct core *core, const json_t *body, bool known, struct result *ret)
{
	const char *slave = json_string_value(json_object_get(body, "slave"));

	if (slave == NULL || slave[0] == '\0') {
		refuse(ret, 400, "'slave' must be a slave's hostname");
		return NULL;
	}
	for (const struct receiver *r = core->fleet.receivers; known && r != NULL; r = r->next)
		if (strcmp(r->slave, slave) == 0)
			return slave;
	if (!known)
		return slave;
	refuse(ret, 404,
		"no receiver is on '%.100s': millrace cluster receivers shows where they are",
		slave);
	return NULL;
}

static void drain(struct core *core, const json_t *body, struct result *ret)
{
	const char *slave = slave_of(core, body, false, ret);
	bool off = json_is_true(json_object_get(body, "off"));
	json_t *names = json_array();

	if (slave != NULL && off && !fleet_drains(&core->fleet, slave)) {
		refuse(ret, 404, "'%.100s' isn't drained", slave);
	} else if (slave != NULL) {
		fleet_drain(&core->fleet, slave, off, core_now_ns(), names);
		ret->data = json_pack("{s:s, s:O}", "slave", slave, "receivers", names);
	}
	json_decref(names);
}

static void replace(struct core *core, const json_t *body, struct result *ret)
{
	const char *slave = slave_of(core, body, true, ret);
	json_t *names = json_array();

	if (slave != NULL) {
		fleet_replace(&core->fleet, slave, core_now_ns(), names);
		ret->data = json_pack("{s:s, s:O}", "slave", slave, "receivers", names);
	}
	json_decref(names);
}

static void restart(struct core *core, const json_t *body, struct result *ret)
{
	const char *name = json_string_value(json_object_get(body, "receiver"));
	json_t *names;

	if (name != NULL && fleet_find(&core->fleet, name) == NULL) {
		refuse(ret, 404,
			"there is no receiver '%.60s': millrace cluster receivers lists them",
			name);
		return;
	}
	names = json_array();
	fleet_restart(&core->fleet, name, core_now_ns(), names);
	ret->data = json_pack("{s:o}", "receivers", names);
}

static void reset(struct core *core, const json_t *body, struct result *ret)
{
	(void)body;
	if (core->framework != FRAMEWORK_REMOVED) {
		refuse(ret, 409,
			"Mesos still has the framework: a reset would leave its tasks to nobody; "
			"it is for a framework that was removed");
		return;
	}
	core->framework_id[0] = '\0';
	core->framework_changed = true;
	history_add(&core->fleet.history, core_now_ns(), "reset", NULL, NULL,
		"a new framework is registered; the tasks of the removed one have ended");
	for (struct receiver *r = core->fleet.receivers; r != NULL; r = r->next)
		fleet_forget(r, core_now_ns());
	core_act(core, ACTION_RESET, NULL);
	ret->data = json_pack("{s:n}", "framework_id");
}

static const struct {
	const char *name;
	void (*run)(struct core *core, const json_t *body, struct result *ret);
	bool applied; // only with a desired state
} commands[] = {
	{"apply", apply, false},
	{"scale", scale, true},
	{"drain", drain, true},
	{"replace", replace, true},
	{"restart", restart, true},
	{"reset", reset, false},
};

static void run(struct core *core, const char *name, const json_t *body, struct result *ret)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (!core->loaded || !election_leads(core->election))
			refuse(ret, 503, "this process doesn't lead yet, or no more: ask again");
		else if (commands[i].applied && !core->fleet.applied)
			refuse(ret, 409, "nothing was applied yet: millrace cluster apply FILE");
		else
			commands[i].run(core, body, ret);
		return;
	}
	refuse(ret, 404, "no such command");
}

void core_command(struct core *core, uint64_t ticket, const char *name, json_t *body)
{
	struct result result = {.status = 503, .error = "out of memory: try again"};
	struct core_action *action;

	run(core, name, body, &result);
	if (result.data == NULL) {
		core_answer(core, ticket, result.status, NULL, result.error);
		return;
	}
	action = core_act(core, ACTION_ANSWER, result.data);
	if (action == NULL)
		core_answer(core, ticket, 503, NULL, "out of memory: try again");
	else
		action->ticket = ticket;
	core_step(core);
}
