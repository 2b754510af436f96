// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/position.h"

#include "common/crc32c.h"
#include "common/file.h"
#include "common/json.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT "millrace-position"
#define VERSION 1
#define FILE_BYTES_MAX 16384u
#define MEND "give another --position FILE, or remove it to begin with the file's first line"

bool place_is(const struct place *a, const struct place *b)
{
	return a->device == b->device && a->inode == b->inode && a->offset == b->offset &&
	       a->head_bytes == b->head_bytes && a->head_crc == b->head_crc;
}

int place_head(int fd, struct place *place)
{
	uint8_t head[PLACE_HEAD_BYTES];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return -errno;
	place->head_bytes = (uint32_t)n;
	place->head_crc = crc32c(head, (size_t)n);
	return 0;
}

bool place_begins(int fd, const struct place *place)
{
	uint8_t head[PLACE_HEAD_BYTES];
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size < place->offset)
		return false;
	if (pread(fd, head, place->head_bytes, 0) != (ssize_t)place->head_bytes)
		return false;
	return crc32c(head, place->head_bytes) == place->head_crc;
}

static bool get_id(const json_t *object, const char *name, uint64_t *ret)
{
	const char *text = json_string_value(json_object_get(object, name));
	char *end;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

static bool get_place(const json_t *object, struct place *ret)
{
	uint64_t head_bytes, head_crc;

	if (!get_id(object, "device", &ret->device) || !get_id(object, "inode", &ret->inode) ||
		!get_id(object, "offset", &ret->offset) ||
		!get_id(object, "head_bytes", &head_bytes) ||
		!get_id(object, "head_crc32c", &head_crc))
		return false;
	ret->head_bytes = (uint32_t)head_bytes;
	ret->head_crc = (uint32_t)head_crc;
	return head_bytes <= PLACE_HEAD_BYTES && head_crc <= UINT32_MAX;
}

static int judge(const struct position *position, const json_t *object, struct place *ret,
	char *why, size_t why_bytes)
{
	const char *format = json_string_value(json_object_get(object, "format"));
	const char *of = json_string_value(json_object_get(object, "file"));
	json_int_t version = json_integer_value(json_object_get(object, "version"));

	if (format == NULL || strcmp(format, FORMAT) != 0 || version < 1)
		snprintf(why, why_bytes, "%s is no position of millrace send: " MEND,
			position->path);
	else if (version > VERSION)
		snprintf(why, why_bytes,
			"%s has format %" JSON_INTEGER_FORMAT ", newer than this version's %d: use "
			"the version that wrote it, or " MEND,
			position->path, version, VERSION);
	else if (of == NULL || !get_place(object, ret))
		snprintf(why, why_bytes, "%s is a damaged position: " MEND, position->path);
	else if (strcmp(of, position->of) != 0)
		snprintf(why, why_bytes, "%s is the position in %s, not in %s: " MEND,
			position->path, of, position->of);
	else
		return 0;
	return -EINVAL;
}

int position_read(const struct position *position, struct place *ret, char *why, size_t why_bytes)
{
	json_t *object;
	size_t len;
	char *text;
	int r = file_read(position->path, FILE_BYTES_MAX, &text, &len);

	why[0] = '\0';
	*ret = (struct place){0};
	if (r == -ENOENT)
		return r;
	if (r == -EFBIG) {
		snprintf(why, why_bytes, "%s is no position of millrace send: " MEND,
			position->path);
		return -EINVAL;
	}
	if (r != 0) {
		snprintf(why, why_bytes, "%s: %s: make it readable, or " MEND, position->path,
			strerror(-r));
		return r;
	}
	object = json_loadb(text, len, 0, NULL);
	r = judge(position, object, ret, why, why_bytes);
	json_decref(object);
	free(text);
	return r;
}

static json_t *object_of(const struct position *position, const struct place *place)
{
	return json_pack("{s:s, s:i, s:s, s:o, s:o, s:o, s:o, s:o}", "format", FORMAT, "version",
		VERSION, "file", position->of, "device", json_id(place->device), "inode",
		json_id(place->inode), "offset", json_id(place->offset), "head_bytes",
		json_id(place->head_bytes), "head_crc32c", json_id(place->head_crc));
}

int position_write(const struct position *position, const struct place *place)
{
	char dir[PATH_MAX], name[PATH_MAX];
	json_t *object = object_of(position, place);
	char *text = json_dumps(object, JSON_INDENT(1));
	int r = -EILSEQ;

	if (strlen(position->path) >= sizeof(dir))
		r = -ENAMETOOLONG;
	else if (text != NULL) {
		memcpy(dir, position->path, strlen(position->path) + 1);
		memcpy(name, dir, sizeof(name));
		r = file_replace(dirname(dir), basename(name), text, strlen(text));
	}
	json_decref(object);
	free(text);
	return r;
}
