// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The bytes of a segment (docs/format.md). A segment is an Arrow IPC stream:
//
//   0        schema message, padded to SCHEMA_BYTES; its last 128 bytes are a segment header
//   4096·k   blocks: one RecordBatch message each, beginning and ending on a page
//   ...      end-of-stream marker in a page of its own, once the segment is closed
//   ...      zeros, or whatever a recycled file held: no reader looks there
//
// A block, with column offsets that follow from its row capacity, not from its row count:
//
//   |continuation, length | flatbuffer metadata |pad| columns ... | payload | slack | trailer |
//   0                     8                     header_len                    len-128     len
//
// In a compressed block each column is what pack.h says, in the same order, one behind the other.
//
// All integers little-endian. Sequence numbers count from 0 without gaps within a log, and
// "durable_seq" everywhere means: every seq below it is durable.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_PAGE 4096u
#define WAL_SCHEMA_BYTES 8192u // two pages: listeners' names need room
#define WAL_FORMAT_VERSION 2u  // 1 had no compressed blocks; it is read
#define WAL_TRAILER_BYTES 128u
#define WAL_BLOCK_HEADER_BYTES 640u             // multiple of 64; see meta.c
#define WAL_BLOCK_MAX (64u << 20)               // no valid block is longer
#define WAL_TRAILER_MAGIC 0x314b4c42524c494dull // "MILRBLK1"
#define WAL_SEGMENT_MAGIC 0x314745534c494dull   // "MILSEG1"
#define WAL_END_MAGIC 0x31444e454c494dull       // "MILEND1"

#define WAL_FLAG_SEALED 1u // last block of its batch

// In the column 'listener': no event, but a row that the protocol of reliable listeners keeps (an
// epoch of a source that opens). Whoever reads events leaves it out.
#define WAL_LISTENER_PROTOCOL 0xffffu

struct wal_id {
	uint8_t bytes[16];
};

// The last 128 bytes of a block. No Arrow buffer points to them.
struct wal_trailer {
	uint64_t magic;
	struct wal_id segment_id;
	uint64_t file_offset; // of the block's first byte
	uint32_t block_len;   // bytes, trailer included, multiple of WAL_PAGE
	uint32_t header_len;  // bytes before the body: WAL_BLOCK_HEADER_BYTES
	uint32_t generation;
	uint32_t partition;
	uint64_t first_seq;
	uint32_t rows; // 0 only in a block that seals
	uint32_t flags;
	uint64_t batch;
	uint64_t durable_seq; // as confirmed when the block was composed
	int64_t received_min; // ns since 1970 UTC; 0 without rows
	int64_t received_max;
	uint32_t prev_crc; // CRC of the block before in this segment, of the segment header for the
			   // first
	uint8_t zero[24];
	uint32_t crc; // CRC-32C of every byte of the block before these four
} __attribute__((packed));

_Static_assert(sizeof(struct wal_trailer) == WAL_TRAILER_BYTES, "trailer is 128 bytes");

// The last 128 bytes of the schema page: what recovery reads instead of the flatbuffer.
struct wal_segment_header {
	uint64_t magic;
	struct wal_id log_id;
	struct wal_id segment_id;
	uint32_t version;
	uint32_t generation;
	uint32_t partition;
	uint32_t schema_len; // WAL_SCHEMA_BYTES
	uint64_t first_seq;
	uint64_t first_batch;
	uint64_t gap_from; // seqs [gap_from, first_seq) were lost to a repair; equal: none
	uint8_t zero[44];
	uint32_t crc; // CRC-32C of the schema page before these four bytes
} __attribute__((packed));

_Static_assert(sizeof(struct wal_segment_header) == WAL_TRAILER_BYTES, "header is 128 bytes");

// The last 128 bytes of an end-of-stream page. Such a page is written only when every block before
// it is durable: so a bad block in front of it is damage and never a torn tail.
struct wal_segment_end {
	uint64_t magic;
	struct wal_id segment_id;
	uint64_t file_offset; // of the page
	uint32_t generation;
	uint32_t partition;
	uint64_t end_seq;  // behind the segment's last row
	uint64_t next_seq; // with which the log goes on; above end_seq: [end_seq, next_seq) were
			   // lost to a repair
	uint64_t next_batch;
	uint8_t zero[60];
	uint32_t crc; // CRC-32C of the page before these four bytes
} __attribute__((packed));

_Static_assert(sizeof(struct wal_segment_end) == WAL_TRAILER_BYTES, "end is 128 bytes");

enum wal_column {
	COL_SEQ,          // uint64
	COL_RECEIVED_AT,  // timestamp[ns, UTC]
	COL_SRC_ADDR,     // fixed_size_binary[16], IPv4 mapped into IPv6
	COL_SRC_PORT,     // uint16, host order
	COL_LISTENER,     // uint16
	COL_SOURCE_ID,    // uint64, 0 for plain events
	COL_SOURCE_EPOCH, // uint32
	COL_SOURCE_SEQ,   // uint64
	COL_PAYLOAD,      // binary: rows+1 int32 offsets, bytes in wal_layout.payload
	WAL_COLUMNS,
};

#define WAL_BUFFERS (WAL_COLUMNS + 1) // one a column, and the payload's bytes

#define WAL_ROW_BYTES 60u // fixed-width bytes per row: 8+8+16+2+2+8+4+8 and a payload offset of 4

extern const uint8_t wal_column_width[WAL_COLUMNS]; // payload: 4, of its offsets

// Where things lie in a block, as offsets from its first byte, each a multiple of 64.
struct wal_layout {
	uint32_t at[WAL_COLUMNS]; // COL_PAYLOAD: its int32 offsets, rows_max + 1 of them
	uint32_t payload;         // first byte of the payload
	uint32_t payload_max;     // bytes of payload that still leave room for the trailer
	uint32_t rows_max;
};

