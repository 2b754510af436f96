// SPDX-License-Identifier: BSD-3-Clause
#include "sinks/files_list.h"

#include "common/units.h"
#include "wal/arrow.h"
#include "wal/export.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC_BYTES 8u // with its zeros

int files_list_open(const struct files_list *list, const char *name)
{
	int fd = openat(list->top, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 ? fd : -errno;
}

// The beginning of a file, behind its magic; where the file is shorter zeros follow.
static int read_page(int fd, uint8_t page[WAL_SCHEMA_BYTES])
{
	static const char magic[MAGIC_BYTES] = ARROW_MAGIC;
	char found[MAGIC_BYTES];
	ssize_t n = pread(fd, found, sizeof(found), 0);

	memset(page, 0, WAL_SCHEMA_BYTES);
	if (n == (ssize_t)sizeof(found) && memcmp(found, magic, sizeof(found)) == 0)
		n = pread(fd, page, WAL_SCHEMA_BYTES, MAGIC_BYTES);
	else if (n >= 0)
		return -EBADMSG;
	return n < 0 ? -errno : 0;
}

static bool value_is(const uint8_t *page, const char *key, const char *wanted)
{
	const char *value = wal_schema_value(page, key);

	return value != NULL && strcmp(value, wanted) == 0;
}

static bool value_number(const uint8_t *page, const char *key, uint64_t *ret)
{
	const char *value = wal_schema_value(page, key);

	return value != NULL && units_parse_uint(value, ret);
}

// The schema's message lies as in a segment, so that its reader does for both.
static int parse(const uint8_t *page, const struct sink_target *target, struct files_found *ret)
{
	const char *receiver = wal_schema_value(page, "receiver");
	char log_id[33];
	uint64_t partition;

	wal_id_text(&target->log_id, log_id);
	if (!value_is(page, "format", WAL_EXPORT_FORMAT) || !value_is(page, "log_id", log_id) ||
		!value_number(page, "partition", &partition) || partition != target->partition ||
		!value_number(page, "first_batch", &ret->first) ||
		!value_number(page, "last_batch", &ret->last) || ret->first > ret->last ||
		receiver == NULL || strlen(receiver) >= sizeof(ret->receiver))
		return -EBADMSG;
	snprintf(ret->receiver, sizeof(ret->receiver), "%s", receiver);
	return 0;
}

static int look_at(const struct files_list *list, const char *name,
	const struct sink_target *target, struct files_found *ret)
{
	uint8_t page[WAL_SCHEMA_BYTES];
	int fd = files_list_open(list, name), r;

	if (fd < 0)
		return fd;
	r = read_page(fd, page);
	close(fd);
	return r < 0 ? r : parse(page, target, ret);
}

static int add(struct files_list *list, const char *name, const struct sink_target *target,
	struct sink_verify *verify)
{
	struct files_found found = {0}, *grown;
	int r = look_at(list, name, target, &found);

	if (r == -ENOENT)
		return 0; // taken away meanwhile
	if (r < 0) {
		verify->unreadable++;
		sink_verify_found(verify, "%s/%s: %s", target->config->path, name,
			r == -EBADMSG ? "is no file of batches of this log" : strerror(-r));
		return 0;
	}
	if (list->count == list->room) {
		size_t room = list->room > 0 ? 2 * list->room : 64;

		grown = reallocarray(list->files, room, sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		list->files = grown;
		list->room = room;
	}
	found.name = strdup(name);
	if (found.name == NULL)
		return -ENOMEM;
	list->files[list->count++] = found;
	return 0;
}

static int take_entry(struct files_list *list, const FTSENT *entry,
	const struct sink_target *target, struct sink_verify *verify)
{
	const char *name = entry->fts_path + strlen(target->config->path);
	char log_id[33];

	if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR) {
		verify->unreadable++;
		sink_verify_found(verify, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
		return 0;
	}
	wal_id_text(&target->log_id, log_id);
	// With a dot begins what is being written.
	if (entry->fts_info != FTS_F || entry->fts_name[0] == '.' || strstr(name, log_id) == NULL)
		return 0;
	return add(list, name + strspn(name, "/"), target, verify);
}

static int by_first(const void *a, const void *b)
{
	const struct files_found *x = a, *y = b;

	return x->first != y->first ? (x->first < y->first ? -1 : 1) : strcmp(x->name, y->name);
}

static int unreachable(struct sink_target *target, int error)
{
	snprintf(target->why, sizeof(target->why), "%s: %s", target->config->path, strerror(error));
	return -EAGAIN;
}

int files_list_make(struct files_list *ret, struct sink_target *target, struct sink_verify *verify)
{
	char path[CONFIG_PATH_MAX];
	char *paths[] = {path, NULL};
	FTSENT *entry;
	FTS *fts;
	int r = 0;

	snprintf(path, sizeof(path), "%s", target->config->path);
	ret->top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->top < 0)
		return unreachable(target, errno);
	ret->is_open = true;
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (fts == NULL)
		return unreachable(target, errno);
	while (r == 0 && !atomic_load(target->stop) && (entry = fts_read(fts)) != NULL)
		r = take_entry(ret, entry, target, verify);
	fts_close(fts);
	if (atomic_load(target->stop))
		return -ECANCELED;
	if (ret->count > 1)
		qsort(ret->files, ret->count, sizeof(*ret->files), by_first);
	return r;
}

void files_list_free(struct files_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->files[i].name);
	free(list->files);
	if (list->is_open)
		close(list->top);
}
