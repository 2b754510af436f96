// SPDX-License-Identifier: BSD-3-Clause

// The system calls on names: what is where, and what its size is.

#include "calls.h"
#include "fs.h"
#include "sim.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SPACE_RESERVED (16u << 20)

static struct sim_dir {
	int fd;
	unsigned next;
	struct dirent64 entry;
} dirs[4];

static bool disk_full;

REAL(int, rename, const char *from, const char *to);
REAL(int, renameat, int from_dir, const char *from, int to_dir, const char *to);
REAL(int, unlink, const char *path);
REAL(int, unlinkat, int dir, const char *path, int flags);
REAL(int, mkdir, const char *path, mode_t mode);
REAL(int, stat64, const char *path, struct stat *st);
REAL(int, fstat64, int fd, struct stat *st);
REAL(int, fstatat64, int dir, const char *path, struct stat *st, int flags);
REAL(int, fstatvfs64, int fd, struct statvfs *fs);
REAL(DIR *, opendir, const char *path);
REAL(struct dirent64 *, readdir64, DIR *dir);
REAL(int, closedir, DIR *dir);
REAL(int, dirfd, DIR *dir);

void paths_reset(void)
{
	memset(dirs, 0, sizeof(dirs));
}

void calls_disk_full(bool full)
{
	disk_full = full;
}

bool paths_disk_full(void)
{
	return disk_full;
}

bool path_simulated(const char *path)
{
	return strncmp(path, SIM_ROOT, strlen(SIM_ROOT)) == 0;
}

const char *path_split(const char *path, int *ret_dir)
{
	const char *at = path + strlen(SIM_ROOT), *slash;
	char parent[FS_NAME];

	*ret_dir = 0;
	if (*at == '\0')
		return ".";
	for (at++; (slash = strchr(at, '/')) != NULL; at = slash + 1) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - at), at);
		*ret_dir = fs_find(*ret_dir, parent);
		if (*ret_dir < 0)
			return NULL;
	}
	return at;
}

int path_find_at(int dir, const char *name)
{
	return strcmp(name, ".") == 0 ? dir : fs_find(dir, name);
}

static int find(const char *path)
{
	int dir;
	const char *name = path_split(path, &dir);

	return name ? path_find_at(dir, name) : -ENOENT;
}

static uint64_t segment_seq(const char *name)
{
	return strlen(name) == 27 ? strtoull(name, NULL, 10) : UINT64_MAX;
}

static int rename_at(int dir, const char *from, const char *to)
{
	int r;

	if (sim_fault())
		return failed(EIO);
	if (sim_in_keeper() && segment_seq(from) != UINT64_MAX)
		model_retire(segment_seq(from));
	r = fs_rename(dir, from, to);
	return r < 0 ? failed(-r) : 0;
}

int __wrap_rename(const char *from, const char *to)
{
	const char *name;
	int dir;

	if (!path_simulated(from))
		return __real_rename(from, to);
	sim_point("rename %s %s", from, to);
	name = path_split(from, &dir);
	return name ? rename_at(dir, name, strrchr(to, '/') + 1) : failed(ENOENT);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	const struct open_file *d = calls_file(from_dir);

	if (!d)
		return __real_renameat(from_dir, from, to_dir, to);
	sim_point("renameat %s %s", from, to);
	return rename_at(d->inode, from, to);
}

static int unlink_at(int dir, const char *name)
{
	int r;

	if (sim_fault())
		return failed(EIO);
	if (sim_in_keeper() && segment_seq(name) != UINT64_MAX)
		model_retire(segment_seq(name));
	r = fs_remove(dir, name);
	return r < 0 ? failed(-r) : 0;
}

