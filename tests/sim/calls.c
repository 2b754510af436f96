// SPDX-License-Identifier: BSD-3-Clause

// The system calls of the code under test. Paths below /sim and descriptors from FD_FIRST on are
// simulated; every other call goes where it always goes.

#include "fs.h"
#include "sim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define FD_FIRST 1000000
#define FDS 64
#define SPACE_RESERVED (16u << 20)

enum { FD_FREE, FD_FILE, FD_EVENT };

static struct open_file {
	int kind;
	int inode;
	int flags;
	uint64_t at;
} files[FDS];

static struct sim_dir {
	int fd;
	unsigned next;
	struct dirent64 entry;
} dirs[4];

static bool has_direct;
static bool disk_full;
static uint64_t event_count;

#define REAL(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

REAL(int, open64, const char *path, int flags, ...);
REAL(int, openat64, int dir, const char *path, int flags, ...);
REAL(int, close, int fd);
REAL(ssize_t, read, int fd, void *buf, size_t len);
REAL(ssize_t, write, int fd, const void *buf, size_t len);
REAL(ssize_t, pread64, int fd, void *buf, size_t len, off_t offset);
REAL(ssize_t, pwrite64, int fd, const void *buf, size_t len, off_t offset);
REAL(ssize_t, pwritev64v2, int fd, const struct iovec *v, int n, off_t offset, int flags);
REAL(int, fsync, int fd);
REAL(int, fdatasync, int fd);
REAL(int, ftruncate64, int fd, off_t size);
REAL(int, posix_fallocate64, int fd, off_t offset, off_t len);
REAL(int, posix_fadvise64, int fd, off_t offset, off_t len, int advice);
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
REAL(int, eventfd, unsigned count, int flags);
REAL(int, poll, struct pollfd *fds, nfds_t n, int timeout);

static int failed(int error)
{
	errno = error;
	return -1;
}

static struct open_file *file_of(int fd)
{
	if (fd < FD_FIRST || fd >= FD_FIRST + FDS)
		return NULL;
	if (files[fd - FD_FIRST].kind == FD_FREE)
		sim_violated("descriptor %d is used after it was closed", fd);
	return &files[fd - FD_FIRST];
}

void calls_reset(bool direct)
{
	memset(files, 0, sizeof(files));
	memset(dirs, 0, sizeof(dirs));
	has_direct = direct;
	event_count = 0;
}

unsigned calls_open(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FDS; i++)
		n += files[i].kind != FD_FREE;
	return n;
}

int calls_inode(int fd)
{
	const struct open_file *f = file_of(fd);

	return f ? f->inode : -1;
}

void calls_disk_full(bool full)
{
	disk_full = full;
}

static int fd_new(int kind, int inode, int flags)
{
	for (int i = 0; i < FDS; i++) {
		if (files[i].kind != FD_FREE)
			continue;
		files[i] = (struct open_file){.kind = kind, .inode = inode, .flags = flags};
		if (kind == FD_FILE)
			fs_hold(inode, 1);
		return FD_FIRST + i;
	}
	sim_violated("more than %d descriptors are open", FDS);
}

// --- paths

static bool simulated(const char *path)
{
	return strncmp(path, SIM_ROOT, strlen(SIM_ROOT)) == 0;
}

// The directory's inode and the last part of the path; NULL: there is no such directory.
static const char *path_split(const char *path, int *ret_dir)
{
	const char *last = strrchr(path, '/');
	char parent[FS_NAME];

	*ret_dir = 0;
	if (strcmp(path, SIM_ROOT) == 0)
		return ".";
	if ((size_t)(last - path) == strlen(SIM_ROOT))
		return last + 1;
	snprintf(parent, sizeof(parent), "%.*s", (int)(last - path - strlen(SIM_ROOT) - 1),
		path + strlen(SIM_ROOT) + 1);
	*ret_dir = fs_find(0, parent);
	return *ret_dir < 0 ? NULL : last + 1;
}

static int find_at(int dir, const char *name)
{
	return strcmp(name, ".") == 0 ? dir : fs_find(dir, name);
}

static int find(const char *path)
{
	int dir;
	const char *name = path_split(path, &dir);

	return name ? find_at(dir, name) : -ENOENT;
}

// --- opening

static int open_at(int dir, const char *name, int flags)
{
	int inode = find_at(dir, name);

	if (sim_fault())
		return failed(flags & O_CREAT ? ENOSPC : EIO);
	if (inode < 0 && !(flags & O_CREAT))
		return failed(ENOENT);
	if (flags & O_DIRECT && !has_direct)
		return failed(EINVAL);
	if (inode < 0)
		inode = fs_create(dir, name, false);
	else if (flags & O_TRUNC && fs_size(inode) > 0)
		fs_set_size(inode, 0);
	return inode < 0 ? failed(-inode) : fd_new(FD_FILE, inode, flags);
}

