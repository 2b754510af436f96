// SPDX-License-Identifier: BSD-3-Clause
// Who we are.

#include "control/mesos/internal.h"

static json_t *framework_info(const struct mesos *m)
{
	const struct mesos_options *o = &m->options;
	json_t *info = json_pack("{s:s, s:s, s:[s], s:b, s:f, s:s*, s:s*, s:s*, s:[{s:s}, {s:s}]}",
		"user", o->user, "name", o->name, "roles", o->role, "checkpoint", 1,
		"failover_timeout", o->failover_timeout, "hostname", o->hostname, "webui_url",
		o->webui_url, "principal", o->principal, "capabilities", "type", "PARTITION_AWARE",
		"type", "MULTI_ROLE");

	if (info != NULL && m->framework_id[0] != '\0' &&
		json_object_set_new(info, "id", json_pack("{s:s}", "value", m->framework_id)) < 0) {
		json_decref(info);
		return NULL;
	}
	return info;
}

char *info_subscribe(const struct mesos *m)
{
	json_t *call = json_pack("{s:s, s:{s:o}}", "type", "SUBSCRIBE", "subscribe",
		"framework_info", framework_info(m));
	char *text = NULL;

	if (call != NULL && (m->framework_id[0] == '\0' ||
				    json_object_set_new(call, "framework_id",
					    json_pack("{s:s}", "value", m->framework_id)) == 0))
		text = json_dumps(call, JSON_COMPACT);
	json_decref(call);
	return text;
}
