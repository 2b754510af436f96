// SPDX-License-Identifier: BSD-3-Clause

// Every file has two images: what the running system sees, and what is on the disk for certain. In
// between stand the operations that no flush has covered yet, in order. After a power cut each of
// them is there or not: a write sector by sector, sizes of one file up to some point, names each
// for itself, with a rename as one step.

#include "fs.h"

#include "names.h"
#include "sim.h"

#include <errno.h>
#include <string.h>

struct inode {
	bool used, is_dir;
	uint64_t size, disk_size;
	uint64_t dirty; // bytes beyond are zero in both images
	int64_t mtime;
	unsigned held; // open files
};

static struct inode inodes[FS_INODES];
static uint8_t images[FS_INODES][2][FS_FILE_MAX] __attribute__((aligned(4096)));
static struct names seen, on_disk;
static struct fs_op ops = {.prev = &ops, .next = &ops};
static unsigned files_max;
static uint64_t stamp;
static uint64_t changes;

static uint8_t *seen_bytes(int inode)
{
	return images[inode][0];
}

static uint8_t *disk_bytes(int inode)
{
	return images[inode][1];
}

// --- operations

static struct fs_op *op_add(enum fs_op_kind kind, int inode)
{
	struct fs_op *op = sim_keep(sizeof(*op));

	if (!op)
		sim_violated("no memory");
	*op = (struct fs_op){.kind = kind, .inode = inode, .prev = ops.prev, .next = &ops};
	op->prev->next = op;
	ops.prev = op;
	changes++;
	return op;
}

static struct fs_op *op_free(struct fs_op *op)
{
	struct fs_op *next = op->next;

	op->prev->next = op->next;
	op->next->prev = op->prev;
	sim_keep_free(op->data);
	sim_keep_free(op);
	return next;
}

static bool is_of_names(const struct fs_op *op)
{
	return op->kind >= OP_LINK;
}

static void dirty(int inode, uint64_t end)
{
	if (end > inodes[inode].dirty)
		inodes[inode].dirty = end;
}

static void cut_behind(int inode, uint8_t *bytes, uint64_t size)
{
	if (size < inodes[inode].dirty)
		memset(bytes + size, 0, inodes[inode].dirty - size);
}

static void size_reach_disk(const struct fs_op *op)
{
	if (op->shrinks)
		cut_behind(op->inode, disk_bytes(op->inode), op->size);
	inodes[op->inode].disk_size = op->size;
}

// Some part of what a write holds reaches the disk: 0 nothing, 1000 all, else sector by sector.
static void write_survives(
	const struct fs_op *op, const uint8_t *data, uint32_t len, unsigned share)
{
	uint8_t *disk = disk_bytes(op->inode) + op->offset;

	for (uint32_t at = 0, n; at < len; at += n) {
		n = FS_SECTOR - (op->offset + at) % FS_SECTOR;
		if (n > len - at)
			n = len - at;
		if (share == 1000 || sim_chance(share))
			memcpy(disk + at, data + at, n);
	}
}

static void op_reach_disk(const struct fs_op *op)
{
	if (op->kind == OP_WRITE)
		write_survives(op, op->data, op->len, 1000);
	else if (op->kind == OP_SIZE)
		size_reach_disk(op);
	else
		name_apply(&on_disk, op);
}

// --- inodes

static void free_unnamed(void)
{
	bool named[FS_INODES] = {true};

	for (unsigned i = 0; i < seen.count; i++)
		named[seen.list[i].inode] = true;
	for (unsigned i = 0; i < on_disk.count; i++)
		named[on_disk.list[i].inode] = true;
	for (const struct fs_op *op = ops.next; op != &ops; op = op->next)
		named[op->inode] = true;
	for (int i = 0; i < FS_INODES; i++) {
		struct inode *node = &inodes[i];

		if (!node->used || named[i] || node->held)
			continue;
		memset(seen_bytes(i), 0, node->dirty);
		memset(disk_bytes(i), 0, node->dirty);
		*node = (struct inode){0};
	}
}

unsigned fs_room(void)
{
	unsigned used = 0;

	free_unnamed();
	for (int i = 0; i < FS_INODES; i++)
		used += inodes[i].used && !inodes[i].is_dir;
	return used < files_max ? files_max - used : 0;
}

