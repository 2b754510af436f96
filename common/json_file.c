// SPDX-License-Identifier: BSD-3-Clause
#include "common/json_file.h"

#include "common/crc32c.h"
#include "common/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_int_t crc_of(const json_t *content)
{
	char *text = json_dumps(content, JSON_COMPACT | JSON_SORT_KEYS);
	uint32_t crc = text != NULL ? crc32c(text, strlen(text)) : 0;

	free(text);
	return crc;
}

int json_file_save(
	const char *dir, const char *name, const char *schema, const char *key, json_t *content)
{
	json_t *file = NULL;
	char *text = NULL;
	int r = -ENOMEM;

	if (content != NULL)
		file = json_pack("{s:s, s:I, s:O}", "schema", schema, "crc32c", crc_of(content),
			key, content);
	if (file != NULL)
		text = json_dumps(file, JSON_INDENT(1));
	if (text != NULL)
		r = file_replace(dir, name, text, strlen(text));
	free(text);
	json_decref(file);
	return r;
}

// The version before all else: a later one may lay out the rest otherwise.
static int take_content(json_t *file, const char *schema, const char *key, json_t **ret)
{
	const char *found;
	json_int_t crc;
	json_t *content;

	if (json_unpack(file, "{s:s}", "schema", &found) < 0 ||
		strncmp(found, schema, strlen(schema) - 1) != 0)
		return -EBADMSG;
	if (strcmp(found, schema) != 0)
		return -EPROTONOSUPPORT;
	if (json_unpack(file, "{s:s, s:I, s:o!}", "schema", &found, "crc32c", &crc, key, &content) <
		0)
		return -EBADMSG;
#ifndef MUTANT_JSON_FILE_CRC
	if (crc != crc_of(content))
		return -EBADMSG;
#endif
	*ret = json_incref(content);
	return 0;
}

int json_file_load(const char *dir, const char *name, size_t max, const char *schema,
	const char *key, json_t **ret)
{
	char path[PATH_MAX], *text;
	json_t *file;
	size_t len;
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = file_read(path, max, &text, &len);
	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	file = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	r = file != NULL ? take_content(file, schema, key, ret) : -EBADMSG;
	json_decref(file);
	return r;
}
