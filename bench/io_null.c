// SPDX-License-Identifier: BSD-3-Clause
// A disk that is done at once, in the place of io_uring: millraced_null is millraced linked with
// this, so that what is left is the receiver's own work.

#include "wal/io.h"

#include <errno.h>
#include <stdlib.h>

#define NULL_DONE_MAX 256u

struct null_io {
	struct wal_io io;
	unsigned head, tail;
	struct wal_io_done done[NULL_DONE_MAX];
};

static int complete(struct wal_io *io, uint64_t tag, int32_t result)
{
	struct null_io *n = (struct null_io *)io;

	if (n->tail - n->head == NULL_DONE_MAX)
		return -EBUSY;
	n->done[n->tail++ % NULL_DONE_MAX] = (struct wal_io_done){.tag = tag, .result = result};
	return 0;
}

static int null_write(struct wal_io *io, int fd, const void *buf, uint32_t len, uint64_t offset,
	int dsync, uint64_t tag)
{
	(void)fd;
	(void)buf;
	(void)offset;
	(void)dsync;
	return complete(io, tag, (int32_t)len);
}

static int null_flush(struct wal_io *io, int fd, uint64_t tag)
{
	(void)fd;
	return complete(io, tag, 0);
}

static unsigned null_reap(struct wal_io *io, struct wal_io_done *done, unsigned max)
{
	struct null_io *n = (struct null_io *)io;
	unsigned count = 0;

	while (count < max && n->head != n->tail)
		done[count++] = n->done[n->head++ % NULL_DONE_MAX];
	return count;
}

static int null_wait(struct wal_io *io)
{
	(void)io;
	return 0;
}

static void null_close(struct wal_io *io)
{
	free(io);
}

static const struct wal_io_ops null_ops = {
	.name = "null",
	.write = null_write,
	.flush = null_flush,
	.reap = null_reap,
	.wait = null_wait,
	.close = null_close,
};

int wal_io_uring_open(struct wal_io **ret, unsigned depth, const struct iovec *buffers,
	unsigned count, int lock_fd)
{
	struct null_io *n = calloc(1, sizeof(*n));

	(void)depth;
	(void)buffers;
	(void)count;
	(void)lock_fd;
	if (n == NULL)
		return -ENOMEM;
	n->io.ops = &null_ops;
	*ret = &n->io;
	return 0;
}
