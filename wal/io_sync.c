// SPDX-License-Identifier: BSD-3-Clause
#include "wal/io.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SYNC_DONE_MAX 256

// Each call does its work before it returns; its completion waits here to be reaped.
struct sync_io {
	struct wal_io io;
	unsigned head, tail;
	struct wal_io_done done[SYNC_DONE_MAX];
};

static int complete(struct sync_io *s, uint64_t tag, ssize_t result)
{
	s->done[s->tail++ % SYNC_DONE_MAX] = (struct wal_io_done){
		.tag = tag,
		.result = result < 0 ? -errno : (int32_t)result,
	};

	return 0;
}

static int sync_write(struct wal_io *io, int fd, const void *buf, uint32_t len, uint64_t offset,
	int dsync, uint64_t tag)
{
	struct sync_io *s = (struct sync_io *)io;
	struct iovec v = {.iov_base = (void *)buf, .iov_len = len};

	if (s->tail - s->head == SYNC_DONE_MAX)
		return -EBUSY;

	return complete(s, tag, pwritev2(fd, &v, 1, (off_t)offset, dsync ? RWF_DSYNC : 0));
}

static int sync_flush(struct wal_io *io, int fd, uint64_t tag)
{
	struct sync_io *s = (struct sync_io *)io;

	if (s->tail - s->head == SYNC_DONE_MAX)
		return -EBUSY;

	return complete(s, tag, fdatasync(fd));
}

static unsigned sync_reap(struct wal_io *io, struct wal_io_done *done, unsigned max)
{
	struct sync_io *s = (struct sync_io *)io;
	unsigned n = 0;

	while (n < max && s->head != s->tail)
		done[n++] = s->done[s->head++ % SYNC_DONE_MAX];

	return n;
}

static int sync_wait(struct wal_io *io)
{
	(void)io;
	return 0;
}

static void sync_close(struct wal_io *io)
{
	free(io);
}

static const struct wal_io_ops sync_ops = {
	.name = "pwrite",
	.write = sync_write,
	.flush = sync_flush,
	.reap = sync_reap,
	.wait = sync_wait,
	.close = sync_close,
};

int wal_io_sync_open(struct wal_io **ret)
{
	struct sync_io *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->io.ops = &sync_ops;
	*ret = &s->io;

	return 0;
}
