// SPDX-License-Identifier: BSD-3-Clause

#include "cli/log_dirs.h"

#include "cli/client.h"
#include "common/json.h"
#include "common/units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DEFAULT_DATA "/var/lib/millrace"

// The data directory of the receiver that answers, else the default.
static void default_data(const struct cli *cli, char *ret, size_t len)
{
	char error[CLIENT_ERROR_BYTES];
	json_t *status = NULL;
	const char *path = NULL;

	if (client_get(cli, "/api/v1/status", &status, error) == EXIT_CLI_OK)
		path = json_string_value(
			json_object_get(json_object_get(status, "data"), "data_path"));
	snprintf(ret, len, "%s", path != NULL ? path : DEFAULT_DATA);
	json_decref(status);
}

static long partition_of(const char *dir)
{
	const char *slash = strrchr(dir, '/');
	uint64_t n;

	if (!units_parse_uint(slash != NULL ? slash + 1 : dir, &n) || n >= CONFIG_PARTITIONS_MAX)
		return -1;
	return (long)n;
}

static bool has_segments(const char *dir)
{
	struct wal_segment_file *files;
	unsigned count;

	if (wal_list_segments(dir, &files, &count) < 0)
		return false;
	free(files);
	return count > 0;
}

static bool has_lock(const char *data)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/lock", data);
	return access(path, F_OK) == 0;
}

static int add_part(struct log_dirs *dirs, const char *dir)
{
	struct log_part *grown = reallocarray(dirs->parts, dirs->count + 1, sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	dirs->parts = grown;
	grown = &dirs->parts[dirs->count++];
	*grown = (struct log_part){
		.partition = partition_of(dir), .limit = {.segment_first = UINT64_MAX}};
	snprintf(grown->dir, sizeof(grown->dir), "%s", dir);
	return 0;
}

static int by_partition(const void *a, const void *b)
{
	long x = ((const struct log_part *)a)->partition;
	long y = ((const struct log_part *)b)->partition;

	return x < y ? -1 : x > y;
}

// The numbered directories of a data directory.
static int add_parts(struct log_dirs *dirs)
{
	struct dirent *entry;
	int r = 0;
	DIR *d;

	d = opendir(dirs->data);
	if (d == NULL)
		return -errno;
	while (r == 0 && (entry = readdir(d)) != NULL) {
		char path[PATH_MAX];

		if (partition_of(entry->d_name) < 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dirs->data, entry->d_name) <
			LOG_DIR_BYTES)
			r = add_part(dirs, path);
	}
	closedir(d);
	if (dirs->count > 1)
		qsort(dirs->parts, dirs->count, sizeof(*dirs->parts), by_partition);
	return r;
}

// A partition's directory lies in a data directory and holds segments, or would.
static int find_parts(struct log_dirs *dirs, const char *real)
{
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", real);
	slash = strrchr(parent, '/');
	if (slash != NULL && slash != parent)
		*slash = '\0';
	if (has_segments(real) || (partition_of(real) >= 0 && has_lock(parent))) {
		snprintf(dirs->data, sizeof(dirs->data), "%.*s", LOG_DIR_BYTES - 1, parent);
		return add_part(dirs, real);
	}
	snprintf(dirs->data, sizeof(dirs->data), "%.*s", LOG_DIR_BYTES - 1, real);
	return add_parts(dirs);
}

// Asked with a shared lock held for a moment, for which a receiver that starts then waits.
static bool is_locked(const char *data)
{
	char path[PATH_MAX];
	bool locked;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", data);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	locked = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return locked;
}

static bool same_dir(const char *a, const char *b)
{
	char real[PATH_MAX];

	return a != NULL && realpath(a, real) != NULL && strcmp(real, b) == 0;
}

