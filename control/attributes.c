// SPDX-License-Identifier: BSD-3-Clause
// Mesos' attributes as texts, for constraints compare those.

#include "control/constraints.h"
#include "control/resources_entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Without needless zeros: "4", "2.5".
static void put_scalar(const json_t *attribute, FILE *out)
{
	int64_t value;
	char fraction[8];
	size_t len = 3;

	if (entry_scalar(attribute, &value) != 0)
		return;
	snprintf(fraction, sizeof(fraction), "%03d", (int)(value % 1000));
	while (len > 0 && fraction[len - 1] == '0')
		len--;
	fprintf(out, "%" PRId64 "%s%.*s", value / 1000, len > 0 ? "." : "", (int)len, fraction);
}

static void put_ranges(const json_t *attribute, FILE *out)
{
	const json_t *range;
	const char *comma = "";
	int64_t begin, end;
	size_t i;

	fputc('[', out);
	json_array_foreach(entry_ranges(attribute), i, range)
	{
		if (!range_read(range, &begin, &end))
			continue;
		fprintf(out, "%s%" PRId64 "-%" PRId64, comma, begin, end);
		comma = ",";
	}
	fputc(']', out);
}

static void put_set(const json_t *attribute, FILE *out)
{
	const json_t *item;
	size_t i;

	fputc('{', out);
	json_array_foreach(entry_items(attribute), i, item) fprintf(
		out, "%s%s", i > 0 ? "," : "", json_is_string(item) ? json_string_value(item) : "");
	fputc('}', out);
}

static void put_text(const json_t *attribute, FILE *out)
{
	const json_t *value = json_object_get(json_object_get(attribute, "text"), "value");

	if (json_is_string(value))
		fputs(json_string_value(value), out);
}

static void put(const json_t *attribute, FILE *out)
{
	if (json_object_get(attribute, "scalar") != NULL)
		put_scalar(attribute, out);
	else if (json_object_get(attribute, "ranges") != NULL)
		put_ranges(attribute, out);
	else if (json_object_get(attribute, "set") != NULL)
		put_set(attribute, out);
	else
		put_text(attribute, out);
}

// Of two of one name the first counts, as in Marathon.
static int add(json_t *ret, const json_t *attribute)
{
	const char *name = entry_name(attribute);
	char *text = NULL;
	size_t len;
	FILE *out;
	int rc;

	if (name == NULL || json_object_get(ret, name) != NULL)
		return 0;
	out = open_memstream(&text, &len);
	if (out == NULL)
		return -1;
	put(attribute, out);
	rc = fclose(out);
	if (rc == 0)
		rc = json_object_set_new(ret, name, json_string(text));
	free(text);
	return rc;
}

json_t *constraint_attributes(const json_t *mesos_attributes)
{
	json_t *ret = json_object();
	const json_t *attribute;
	size_t i;

	json_array_foreach(mesos_attributes, i, attribute)
	{
		if (add(ret, attribute) != 0) {
			json_decref(ret);
			return NULL;
		}
	}
	return ret;
}
