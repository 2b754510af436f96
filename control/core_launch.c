// SPDX-License-Identifier: BSD-3-Clause
// What Mesos is told to run: millrace-supervisor, which gets by its environment all that it must
// know.

#include "common/logmsg.h"
#include "control/core.h"
#include "control/supervisor/task.h"
#include "control/volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000u
#define NS_PER_SECOND 1e9
#define GRACE_MORE_NS 5000000000u // for the supervisor, beyond millraced's own
#define ADDRESSES_ATTRIBUTE "millrace_addresses"

static json_t *variable(const char *name, const char *value)
{
	return json_pack("{s:s, s:s}", "name", name, "value", value);
}

static json_t *number(const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return variable(name, text);
}

static void nics_text(const struct resources *taken, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = '\0';
	for (unsigned i = 0; i < taken->nic_count && len < size; i++)
		len += (size_t)snprintf(
			ret + len, size - len, "%s%s", i > 0 ? "," : "", taken->nics[i]);
}

// An agent's attributes are themselves separated by semicolons: there, ports are by bars.
static void addresses_text(const json_t *attributes, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(attributes, ADDRESSES_ATTRIBUTE));

	snprintf(ret, size, "%s", text != NULL ? text : "");
	for (char *bar = strchr(ret, '|'); bar != NULL; bar = strchr(bar, '|'))
		*bar = ';';
}

static json_t *environment(const struct core *core, const struct receiver *r)
{
	char lcores[CPUS_TEXT_BYTES], nics[RESOURCES_NICS_MAX * (RESOURCES_NAME_MAX + 1)];
	char addresses[1024];

	nics_text(&r->taken, nics, sizeof(nics));
	addresses_text(r->attributes, addresses, sizeof(addresses));
	return json_pack("[o, o, o, o, o, o, o, o, o, o, o, o, o, o]",
		variable(TASK_RECEIVER, r->name), variable(TASK_ID, r->task_id),
		variable(TASK_CONFIG, core->fleet.spec.receiver),
		variable(TASK_LCORES, resources_lcores_text(&r->taken, lcores, sizeof(lcores))),
		variable(TASK_NICS, nics), variable(TASK_ADDRESSES, addresses),
		variable(TASK_LOG, r->log_path), variable(TASK_CLOSED, r->closed ? "1" : ""),
		variable(TASK_HOSTNAME, r->slave), variable(TASK_ZOOKEEPER, core->conf.zookeeper),
		variable(TASK_ROOT, core->root),
		variable(TASK_ZOOKEEPER_AUTH, core->conf.zookeeper_auth),
		number(TASK_SESSION_TIMEOUT_MS, core->conf.session_timeout_ns / NS_PER_MS),
		number(TASK_GRACE_MS, core->fleet.spec.kill_grace_ns / NS_PER_MS));
}

static json_t *task_info(const struct core *core, const struct receiver *r, json_t *resources)
{
	uint64_t grace_ns = core->fleet.spec.kill_grace_ns + GRACE_MORE_NS;

	return json_pack("{s:s, s:{s:s}, s:{s:s}, s:o, s:{s:b, s:s, s:[s], s:{s:o}}, s:{s:{s:I}}}",
		"name", r->name, "task_id", "value", r->task_id, "agent_id", "value", r->agent_id,
		"resources", resources, "command", "shell", 0, "value", core->conf.supervisor,
		"arguments", "millrace-supervisor", "environment", "variables",
		environment(core, r), "kill_policy", "grace_period", "nanoseconds",
		(json_int_t)grace_ns);
}

json_t *core_launch(const struct core *core, const struct receiver *r, const struct placement *p)
{
	json_t *resources = resources_write(&r->taken, p->offer->list, core->conf.role);
	json_t *volume = NULL;

	if (p->volume != NULL) {
		json_array_append_new(resources, json_deep_copy(p->volume));
	} else if (r->taken.disk > 0) {
		volume = volume_make(resources, r->volume, core->conf.mesos_principal);
		if (volume == NULL) {
			log_err("the disk that is reserved on %s is in several pieces, of which no "
				"volume can be made",
				r->slave);
			json_decref(resources);
			return NULL;
		}
	}
	return volume_operations(task_info(core, r, resources), volume);
}
