// SPDX-License-Identifier: BSD-3-Clause
#include "wal/schema.h"

#include "common/crc32c.h"
#include "wal/arrow.h"
#include "wal/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PREFIX_BYTES 8u // continuation and length before the flatbuffer
#define HEADER_AT (WAL_SCHEMA_BYTES - WAL_TRAILER_BYTES)

struct column {
	const char *name;
	uint8_t type;
	uint32_t width; // bits of an integer, bytes of a fixed size
};

static const struct column columns[WAL_COLUMNS] = {
	[COL_SEQ] = {"seq", ARROW_TYPE_INT, 64},
	[COL_RECEIVED_AT] = {"received_at", ARROW_TYPE_TIMESTAMP, 0},
	[COL_SRC_ADDR] = {"src_addr", ARROW_TYPE_FIXED_SIZE_BINARY, 16},
	[COL_SRC_PORT] = {"src_port", ARROW_TYPE_INT, 16},
	[COL_LISTENER] = {"listener", ARROW_TYPE_INT, 16},
	[COL_SOURCE_ID] = {"source_id", ARROW_TYPE_INT, 64},
	[COL_SOURCE_EPOCH] = {"source_epoch", ARROW_TYPE_INT, 32},
	[COL_SOURCE_SEQ] = {"source_seq", ARROW_TYPE_INT, 64},
	[COL_PAYLOAD] = {"payload", ARROW_TYPE_BINARY, 0},
};

// Int: bitWidth, is_signed (false). Timestamp: unit, timezone. FixedSizeBinary: byteWidth.
// Binary has no fields.
static void put_type(struct flat *w, uint32_t ref, const struct column *c)
{
	static const uint16_t one[] = {4};
	static const uint16_t timestamp[] = {8, 4};
	uint32_t vtable, timezone;

	switch (c->type) {
	case ARROW_TYPE_TIMESTAMP:
		vtable = flat_put_vtable(w, timestamp, 2, 12);
		flat_resolve(w, ref);
		flat_put_table(w, vtable);
		timezone = flat_put_ref(w);
		flat_put32(w, ARROW_UNIT_NANOSECOND);
		flat_put_string(w, timezone, "UTC");
		break;
	case ARROW_TYPE_BINARY:
		vtable = flat_put_vtable(w, NULL, 0, 4);
		flat_resolve(w, ref);
		flat_put_table(w, vtable);
		break;
	default:
		vtable = flat_put_vtable(w, one, 1, 8);
		flat_resolve(w, ref);
		flat_put_table(w, vtable);
		flat_put32(w, c->width);
	}
}

// Field: name, nullable (absent: false), type_type, type, dictionary, children.
static void put_field(struct flat *w, uint32_t ref, const struct column *c)
{
	static const uint16_t fields[] = {4, 0, 16, 8, 0, 12};
	uint32_t vtable = flat_put_vtable(w, fields, 6, 20);
	uint32_t name, type, children;

	flat_resolve(w, ref);
	flat_put_table(w, vtable);
	name = flat_put_ref(w);
	type = flat_put_ref(w);
	children = flat_put_ref(w);
	flat_put32(w, c->type);
	flat_put_string(w, name, c->name);
	put_type(w, type, c);
	flat_put_vector(w, children, 0);
}

static void put_pair(struct flat *w, uint32_t ref, const struct schema_pair *pair)
{
	static const uint16_t fields[] = {4, 8};
	uint32_t vtable = flat_put_vtable(w, fields, 2, 12);
	uint32_t key, value;

	flat_resolve(w, ref);
	flat_put_table(w, vtable);
	key = flat_put_ref(w);
	value = flat_put_ref(w);
	flat_put_string(w, key, pair->key);
	flat_put_string(w, value, pair->value);
}

// Schema: endianness (absent: little), fields, custom_metadata.
void schema_put(struct flat *w, uint32_t ref, const struct schema_pair *pairs, unsigned count)
{
	static const uint16_t fields[] = {0, 4, 8};
	uint32_t vtable = flat_put_vtable(w, fields, 3, 12);
	uint32_t columns_ref, pairs_ref, at;

	flat_resolve(w, ref);
	flat_put_table(w, vtable);
	columns_ref = flat_put_ref(w);
	pairs_ref = flat_put_ref(w);
	at = flat_put_vector(w, columns_ref, WAL_COLUMNS);
	for (unsigned i = 0; i < WAL_COLUMNS; i++)
		flat_put_ref(w);
	for (unsigned i = 0; i < WAL_COLUMNS; i++)
		put_field(w, at + 4 * i, &columns[i]);
	at = flat_put_vector(w, pairs_ref, count);
	for (unsigned i = 0; i < count; i++)
		flat_put_ref(w);
	for (unsigned i = 0; i < count; i++)
		put_pair(w, at + 4 * i, &pairs[i]);
}

// Message: version, header_type, header, bodyLength (absent: 0).
void schema_put_message(struct flat *w, const struct schema_pair *pairs, unsigned count)
{
	static const uint16_t fields[] = {8, 10, 4};
	uint32_t root = flat_put_ref(w);
	uint32_t vtable = flat_put_vtable(w, fields, 3, 12);
	uint32_t header;

	flat_resolve(w, root);
	flat_put_table(w, vtable);
	header = flat_put_ref(w);
	flat_put16(w, ARROW_VERSION_V5);
	flat_put16(w, ARROW_HEADER_SCHEMA);
	schema_put(w, header, pairs, count);
}

