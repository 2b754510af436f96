// SPDX-License-Identifier: BSD-3-Clause

#include "control/volume.h"

#include <string.h>

static json_t *only_disk(const json_t *resources)
{
	json_t *entry, *ret = NULL;
	size_t i;

	json_array_foreach(resources, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (name == NULL || strcmp(name, "disk") != 0)
			continue;
		if (ret != NULL)
			return NULL;
		ret = entry;
	}
	return ret;
}

// Mesos asks for the principal of whoever has authenticated.
static json_t *persistence(const char *id, const char *principal)
{
	if (principal[0] == '\0')
		return json_pack("{s:s}", "id", id);
	return json_pack("{s:s, s:s}", "id", id, "principal", principal);
}

json_t *volume_make(json_t *resources, const char *id, const char *principal)
{
	json_t *disk = only_disk(resources);

	if (disk == NULL)
		return NULL;
	if (json_object_set_new(disk, "disk",
		    json_pack("{s:o, s:{s:s, s:s}}", "persistence", persistence(id, principal),
			    "volume", "mode", "RW", "container_path", VOLUME_PATH)) != 0)
		return NULL;
	return disk;
}

json_t *volume_operations(json_t *task, json_t *create)
{
	json_t *launch =
		json_pack("{s:s, s:{s:[o]}}", "type", "LAUNCH", "launch", "task_infos", task);

	if (launch == NULL || create == NULL)
		return json_pack("[o]", launch);
	return json_pack(
		"[{s:s, s:{s:[O]}}, o]", "type", "CREATE", "create", "volumes", create, launch);
}