// The layout for a buffer of 'size' bytes and room for 'rows' rows.
void wal_layout_init(struct wal_layout *ret, uint32_t rows, uint32_t size);

// Rows that a buffer of 'size' holds when payloads have this mean: at least 1, at most what fits
// with empty payloads.
uint32_t wal_rows_for(uint32_t size, uint32_t mean_payload);

// What a block is about to say of itself.
struct wal_block_info {
	struct wal_id segment_id;
	uint64_t file_offset;
	uint32_t generation;
	uint32_t partition;
	uint64_t first_seq;
	uint32_t rows;
	uint32_t flags;
	uint64_t batch;
	uint64_t durable_seq;
	int64_t received_min, received_max;
	uint32_t prev_crc;
	uint32_t payload_bytes;
};

// Length that a block takes on disk: pages up to the end of payload and trailer.
uint32_t wal_block_len(const struct wal_layout *layout, uint32_t payload_bytes);

// Finishes a block whose columns are filled: header from the template, slack behind the payload
// zeroed, trailer, CRC. Returns the CRC; the block's length is wal_block_len().
uint32_t wal_block_close(
	uint8_t *block, const struct wal_layout *layout, const struct wal_block_info *info);

// Composes a block of no rows (it only seals) in 'page', WAL_PAGE bytes. Returns its CRC.
uint32_t wal_block_empty(uint8_t *page, const struct wal_block_info *info);

enum wal_verdict {
	WAL_BLOCK_GOOD,
	WAL_BLOCK_NONE,  // zeros, end-of-stream or foreign: nothing of this segment begins here
	WAL_BLOCK_EOS,   // end-of-stream marker
	WAL_BLOCK_SHORT, // begins like a block but 'avail' ends before it does
	WAL_BLOCK_BAD,   // begins like a block of ours but lengths, identity or CRC don't fit
};

// Where a buffer of a compressed block lies.
struct wal_stored {
	uint32_t at, len;
};

// A block as found. Pointers point into the caller's buffer.
struct wal_block_view {
	const uint8_t *block;
	const struct wal_trailer *trailer;
	// What the layout counts from: the block, or what wal_unpack() made of a compressed one,
	// NULL before.
	const uint8_t *columns;
	struct wal_layout
		layout; // rows_max, payload_max as far as the block tells: rows, payload_bytes
	uint32_t payload_bytes;
	uint32_t len;
	bool compressed;
	struct wal_stored stored[WAL_BUFFERS]; // of a compressed block
	char why[80];                          // for WAL_BLOCK_BAD: what did not fit
};

// Judges the bytes at 'block', 'avail' of them, as the block of the segment at file_offset. Reads
// no byte outside; trusts no length before it was checked: the header must equal, byte for byte,
// what this version's template makes of the lengths it states, the trailer must name this segment
// and offset, every column must lie inside the body, and the CRC must fit. A compressed block is
// not unpacked for that.
enum wal_verdict wal_block_check(const uint8_t *block, size_t avail,
	const struct wal_segment_header *segment, uint64_t file_offset, struct wal_block_view *ret);

// Judges a block by its two ends: WAL_BLOCK_HEADER_BYTES at its begin, and what lies where they say
// that its trailer is. As wal_block_check() does, but for the CRC and what it covers: so both must
// be asked before anything is believed. 'why' (80 bytes) for WAL_BLOCK_BAD.
enum wal_verdict wal_block_look(const uint8_t *header, const struct wal_trailer *trailer,
	const struct wal_segment_header *segment, uint64_t file_offset, char *why);

// The length a block claims at its begin (so that a reader knows how much to read), 0 when it does
// not begin like one or claims more than WAL_BLOCK_MAX. Needs WAL_BLOCK_HEADER_BYTES bytes.
uint32_t wal_block_claimed_len(const uint8_t *block);

struct wal_segment_info {
	struct wal_segment_header header; // zero and crc are filled in
	const char *receiver;
	const char *listeners;   // JSON: {"0":{"name":"syslog","port":514},...}
	const char *compression; // "none", "lz4"
};

// Composes the schema page, WAL_SCHEMA_BYTES. -E2BIG when the texts don't fit.
int wal_schema_compose(uint8_t *page, const struct wal_segment_info *info);

// Reads the segment header out of a schema page. -ENODATA: no segment (zeros, foreign);
// -EBADMSG: ours but damaged; -EPROTONOSUPPORT: a newer version (ret->version says which).
int wal_schema_parse(const uint8_t *page, struct wal_segment_header *ret);

// What the schema message of such a page, whose CRC fitted, says for people under this key; NULL
// when it says nothing. Points into the page.
const char *wal_schema_value(const uint8_t *page, const char *key);

// Writes the end-of-stream page, WAL_PAGE bytes.
void wal_eos_compose(uint8_t *page);

// The same with *end in it; magic, zero and crc are filled in.
void wal_end_compose(uint8_t *page, const struct wal_segment_end *end);

// Reads it out of the end-of-stream page at file_offset. -ENODATA when it holds none, or that of
// another segment or place.
int wal_end_parse(const uint8_t *page, const struct wal_segment_header *segment,
	uint64_t file_offset, struct wal_segment_end *ret);

// 32 hex digits and a zero byte.
void wal_id_text(const struct wal_id *id, char ret[33]);
// False when the text is anything else than that.
bool wal_id_parse(const char *text, struct wal_id *ret);
int wal_id_random(struct wal_id *ret);
bool wal_id_equal(const struct wal_id *a, const struct wal_id *b);
