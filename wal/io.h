// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The few operations that the writer needs of a disk, behind one table so that io_uring, the
// fallback for kernels without it, and the tests' simulated disk are interchangeable. One owner
// thread. Completions may come in any order; nothing is ordered unless the writer waits.

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct wal_io;

struct wal_io_done {
	uint64_t tag;
	int32_t result; // bytes written, 0 for a flush, or a negative errno
};

struct wal_io_ops {
	const char *name; // "io_uring", "pwrite"
	// Submits; 0 or a negative errno. 'buf' must stay untouched until its completion. dsync:
	// the completion means durable (RWF_DSYNC).
	int (*write)(struct wal_io *io, int fd, const void *buf, uint32_t len, uint64_t offset,
		int dsync, uint64_t tag);
	// fdatasync of what completed before this call.
	int (*flush)(struct wal_io *io, int fd, uint64_t tag);
	// Up to max completions, without waiting.
	unsigned (*reap)(struct wal_io *io, struct wal_io_done *done, unsigned max);
	// Waits until at least one completion can be reaped.
	int (*wait)(struct wal_io *io);
	void (*close)(struct wal_io *io);
};

struct wal_io {
	const struct wal_io_ops *ops;
};

// An io_uring with 'depth' entries, the buffers registered, and lock_fd (or -1) registered as a
// file so that the lock outlives a killed process until its writes are done. -ENOSYS, -EPERM: not
// here.
int wal_io_uring_open(struct wal_io **ret, unsigned depth, const struct iovec *buffers,
	unsigned count, int lock_fd);

// pwrite/fdatasync in the caller's thread: slower, as right.
int wal_io_sync_open(struct wal_io **ret);
