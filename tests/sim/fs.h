// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The simulated disk. Inode 0 is the directory /sim.

#include <stdbool.h>
#include <stdint.h>

#define FS_INODES 40
#define FS_NAME 112
#define FS_SECTOR 512u
#define FS_FILE_MAX (304u << 10)

enum fs_op_kind { OP_WRITE, OP_SIZE, OP_LINK, OP_UNLINK, OP_RENAME };

// An operation that no flush has covered yet.
struct fs_op {
	enum fs_op_kind kind;
	int inode;
	struct fs_op *prev, *next;
	// OP_WRITE
	const uint8_t *buf; // in flight: the writer's
	uint8_t *data;      // complete
	uint32_t len;
	uint64_t offset;
	// OP_SIZE
	uint64_t size;
	bool shrinks;
	uint64_t complete_at; // of both: in the order of their completion
	// names
	int dir;
	char from[FS_NAME], to[FS_NAME];
};

void fs_reset(unsigned files_max);                     // an empty disk
int fs_create(int dir, const char *name, bool is_dir); // an inode, or a negative errno
int fs_find(int dir, const char *name);                // an inode, or -ENOENT
int fs_remove(int dir, const char *name);
int fs_rename(int dir, const char *from, const char *to);
const char *fs_list(int dir, unsigned index); // NULL: no more
unsigned fs_room(void);                       // files that can still be made
bool fs_is_dir(int inode);
uint64_t fs_size(int inode);
int64_t fs_mtime(int inode);
const uint8_t *fs_bytes(int inode);
void fs_hold(int inode, int by); // an open file keeps its inode
uint64_t fs_changes(void);       // calls so far that changed anything

int fs_set_size(int inode, uint64_t size);

// A write that has begun: the bytes stay the caller's until it ends. NULL: beyond the largest file.
struct fs_op *fs_write_begin(int inode, const uint8_t *buf, uint32_t len, uint64_t offset);
void fs_write_end(struct fs_op *op, uint32_t done, bool durable); // durable: as with RWF_DSYNC
void fs_write_tear(struct fs_op *op);                             // failed: any part is written

// A flush covers what was complete at its begin.
uint64_t fs_flush_begin(void);
void fs_flush_end(int inode, uint64_t begun, bool good);

void fs_kill(void);      // the process is gone: writes in flight end somehow
void fs_power_cut(void); // ... and of what no flush covered, anything may be missing
void fs_flip(int inode, uint64_t offset, unsigned bit);