void fs_reset(unsigned max)
{
	while (ops.next != &ops)
		op_free(ops.next);
	seen.count = on_disk.count = 0;
	for (int i = 0; i < FS_INODES; i++)
		inodes[i].held = 0;
	free_unnamed();
	files_max = max;
	inodes[0] = (struct inode){.used = true, .is_dir = true};
	stamp = changes = 0;
}

int fs_create(int dir, const char *name, bool is_dir)
{
	struct fs_op *op;
	int i = 1;

	if (fs_find(dir, name) >= 0)
		return -EEXIST;
	if (!is_dir && fs_room() == 0)
		return -ENOSPC;
	while (i < FS_INODES && inodes[i].used)
		i++;
	if (i == FS_INODES)
		return -ENOSPC;
	inodes[i] = (struct inode){.used = true, .is_dir = is_dir, .mtime = sim_now()};
	op = op_add(OP_LINK, i);
	op->dir = dir;
	snprintf(op->to, sizeof(op->to), "%s", name);
	name_apply(&seen, op);
	return i;
}

int fs_find(int dir, const char *text)
{
	const struct name *name = name_find(&seen, dir, text);

	return name ? name->inode : -ENOENT;
}

int fs_remove(int dir, const char *name)
{
	int inode = fs_find(dir, name);
	struct fs_op *op;

	if (inode < 0)
		return inode;
	op = op_add(OP_UNLINK, inode);
	op->dir = dir;
	snprintf(op->from, sizeof(op->from), "%s", name);
	name_apply(&seen, op);
	return 0;
}

int fs_rename(int dir, const char *from, const char *to)
{
	int inode = fs_find(dir, from);
	struct fs_op *op;

	if (inode < 0)
		return inode;
	op = op_add(OP_RENAME, inode);
	op->dir = dir;
	snprintf(op->from, sizeof(op->from), "%s", from);
	snprintf(op->to, sizeof(op->to), "%s", to);
	name_apply(&seen, op);
	return 0;
}

const char *fs_list(int dir, unsigned index)
{
	for (unsigned i = 0; i < seen.count; i++)
		if (seen.list[i].dir == dir && index-- == 0)
			return seen.list[i].text;
	return NULL;
}

bool fs_is_dir(int inode)
{
	return inodes[inode].is_dir;
}

uint64_t fs_size(int inode)
{
	return inodes[inode].size;
}

int64_t fs_mtime(int inode)
{
	return inodes[inode].mtime;
}

void fs_hold(int inode, int by)
{
	inodes[inode].held += (unsigned)by;
}

const uint8_t *fs_bytes(int inode)
{
	return seen_bytes(inode);
}

uint64_t fs_changes(void)
{
	return changes;
}

// --- writes

int fs_set_size(int inode, uint64_t size)
{
	struct inode *node = &inodes[inode];
	struct fs_op *op;

	if (size > FS_FILE_MAX)
		return -ENOSPC;
	op = op_add(OP_SIZE, inode);
	op->size = size;
	op->shrinks = size < node->size;
	op->complete_at = ++stamp;
	if (op->shrinks)
		cut_behind(inode, seen_bytes(inode), size);
	node->size = size;
	node->mtime = sim_now();
	return 0;
}

struct fs_op *fs_write_begin(int inode, const uint8_t *buf, uint32_t len, uint64_t offset)
{
	struct fs_op *op;

	if (offset + len > FS_FILE_MAX)
		return NULL;
	op = op_add(OP_WRITE, inode);
	op->buf = buf;
	op->len = len;
	op->offset = offset;
	return op;
}

// The bytes are in the file now, though not for certain on the disk.
static void write_seen(struct fs_op *op, uint32_t len)
{
	struct inode *node = &inodes[op->inode];
	uint64_t end = op->offset + len;

	op->data = sim_keep(len);
	op->len = len;
	memcpy(op->data, op->buf, len);
	memcpy(seen_bytes(op->inode) + op->offset, op->buf, len);
	op->complete_at = ++stamp;
	op->buf = NULL;
	dirty(op->inode, end);
	if (end > node->size)
		fs_set_size(op->inode, end);
	node->mtime = sim_now();
}

static void sizes_reach_disk(int inode)
{
	for (struct fs_op *op = ops.next; op != &ops;) {
		bool now = op->kind == OP_SIZE && op->inode == inode;

		if (now)
			op_reach_disk(op);
		op = now ? op_free(op) : op->next;
	}
}

void fs_write_end(struct fs_op *op, uint32_t done, bool durable)
{
	int inode = op->inode;

	write_seen(op, done);
	if (!durable)
		return;
	sizes_reach_disk(inode);
	op_reach_disk(op);
	op_free(op);
}