int __wrap_unlink(const char *path)
{
	const char *name;
	int dir;

	if (!path_simulated(path))
		return __real_unlink(path);
	sim_point("unlink %s", path);
	name = path_split(path, &dir);
	return name ? unlink_at(dir, name) : failed(ENOENT);
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
	const struct open_file *d = calls_file(dir);

	if (!d)
		return __real_unlinkat(dir, path, flags);
	sim_point("unlinkat %s", path);
	return unlink_at(d->inode, path);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	const char *name;
	int dir, r;

	if (!path_simulated(path))
		return __real_mkdir(path, mode);
	sim_point("mkdir %s", path);
	if (find(path) >= 0)
		return failed(EEXIST);
	if (sim_fault())
		return failed(ENOSPC);
	name = path_split(path, &dir);
	r = name ? fs_create(dir, name, true) : -ENOENT;
	return r < 0 ? failed(-r) : 0;
}

// --- asking

static int stat_of(int inode, struct stat *st)
{
	if (inode < 0)
		return failed(-inode);
	memset(st, 0, sizeof(*st));
	st->st_ino = (ino_t)inode + 1;
	st->st_mode = fs_is_dir(inode) ? S_IFDIR | 0750 : S_IFREG | 0640;
	st->st_size = (off_t)fs_size(inode);
	st->st_mtim.tv_sec = fs_mtime(inode) / 1000000000;
	st->st_mtim.tv_nsec = fs_mtime(inode) % 1000000000;
	return 0;
}

int __wrap_stat64(const char *path, struct stat *st)
{
	if (!path_simulated(path))
		return __real_stat64(path, st);
	sim_point("stat %s", path);
	return sim_fault() ? failed(EIO) : stat_of(find(path), st);
}

int __wrap_fstat64(int fd, struct stat *st)
{
	const struct open_file *f = calls_file(fd);

	return f ? stat_of(f->inode, st) : __real_fstat64(fd, st);
}

int __wrap_fstatat64(int dir, const char *path, struct stat *st, int flags)
{
	const struct open_file *d = calls_file(dir);

	if (!d)
		return __real_fstatat64(dir, path, st, flags);
	sim_point("fstatat %s", path);
	return sim_fault() ? failed(EIO) : stat_of(path_find_at(d->inode, path), st);
}

int __wrap_fstatvfs64(int fd, struct statvfs *fs)
{
	if (!calls_file(fd))
		return __real_fstatvfs64(fd, fs);
	memset(fs, 0, sizeof(*fs));
	fs->f_frsize = 1;
	fs->f_bavail = disk_full ? 0 : SPACE_RESERVED + (fs_room() + 1) * (uint64_t)FS_FILE_MAX;
	return 0;
}

DIR *__wrap_opendir(const char *path)
{
	int fd;

	if (!path_simulated(path))
		return __real_opendir(path);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	for (unsigned i = 0; fd >= 0; i++) {
		if (dirs[i].fd)
			continue;
		dirs[i] = (struct sim_dir){.fd = fd};
		return (DIR *)&dirs[i];
	}
	return NULL;
}

static struct sim_dir *dir_of(DIR *dir)
{
	struct sim_dir *d = (struct sim_dir *)dir;

	return d >= dirs && d < dirs + sizeof(dirs) / sizeof(dirs[0]) ? d : NULL;
}

struct dirent64 *__wrap_readdir64(DIR *dir)
{
	struct sim_dir *d = dir_of(dir);
	const char *name;

	if (!d)
		return __real_readdir64(dir);
	name = fs_list(calls_file(d->fd)->inode, d->next++);
	if (!name)
		return NULL;
	snprintf(d->entry.d_name, sizeof(d->entry.d_name), "%s", name);
	return &d->entry;
}

int __wrap_closedir(DIR *dir)
{
	struct sim_dir *d = dir_of(dir);
	int fd;

	if (!d)
		return __real_closedir(dir);
	fd = d->fd;
	d->fd = 0;
	return close(fd);
}

int __wrap_dirfd(DIR *dir)
{
	return dir_of(dir) ? dir_of(dir)->fd : __real_dirfd(dir);
}
