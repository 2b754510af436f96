// SPDX-License-Identifier: BSD-3-Clause
#include "segment_recipe.h"

#include "common/crc32c.h"
#include "wal/pack.h"

#include <string.h>

#define STEPS_MAX 64
#define BLOCK_ROOM (16u << 10)
#define PAYLOAD_MAX 64u

// What the next step works with.
struct kitchen {
	struct recipe *recipe;
	const uint8_t *data;
	size_t size;
	struct wal_segment_header header;     // of the segment being built
	uint64_t seq, batch, durable, before; // before: first seq of the last block
	uint32_t offset, prev_crc, generation;
	bool sealed;
	uint8_t block[BLOCK_ROOM];
	uint8_t packed[BLOCK_ROOM + PACK_SLACK_BYTES];
};

static uint8_t take(struct kitchen *k)
{
	if (k->size == 0)
		return 0;
	k->size--;
	return *k->data++;
}

static uint8_t payload_byte(uint64_t seq, uint32_t at)
{
	return (uint8_t)(seq * 31 + at);
}

bool recipe_row_true(const struct wal_row *row)
{
	for (uint32_t i = 0; i < row->payload_len && i < PAYLOAD_MAX; i++)
		if (row->payload[i] != payload_byte(row->seq, i))
			return false;
	return row->received_at == (int64_t)(1000 + row->seq) &&
	       row->src_port == (uint16_t)row->seq && row->source_seq == row->seq;
}

static struct recipe_file *file_of(struct kitchen *k)
{
	return &k->recipe->files[k->recipe->file_count - 1];
}

static void fix_crc(uint8_t *bytes, uint32_t len)
{
	uint32_t crc = crc32c(bytes, len - 4);

	memcpy(bytes + len - 4, &crc, 4);
}

// Puts bytes at the end of the segment being built; false when there is no more room.
static bool add(struct kitchen *k, const uint8_t *bytes, uint32_t len)
{
	struct recipe *r = k->recipe;
	struct recipe_file *file = file_of(k);

	if (r->item_count == RECIPE_ITEMS || k->offset + len > RECIPE_FILE_MAX)
		return false;
	if (bytes != NULL)
		memcpy(file->bytes + k->offset, bytes, len);
	r->items[r->item_count++] = (struct recipe_item){r->file_count - 1, k->offset, len};
	if (file->len < k->offset + len)
		file->len = k->offset + len;
	return true;
}

static void begin_segment(struct kitchen *k)
{
	struct recipe *r = k->recipe;
	uint8_t page[WAL_SCHEMA_BYTES], how = take(k);
	struct wal_segment_info info = {
		.receiver = "fuzz", .listeners = "{}", .compression = "none"};

	if (r->file_count == RECIPE_FILES)
		return;
	k->generation += how & 1;
	if ((how & 2) != 0) // rows are missing, declared as lost or not
		k->seq += take(k);
	if ((how & 4) != 0)
		k->seq -= k->seq < 3 ? k->seq : 3;
	k->batch += !k->sealed && k->offset > WAL_SCHEMA_BYTES;
	k->batch += (how & 8) != 0;
	k->sealed = true;
	info.header = (struct wal_segment_header){.generation = k->generation,
		.partition = (how >> 4 & 1),
		.first_seq = k->seq,
		.first_batch = k->batch,
		.gap_from = (how & 2) != 0 && (how & 32) != 0 ? k->before : k->seq};
	memset(info.header.log_id.bytes, (how >> 6 & 1) + 1, 16);
	memset(info.header.segment_id.bytes, (int)r->file_count + 10, 16);
	if (wal_schema_compose(page, &info) < 0 || wal_schema_parse(page, &k->header) < 0)
		return;
	r->file_count++;
	file_of(k)->first_seq = k->seq;
	k->offset = 0;
	add(k, page, sizeof(page));
	k->offset = WAL_SCHEMA_BYTES;
	k->prev_crc = k->header.crc;
}

static void put(struct kitchen *k, const struct wal_layout *layout, int column, uint32_t row,
	uint64_t value)
{
	uint32_t width = wal_column_width[column];

	memcpy(k->block + layout->at[column] + (size_t)row * width, &value, width < 8 ? width : 8);
}

static uint32_t fill(
	struct kitchen *k, const struct wal_layout *layout, uint32_t rows, uint32_t payload_len)
{
	uint32_t at = 0;

	for (uint32_t row = 0; row < rows; row++, at += payload_len) {
		put(k, layout, COL_SEQ, row, k->seq + row);
		put(k, layout, COL_RECEIVED_AT, row, 1000 + k->seq + row);
		put(k, layout, COL_SRC_PORT, row, k->seq + row);
		put(k, layout, COL_SOURCE_SEQ, row, k->seq + row);
		put(k, layout, COL_PAYLOAD, row, at);
		for (uint32_t i = 0; i < payload_len; i++)
			k->block[layout->payload + at + i] = payload_byte(k->seq + row, i);
	}
	put(k, layout, COL_PAYLOAD, rows, at);
	return at;
}

