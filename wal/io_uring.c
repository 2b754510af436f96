// SPDX-License-Identifier: BSD-3-Clause
#include "wal/io.h"

#include <liburing.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

struct uring_io {
	struct wal_io io;
	struct io_uring ring;
	const uint8_t *region; // registered buffer 0, or NULL
	size_t region_len;
};

static struct uring_io *self(struct wal_io *io)
{
	return (struct uring_io *)io;
}

static int submit(struct uring_io *u)
{
	int n;

	do {
		n = io_uring_submit(&u->ring);
	} while (n == -EINTR || n == -EAGAIN);

	return n < 0 ? n : 0;
}

static bool registered(const struct uring_io *u, const void *buf, uint32_t len)
{
	const uint8_t *b = buf;

	return u->region && b >= u->region && b + len <= u->region + u->region_len;
}

static int uring_write(struct wal_io *io, int fd, const void *buf, uint32_t len, uint64_t offset,
	int dsync, uint64_t tag)
{
	struct uring_io *u = self(io);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe)
		return -EBUSY;
	if (registered(u, buf, len))
		io_uring_prep_write_fixed(sqe, fd, buf, len, offset, 0);
	else
		io_uring_prep_write(sqe, fd, buf, len, offset);
	if (dsync)
		sqe->rw_flags = RWF_DSYNC;
	io_uring_sqe_set_data64(sqe, tag);

	return submit(u);
}

static int uring_flush(struct wal_io *io, int fd, uint64_t tag)
{
	struct uring_io *u = self(io);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data64(sqe, tag);

	return submit(u);
}

static unsigned uring_reap(struct wal_io *io, struct wal_io_done *done, unsigned max)
{
	struct uring_io *u = self(io);
	struct io_uring_cqe *cqes[16];
	unsigned n = io_uring_peek_batch_cqe(&u->ring, cqes, max < 16 ? max : 16);

	for (unsigned i = 0; i < n; i++)
		done[i] = (struct wal_io_done){.tag = cqes[i]->user_data, .result = cqes[i]->res};
	io_uring_cq_advance(&u->ring, n);

	return n;
}

static int uring_wait(struct wal_io *io)
{
	struct io_uring_cqe *cqe;
	int r = io_uring_wait_cqe(&self(io)->ring, &cqe);

	return r == -EINTR ? 0 : r;
}

static void uring_close(struct wal_io *io)
{
	struct uring_io *u = self(io);

	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct wal_io_ops uring_ops = {
	.name = "io_uring",
	.write = uring_write,
	.flush = uring_flush,
	.reap = uring_reap,
	.wait = uring_wait,
	.close = uring_close,
};

// The kernel's workers, which do the flushes, run anywhere but on the owner's CPU: it polls, and
// would be off it for as long as they take. Best effort: kernels before 5.14 leave them where they
// are, and a process with one CPU has no other place.
static void keep_workers_away(struct uring_io *u)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0 || sched_getaffinity(getpid(), sizeof(set), &set) < 0)
		return;
	CPU_CLR(cpu, &set);
	if (CPU_COUNT(&set) > 0)
		io_uring_register_iowq_aff(&u->ring, sizeof(set), &set);
}

int wal_io_uring_open(struct wal_io **ret, unsigned depth, const struct iovec *buffers,
	unsigned count, int lock_fd)
{
	struct uring_io *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->io.ops = &uring_ops;

	r = io_uring_queue_init(depth, &u->ring, IORING_SETUP_SINGLE_ISSUER);
	if (r == -EINVAL) // kernels before 6.0
		r = io_uring_queue_init(depth, &u->ring, 0);
	if (r < 0)
		goto err;

	// A registered file is released only after the ring's last request: a killed process keeps
	// the lock until its writes have landed.
	if (lock_fd >= 0) {
		r = io_uring_register_files(&u->ring, &lock_fd, 1);
		if (r < 0)
			goto err_ring;
	}
	// Registering needs locked memory (RLIMIT_MEMLOCK); without it writes pin their pages each
	// time, which is slower and as right.
	if (count == 1 && io_uring_register_buffers(&u->ring, buffers, 1) == 0) {
		u->region = buffers[0].iov_base;
		u->region_len = buffers[0].iov_len;
	}
	keep_workers_away(u);
	*ret = &u->io;

	return 0;

err_ring:
	io_uring_queue_exit(&u->ring);
err:
	free(u);
	return r;
}
