// SPDX-License-Identifier: BSD-3-Clause
#include "wal/export.h"

#include "wal/arrow.h"
#include "wal/export_meta.h"
#include "wal/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 8u // of messages and bodies
#define PAIRS 7

_Static_assert(WAL_BLOCK_MAX < INT32_MAX, "a record batch stays below 2 GiB");

struct wal_export {
	enum wal_export_form form;
	wal_export_write write;
	void *arg;
	uint64_t at; // bytes since wal_export_begin()
	// What the schema says, kept for the footer.
	char *receiver, *listeners;
	char log_id[33], partition[12], first[24], last[24];
	struct export_place *places; // form FILE
	size_t place_count, place_room;
	uint8_t *kept; // a block's columns without the rows of the protocol
	size_t kept_room;
};

int wal_export_new(
	struct wal_export **ret, enum wal_export_form form, wal_export_write write, void *arg)
{
	struct wal_export *export = calloc(1, sizeof(*export));

	if (export == NULL)
		return -ENOMEM;
	export->form = form;
	export->write = write;
	export->arg = arg;
	*ret = export;
	return 0;
}

static void info_free(struct wal_export *export)
{
	free(export->receiver);
	free(export->listeners);
	export->receiver = export->listeners = NULL;
}

void wal_export_free(struct wal_export *export)
{
	if (export == NULL)
		return;
	info_free(export);
	free(export->places);
	free(export->kept);
	free(export);
}

static int emit(struct wal_export *export, const void *data, size_t len)
{
	int r;

	if (len == 0)
		return 0;
	r = export->write(export->arg, data, len);
	if (r < 0)
		return r;
	export->at += len;
	return 0;
}

// Bytes, and zeros up to the length that they take.
static int emit_padded(struct wal_export *export, const void *data, size_t len, size_t takes)
{
	static const uint8_t zeros[64];
	int r = emit(export, data, len);

	return r < 0 ? r : emit(export, zeros, takes - len);
}

// --- begin and end

static int info_copy(struct wal_export *export, const struct wal_export_info *info)
{
	info_free(export);
	export->receiver = strdup(info->receiver);
	export->listeners = strdup(info->listeners);
	if (export->receiver == NULL || export->listeners == NULL)
		return -ENOMEM;
	wal_id_text(&info->log_id, export->log_id);
	snprintf(export->partition, sizeof(export->partition), "%u", info->partition);
	snprintf(export->first, sizeof(export->first), "%" PRIu64, info->first_batch);
	snprintf(export->last, sizeof(export->last), "%" PRIu64, info->last_batch);
	return 0;
}

static void pairs_of(const struct wal_export *export, struct schema_pair ret[PAIRS])
{
	const struct schema_pair pairs[PAIRS] = {
		{"format", WAL_EXPORT_FORMAT},
		{"log_id", export->log_id},
		{"receiver", export->receiver},
		{"partition", export->partition},
		{"listeners", export->listeners},
		{"first_batch", export->first},
		{"last_batch", export->last},
	};

	memcpy(ret, pairs, sizeof(pairs));
}

int wal_export_begin(struct wal_export *export, const struct wal_export_info *info)
{
	static const char magic[8] = ARROW_MAGIC;
	struct schema_pair pairs[PAIRS];
	uint8_t *schema;
	uint32_t len;
	int r;

	export->at = 0;
	export->place_count = 0;
	r = info_copy(export, info);
	if (r < 0)
		return r;
	pairs_of(export, pairs);
	r = export_schema(pairs, PAIRS, &schema, &len);
	if (r < 0)
		return r;
	if (export->form == WAL_EXPORT_FILE)
		r = emit(export, magic, sizeof(magic));
	if (r == 0)
		r = emit(export, schema, len);
	free(schema);
	return r;
}

int wal_export_end(struct wal_export *export)
{
	static const uint32_t end[2] = {ARROW_CONTINUATION, 0};
	struct schema_pair pairs[PAIRS];
	uint8_t *footer;
	uint32_t len;
	int r;

	r = emit(export, end, sizeof(end));
	if (r < 0 || export->form != WAL_EXPORT_FILE)
		return r;
	pairs_of(export, pairs);
	r = export_footer(pairs, PAIRS, export->places, export->place_count, &footer, &len);
	if (r < 0)
		return r;
	r = emit(export, footer, len);
	free(footer);
	return r;
}

// --- blocks

static int place_add(struct wal_export *export, const struct block_meta *meta)
{
	if (export->form != WAL_EXPORT_FILE)
		return 0;
	if (export->place_count == export->place_room) {
		size_t room = export->place_room == 0 ? 64 : 2 * export->place_room;
		struct export_place *places = reallocarray(export->places, room, sizeof(*places));

		if (places == NULL)
			return -ENOMEM;
		export->places = places;
		export->place_room = room;
	}
	export->places[export->place_count++] = (struct export_place){.offset = export->at,
		.metadata_len = WAL_BLOCK_HEADER_BYTES,
		.body_len = meta->block_len - WAL_BLOCK_HEADER_BYTES};
	return 0;
}

// The header of a block that ends behind its payload.
static int emit_header(struct wal_export *export, struct block_meta *meta)
{
	uint8_t header[WAL_BLOCK_HEADER_BYTES];
	int r;

	meta->block_len =
		(uint32_t)wal_align_up((uint64_t)meta->payload + meta->payload_bytes, ALIGN);
	r = place_add(export, meta);
	if (r < 0)
		return r;
	block_meta_write(header, meta);
	return emit(export, header, sizeof(header));
}

