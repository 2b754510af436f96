// SPDX-License-Identifier: BSD-3-Clause

#include "control/spec_internal.h"

#include <stdio.h>
#include <string.h>

// Calls found() for each key whose values differ, with references that it takes over, until one
// returns non-zero. -1 on lack of memory.
typedef int found_fn(
	void *arg, const struct config_key *key, const char *path, json_t *from, json_t *to);

static int compare(const struct config_key *key, const char *path, const struct spec *from,
	const struct spec *to, found_fn *found, void *arg)
{
	json_t *old = from != NULL ? spec_value(key, from) : json_null();
	json_t *new = spec_value(key, to);

	if (old != NULL && new != NULL && !json_equal(old, new))
		return found(arg, key, path, old, new);
	json_decref(old);
	json_decref(new);
	return old == NULL || new == NULL ? -1 : 0;
}

static int each(const struct config_key *keys, const char *prefix, const struct spec *from,
	const struct spec *to, found_fn *found, void *arg)
{
	char path[2 * CONFIG_NAME_MAX];
	int rc = 0;

	for (; rc == 0 && keys->name != NULL; keys++) {
		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix != '\0' ? "." : "",
			keys->name);
		if (keys->type == TYPE_SECTION)
			rc = each(keys->children, path, from, to, found, arg);
		else
			rc = compare(keys, path, from, to, found, arg);
	}
	return rc;
}

static int add_row(
	void *list, const struct config_key *key, const char *path, json_t *from, json_t *to)
{
	if (strcmp(key->name, "receiver") == 0) {
		json_decref(to);
		to = json_string("(changed)");
		json_decref(from);
		from = json_null();
	}
	return json_array_append_new(
		list, json_pack("{s:s,s:o,s:o}", "key", path, "from", from, "to", to));
}

json_t *spec_diff(const struct spec *from, const struct spec *to)
{
	json_t *ret = json_array();

	if (each(spec_keys, "", from, to, add_row, ret) == 0)
		return ret;
	json_decref(ret);
	return NULL;
}

static int needs_restart(
	void *arg, const struct config_key *key, const char *path, json_t *from, json_t *to)
{
	(void)arg;
	(void)path;
	json_decref(from);
	json_decref(to);
	return key->reload == RELOAD_RESTART ? 1 : 0;
}

// On lack of memory, too: a restart too many does no harm.
bool spec_needs_restart(const struct spec *from, const struct spec *to)
{
	return each(spec_keys, "", from, to, needs_restart, NULL) != 0;
}