static uint64_t durable_of(const struct kitchen *k, uint8_t how)
{
	switch (how & 3) {
	case 0:
		return k->before;
	case 1:
		return k->seq;
	case 2:
		return k->durable;
	default:
		return k->seq + (how >> 2);
	}
}

static struct wal_block_info info_of(const struct kitchen *k, uint32_t rows, uint8_t how)
{
	return (struct wal_block_info){.segment_id = k->header.segment_id,
		.file_offset = k->offset,
		.generation = k->header.generation,
		.partition = k->header.partition,
		.first_seq = k->seq,
		.rows = rows,
		.flags = rows == 0 || (how & 128) != 0 ? WAL_FLAG_SEALED : 0,
		.batch = k->batch + (k->sealed && k->offset > WAL_SCHEMA_BYTES),
		.durable_seq = durable_of(k, how & 127),
		.received_min = rows ? (int64_t)(1000 + k->seq) : 0,
		.received_max = rows ? (int64_t)(1000 + k->seq + rows - 1) : 0,
		.prev_crc = k->prev_crc};
}

// The block in k->block is, or was left out as if in flight, behind the others.
static void advance(struct kitchen *k, const struct wal_block_info *info, uint32_t len)
{
	memcpy(&k->prev_crc, k->block + len - 4, 4);
	k->before = k->seq;
	k->durable = info->durable_seq;
	k->seq += info->rows;
	k->offset += len;
	k->batch = info->batch;
	k->sealed = info->flags != 0;
}

// Compresses the block in k->block, if that pays. Its length.
static uint32_t pack_block(
	struct kitchen *k, const struct wal_layout *layout, const struct wal_block_info *info)
{
	struct wal_fill filled = {
		.layout = *layout, .rows = info->rows, .payload_bytes = info->payload_bytes};
	struct wal_packer *packer;
	struct block_meta meta;
	bool tried, paid;

	if (wal_packer_new(&packer) < 0)
		return 0;
	paid = wal_pack(packer, k->block, &filled, k->packed, &meta, &tried);
	wal_packer_free(packer);
	if (!paid)
		return 0;
	block_close(k->packed, &meta, info);
	memcpy(k->block, k->packed, meta.block_len);
	return meta.block_len;
}

static uint32_t close_block(struct kitchen *k, uint32_t room, uint32_t payload_len, bool compress,
	struct wal_block_info *info)
{
	struct wal_layout layout;
	uint32_t len;

	wal_layout_init(&layout, room, sizeof(k->block));
	info->payload_bytes = fill(k, &layout, info->rows, payload_len);
	len = compress ? pack_block(k, &layout, info) : 0;
	if (len > 0)
		return len;
	wal_block_close(k->block, &layout, info);
	return wal_block_len(&layout, info->payload_bytes);
}

static void add_block(struct kitchen *k, bool written)
{
	uint32_t rows = take(k) & 63, payload_len = take(k) % PAYLOAD_MAX;
	uint8_t shape = take(k);
	struct wal_block_info info = info_of(k, rows, take(k));
	uint32_t len = WAL_PAGE;

	memset(k->block, 0, sizeof(k->block));
	if (rows == 0)
		wal_block_empty(k->block, &info);
	else
		len = close_block(k, rows + (shape & 15), payload_len, shape & 128, &info);
	if (k->offset + len <= RECIPE_FILE_MAX && (!written || add(k, k->block, len)))
		advance(k, &info, len);
}

// A block of one row whose payload holds, where a page of the file begins, a block or an end page
// that is whole in every respect.
static void add_forgery(struct kitchen *k)
{
	uint8_t how = take(k), ahead = take(k), forged[WAL_PAGE];
	struct wal_block_info host = info_of(k, 1, take(k)), info;
	uint32_t at = 2 * WAL_PAGE;
	struct wal_layout layout;

	info = host;
	info.file_offset = k->offset + at;
	info.first_seq = info.durable_seq = k->seq + ahead;
	wal_block_empty(forged, &info);
	if ((how & 1) != 0)
		wal_end_compose(forged, &(struct wal_segment_end){.segment_id = info.segment_id,
						.file_offset = info.file_offset,
						.generation = info.generation,
						.partition = info.partition,
						.end_seq = k->seq + ahead,
						.next_seq = k->seq + ahead,
						.next_batch = info.batch});
	memset(k->block, 0, sizeof(k->block));
	wal_layout_init(&layout, 1, sizeof(k->block));
	host.payload_bytes = at + WAL_PAGE - layout.payload;
	fill(k, &layout, 1, PAYLOAD_MAX);
	put(k, &layout, COL_PAYLOAD, 1, host.payload_bytes);
	memcpy(k->block + at, forged, WAL_PAGE);
	wal_block_close(k->block, &layout, &host);
	if (add(k, k->block, wal_block_len(&layout, host.payload_bytes)))
		advance(k, &host, wal_block_len(&layout, host.payload_bytes));
}

