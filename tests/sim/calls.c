// SPDX-License-Identifier: BSD-3-Clause

// The system calls of the code under test on open files. Paths below /sim and descriptors from
// FD_FIRST on are simulated; every other call goes where it always goes.

#include "calls.h"

#include "fs.h"
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 64

static struct open_file files[FDS];

static bool has_direct;
static uint64_t event_count;

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
REAL(int, sync_file_range, int fd, off_t offset, off_t len, unsigned flags);
REAL(int, ftruncate64, int fd, off_t size);
REAL(int, posix_fallocate64, int fd, off_t offset, off_t len);
REAL(int, posix_fadvise64, int fd, off_t offset, off_t len, int advice);
REAL(int, eventfd, unsigned count, int flags);
REAL(int, poll, struct pollfd *fds, nfds_t n, int timeout);

struct open_file *calls_file(int fd)
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
	paths_reset();
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
	const struct open_file *f = calls_file(fd);

	return f ? f->inode : -1;
}

int calls_fd(enum fd_kind kind, int inode)
{
	for (int i = 0; i < FDS; i++) {
		if (files[i].kind != FD_FREE)
			continue;
		files[i] = (struct open_file){.kind = kind, .inode = inode};
		if (kind == FD_FILE)
			fs_hold(inode, 1);
		return FD_FIRST + i;
	}
	sim_violated("more than %d descriptors are open", FDS);
}

// --- opening

static int open_at(int dir, const char *name, int flags)
{
	int inode = path_find_at(dir, name);

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
	return inode < 0 ? failed(-inode) : calls_fd(FD_FILE, inode);
}

int __wrap_open64(const char *path, int flags, ...)
{
	const char *name;
	int dir;

	if (!path_simulated(path))
		return __real_open64(path, flags, 0600);
	sim_point("open %s%s%s", path, flags & O_CREAT ? " create" : "",
		flags & O_TRUNC ? " truncate" : "");
	name = path_split(path, &dir);
	return name ? open_at(dir, name, flags) : failed(ENOENT);
}

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	const struct open_file *d = calls_file(dir);

	if (!d)
		return __real_openat64(dir, path, flags, 0600);
	sim_point("openat %s", path);
	return open_at(d->inode, path, flags);
}

int __wrap_close(int fd)
{
	struct open_file *f = calls_file(fd);

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
	const struct open_file *f = calls_file(fd);

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
	struct open_file *f = calls_file(fd);
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
	struct open_file *f = calls_file(fd);
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
	const struct open_file *f = calls_file(fd);

	if (!f)
		return __real_pwrite64(fd, buf, len, offset);
	sim_point("pwrite %d %zu at %lld", fd - FD_FIRST, len, (long long)offset);
	return write_at(f, buf, len, (uint64_t)offset, false);
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *v, int n, off_t offset, int flags)
{
	const struct open_file *f = calls_file(fd);

	if (!f)
		return __real_pwritev64v2(fd, v, n, offset, flags);
	sim_point("pwritev2 %d %zu at %lld", fd - FD_FIRST, v->iov_len, (long long)offset);
	return write_at(f, v->iov_base, v->iov_len, (uint64_t)offset, flags & RWF_DSYNC);
}

static int flush(int fd, const char *what)
{
	const struct open_file *f = calls_file(fd);
	uint64_t begun = fs_flush_begin();
	bool good;

	sim_point("%s %d", what, fd - FD_FIRST);
	good = !sim_flush_fault();
	fs_flush_end(f->inode, begun, good);
	return good ? 0 : failed(EIO);
}

int __wrap_fsync(int fd)
{
	return calls_file(fd) ? flush(fd, "fsync") : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	return calls_file(fd) ? flush(fd, "fdatasync") : __real_fdatasync(fd);
}

// Promises nothing, but may find, and take away, the error that a flush would have found.
int __wrap_sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
	const struct open_file *f = calls_file(fd);
	uint64_t begun = fs_flush_begin();

	if (!f)
		return __real_sync_file_range(fd, offset, len, flags);
	sim_point("sync_file_range %d %lld at %lld", fd - FD_FIRST, (long long)len,
		(long long)offset);
	if (!sim_flush_fault())
		return 0;
	fs_flush_end(f->inode, begun, false);
	return failed(EIO);
}

int __wrap_ftruncate64(int fd, off_t size)
{
	const struct open_file *f = calls_file(fd);

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
	const struct open_file *f = calls_file(fd);
	uint64_t end = (uint64_t)(offset + len);

	if (!f)
		return __real_posix_fallocate64(fd, offset, len);
	sim_point("fallocate %d to %llu", fd - FD_FIRST, (unsigned long long)end);
	if (paths_disk_full() || sim_fault())
		return ENOSPC;
	return end > fs_size(f->inode) ? -fs_set_size(f->inode, end) : 0;
}

int __wrap_posix_fadvise64(int fd, off_t offset, off_t len, int advice)
{
	return calls_file(fd) ? 0 : __real_posix_fadvise64(fd, offset, len, advice);
}

// --- the keeper's sleep

int __wrap_eventfd(unsigned count, int flags)
{
	if (!sim_inside())
		return __real_eventfd(count, flags);
	event_count = count;
	return sim_fault() ? failed(EMFILE) : calls_fd(FD_EVENT, 0);
}

static bool event_ready(void)
{
	return event_count > 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!calls_file(fds->fd))
		return __real_poll(fds, n, timeout);
	sim_point("poll");
	return sim_keeper_poll(event_ready);
}
