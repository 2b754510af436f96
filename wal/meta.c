// SPDX-License-Identifier: BSD-3-Clause
#include "wal/meta.h"

#include "wal/arrow.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is written as it lies");

#define BUFFERS (2 * WAL_COLUMNS + 1) // validity and data each, and the payload's offsets

// An Arrow IPC message holding a RecordBatch, as flatbuffers lays it out: a table begins with the
// distance back to its vtable, a vtable gives the place of each field in its table, and references
// count forward from their own place. Every 64-bit number lies on 8 bytes.
struct header {
	uint32_t continuation;
	uint32_t metadata_len;

	uint32_t root; // flatbuffer begins here
	uint16_t message_vtable[6];
	struct {
		int32_t vtable;
		int16_t version;
		uint8_t header_type;
		uint8_t pad;
		int64_t body_len;
		uint32_t header;
	} message;
	uint16_t batch_vtable[6]; // without compression: of five, and padding
	struct {
		int32_t vtable;
		int64_t length;
		uint32_t nodes;
		uint32_t buffers;
		uint32_t compression; // or padding
	} __attribute__((packed)) batch;
	uint32_t node_count;
	struct {
		int64_t length, nulls;
	} node[WAL_COLUMNS];
	uint32_t pad3;
	uint32_t buffer_count;
	struct {
		int64_t offset, length;
	} buffer[BUFFERS];
	uint16_t compression_vtable[4]; // these two, or padding
	struct {
		int32_t vtable;
		int8_t codec, method;
		uint8_t pad[2];
	} compression;
	uint8_t pad4[WAL_BLOCK_HEADER_BYTES - 560];
} __attribute__((packed));

#define AT(field) __builtin_offsetof(struct header, field)

_Static_assert(sizeof(struct header) == WAL_BLOCK_HEADER_BYTES, "header size");
_Static_assert(WAL_BLOCK_HEADER_BYTES % 64 == 0, "columns begin on 64 bytes");
_Static_assert(AT(message.body_len) % 8 == 0, "flatbuffer alignment");
_Static_assert(AT(batch.length) % 8 == 0, "flatbuffer alignment");
_Static_assert(AT(node) % 8 == 0 && AT(buffer) % 8 == 0, "flatbuffer alignment");

static const struct header template = {
	.continuation = ARROW_CONTINUATION,
	.metadata_len = WAL_BLOCK_HEADER_BYTES - 8,
	.root = AT(message) - AT(root),
	.message_vtable = {sizeof(template.message_vtable), sizeof(template.message),
		AT(message.version) - AT(message), AT(message.header_type) - AT(message),
		AT(message.header) - AT(message), AT(message.body_len) - AT(message)},
	.message = {.vtable = AT(message) - AT(message_vtable),
		.version = ARROW_VERSION_V5,
		.header_type = ARROW_HEADER_RECORD_BATCH,
		.header = AT(batch) - AT(message.header)},
	.batch_vtable = {sizeof(template.batch_vtable) - sizeof(uint16_t),
		AT(batch.compression) - AT(batch), AT(batch.length) - AT(batch),
		AT(batch.nodes) - AT(batch), AT(batch.buffers) - AT(batch)},
	.batch = {.vtable = AT(batch) - AT(batch_vtable),
		.nodes = AT(node_count) - AT(batch.nodes),
		.buffers = AT(buffer_count) - AT(batch.buffers)},
	.node_count = WAL_COLUMNS,
	.buffer_count = BUFFERS,
};

// The buffers of column i are validity (2i) and data (2i + 1); the payload's are its offsets (2i +
// 1) and its bytes, the last of all.
static void set_buffers(struct header *h, const struct block_meta *meta)
{
	for (unsigned i = 0; i < WAL_COLUMNS; i++) {
		h->node[i].length = meta->rows;
		h->buffer[2 * i].offset = meta->at[i] - WAL_BLOCK_HEADER_BYTES;
		h->buffer[2 * i + 1].offset = meta->at[i] - WAL_BLOCK_HEADER_BYTES;
		h->buffer[2 * i + 1].length =
			meta->compressed ? meta->stored[i] : (int64_t)column_bytes(i, meta->rows);
	}
	h->buffer[BUFFERS - 1].offset = meta->payload - WAL_BLOCK_HEADER_BYTES;
	h->buffer[BUFFERS - 1].length = meta->payload_bytes;
}

// BodyCompression: codec LZ4_FRAME, method BUFFER.
static void set_compression(struct header *h)
{
	h->batch_vtable[0] = sizeof(h->batch_vtable);
	h->batch_vtable[1] = sizeof(h->batch);
	h->batch_vtable[5] = AT(batch.compression) - AT(batch);
	h->batch.compression = AT(compression) - AT(batch.compression);
	h->compression_vtable[0] = sizeof(h->compression_vtable);
	h->compression_vtable[1] = sizeof(h->compression);
	h->compression_vtable[2] = AT(compression.codec) - AT(compression);
	h->compression_vtable[3] = AT(compression.method) - AT(compression);
	h->compression.vtable = AT(compression) - AT(compression_vtable);
	h->compression.codec = ARROW_CODEC_LZ4_FRAME;
	h->compression.method = ARROW_COMPRESSION_BUFFER;
}

void block_meta_write(uint8_t *header, const struct block_meta *meta)
{
	struct header h = template;

	h.message.body_len = meta->block_len - WAL_BLOCK_HEADER_BYTES;
	h.batch.length = meta->rows;
	set_buffers(&h, meta);
	if (meta->compressed)
		set_compression(&h);
	memcpy(header, &h, sizeof(h));
}

static bool fits(int64_t value, uint32_t add, uint32_t *ret)
{
	if (value < 0 || value > WAL_BLOCK_MAX)
		return false;
	*ret = (uint32_t)value + add;
	return true;
}

bool block_meta_read(const uint8_t *header, struct block_meta *ret)
{
	struct header h;
	bool good;

	memcpy(&h, header, sizeof(h));
	good = fits(h.message.body_len, WAL_BLOCK_HEADER_BYTES, &ret->block_len) &&
	       fits(h.batch.length, 0, &ret->rows) &&
	       fits(h.buffer[BUFFERS - 1].offset, WAL_BLOCK_HEADER_BYTES, &ret->payload) &&
	       fits(h.buffer[BUFFERS - 1].length, 0, &ret->payload_bytes);
	ret->compressed = h.batch_vtable[0] == sizeof(h.batch_vtable);
	for (unsigned i = 0; good && i < WAL_COLUMNS; i++)
		good = fits(h.buffer[2 * i + 1].offset, WAL_BLOCK_HEADER_BYTES, &ret->at[i]) &&
		       fits(h.buffer[2 * i + 1].length, 0, &ret->stored[i]);
	return good;
}

bool block_meta_begins(const uint8_t *header, size_t avail)
{
	return memcmp(header, &template, avail < 8 ? avail : 8) == 0;
}
