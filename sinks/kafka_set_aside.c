// SPDX-License-Identifier: BSD-3-Clause
#include "common/file.h"
#include "sinks/kafka_internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_place(const void *a, const void *b)
{
	const struct kafka_aside *x = a, *y = b;

	if (x->batch != y->batch)
		return x->batch < y->batch ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int add(struct kafka_set_aside *aside, const char *name)
{
	struct kafka_aside place, *grown;
	int end = 0;

	if (sscanf(name, "%" SCNu64 "-%" SCNu64 ".event%n", &place.batch, &place.seq, &end) != 2 ||
		end == 0 || name[end] != '\0')
		return 0;
	if (aside->count == aside->room) {
		size_t room = aside->room > 0 ? 2 * aside->room : 64;

		grown = reallocarray(aside->list, room, sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		aside->list = grown;
		aside->room = room;
	}
	aside->list[aside->count++] = place;
	return 0;
}

int kafka_set_aside_list(struct kafka_sink *k, struct kafka_set_aside *ret)
{
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	snprintf(ret->dir, sizeof(ret->dir), "%s/quarantine.%s", k->target->dir, k->config->name);
	dir = opendir(ret->dir);
	if (dir == NULL && errno == ENOENT)
		return 0;
	if (dir == NULL) {
		r = -errno;
		kafka_why(k, "%s: %s", ret->dir, strerror(-r));
		return r;
	}
	while (r == 0 && (entry = readdir(dir)) != NULL)
		r = add(ret, entry->d_name);
	closedir(dir);
	if (ret->count > 1)
		qsort(ret->list, ret->count, sizeof(*ret->list), by_place);
	return r;
}

int kafka_set_aside_judge(const struct kafka_set_aside *aside, uint64_t batch, uint64_t seq,
	const void *value, size_t len)
{
	struct kafka_aside place = {.batch = batch, .seq = seq};
	char path[PATH_MAX], *found;
	size_t found_len;
	bool same;

	if (aside->count == 0 ||
		bsearch(&place, aside->list, aside->count, sizeof(place), by_place) == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/%" PRIu64 "-%" PRIu64 ".event", aside->dir, batch, seq);
	if (file_read(path, len + 1, &found, &found_len) < 0)
		return -EBADMSG;
	same = found_len == len && memcmp(found, value, len) == 0;
	free(found);
	return same ? 1 : -EBADMSG;
}

void kafka_set_aside_free(struct kafka_set_aside *aside)
{
	free(aside->list);
}
