// SPDX-License-Identifier: BSD-3-Clause

// One bit flipped in each field of everything that a segment consists of but payloads.

#include "tests/unit/wal/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct field {
	const char *name;
	unsigned at, width;
};

#define FIELD(type, name) \
	{ \
#name, offsetof(type, name), sizeof(((type *)NULL)->name) \
	}

static const struct field trailer_fields[] = {
	FIELD(struct wal_trailer, magic),
	FIELD(struct wal_trailer, segment_id),
	FIELD(struct wal_trailer, file_offset),
	FIELD(struct wal_trailer, block_len),
	FIELD(struct wal_trailer, header_len),
	FIELD(struct wal_trailer, generation),
	FIELD(struct wal_trailer, partition),
	FIELD(struct wal_trailer, first_seq),
	FIELD(struct wal_trailer, rows),
	FIELD(struct wal_trailer, flags),
	FIELD(struct wal_trailer, batch),
	FIELD(struct wal_trailer, durable_seq),
	FIELD(struct wal_trailer, received_min),
	FIELD(struct wal_trailer, received_max),
	FIELD(struct wal_trailer, prev_crc),
	FIELD(struct wal_trailer, zero),
	FIELD(struct wal_trailer, crc),
};

static const struct field header_fields[] = {
	FIELD(struct wal_segment_header, magic),
	FIELD(struct wal_segment_header, log_id),
	FIELD(struct wal_segment_header, segment_id),
	FIELD(struct wal_segment_header, version),
	FIELD(struct wal_segment_header, generation),
	FIELD(struct wal_segment_header, partition),
	FIELD(struct wal_segment_header, schema_len),
	FIELD(struct wal_segment_header, first_seq),
	FIELD(struct wal_segment_header, first_batch),
	FIELD(struct wal_segment_header, gap_from),
	FIELD(struct wal_segment_header, zero),
	FIELD(struct wal_segment_header, crc),
};

