// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Compressed blocks, as Arrow compresses: each buffer by itself. A stored buffer is an int64 of its
// uncompressed length and an LZ4 frame, or -1 and the bytes as they are where LZ4 gains nothing;
// one of no bytes is stored as nothing. The stored buffers begin on PACK_ALIGN, one behind the
// other, zeros between them.

#include "wal/meta.h"
#include "wal/wal.h"

#define PACK_ALIGN 64u
#define PACK_PREFIX_BYTES 8u
// Room that a block needs behind the size of an uncompressed one while it is composed.
#define PACK_SLACK_BYTES WAL_PAGE
#define PACK_VERSION 2u // the first format version that has them

struct wal_packer;

// Owner of the log. Allocates all that packing needs.
int wal_packer_new(struct wal_packer **ret);
void wal_packer_free(struct wal_packer *packer);

// Compresses a filled block into 'to' (PACK_SLACK_BYTES longer than it), all but what block_close()
// writes. False: it does not pay, or is not tried this time; *ret_tried says which.
bool wal_pack(struct wal_packer *packer, const uint8_t *block, const struct wal_fill *fill,
	uint8_t *to, struct block_meta *ret, bool *ret_tried);

// What one reader unpacks into. All zeros: nothing yet.
struct wal_unpacked {
	void *lz4; // LZ4F_dctx
	uint8_t *mem;
	size_t room;
};

// Makes a good block's columns readable: an uncompressed one's are. Those of a compressed one are
// valid until the next call. -EBADMSG, with view->why: what it holds is not what it says.
int wal_unpack(struct wal_unpacked *unpacked, struct wal_block_view *view);
void wal_unpacked_free(struct wal_unpacked *unpacked);

// For wal_block_check(): of the header; of what each buffer says; NULL or what is wrong.
const char *packed_meta_judge(const struct block_meta *meta);
void packed_view(const struct block_meta *meta, struct wal_block_view *ret);
const char *packed_body_judge(struct wal_block_view *view);
