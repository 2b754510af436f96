// SPDX-License-Identifier: BSD-3-Clause
#include "wal/export_meta.h"

#include "wal/arrow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 8u // continuation and length before a message's flatbuffer
#define BLOCK_BYTES 24u // Block: offset, metaDataLength, bodyLength

int export_schema(const struct schema_pair *pairs, unsigned count, uint8_t **ret, uint32_t *ret_len)
{
	uint32_t prefix[2] = {ARROW_CONTINUATION, 0};
	struct flat w = {0};
	uint8_t *message;

	schema_put_message(&w, pairs, count);
	flat_align(&w, 8, 0);
	if (w.len >= FLAT_OVERFLOW - PREFIX_BYTES)
		return -E2BIG;
	message = malloc(PREFIX_BYTES + w.len);
	if (message == NULL)
		return -ENOMEM;
	prefix[1] = w.len;
	memcpy(message, prefix, sizeof(prefix));
	w = (struct flat){.at = message + PREFIX_BYTES, .cap = w.len};
	schema_put_message(&w, pairs, count);
	flat_align(&w, 8, 0);
	*ret = message;
	*ret_len = PREFIX_BYTES + w.len;
	return 0;
}

static void put_places(
	struct flat *w, uint32_t ref, const struct export_place *places, size_t count)
{
	flat_align(w, 8, 4);
	flat_put_vector(w, ref, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		flat_put64(w, places[i].offset);
		flat_put32(w, places[i].metadata_len);
		flat_put32(w, 0);
		flat_put64(w, places[i].body_len);
	}
}

// Footer: version, schema, dictionaries (absent), recordBatches.
static void put_footer(struct flat *w, const struct schema_pair *pairs, unsigned count,
	const struct export_place *places, size_t place_count)
{
	static const uint16_t fields[] = {12, 4, 0, 8};
	uint32_t root = flat_put_ref(w);
	uint32_t vtable = flat_put_vtable(w, fields, 4, 16);
	uint32_t schema, batches;

	flat_resolve(w, root);
	flat_put_table(w, vtable);
	schema = flat_put_ref(w);
	batches = flat_put_ref(w);
	flat_put16(w, ARROW_VERSION_V5);
	flat_put16(w, 0);
	schema_put(w, schema, pairs, count);
	put_places(w, batches, places, place_count);
}

int export_footer(const struct schema_pair *pairs, unsigned count,
	const struct export_place *places, size_t place_count, uint8_t **ret, uint32_t *ret_len)
{
	static const uint32_t tail = sizeof(uint32_t) + sizeof(ARROW_MAGIC) - 1;
	struct flat w = {0};
	uint8_t *footer;

	if (place_count > FLAT_OVERFLOW / BLOCK_BYTES)
		return -E2BIG;
	put_footer(&w, pairs, count, places, place_count);
	if (w.len >= FLAT_OVERFLOW - tail)
		return -E2BIG;
	footer = malloc(w.len + tail);
	if (footer == NULL)
		return -ENOMEM;
	w = (struct flat){.at = footer, .cap = w.len};
	put_footer(&w, pairs, count, places, place_count);
	memcpy(footer + w.len, &w.len, sizeof(w.len));
	memcpy(footer + w.len + sizeof(w.len), ARROW_MAGIC, sizeof(ARROW_MAGIC) - 1);
	*ret = footer;
	*ret_len = w.len + tail;
	return 0;
}