static const struct field end_fields[] = {
	FIELD(struct wal_segment_end, magic),
	FIELD(struct wal_segment_end, segment_id),
	FIELD(struct wal_segment_end, file_offset),
	FIELD(struct wal_segment_end, generation),
	FIELD(struct wal_segment_end, partition),
	FIELD(struct wal_segment_end, end_seq),
	FIELD(struct wal_segment_end, next_seq),
	FIELD(struct wal_segment_end, next_batch),
	FIELD(struct wal_segment_end, zero),
	FIELD(struct wal_segment_end, crc),
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

// No byte of a structure without a field above.
#define assert_all_fields(list, type) \
	do { \
		unsigned at_ = 0; \
		for (unsigned i_ = 0; i_ < COUNT(list); at_ += (list)[i_++].width) \
			assert_int_equal((list)[i_].at, at_); \
		assert_int_equal(at_, sizeof(type)); \
	} while (0)

static const uint32_t open_rows[4] = {5, 60, 0, 20};
static const uint32_t closed_rows[4] = {5, 60, 20, 0};

static void flip_in_block(struct scene *scene, unsigned number, unsigned at, const char *name)
{
	const struct scene_block *block = &scene->blocks[number];

	scene_restore(scene);
	scene_bytes(scene, block)[at] ^= 0x10;
	snprintf(scene->what, sizeof(scene->what), "block %u of %u, %s at %u flipped", number,
		scene->block_count, name, at);
	scene_check(scene, scene_model(scene));
}

// The last block, the one before, and one in the middle: of the newest segment, of the one before,
// of the oldest.
static const unsigned places[] = {11, 10, 9, 8, 7, 6, 5, 3, 1};

static void flip_trailers(struct scene *scene)
{
	assert_all_fields(trailer_fields, struct wal_trailer);
	for (unsigned p = 0; p < COUNT(places); p++) {
		uint32_t trailer = scene->blocks[places[p]].len - WAL_TRAILER_BYTES;

		for (unsigned i = 0; i < COUNT(trailer_fields); i++) {
			const struct field *field = &trailer_fields[i];

			flip_in_block(scene, places[p], trailer + field->at, field->name);
			flip_in_block(scene, places[p], trailer + field->at + field->width - 1,
				field->name);
		}
	}
}

static void flip_headers(struct scene *scene, const unsigned *list, unsigned count)
{
	for (unsigned p = 0; p < count; p++)
		for (unsigned at = 0; at < WAL_BLOCK_HEADER_BYTES; at += 4)
			flip_in_block(scene, list[p], at + p % 4, "header");
}

static void build(void **state, bool signed_end)
{
	struct scene *scene = malloc(sizeof(*scene));

	assert_non_null(scene);
	*state = scene;
	scene_build(scene, signed_end ? closed_rows : open_rows, signed_end);
}

static int open_tail(void **state)
{
	build(state, false);
	return 0;
}

static int closed(void **state)
{
	build(state, true);
	return 0;
}

static int restarted(void **state)
{
	struct scene *scene = malloc(sizeof(*scene));

	assert_non_null(scene);
	*state = scene;
	scene_init(scene);
	scene->restarts = true;
	scene_fill(scene, open_rows, false);
	return 0;
}

static void an_unbroken_log_is_whole(void **state)
{
	struct scene *scene = *state;

	scene_check(scene, scene_model(scene));
}

static void every_field_of_a_trailer_matters(void **state)
{
	flip_trailers(*state);
}

static void every_word_of_a_blocks_header_matters(void **state)
{
	static const unsigned in_an_open_log[] = {11, 10, 8, 7, 6, 1}, in_a_closed_one[] = {11, 5};
	struct scene *scene = *state;

	if (scene->signed_end)
		flip_headers(scene, in_a_closed_one, COUNT(in_a_closed_one));
	else
		flip_headers(scene, in_an_open_log, COUNT(in_an_open_log));
}

static struct scene_expect schema_model(const struct scene *scene, unsigned file)
{
	return (struct scene_expect){SCENE_DAMAGED, file, 0, scene->blocks[4 * file].seq};
}

static void flip_in_schema(struct scene *scene, unsigned file, unsigned at, const char *name)
{
	struct scene_expect expect = schema_model(scene, file);

	scene_restore(scene);
	scene->files[file].bytes[at] ^= 0x10;
	snprintf(scene->what, sizeof(scene->what), "schema page of file %u, %s at %u flipped", file,
		name, at);
	scene_check(scene, expect);
}

static void every_field_of_a_segments_header_matters(void **state)
{
	struct scene *scene = *state;

	assert_all_fields(header_fields, struct wal_segment_header);
	// A newest segment that no block knows to be begun was, for all that can be told, in
	// flight.
	for (unsigned file = 0; file < scene->file_count - scene->restarts; file++) {
		for (unsigned i = 0; i < COUNT(header_fields); i++) {
			const struct field *field = &header_fields[i];
			unsigned at = WAL_SCHEMA_BYTES - WAL_TRAILER_BYTES + field->at;

			flip_in_schema(scene, file, at, field->name);
			flip_in_schema(scene, file, at + field->width - 1, field->name);
		}
	}
}

static void every_word_of_a_schema_message_matters(void **state)
{
	struct scene *scene = *state;

	for (unsigned at = 0; at < WAL_SCHEMA_BYTES - WAL_TRAILER_BYTES; at += at < 1600 ? 4 : 508)
		flip_in_schema(scene, at / 4 % scene->file_count, at + at / 16 % 4, "message");
}

// No row hangs on it: the log goes on where it would have.
static void a_flip_in_the_end_page_changes_no_row(void **state)
{
	struct scene *scene = *state;
	struct scene_file *file = &scene->files[scene->file_count - 1];

	assert_all_fields(end_fields, struct wal_segment_end);
	for (unsigned at = 0; at < WAL_PAGE; at += at < 32 || at >= WAL_PAGE - 130 ? 1 : 97) {
		scene_restore(scene);
		file->bytes[file->end + at] ^= 0x10;
		snprintf(scene->what, sizeof(scene->what), "end page, byte %u flipped", at);
		scene_check(scene, scene_model(scene));
	}
}

int main(void)
{
#define OPEN(name) cmocka_unit_test_setup_teardown(name, open_tail, scene_teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, closed, scene_teardown)
#define RESTARTED(name) cmocka_unit_test_setup_teardown(name, restarted, scene_teardown)
	const struct CMUnitTest tests[] = {
		OPEN(an_unbroken_log_is_whole),
		CLOSED(an_unbroken_log_is_whole),
		RESTARTED(an_unbroken_log_is_whole),
		OPEN(every_field_of_a_trailer_matters),
		CLOSED(every_field_of_a_trailer_matters),
		RESTARTED(every_field_of_a_trailer_matters),
		OPEN(every_word_of_a_blocks_header_matters),
		CLOSED(every_word_of_a_blocks_header_matters),
		OPEN(every_field_of_a_segments_header_matters),
		CLOSED(every_field_of_a_segments_header_matters),
		RESTARTED(every_field_of_a_segments_header_matters),
		OPEN(every_word_of_a_schema_message_matters),
		CLOSED(a_flip_in_the_end_page_changes_no_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
