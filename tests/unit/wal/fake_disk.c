// SPDX-License-Identifier: BSD-3-Clause
#include "fake_disk.h"

#include <stdlib.h>
#include <unistd.h>

static int add(struct fake_disk *disk, struct fake_op op)
{
	unsigned n = disk->count++;

	if (n >= FAKE_OPS)
		abort();
	disk->ops[n] = op;
	if (disk->instant)
		fake_complete(
			disk, n, op.kind == FAKE_WRITE ? (int32_t)op.len : disk->flush_result);

	return 0;
}

static int fake_write(struct wal_io *io, int fd, const void *buf, uint32_t len, uint64_t offset,
	int dsync, uint64_t tag)
{
	return add((struct fake_disk *)io,
		(struct fake_op){FAKE_WRITE, fd, buf, len, offset, dsync, tag, 0});
}

static int fake_flush(struct wal_io *io, int fd, uint64_t tag)
{
	return add(
		(struct fake_disk *)io, (struct fake_op){.kind = FAKE_FLUSH, .fd = fd, .tag = tag});
}

static unsigned fake_reap(struct wal_io *io, struct wal_io_done *done, unsigned max)
{
	struct fake_disk *disk = (struct fake_disk *)io;
	unsigned n = 0;

	while (n < max && disk->head != disk->tail)
		done[n++] = disk->done[disk->head++ % FAKE_OPS];

	return n;
}

static int fake_wait(struct wal_io *io)
{
	(void)io;
	return 0;
}

static void fake_close(struct wal_io *io)
{
	free(io);
}

static const struct wal_io_ops fake_ops = {
	.name = "fake",
	.write = fake_write,
	.flush = fake_flush,
	.reap = fake_reap,
	.wait = fake_wait,
	.close = fake_close,
};

struct fake_disk *fake_disk_new(void)
{
	struct fake_disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		abort();
	disk->io.ops = &fake_ops;

	return disk;
}

void fake_complete(struct fake_disk *disk, unsigned n, int32_t result)
{
	struct fake_op *op = &disk->ops[n];

	if (op->kind == FAKE_WRITE && result > 0 &&
		pwrite(op->fd, op->buf, (size_t)result, (off_t)op->offset) != result)
		abort();
	op->completed = 1;
	disk->done[disk->tail++ % FAKE_OPS] = (struct wal_io_done){op->tag, result};
}

unsigned fake_find(const struct fake_disk *disk, int kind, unsigned n)
{
	for (unsigned i = 0; i < disk->count; i++)
		if ((int)disk->ops[i].kind == kind && !disk->ops[i].completed && n-- == 0)
			return i;

	return FAKE_OPS;
}

unsigned fake_open_count(const struct fake_disk *disk, int kind)
{
	unsigned n = 0;

	while (fake_find(disk, kind, n) != FAKE_OPS)
		n++;

	return n;
}
