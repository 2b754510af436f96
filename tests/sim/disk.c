// SPDX-License-Identifier: BSD-3-Clause

// What io_uring is to the writer: operations in flight that complete in any order, some late, some
// short, some with an error.

#include "fs.h"
#include "sim.h"
#include "wal/io.h"

#include <errno.h>
#include <string.h>

#define IN_FLIGHT 256

struct flight {
	uint64_t tag;
	struct fs_op *op; // NULL: a flush
	int inode;
	uint64_t begun; // of a flush
	bool dsync;
};

static struct flight flights[IN_FLIGHT];
static unsigned count;
static struct wal_io_done done[IN_FLIGHT];
static unsigned done_count;

void disk_reset(void)
{
	count = done_count = 0;
}

static int disk_write(struct wal_io *io, int fd, const void *buf, uint32_t len, uint64_t offset,
	int dsync, uint64_t tag)
{
	struct flight f = {.tag = tag, .inode = calls_inode(fd), .dsync = dsync};

	(void)io;
	sim_point("submit write of file %d, %u at %llu", f.inode, len, (unsigned long long)offset);
	if (sim_fault() && sim_chance(200))
		return -EBUSY;
	f.op = fs_write_begin(f.inode, buf, len, offset);
	if (!f.op || count == IN_FLIGHT)
		sim_violated(
			"a write beyond the segment: %u at %llu", len, (unsigned long long)offset);
	flights[count++] = f;
	return 0;
}

static int disk_flush(struct wal_io *io, int fd, uint64_t tag)
{
	struct flight f = {.tag = tag, .inode = calls_inode(fd), .begun = fs_flush_begin()};

	(void)io;
	sim_point("submit flush of file %d", f.inode);
	if (sim_fault() && sim_chance(200))
		return -EBUSY;
	flights[count++] = f;
	return 0;
}

static int32_t end_write(const struct flight *f)
{
	uint32_t len = f->op->len;

	if (sim_fault()) {
		if (sim_chance(500) || len <= FS_SECTOR) {
			fs_write_tear(f->op);
			return sim_chance(500) ? -EIO : -ENOSPC;
		}
		len = sim_chance(700) ? FS_SECTOR * sim_between(1, (len - 1) / FS_SECTOR)
				      : sim_between(1, len - 1);
	}
	fs_write_end(f->op, len, f->dsync);
	return (int32_t)len;
}

static void complete(unsigned i)
{
	struct flight f = flights[i];
	int32_t result;

	flights[i] = flights[--count];
	if (f.op) {
		result = end_write(&f);
	} else {
		result = sim_flush_fault() ? -EIO : 0;
		fs_flush_end(f.inode, f.begun, result == 0);
	}
	done[done_count++] = (struct wal_io_done){.tag = f.tag, .result = result};
	sim_trace("%s completed: %d", f.op ? "write" : "flush", result);
}

static unsigned disk_reap(struct wal_io *io, struct wal_io_done *ret, unsigned max)
{
	unsigned n;

	(void)io;
	sim_point("reap");
	for (unsigned i = 0; i < count && done_count < IN_FLIGHT;)
		if (sim_chance(sim_pace.completes))
			complete(i);
		else
			i++;
	n = done_count < max ? done_count : max;
	memcpy(ret, done, n * sizeof(*ret));
	done_count -= n;
	memmove(done, done + n, done_count * sizeof(*ret));
	return n;
}

static int disk_wait(struct wal_io *io)
{
	(void)io;
	sim_point("wait");
	if (sim_chance(200))
		sim_wait();
	if (done_count == 0 && count > 0)
		complete(sim_below(count));
	return 0;
}

static void disk_close(struct wal_io *io)
{
	(void)io;
	if (count > 0)
		sim_violated("the ring is closed with %u operations in flight", count);
}

static const struct wal_io_ops disk_ops = {
	.name = "simulated",
	.write = disk_write,
	.flush = disk_flush,
	.reap = disk_reap,
	.wait = disk_wait,
	.close = disk_close,
};

struct wal_io *disk_io(void)
{
	static struct wal_io io = {.ops = &disk_ops};

	return &io;
}
