// SPDX-License-Identifier: BSD-3-Clause

// Spare segments. A recycled file has written extents, which cost half as much to overwrite as
// fresh ones cost to fill; so does one filled with zeros ahead, for which there is time only while
// the disk is less than half busy.

#include "common/file.h"
#include "common/logmsg.h"
#include "wal/disk.h"
#include "wal/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ZERO_CHUNK (1u << 20)
#define ZERO_BURST 16 // chunks between two looks at how busy the disk is
#define DISK_RESERVE (16u << 20)

static bool wanted(const struct wal *wal)
{
	return atomic_load(&wal->stop) || atomic_load(&wal->spare_wanted);
}

static int write_zeros(struct wal *wal, int fd, uint64_t size)
{
	void *zeros =
		mmap(NULL, ZERO_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = 0;

	if (zeros == MAP_FAILED)
		return -ENOMEM;
	for (uint64_t at = 0; at < size && r == 0; at += ZERO_CHUNK) {
		uint64_t left = size - at;
		size_t n = left < ZERO_CHUNK ? left : ZERO_CHUNK;

		if (at / ZERO_CHUNK % ZERO_BURST == 0) {
			if (wanted(wal) || !wal_disk_is_idle(fd))
				break;
			wal_keeper_look(wal);
		}
		if (pwrite(fd, zeros, n, (off_t)at) != (ssize_t)n)
			r = errno ? -errno : -EIO;
	}
	munmap(zeros, ZERO_CHUNK);

	return r;
}

// What was the begin of another segment must not be taken for one.
static int clear_begin(int fd)
{
	void *zeros = mmap(
		NULL, WAL_SCHEMA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = 0;

	if (zeros == MAP_FAILED)
		return -ENOMEM;
#ifndef MUTANT_SPARE_NOT_CLEARED
	if (pwrite(fd, zeros, WAL_SCHEMA_BYTES, 0) != WAL_SCHEMA_BYTES || fdatasync(fd) < 0)
		r = errno ? -errno : -EIO;
#endif
	munmap(zeros, WAL_SCHEMA_BYTES);

	return r;
}

static int fill_new(struct wal *wal, int fd, uint64_t size)
{
	struct statvfs fs;
	int r;

	// Asked first: to allocate what is left and give it back would starve everyone else. The
	// reserve keeps cursors and snapshots writable on a full disk.
	if (fstatvfs(fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < size + DISK_RESERVE)
		return -ENOSPC;
	r = -posix_fallocate(fd, 0, (off_t)size);
	if (r == 0)
		r = write_zeros(wal, fd, size);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;

	return r;
}

static int open_file(struct wal *wal, const char *path, int flags)
{
	int fd = -1;

	flags |= O_RDWR | O_CREAT | O_CLOEXEC;
	if (wal->options.log.direct)
		fd = open(path, flags | O_DIRECT, 0640);
	if (fd < 0 && errno == EINVAL && !wal->direct_told) {
		log_warn("partition %u: %s has no O_DIRECT; writing through the page cache, which "
			 "is "
			 "slower: see 'millrace doctor'",
			wal->options.partition, wal->dir);
		wal->direct_told = true;
	}
	if (fd < 0)
		fd = open(path, flags, 0640);

	return fd < 0 ? -errno : fd;
}

static int prepare(struct wal *wal, const char *path, uint64_t size, int *ret_fd)
{
	struct stat st;
	bool recycle;
	int fd, r;

	// What is found under the name may be a retired segment whose rename retire_first() failed
	// to sync: a power cut must not bring back its old name once its bytes are gone.
	r = file_sync_dir(wal->dir);
	if (r < 0)
		return r;
	recycle = stat(path, &st) == 0 && (uint64_t)st.st_size == size;
	fd = open_file(wal, path, recycle ? 0 : O_TRUNC);
	if (fd < 0)
		return fd;
	r = recycle ? clear_begin(fd) : fill_new(wal, fd, size);
	if (r < 0) {
		close(fd);
		unlink(path); // gives back what was allocated of it
		return r;
	}
	if (wal->can_recycle)
		counter_add(&wal->counters[WAL_segments_recycled], 1);
	wal->can_recycle = false;
	*ret_fd = fd;

	return 0;
}

struct segment *wal_spare_make(struct wal *wal, int *ret_error)
{
	char path[CONFIG_PATH_MAX + 64];
	struct segment *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (!s)
		goto err;
	s->size = wal->options.log.segment_bytes;
	snprintf(path, sizeof(path), "%s/%s", wal->dir, WAL_SPARE_NAME);
	r = wal_id_random(&s->id);
	if (r == 0)
		r = prepare(wal, path, s->size, &s->fd);
	if (r == 0)
		return s;

err:
	free(s);
	*ret_error = r;
	return NULL;
}