static void add_end(struct kitchen *k)
{
	uint8_t page[WAL_PAGE], how = take(k);
	struct wal_segment_end end = {.segment_id = k->header.segment_id,
		.file_offset = k->offset,
		.generation = k->header.generation,
		.partition = k->header.partition,
		.end_seq = k->seq + (how & 1),
		.next_seq = k->seq + (how & 1) + (how >> 4),
		.next_batch = k->batch + 1};

	if ((how & 2) != 0)
		wal_eos_compose(page);
	else
		wal_end_compose(page, &end);
	add(k, page, sizeof(page));
	if ((how & 4) != 0)
		k->seq = end.next_seq;
}

static struct recipe_item *choose_item(struct kitchen *k)
{
	return &k->recipe->items[take(k) % k->recipe->item_count];
}

// Some bytes of an item, counted from its begin or its end; with its CRC put right, or not.
static void patch(struct kitchen *k)
{
	struct recipe_item *item = choose_item(k);
	uint8_t how = take(k), len = 1 + (how & 7);
	uint32_t at = take(k) | (how & 64 ? (uint32_t)take(k) << 8 : 0);
	uint8_t *bytes = k->recipe->files[item->file].bytes + item->offset;

	at %= item->len;
	if ((how & 128) != 0)
		at = item->len - 1 - at;
	for (unsigned i = 0; i < len && at + i < item->len; i++)
		bytes[at + i] = how & 16 ? bytes[at + i] ^ take(k) : take(k);
	if ((how & 32) == 0)
		return;
	fix_crc(bytes, item->len);
	k->recipe->honest = false;
}

// One item in the place of another, of another file, perhaps; as it is or fitted in.
static void move(struct kitchen *k)
{
	struct recipe_item *from = choose_item(k), *to = choose_item(k);
	uint32_t len = from->len < to->len ? from->len : to->len;
	uint8_t *bytes = k->recipe->files[to->file].bytes + to->offset;
	uint64_t offset = to->offset;
	uint8_t how = take(k);

	memmove(bytes, k->recipe->files[from->file].bytes + from->offset, len);
	if ((how & 1) == 0 || from->len != to->len)
		return;
	memcpy(bytes + len - WAL_TRAILER_BYTES + offsetof(struct wal_trailer, file_offset), &offset,
		sizeof(offset));
	fix_crc(bytes, len);
	k->recipe->honest = false;
}

// Sectors of zeros or of something else.
static void tear(struct kitchen *k)
{
	struct recipe_file *file = &k->recipe->files[take(k) % k->recipe->file_count];
	uint8_t how = take(k);
	size_t at = (size_t)take(k) * 512, len = (size_t)(1 + (how & 31)) * 512;

	for (size_t i = at; i < at + len && i < file->len; i++)
		file->bytes[i] = how & 32 ? (uint8_t)(i * 2654435761u >> 13) : 0;
}

static void resize(struct kitchen *k)
{
	struct recipe_file *file = &k->recipe->files[take(k) % k->recipe->file_count];
	uint8_t how = take(k);
	size_t len = (size_t)take(k) * 512 + (how & 15);

	if (len > RECIPE_FILE_MAX)
		return;
	if (len < file->len)
		memset(file->bytes + len, 0, file->len - len);
	file->len = len;
}

static void rename_file(struct kitchen *k)
{
	k->recipe->files[take(k) % k->recipe->file_count].first_seq = take(k);
}

static void set_limit(struct kitchen *k)
{
	uint8_t file = take(k);

	k->recipe->from = take(k);
	k->recipe->limit = (struct wal_limit){
		.segment_first = k->recipe->files[file % k->recipe->file_count].first_seq,
		.offset = (uint64_t)take(k) * (file & 128 ? 512 : WAL_PAGE)};
}

static void step(struct kitchen *k)
{
	uint8_t what = take(k) & 15;

	if (k->recipe->file_count == 0)
		what = 0;
	switch (what) {
	case 0:
		begin_segment(k);
		break;
	case 1:
		add_block(k, false);
		break;
	case 2:
		add_end(k);
		break;
	case 3:
		add_forgery(k);
		break;
	case 4:
	case 5:
		patch(k);
		break;
	case 6:
		move(k);
		break;
	case 7:
		tear(k);
		break;
	case 8:
		resize(k);
		break;
	case 9:
		rename_file(k);
		break;
	case 10:
		set_limit(k);
		break;
	default:
		add_block(k, true);
	}
}

void recipe_cook(struct recipe *ret, const uint8_t *data, size_t size)
{
	static struct kitchen k;

	for (unsigned i = 0; i < RECIPE_FILES; i++) {
		memset(ret->files[i].bytes, 0, ret->files[i].len);
		ret->files[i].len = 0;
	}
	ret->file_count = ret->item_count = 0;
	ret->honest = true;
	ret->from = 0;
	ret->limit = (struct wal_limit){.segment_first = UINT64_MAX};
	k = (struct kitchen){.recipe = ret, .data = data, .size = size, .generation = 1};
	k.sealed = true;
	for (unsigned i = 0; i < STEPS_MAX && k.size > 0; i++)
		step(&k);
}