int __wrap_open64(const char *path, int flags, ...)
{
	const char *name;
	int dir;

	if (!simulated(path))
		return __real_open64(path, flags, 0600);
	sim_point("open %s%s%s", path, flags & O_CREAT ? " create" : "",
		flags & O_TRUNC ? " truncate" : "");
	name = path_split(path, &dir);
	return name ? open_at(dir, name, flags) : failed(ENOENT);
}

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	const struct open_file *d = file_of(dir);

	if (!d)
		return __real_openat64(dir, path, flags, 0600);
	sim_point("openat %s", path);
	return open_at(d->inode, path, flags);
}

int __wrap_close(int fd)
{
	struct open_file *f = file_of(fd);

	if (!f)
		return __real_close(fd);
	sim_point("close %d", fd - FD_FIRST);
	if (f->kind == FD_FILE)
		fs_hold(f->inode, -1);
	f->kind = FD_FREE;
	return 0;
}

// --- reading and writing

static ssize_t read_at(const struct open_file *f, void *buf, size_t len, uint64_t offset)
{
	uint64_t size = fs_size(f->inode);

	if (sim_fault())
		return failed(sim_chance(300) ? EINTR : EIO);
	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = size - offset;
	if (!sim_is_calm() && len > 1 && sim_chance(20))
		len = 1 + sim_below((uint32_t)len - 1);
	memcpy(buf, fs_bytes(f->inode) + offset, len);
	return (ssize_t)len;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset)
{
	const struct open_file *f = file_of(fd);

	if (!f)
		return __real_pread64(fd, buf, len, offset);
	sim_point("pread %d %zu at %lld", fd - FD_FIRST, len, (long long)offset);
	return read_at(f, buf, len, (uint64_t)offset);
}

static ssize_t event_read(void *buf)
{
	if (event_count == 0)
		return failed(EAGAIN);
	memcpy(buf, &event_count, sizeof(event_count));
	event_count = 0;
	return sizeof(event_count);
}

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	struct open_file *f = file_of(fd);
	ssize_t n;

	if (!f)
		return __real_read(fd, buf, len);
	sim_point("read %d", fd - FD_FIRST);
	if (f->kind == FD_EVENT)
		return event_read(buf);
	n = read_at(f, buf, len, f->at);
	f->at += n > 0 ? (uint64_t)n : 0;
	return n;
}

static ssize_t write_at(
	const struct open_file *f, const void *buf, size_t len, uint64_t offset, bool durable)
{
	struct fs_op *op = fs_write_begin(f->inode, buf, (uint32_t)len, offset);
	uint32_t done = (uint32_t)len;

	if (!op)
		return failed(ENOSPC);
	sim_point("... begun"); // a crash here finds the write half done
	if (sim_fault()) {
		fs_write_tear(op);
		return failed(sim_chance(500) ? ENOSPC : EIO);
	}
	if (!sim_is_calm() && len > FS_SECTOR && sim_chance(sim_pace.faults))
		done = FS_SECTOR * (1 + sim_below((uint32_t)(len - 1) / FS_SECTOR));
	fs_write_end(op, done, durable);
	return done;
}

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	struct open_file *f = file_of(fd);
	ssize_t n;

	if (!f)
		return __real_write(fd, buf, len);
	sim_point("write %d %zu", fd - FD_FIRST, len);
	if (f->kind == FD_EVENT) {
		event_count++;
		return (ssize_t)len;
	}
	n = write_at(f, buf, len, f->at, false);
	f->at += n > 0 ? (uint64_t)n : 0;
	return n;
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t offset)
{
	const struct open_file *f = file_of(fd);

	if (!f)
		return __real_pwrite64(fd, buf, len, offset);
	sim_point("pwrite %d %zu at %lld", fd - FD_FIRST, len, (long long)offset);
	return write_at(f, buf, len, (uint64_t)offset, false);
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *v, int n, off_t offset, int flags)
{
	const struct open_file *f = file_of(fd);

	if (!f)
		return __real_pwritev64v2(fd, v, n, offset, flags);
	sim_point("pwritev2 %d %zu at %lld", fd - FD_FIRST, v->iov_len, (long long)offset);
	return write_at(f, v->iov_base, v->iov_len, (uint64_t)offset, flags & RWF_DSYNC);
}

