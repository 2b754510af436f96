// SPDX-License-Identifier: BSD-3-Clause
#include "wal/cursor.h"

#include "common/file.h"
#include "common/json_file.h"
#include "common/units.h"

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
		!wal_id_parse(id, &cursor.log_id) || !units_parse_uint(batch, &cursor.batch) ||
		!units_parse_uint(seq, &cursor.seq) || !crc_parse(crc, &cursor.crc))
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

// A name comes from a configuration or a client: it must not lead elsewhere.
static int file_name(const char *name, char ret[NAME_MAX + 1])
{
	int n;

	if (*name == '\0' || strchr(name, '/') != NULL)
		return -EINVAL;
	n = snprintf(ret, NAME_MAX + 1, "cursor.%s.json", name);
	return n < 0 || n > NAME_MAX ? -ENAMETOOLONG : 0;
}

int wal_cursor_save(const char *dir, const char *name, const struct wal_cursor *cursor)
{
	char file[NAME_MAX + 1];
	json_t *content;
	int r = file_name(name, file);

	if (r < 0)
		return r;
	content = cursor_json(cursor);
	r = json_file_save(dir, file, SCHEMA, "cursor", content);
	json_decref(content);
	return r;
}

int wal_cursor_load(const char *dir, const char *name, struct wal_cursor *ret)
{
	char file[NAME_MAX + 1];
	json_t *content = NULL;
	int r = file_name(name, file);

	if (r == 0)
		r = json_file_load(dir, file, FILE_MAX, SCHEMA, "cursor", &content);
	if (r == 0)
		r = cursor_of(content, ret);
	json_decref(content);
	return r == -EPROTONOSUPPORT ? -EBADMSG : r;
}

int wal_cursor_remove(const char *dir, const char *name)
{
	char file[NAME_MAX + 1], path[PATH_MAX];
	int r = file_name(name, file);

	if (r < 0)
		return r;
	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : -errno;
	return file_sync_dir(dir);
}
