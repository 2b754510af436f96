// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/sinks/files_fixture.h"

#include "common/file.h"
#include "tests/lib/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct files_fixture t;

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);

ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	if (t.writes_fail == 0)
		return __real_pwrite64(fd, data, len, offset);
	errno = t.writes_fail;
	return -1;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	if (t.syncs_to == 0 || --t.syncs_to > 0)
		return __real_fsync(fd);
	errno = EIO;
	return -1;
}

bool sink_wait(const struct sink_target *target, uint64_t ns)
{
	assert_ptr_equal(target, &t.target);
	assert_true(ns > 0 && ns <= 1000000000);
	t.waits++;
	if (t.waits <= t.seals)
		fake_log.sealed++;
	if (t.waits == t.stops_at)
		atomic_store(&t.stop, true);
	return !atomic_load(&t.stop);
}

struct wal_cursor sink_cursor_behind(const struct wal_batch *batch)
{
	return (struct wal_cursor){.log_id = batch->log_id,
		.batch = batch->number + 1,
		.seq = batch->end_seq,
		.crc = batch->crc};
}

static void driver_open(void)
{
	assert_int_equal(sink_files.open(&t.driver, &t.target), 0);
}

void driver_again(void)
{
	sink_files.close(t.driver);
	t.driver = NULL;
	driver_open();
}

void remove_plan(void)
{
	char path[PATHS];

	snprintf(path, sizeof(path), "%s/archive.plan.json", t.dir);
	unlink(path);
	driver_again();
}

int files_setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	fake_log_reset();
	memcpy(t.top, "/tmp/millrace-files-XXXXXX", 27);
	assert_non_null(mkdtemp(t.top));
	snprintf(t.dir, sizeof(t.dir), "%s/0", t.top);
	snprintf(t.out, sizeof(t.out), "%s/out", t.top);
	assert_int_equal(mkdir(t.dir, 0700), 0);
	assert_int_equal(mkdir(t.out, 0700), 0);
	t.config = (struct config_sink){.name = "archive",
		.kind = SINK_FILES,
		.file = "{partition}-{first}-{last}-{log_id}.arrow",
		.roll_bytes = 1 << 30};
	snprintf(t.config.path, sizeof(t.config.path), "%s", t.out);
	t.target = (struct sink_target){.config = &t.config,
		.receiver = "slave-1",
		.dir = t.dir,
		.log_id = fake_log.log_id,
		.stop = &t.stop};
	assert_int_equal(wal_batches_open(&t.log, t.dir, NULL, 0), 0);
	driver_open();
	return 0;
}

int files_teardown(void **state)
{
	(void)state;
	sink_files.close(t.driver);
	wal_batches_close(t.log);
	assert_int_equal(remove_tree(t.top), 0);
	return 0;
}

int64_t deliver(uint64_t from, uint64_t *events)
{
	struct wal_cursor cursor = {0};
	struct wal_batch batch;
	uint64_t n = 0;
	int r;

	wal_batches_seek(t.log, from);
	assert_int_equal(wal_batches_next(t.log, &batch), 1);
	r = sink_files.deliver(t.driver, t.log, &batch, &cursor, &n);
	if (events != NULL)
		*events = n;
	if (r < 0)
		return r;
	assert_int_equal(cursor.batch, wal_batches_wanted(t.log));
	assert_true(wal_id_equal(&cursor.log_id, &fake_log.log_id));
	return (int64_t)cursor.batch;
}

void path_of(const char *name, char ret[PATHS])
{
	snprintf(ret, PATHS, "%s/%.*s", t.out, NAMES, name);
}

void name_of(uint64_t first, uint64_t last, char ret[NAMES])
{
	snprintf(ret, NAMES, "0-%020llu-%020llu-" ID ".arrow", (unsigned long long)first,
		(unsigned long long)last);
}

void must_hold(const char *name, uint64_t first, uint64_t last)
{
	char path[PATHS], *found;
	size_t len, want_len;
	uint8_t *want = fake_export(first, last, "slave-1", 0, &want_len);

	path_of(name, path);
	assert_int_equal(file_read(path, 1 << 24, &found, &len), 0);
	assert_int_equal(len, want_len);
	assert_memory_equal(found, want, len);
	free(found);
	free(want);
}

void must_be(uint64_t first, uint64_t last)
{
	char name[NAMES];

	name_of(first, last, name);
	must_hold(name, first, last);
}

unsigned count_names(void)
{
	DIR *dir = opendir(t.out);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

void said(const char *word)
{
	if (strstr(t.target.why, word) == NULL)
		print_error("%s\n", t.target.why);
	assert_non_null(strstr(t.target.why, word));
}

ino_t inode_of(const char *name)
{
	struct stat st;
	char path[PATHS];

	path_of(name, path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}