void fs_write_tear(struct fs_op *op)
{
	uint32_t done = sim_below(op->len + 1);

	if (sim_chance(500) || done == 0)
		op_free(op);
	else
		write_seen(op, done);
}

// Some part is on the disk, and what is not will never be; it may still be in the page cache.
static void write_forget(const struct fs_op *op)
{
	write_survives(op, op->data, op->len, sim_below(1000));
	if (sim_chance(500))
		return;
	memcpy(seen_bytes(op->inode) + op->offset, disk_bytes(op->inode) + op->offset, op->len);
}

uint64_t fs_flush_begin(void)
{
	return stamp;
}

// The flush of a directory covers its names, that of a file its writes and sizes. A failed one may
// have written any part; what it did not write is forgotten, as kernels do.
void fs_flush_end(int inode, uint64_t begun, bool good)
{
	for (struct fs_op *op = ops.next; op != &ops;) {
		bool covered = is_of_names(op) ? op->dir == inode
					       : op->inode == inode && op->buf == NULL &&
							 op->complete_at <= begun;

		if (!covered || (is_of_names(op) && !good)) {
			op = op->next;
			continue;
		}
		if (good || op->kind == OP_SIZE)
			op_reach_disk(op);
		else
			write_forget(op);
		op = op_free(op);
	}
}

void fs_kill(void)
{
	for (struct fs_op *op = ops.next; op != &ops;) {
		struct fs_op *next = op->next;

		if (op->kind == OP_WRITE && op->buf) {
			if (sim_chance(600))
				write_seen(op, op->len);
			else
				fs_write_tear(op);
		}
		op = next;
	}
	for (int i = 0; i < FS_INODES; i++)
		inodes[i].held = 0;
}

// --- power cut

// How much of what is not covered survives one power cut, per thousand.
struct fate {
	unsigned writes_whole, writes_gone; // of the writes; the others tear
	unsigned sectors;                   // of a write that tears
	unsigned names;
};

static struct fate choose_fate(void)
{
	static const unsigned shares[] = {0, 100, 500, 900, 1000};
	struct fate fate = {.sectors = sim_between(50, 990), .names = shares[sim_below(5)]};

	switch (sim_below(5)) {
	case 0:
		fate.writes_gone = 1000;
		break;
	case 1:
		fate.writes_whole = 1000;
		break;
	case 2:
		fate.writes_whole = 500;
		fate.writes_gone = 500;
		break;
	default:
		fate.writes_whole = sim_below(700);
		fate.writes_gone = sim_below(300);
	}
	return fate;
}

static void write_fate(const struct fs_op *op, const struct fate *fate)
{
	unsigned which = sim_below(1000);
	const uint8_t *data = op->buf ? op->buf : op->data;

	if (which < fate->writes_whole)
		write_survives(op, data, op->len, 1000);
	else if (which >= fate->writes_whole + fate->writes_gone)
		write_survives(op, data, op->len, fate->sectors);
	dirty(op->inode, op->offset + op->len);
}

static void ops_meet_fate(const struct fate *fate)
{
	bool cut[FS_INODES] = {false}; // a size that was lost takes those after it along

	for (struct fs_op *op = ops.next; op != &ops; op = op_free(op)) {
		if (is_of_names(op)) {
			if (sim_chance(fate->names))
				op_reach_disk(op);
		} else if (op->kind == OP_SIZE) {
			cut[op->inode] |= sim_chance(300);
			if (!cut[op->inode])
				op_reach_disk(op);
		} else {
			write_fate(op, fate);
		}
	}
}

void fs_power_cut(void)
{
	struct fate fate = choose_fate();

	ops_meet_fate(&fate);
	for (int i = 0; i < FS_INODES; i++) {
		struct inode *node = &inodes[i];

		node->held = 0;
		if (!node->used || node->is_dir)
			continue;
		cut_behind(i, disk_bytes(i), node->disk_size);
		node->size = node->disk_size;
		memcpy(seen_bytes(i), disk_bytes(i), node->dirty);
	}
	names_drop_lost(&on_disk);
	seen = on_disk;
	free_unnamed();
}

void fs_flip(int inode, uint64_t offset, unsigned bit)
{
	seen_bytes(inode)[offset] ^= (uint8_t)(1u << bit);
	disk_bytes(inode)[offset] ^= (uint8_t)(1u << bit);
}