// The row of /api/v1/log that is about this directory.
static bool limit_of(const json_t *rows, struct log_part *part)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *first = json_string_value(json_object_get(row, "segment_first_seq"));
		const json_t *offset = json_object_get(row, "durable_offset_bytes");

		if (!same_dir(json_string_value(json_object_get(row, "path")), part->dir))
			continue;
		if (first == NULL || !units_parse_uint(first, &part->limit.segment_first))
			return false;
		part->limit.offset = (uint64_t)json_integer_value(offset);
		return true;
	}
	return false;
}

// The writer's position is not known. What is in flight takes a quarter of a segment at most, so it
// lies in the newest segment and the one before.
static int limit_before_newest(struct log_part *part)
{
	struct wal_segment_file *files;
	unsigned count;
	int r;

	r = wal_list_segments(part->dir, &files, &count);
	if (r < 0)
		return r;
	part->limit = (struct wal_limit){
		.segment_first = count > 1 ? files[count - 2].first_seq : 0, .offset = 0};
	free(files);
	return 0;
}

int log_dirs_refresh(const struct cli *cli, struct log_dirs *dirs)
{
	char error[CLIENT_ERROR_BYTES] = "the receiver that answers writes elsewhere: name the "
					 "socket of this one with --socket";
	json_t *envelope = NULL;
	bool known;

	if (!dirs->live)
		return EXIT_CLI_OK;
	known = client_get(cli, "/api/v1/log", &envelope, error) == EXIT_CLI_OK;
	for (unsigned i = 0; i < dirs->count; i++) {
		struct log_part *part = &dirs->parts[i];
		int r;

		if (known && limit_of(json_object_get(envelope, "data"), part))
			continue;
		cli_error("warning: %s is being written and its durable position is not known, so "
			  "its two newest segments are left out: %s",
			part->dir, error);
		r = limit_before_newest(part);
		if (r < 0) {
			cli_error("%s: %s", part->dir, strerror(-r));
			json_decref(envelope);
			return EXIT_CLI_DEGRADED;
		}
	}
	json_decref(envelope);
	return EXIT_CLI_OK;
}

int log_dirs_find(const struct cli *cli, const char *dir, struct log_dirs *ret)
{
	char data[LOG_DIR_BYTES], real[PATH_MAX];
	int r;

	*ret = (struct log_dirs){0};
	if (dir == NULL) {
		default_data(cli, data, sizeof(data));
		dir = data;
	}
	r = realpath(dir, real) == NULL ? -errno : 0;
	if (r == 0 && strlen(real) >= LOG_DIR_BYTES)
		r = -ENAMETOOLONG;
	if (r == 0)
		r = find_parts(ret, real);
	if (r < 0) {
		cli_error("%s: %s", dir, strerror(-r));
		log_dirs_free(ret);
		return EXIT_CLI_DEGRADED;
	}
	if (ret->count == 0) {
		cli_error("%s: neither a data directory nor a partition's: no log in it", dir);
		return EXIT_CLI_DEGRADED;
	}
	return EXIT_CLI_OK;
}

int log_dirs_open(const struct cli *cli, const char *dir, struct log_dirs *ret)
{
	int rc = log_dirs_find(cli, dir, ret);

	if (rc != EXIT_CLI_OK)
		return rc;
	ret->live = is_locked(ret->data);
	rc = log_dirs_refresh(cli, ret);
	if (rc != EXIT_CLI_OK)
		log_dirs_free(ret);
	return rc;
}

bool log_dirs_came_alive(const struct cli *cli, struct log_dirs *dirs)
{
	if (dirs->live || !is_locked(dirs->data))
		return false;
	dirs->live = true;
	return log_dirs_refresh(cli, dirs) == EXIT_CLI_OK;
}

void log_dirs_free(struct log_dirs *dirs)
{
	free(dirs->parts);
	*dirs = (struct log_dirs){0};
}

void log_print_json(const char *schema, json_t *rows)
{
	json_t *envelope = json_envelope(schema, NULL, json_incref(rows), NULL);

	cli_print_json(envelope);
	json_decref(envelope);
}
