// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "dataplane/preflight_rows.h"

#include <liburing.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SEGMENTS_WANTED 3
#define PROBE_BYTES (128u << 10)
#define PROBE_WRITES 200

// The directory itself, or the nearest one above it that is there.
static void nearest_dir(const char *path, char *ret, size_t len)
{
	struct stat st;
	char *slash;

	snprintf(ret, len, "%s", path);
	while (ret[0] != '\0' && stat(ret, &st) != 0) {
		slash = strrchr(ret, '/');
		if (slash == NULL)
			snprintf(ret, len, ".");
		else if (slash == ret)
			ret[1] = '\0';
		else
			*slash = '\0';
	}
}

// A file without a name where the logs will lie, gone when it is closed.
static int open_probe(const char *dir, int flags)
{
	char path[CONFIG_PATH_MAX + 32];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd >= 0 ? fd : -errno;
	snprintf(path, sizeof(path), "%s/.millrace-probe-%d", dir, (int)getpid());
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static bool check_directory(struct checks *c, const char *dir)
{
	struct check_row *row;
	struct stat st;
	int fd;

	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode)) {
		row = check_add(c, CHECK_FAIL, "data directory", "%.120s is no directory", dir);
		check_mend(row, "set 'data' to a directory on the disk for the logs");
		return false;
	}
	fd = open_probe(dir, 0);
	if (fd < 0) {
		row = check_add(c, CHECK_FAIL, "data directory", "%.100s: %s", dir, strerror(-fd));
		check_mend(row, "install -d -m 0750 -o $USER %.180s", c->config->data);
		return false;
	}
	close(fd);
	check_add(c, CHECK_OK, "data directory", "%.120s, %s", c->config->data,
		strcmp(dir, c->config->data) == 0 ? "writable" : "can be made");
	return true;
}

static void check_direct(struct checks *c, const char *dir)
{
	void *page = NULL;
	struct check_row *row;
	int fd, err = 0;

	if (!c->config->log.direct) {
		check_add(c, CHECK_SKIP, "O_DIRECT", "not used (log.direct: false)");
		return;
	}
	fd = open_probe(dir, O_DIRECT);
	if (fd < 0) {
		err = -fd;
	} else if (posix_memalign(&page, 4096, 4096) == 0) {
		memset(page, 0, 4096);
		if (pwrite(fd, page, 4096, 0) != 4096)
			err = errno;
	}
	if (fd >= 0)
		close(fd);
	free(page);
	if (err == 0) {
		check_add(c, CHECK_OK, "O_DIRECT", "works");
		return;
	}
	row = check_add(
		c, CHECK_WARN, "O_DIRECT", "%s: writes go through the page cache", strerror(err));
	check_mend(row, "put 'data' on ext4 or XFS, or accept it with log.direct: false");
}

static void check_uring(struct checks *c)
{
	long long disabled = check_number(c, "/proc/sys/kernel/io_uring_disabled");
	bool wanted = c->config->log.io == IO_URING;
	struct io_uring ring;
	struct check_row *row;
	int err;

	if (c->config->log.io == IO_SYNC) {
		check_add(c, CHECK_SKIP, "io_uring", "not used (log.io: pwrite)");
		return;
	}
	err = io_uring_queue_init(8, &ring, 0);
	if (err == 0) {
		io_uring_queue_exit(&ring);
		check_add(c, CHECK_OK, "io_uring", "works");
		return;
	}
	row = check_add(c, wanted ? CHECK_FAIL : CHECK_WARN, "io_uring", "%s%s", strerror(-err),
		wanted ? "" : ": blocks are written by pwrite, slower");
	if (disabled > 0)
		check_mend(row, "sysctl -w kernel.io_uring_disabled=0");
	else
		check_mend(row, "allow io_uring in the container's seccomp profile, or set log.io: "
				"pwrite");
}

// Bytes of segments that lie there already; their room is the log's own.
static uint64_t log_bytes(const char *data, unsigned partitions)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < partitions; i++) {
		char path[CONFIG_PATH_MAX + 16];
		struct dirent *entry;
		struct stat st;
		DIR *dir;

		snprintf(path, sizeof(path), "%s/%u", data, i);
		dir = opendir(path);
		while (dir != NULL && (entry = readdir(dir)) != NULL)
			if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
				sum += (uint64_t)st.st_size;
		if (dir != NULL)
			closedir(dir);
	}
	return sum;
}