static void header_write(uint8_t *page, const struct wal_segment_header *header)
{
	struct wal_segment_header h = *header;
	uint32_t crc;

	h.magic = WAL_SEGMENT_MAGIC;
	h.version = WAL_FORMAT_VERSION;
	h.schema_len = WAL_SCHEMA_BYTES;
	memset(h.zero, 0, sizeof(h.zero));
	memcpy(page + HEADER_AT, &h, sizeof(h));
	crc = crc32c(page, WAL_SCHEMA_BYTES - sizeof(crc));
	memcpy(page + WAL_SCHEMA_BYTES - sizeof(crc), &crc, sizeof(crc));
}

int wal_schema_compose(uint8_t *page, const struct wal_segment_info *info)
{
	const struct wal_segment_header *h = &info->header;
	struct flat w = {.at = page + PREFIX_BYTES, .cap = HEADER_AT - PREFIX_BYTES};
	uint32_t prefix[2] = {ARROW_CONTINUATION, WAL_SCHEMA_BYTES - PREFIX_BYTES};
	char log_id[33], segment_id[33], version[12], generation[12], partition[12], first_seq[24];
	const struct schema_pair pairs[] = {
		{"format_version", version},
		{"log_id", log_id},
		{"segment_id", segment_id},
		{"generation", generation},
		{"first_seq", first_seq},
		{"receiver", info->receiver},
		{"partition", partition},
		{"listeners", info->listeners},
		{"compression", info->compression},
	};

	wal_id_text(&h->log_id, log_id);
	wal_id_text(&h->segment_id, segment_id);
	snprintf(version, sizeof(version), "%u", WAL_FORMAT_VERSION);
	snprintf(generation, sizeof(generation), "%u", h->generation);
	snprintf(partition, sizeof(partition), "%u", h->partition);
	snprintf(first_seq, sizeof(first_seq), "%llu", (unsigned long long)h->first_seq);
	memset(page, 0, WAL_SCHEMA_BYTES);
	memcpy(page, prefix, sizeof(prefix));
	schema_put_message(&w, pairs, sizeof(pairs) / sizeof(pairs[0]));
	if (w.len > w.cap)
		return -E2BIG;
	header_write(page, h);
	return 0;
}

// What follows reads such a flatbuffer: places in the page, 0 for none. The page's CRC fitted, but
// nothing is read outside of it whatever it says.
static uint32_t get(const uint8_t *page, uint32_t at, uint32_t bytes)
{
	uint32_t v = 0;

	if (at > 0 && at <= HEADER_AT - bytes)
		memcpy(&v, page + at, bytes);
	return v;
}

// Where the reference at 'at' leads.
static uint32_t follow(const uint8_t *page, uint32_t at)
{
	uint32_t distance = get(page, at, 4);

	return distance > 0 && distance < HEADER_AT - at ? at + distance : 0;
}

static uint32_t field(const uint8_t *page, uint32_t table, uint32_t number)
{
	uint32_t vtable = table - get(page, table, 4), entry = 4 + 2 * number, at;

	if (table == 0 || vtable >= HEADER_AT || entry + 2 > get(page, vtable, 2))
		return 0;
	at = get(page, vtable + entry, 2);
	return at > 0 && at < HEADER_AT - table ? table + at : 0;
}

// The text that the reference at 'at' leads to; it ends with a zero byte inside the page.
static const char *text(const uint8_t *page, uint32_t at)
{
	uint32_t place = follow(page, at), len = get(page, place, 4);

	if (place == 0 || len >= HEADER_AT - 4 - place || page[place + 4 + len] != '\0')
		return NULL;
	return (const char *)page + place + 4;
}

const char *wal_schema_value(const uint8_t *page, const char *key)
{
	uint32_t schema = follow(page, field(page, follow(page, PREFIX_BYTES), 2));
	uint32_t pairs = follow(page, field(page, schema, 2)), count = get(page, pairs, 4);

	for (uint32_t i = 0; pairs > 0 && i < count && i < WAL_SCHEMA_BYTES / 4; i++) {
		uint32_t pair = follow(page, pairs + 4 + 4 * i);
		const char *name = text(page, field(page, pair, 0));

		if (name != NULL && strcmp(name, key) == 0)
			return text(page, field(page, pair, 1));
	}
	return NULL;
}

// Whether the page is one that this version reads, but for what it states as its version.
static bool version_damaged(const uint8_t *page, const struct wal_segment_header *header)
{
	uint8_t copy[WAL_SCHEMA_BYTES];

	memcpy(copy, page, sizeof(copy));
	for (uint32_t version = 1; version <= WAL_FORMAT_VERSION; version++) {
		memcpy(copy + HEADER_AT + offsetof(struct wal_segment_header, version), &version,
			sizeof(version));
		if (crc32c(copy, sizeof(copy) - sizeof(header->crc)) == header->crc)
			return true;
	}
	return false;
}

int wal_schema_parse(const uint8_t *page, struct wal_segment_header *ret)
{
	static const uint32_t prefix[2] = {ARROW_CONTINUATION, WAL_SCHEMA_BYTES - PREFIX_BYTES};

	memcpy(ret, page + HEADER_AT, sizeof(*ret));
	if (ret->magic != WAL_SEGMENT_MAGIC)
		return memcmp(page, prefix, sizeof(prefix)) == 0 ? -EBADMSG : -ENODATA;
	// Before the CRC: a newer format may compute that otherwise, and must not pass for damage.
	if (ret->version > WAL_FORMAT_VERSION)
		return version_damaged(page, ret) ? -EBADMSG : -EPROTONOSUPPORT;
#ifndef MUTANT_SCHEMA_CRC
	if (crc32c(page, WAL_SCHEMA_BYTES - sizeof(ret->crc)) != ret->crc)
		return -EBADMSG;
#endif
	if (ret->version == 0 || ret->schema_len != WAL_SCHEMA_BYTES)
		return -EBADMSG;
	return 0;
}
