// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Reading a log. A reader is one thread's; it opens files by name and holds nothing of the writer.
// It yields blocks up to a limit (segment, offset) that the caller got from the writer's durable
// position, or, of a log that nobody writes, up to its end. A batch ends with a sealed block or
// with its segment.

#include "wal/format.h"

#include <stdbool.h>
#include <stdint.h>

// One segment file of a directory.
struct wal_segment_file {
	uint64_t first_seq; // by its name
	char name[40];
	uint64_t size;       // bytes as stat says
	int64_t modified_at; // ns since 1970 UTC
};

// All segment files, by first_seq; *ret is the caller's to free. Quarantine and spares left out.
int wal_list_segments(const char *dir, struct wal_segment_file **ret, unsigned *ret_count);

struct wal_reader;

struct wal_limit {
	uint64_t segment_first; // UINT64_MAX: no limit
	uint64_t offset;
};

// Opens at the block that holds 'from_seq' (or the oldest there is when that is newer).
// -ENOENT: no segment at all.
int wal_reader_open(
	struct wal_reader **ret, const char *dir, uint64_t from_seq, struct wal_limit limit);

// The next block. 1: *ret valid until the next call; 0: end of what may be read now (call again
// after wal_reader_set_limit() or when the file has grown); negative errno with wal_reader_why().
// -ESTALE: retention has taken rows away before they were read, the segment's file perhaps recycled
// under the reader; why says which seqs, and the next call goes on with the oldest there is.
// -EBADMSG: a block that doesn't fit; the reader stays in front of it.
int wal_reader_next(struct wal_reader *reader, struct wal_block_view *ret);

void wal_reader_set_limit(struct wal_reader *reader, struct wal_limit limit);
const struct wal_segment_header *wal_reader_segment(const struct wal_reader *reader);
const char *wal_reader_segment_name(const struct wal_reader *reader);
uint64_t wal_reader_offset(const struct wal_reader *reader); // of the block yielded last
const char *wal_reader_why(const struct wal_reader *reader);
void wal_reader_close(struct wal_reader *reader);

// One row of a block, out of its columns.
struct wal_row {
	uint64_t seq;
	int64_t received_at;
	const uint8_t *src_addr; // 16 bytes
	uint16_t src_port;
	uint16_t listener;
	uint64_t source_id;
	uint32_t source_epoch;
	uint64_t source_seq;
	const uint8_t *payload;
	uint32_t payload_len;
};
void wal_row_get(const struct wal_block_view *view, uint32_t row, struct wal_row *ret);
