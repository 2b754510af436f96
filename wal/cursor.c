// SPDX-License-Identifier: BSD-3-Clause
#include "wal/cursor.h"

#include "common/crc32c.h"
#include "common/file.h"

#include <jansson.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA "millrace.cursor/1"
#define FILE_MAX 4096u
#define TEXT_FLAGS (JSON_COMPACT | JSON_SORT_KEYS) // what the CRC is of

static json_t *cursor_json(const struct wal_cursor *cursor)
{
	char id[33], batch[24], seq[24], crc[12];

	wal_id_text(&cursor->log_id, id);
	snprintf(batch, sizeof(batch), "%" PRIu64, cursor->batch);
	snprintf(seq, sizeof(seq), "%" PRIu64, cursor->seq);
	snprintf(crc, sizeof(crc), "%08" PRIx32, cursor->crc);
	return json_pack(
		"{s:s, s:s, s:s, s:s}", "log_id", id, "batch", batch, "seq", seq, "crc", crc);
}

void wal_cursor_text(const struct wal_cursor *cursor, char ret[WAL_CURSOR_TEXT_BYTES])
{
	char id[33];

	wal_id_text(&cursor->log_id, id);
	snprintf(ret, WAL_CURSOR_TEXT_BYTES,
		"{\"log_id\":\"%s\",\"batch\":\"%" PRIu64 "\",\"seq\":\"%" PRIu64
		"\",\"crc\":\"%08" PRIx32 "\"}",
		id, cursor->batch, cursor->seq, cursor->crc);
}

// All of the text, and no sign before it.
static bool number_parse(const char *text, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static bool crc_parse(const char *text, uint32_t *ret)
{
	if (strlen(text) != 8 || strspn(text, "0123456789abcdef") != 8)
		return false;
	*ret = (uint32_t)strtoul(text, NULL, 16);
	return true;
}

static int cursor_of(json_t *from, struct wal_cursor *ret)
{
	const char *id, *batch, *seq, *crc;
	struct wal_cursor cursor;

	if (json_unpack(from, "{s:s, s:s, s:s, s:s!}", "log_id", &id, "batch", &batch, "seq", &seq,
		    "crc", &crc) < 0 ||
		!wal_id_parse(id, &cursor.log_id) || !number_parse(batch, &cursor.batch) ||
		!number_parse(seq, &cursor.seq) || !crc_parse(crc, &cursor.crc))
		return -EBADMSG;
	*ret = cursor;
	return 0;
}

int wal_cursor_parse(const char *text, size_t len, struct wal_cursor *ret)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	int r = json != NULL ? cursor_of(json, ret) : -EBADMSG;

	json_decref(json);
	return r;
}

static uint32_t crc_of(const json_t *cursor)
{
	char *text = json_dumps(cursor, TEXT_FLAGS);
	uint32_t crc = text != NULL ? crc32c(text, strlen(text)) : 0;

	free(text);
	return crc;
}

// A name comes from a configuration or a client: it must not lead elsewhere.
static int file_name(const char *name, char ret[NAME_MAX + 1])
{
	int n;

	if (*name == '\0' || strchr(name, '/') != NULL)
		return -EINVAL;
	n = snprintf(ret, NAME_MAX + 1, "cursor.%s.json", name);
	return n < 0 || n > NAME_MAX ? -ENAMETOOLONG : 0;
}

static int path_of(const char *dir, const char *name, char ret[PATH_MAX])
{
	char file[NAME_MAX + 1];
	int r = file_name(name, file);

	if (r < 0)
		return r;
	return snprintf(ret, PATH_MAX, "%s/%s", dir, file) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int wal_cursor_save(const char *dir, const char *name, const struct wal_cursor *cursor)
{
	char file_of[NAME_MAX + 1], *text = NULL;
	json_t *inner, *file = NULL;
	int r = file_name(name, file_of);

	if (r < 0)
		return r;
	inner = cursor_json(cursor);
	if (inner != NULL)
		file = json_pack("{s:s, s:I, s:O}", "schema", SCHEMA, "crc32c",
			(json_int_t)crc_of(inner), "cursor", inner);
	if (file != NULL)
		text = json_dumps(file, JSON_INDENT(1));
	r = text != NULL ? file_replace(dir, file_of, text, strlen(text)) : -ENOMEM;
	free(text);
	json_decref(file);
	json_decref(inner);
	return r;
}

static int file_parse(json_t *file, struct wal_cursor *ret)
{
	const char *schema;
	json_int_t crc;
	json_t *cursor;

	if (json_unpack(file, "{s:s, s:I, s:o!}", "schema", &schema, "crc32c", &crc, "cursor",
		    &cursor) < 0 ||
		strcmp(schema, SCHEMA) != 0)
		return -EBADMSG;
#ifndef MUTANT_CURSOR_CRC
	if (crc != (json_int_t)crc_of(cursor))
		return -EBADMSG;
#endif
	return cursor_of(cursor, ret);
}

int wal_cursor_load(const char *dir, const char *name, struct wal_cursor *ret)
{
	char path[PATH_MAX], *text = NULL;
	json_t *file;
	size_t len;
	int r = path_of(dir, name, path);

	if (r == 0)
		r = file_read(path, FILE_MAX, &text, &len);
	if (r == 0) {
		file = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
		r = file != NULL ? file_parse(file, ret) : -EBADMSG;
		json_decref(file);
	}
	free(text);
	return r == -EFBIG ? -EBADMSG : r;
}

int wal_cursor_remove(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int r = path_of(dir, name, path);

	if (r < 0)
		return r;
	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : -errno;
	return file_sync_dir(dir);
}