static void check_space(struct checks *c, const char *dir)
{
	const struct config *config = c->config;
	uint64_t wanted = SEGMENTS_WANTED * config->log.segment_bytes * config->partitions;
	uint64_t have, free_bytes;
	struct statvfs fs;
	struct check_row *row;

	if (statvfs(dir, &fs) != 0)
		return;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	have = free_bytes + log_bytes(config->data, config->partitions);
	row = check_add(c, have >= wanted ? CHECK_OK : CHECK_WARN, "disk space",
		"%.1f GiB free, %.1f GiB wanted (%u segments for each partition, the log's own "
		"counted)",
		(double)free_bytes / MIB / 1024, (double)wanted / MIB / 1024, SEGMENTS_WANTED);
	if (have < wanted)
		check_mend(row,
			"free %.1f GiB on the file system of %.120s, or lower "
			"log.segment_size",
			(double)(wanted - have) / MIB / 1024, dir);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

// Times PROBE_WRITES writes of PROBE_BYTES, each made durable; over written extents, as recycled
// segments are. Returns 0 or a negative errno.
static int time_writes(int fd, const void *buf, bool dsync, uint64_t *ret)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = PROBE_BYTES};

	for (unsigned i = 0; i < PROBE_WRITES; i++) {
		uint64_t begin = clock_monotonic_ns();
		off_t at = (off_t)(i % 32) * PROBE_BYTES;
		if (pwritev2(fd, &iov, 1, at, dsync ? RWF_DSYNC : 0) != (ssize_t)PROBE_BYTES)
			return -errno;
		if (!dsync && fdatasync(fd) != 0)
			return -errno;
		ret[i] = clock_monotonic_ns() - begin;
	}
	qsort(ret, PROBE_WRITES, sizeof(ret[0]), compare);
	return 0;
}

static void report_times(struct checks *c, const uint64_t *flush, const uint64_t *dsync)
{
	const unsigned p50 = PROBE_WRITES / 2, p99 = PROBE_WRITES * 99 / 100;
	bool better = dsync[p50] * 10 < flush[p50] * 8;
	bool used = c->config->log.durability == DURABILITY_DSYNC;
	struct check_row *row;

	check_add(c, CHECK_OK, "write + flush", "128 KiB: p50 %llu us, p99 %llu us",
		(unsigned long long)flush[p50] / 1000, (unsigned long long)flush[p99] / 1000);
	row = check_add(c, CHECK_OK, "O_DSYNC write", "128 KiB: p50 %llu us, p99 %llu us",
		(unsigned long long)dsync[p50] / 1000, (unsigned long long)dsync[p99] / 1000);
	if (better && !used)
		check_mend(row, "log.durability: dsync may commit faster on this disk");
}

static void measure(struct checks *c, const char *dir)
{
	uint64_t flush[PROBE_WRITES] = {0}, dsync[PROBE_WRITES] = {0};
	int fd = open_probe(dir, c->config->log.direct ? O_DIRECT : 0);
	void *buf = NULL;
	int err = fd < 0 ? fd : 0;

	if (fd < 0)
		fd = open_probe(dir, 0);
	if (fd < 0 || posix_memalign(&buf, 4096, PROBE_BYTES) != 0)
		goto out;
	memset(buf, 0x5a, PROBE_BYTES);
	err = time_writes(fd, buf, true, dsync); // once to write the extents
	if (err == 0)
		err = time_writes(fd, buf, false, flush);
	if (err == 0)
		err = time_writes(fd, buf, true, dsync);
	if (err == 0)
		report_times(c, flush, dsync);
out:
	if (err != 0)
		check_add(c, CHECK_WARN, "write + flush", "not measured: %s", strerror(-err));
	if (fd >= 0)
		close(fd);
	free(buf);
}

void check_disk(struct checks *c)
{
	char dir[CONFIG_PATH_MAX];

	nearest_dir(c->config->data, dir, sizeof(dir));
	check_uring(c);
	if (!check_directory(c, dir))
		return;
	check_direct(c, dir);
	check_space(c, dir);
	if (c->measure_disk)
		measure(c, dir);
}