// A compressed block holds nothing but what belongs to its rows: as it is stored, up to its
// payload.
static int emit_stored(struct wal_export *export, const struct wal_block_view *view)
{
	struct block_meta meta;
	uint32_t len;
	int r;

	if (!block_meta_read(view->block, &meta))
		return -EBADMSG;
	r = emit_header(export, &meta);
	if (r < 0)
		return r;
	len = meta.payload + meta.payload_bytes - WAL_BLOCK_HEADER_BYTES;
	return emit_padded(export, view->block + WAL_BLOCK_HEADER_BYTES, len,
		meta.block_len - WAL_BLOCK_HEADER_BYTES);
}

// Columns closed up: between those of a block in the log lies what earlier blocks left there.
static int emit_columns(struct wal_export *export, const uint8_t *columns,
	const struct wal_layout *from, uint32_t rows, uint32_t payload_bytes)
{
	struct block_meta meta = {.rows = rows, .payload_bytes = payload_bytes};
	struct wal_layout to;
	int r;

	wal_layout_init(&to, rows, WAL_BLOCK_MAX);
	if (to.rows_max != rows || payload_bytes > to.payload_max)
		return -EBADMSG;
	memcpy(meta.at, to.at, sizeof(meta.at));
	meta.payload = to.payload;
	r = emit_header(export, &meta);
	for (unsigned i = 0; r == 0 && i < WAL_COLUMNS; i++) {
		uint32_t end = i + 1 < WAL_COLUMNS ? to.at[i + 1] : to.payload;

		r = emit_padded(
			export, columns + from->at[i], column_bytes(i, rows), end - to.at[i]);
	}
	return r < 0 ? r
		     : emit_padded(export, columns + from->payload, payload_bytes,
			       meta.block_len - meta.payload);
}

static bool is_event(const struct wal_block_view *view, uint32_t row)
{
	uint16_t listener;

	memcpy(&listener, view->columns + view->layout.at[COL_LISTENER] + 2 * (size_t)row,
		sizeof(listener));
	return listener != WAL_LISTENER_PROTOCOL;
}

static uint32_t count_events(const struct wal_block_view *view)
{
	uint32_t events = 0;

	for (uint32_t row = 0; row < view->layout.rows_max; row++)
		events += is_event(view, row);
	return events;
}

static int kept_reserve(struct wal_export *export, size_t want)
{
	uint8_t *mem;

	if (want <= export->kept_room)
		return 0;
	mem = malloc(want);
	if (mem == NULL)
		return -ENOMEM;
	free(export->kept);
	export->kept = mem;
	export->kept_room = want;
	return 0;
}

static void keep_column(struct wal_export *export, const struct wal_block_view *view,
	const struct wal_layout *to, unsigned column)
{
	const uint8_t *from = view->columns + view->layout.at[column];
	uint32_t width = wal_column_width[column], kept = 0;

	for (uint32_t row = 0; row < view->layout.rows_max; row++)
		if (is_event(view, row))
			memcpy(export->kept + to->at[column] + (size_t)kept++ * width,
				from + (size_t)row * width, width);
}

// The payloads of events and their offsets; how many bytes they are.
static uint32_t keep_payload(
	struct wal_export *export, const struct wal_block_view *view, const struct wal_layout *to)
{
	const uint8_t *offsets = view->columns + view->layout.at[COL_PAYLOAD];
	uint8_t *kept = export->kept + to->at[COL_PAYLOAD];
	uint32_t bytes = 0;

	memcpy(kept, &bytes, sizeof(bytes));
	for (uint32_t row = 0; row < view->layout.rows_max; row++) {
		uint32_t range[2];

		if (!is_event(view, row))
			continue;
		memcpy(range, offsets + 4 * (size_t)row, sizeof(range));
		memcpy(export->kept + to->payload + bytes,
			view->columns + view->layout.payload + range[0], range[1] - range[0]);
		bytes += range[1] - range[0];
		kept += sizeof(bytes);
		memcpy(kept, &bytes, sizeof(bytes));
	}
	return bytes;
}

static int emit_events(
	struct wal_export *export, const struct wal_block_view *view, uint32_t events)
{
	struct wal_layout to;
	uint32_t bytes;
	int r;

	wal_layout_init(&to, events, WAL_BLOCK_MAX);
	if (to.rows_max != events)
		return -EBADMSG;
	r = kept_reserve(export, (size_t)to.payload + view->payload_bytes);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < COL_PAYLOAD; i++)
		keep_column(export, view, &to, i);
	bytes = keep_payload(export, view, &to);
	return emit_columns(export, export->kept, &to, events, bytes);
}

int wal_export_block(
	struct wal_export *export, const struct wal_block_view *view, uint32_t *ret_events)
{
	uint32_t rows = view->layout.rows_max, events;

	if (rows > 0 && view->columns == NULL)
		return -EINVAL;
	events = rows > 0 ? count_events(view) : 0;
	if (ret_events != NULL)
		*ret_events = events;
	if (events == 0)
		return 0;
	if (events < rows)
		return emit_events(export, view, events);
	if (view->compressed)
		return emit_stored(export, view);
	return emit_columns(export, view->columns, &view->layout, rows, view->payload_bytes);
}