static int flush(int fd, const char *what)
{
	const struct open_file *f = file_of(fd);
	uint64_t begun = fs_flush_begin();
	bool good;

	sim_point("%s %d", what, fd - FD_FIRST);
	good = !sim_flush_fault();
	fs_flush_end(f->inode, begun, good);
	return good ? 0 : failed(EIO);
}

int __wrap_fsync(int fd)
{
	return file_of(fd) ? flush(fd, "fsync") : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	return file_of(fd) ? flush(fd, "fdatasync") : __real_fdatasync(fd);
}

int __wrap_ftruncate64(int fd, off_t size)
{
	const struct open_file *f = file_of(fd);

	if (!f)
		return __real_ftruncate64(fd, size);
	sim_point("ftruncate %d to %lld", fd - FD_FIRST, (long long)size);
	if (sim_fault())
		return failed(EIO);
	fs_set_size(f->inode, (uint64_t)size);
	return 0;
}

int __wrap_posix_fallocate64(int fd, off_t offset, off_t len)
{
	const struct open_file *f = file_of(fd);
	uint64_t end = (uint64_t)(offset + len);

	if (!f)
		return __real_posix_fallocate64(fd, offset, len);
	sim_point("fallocate %d to %llu", fd - FD_FIRST, (unsigned long long)end);
	if (disk_full || sim_fault())
		return ENOSPC;
	return end > fs_size(f->inode) ? -fs_set_size(f->inode, end) : 0;
}

int __wrap_posix_fadvise64(int fd, off_t offset, off_t len, int advice)
{
	return file_of(fd) ? 0 : __real_posix_fadvise64(fd, offset, len, advice);
}

// --- names

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

	if (!simulated(from))
		return __real_rename(from, to);
	sim_point("rename %s %s", from, to);
	name = path_split(from, &dir);
	return name ? rename_at(dir, name, strrchr(to, '/') + 1) : failed(ENOENT);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	const struct open_file *d = file_of(from_dir);

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

	if (!simulated(path))
		return __real_unlink(path);
	sim_point("unlink %s", path);
	name = path_split(path, &dir);
	return name ? unlink_at(dir, name) : failed(ENOENT);
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
	const struct open_file *d = file_of(dir);

	if (!d)
		return __real_unlinkat(dir, path, flags);
	sim_point("unlinkat %s", path);
	return unlink_at(d->inode, path);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	const char *name;
	int dir, r;

	if (!simulated(path))
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
	if (!simulated(path))
		return __real_stat64(path, st);
	sim_point("stat %s", path);
	return sim_fault() ? failed(EIO) : stat_of(find(path), st);
}

int __wrap_fstat64(int fd, struct stat *st)
{
	const struct open_file *f = file_of(fd);

	return f ? stat_of(f->inode, st) : __real_fstat64(fd, st);
}

int __wrap_fstatat64(int dir, const char *path, struct stat *st, int flags)
{
	const struct open_file *d = file_of(dir);

	if (!d)
		return __real_fstatat64(dir, path, st, flags);
	sim_point("fstatat %s", path);
	return sim_fault() ? failed(EIO) : stat_of(find_at(d->inode, path), st);
}

int __wrap_fstatvfs64(int fd, struct statvfs *fs)
{
	if (!file_of(fd))
		return __real_fstatvfs64(fd, fs);
	memset(fs, 0, sizeof(*fs));
	fs->f_frsize = 1;
	fs->f_bavail = disk_full ? 0 : SPACE_RESERVED + (fs_room() + 1) * (uint64_t)FS_FILE_MAX;
	return 0;
}

DIR *__wrap_opendir(const char *path)
{
	int fd;

	if (!simulated(path))
		return __real_opendir(path);
	fd = __wrap_open64(path, O_RDONLY | O_DIRECTORY);
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
	name = fs_list(file_of(d->fd)->inode, d->next++);
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
	return __wrap_close(fd);
}

int __wrap_dirfd(DIR *dir)
{
	return dir_of(dir) ? dir_of(dir)->fd : __real_dirfd(dir);
}

// --- the keeper's sleep

int __wrap_eventfd(unsigned count, int flags)
{
	if (!sim_inside())
		return __real_eventfd(count, flags);
	event_count = count;
	return sim_fault() ? failed(EMFILE) : fd_new(FD_EVENT, 0, flags);
}

static bool event_ready(void)
{
	return event_count > 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!file_of(fds->fd))
		return __real_poll(fds, n, timeout);
	sim_point("poll");
	return sim_keeper_poll(event_ready);
}
