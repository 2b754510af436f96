// SPDX-License-Identifier: BSD-3-Clause
#include "sinks/files_plan.h"

#include "common/file.h"
#include "common/units.h"

#include <jansson.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "millrace.files_plan/1"
#define SUFFIX ".plan.json"
#define FILE_MAX 8192u

static json_t *plan_json(const struct files_plan *plan)
{
	char first[24], last[24];

	snprintf(first, sizeof(first), "%" PRIu64, plan->first);
	snprintf(last, sizeof(last), "%" PRIu64, plan->last);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "schema", SCHEMA, "log_id",
		plan->log_id, "first", first, "last", last, "receiver", plan->receiver, "name",
		plan->name, "distrusted", plan->distrusted);
}

int files_plan_save(const char *dir, const char *sink, const struct files_plan *plan)
{
	char name[NAME_MAX + 1], text[FILE_MAX];
	json_t *json = plan_json(plan);
	size_t len;

	if (json == NULL)
		return -ENOMEM;
	len = json_dumpb(json, text, sizeof(text), JSON_INDENT(1));
	json_decref(json);
	if (len == 0 || len > sizeof(text))
		return -ENAMETOOLONG;
	snprintf(name, sizeof(name), "%s" SUFFIX, sink);
	return file_replace(dir, name, text, len);
}

// Nothing that could leave the sink's directory.
static bool name_good(const char *name)
{
	return name[0] != '/' && name[0] != '\0' && name[0] != '.' && strstr(name, "/.") == NULL &&
	       name[strlen(name) - 1] != '/';
}

static bool text_take(const char *text, char *ret, size_t room)
{
	if (strlen(text) >= room)
		return false;
	snprintf(ret, room, "%s", text);
	return true;
}

// The version before all else: a later one may lay out the rest otherwise.
static int plan_parse(json_t *json, struct files_plan *ret)
{
	const char *schema, *log_id, *first, *last, *receiver, *name;
	int distrusted;

	if (json_unpack(json, "{s:s}", "schema", &schema) < 0 ||
		strncmp(schema, SCHEMA, strlen(SCHEMA) - 1) != 0)
		return -EBADMSG;
	if (strcmp(schema, SCHEMA) != 0)
		return -EPROTONOSUPPORT;
	if (json_unpack(json, "{s:s, s:s, s:s, s:s, s:s, s:b}", "log_id", &log_id, "first", &first,
		    "last", &last, "receiver", &receiver, "name", &name, "distrusted",
		    &distrusted) < 0)
		return -EBADMSG;
	ret->distrusted = distrusted;
	if (!units_parse_uint(first, &ret->first) || !units_parse_uint(last, &ret->last) ||
		ret->first > ret->last || !name_good(name) ||
		!text_take(log_id, ret->log_id, sizeof(ret->log_id)) ||
		!text_take(receiver, ret->receiver, sizeof(ret->receiver)) ||
		!text_take(name, ret->name, sizeof(ret->name)))
		return -EBADMSG;
	return 0;
}

int files_plan_load(const char *dir, const char *sink, struct files_plan *ret)
{
	char path[PATH_MAX], *text;
	json_t *json;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/%s" SUFFIX, dir, sink);
	r = file_read(path, FILE_MAX, &text, &len);
	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	r = json != NULL ? plan_parse(json, ret) : -EBADMSG;
	json_decref(json);
	return r;
}
