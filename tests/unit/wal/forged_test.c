// SPDX-License-Identifier: BSD-3-Clause

// Whole blocks, with a CRC that fits, where they don't belong: moved, repeated, of other segments,
// rewritten, and sent as an event's payload by somebody who knows the segment.

#include "common/crc32c.h"
#include "tests/unit/wal/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FORGED_MAX (64u << 10)
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const uint32_t alike[4] = {20, 20, 20, 20};

static struct scene *built(void **state, bool signed_end)
{
	struct scene *scene = malloc(sizeof(*scene));

	assert_non_null(scene);
	*state = scene;
	scene_build(scene, alike, signed_end);
	return scene;
}

static int open_tail(void **state)
{
	built(state, false);
	return 0;
}

static int closed(void **state)
{
	built(state, true);
	return 0;
}

// Block 'from' as it was built, at the place of block 'to'.
static void put(struct scene *scene, unsigned from, unsigned to)
{
	const struct scene_block *source = &scene->blocks[from];

	assert_int_equal(source->len, scene->blocks[to].len);
	memcpy(scene_bytes(scene, &scene->blocks[to]),
		scene->files[source->file].whole + source->offset, source->len);
}

static void blocks_swapped_are_found(void **state)
{
	struct scene *scene = *state;

	for (unsigned a = 0; a < scene->block_count; a++) {
		for (unsigned b = a + 1; b < scene->block_count; b++) {
			scene_restore(scene);
			put(scene, a, b);
			put(scene, b, a);
			snprintf(scene->what, sizeof(scene->what), "%u and %u swapped", a, b);
			scene_check(scene, scene_model(scene));
		}
	}
}

static void a_block_in_the_place_of_another_is_found(void **state)
{
	struct scene *scene = *state;

	for (unsigned a = 0; a < scene->block_count; a++) {
		for (unsigned b = 0; b < scene->block_count; b++) {
			scene_restore(scene);
			put(scene, a, b);
			snprintf(scene->what, sizeof(scene->what), "%u in place of %u", a, b);
			scene_check(scene, scene_model(scene));
		}
	}
}

// Of its own segment: it was written for another place. Of an older one: foreign.
static void a_block_repeated_behind_the_end_adds_no_row(void **state)
{
	struct scene *scene = *state;
	unsigned newest = scene->file_count - 1;
	struct scene_file *file = &scene->files[newest];

	for (unsigned a = 0; a < scene->block_count; a++) {
		const struct scene_block *block = &scene->blocks[a];
		struct scene_expect expect = {
			.state = block->file == newest ? SCENE_TORN : SCENE_WHOLE,
			.file = newest,
			.offset = file->end,
			.seq = scene->seqs};

		scene_restore(scene);
		memcpy(file->bytes + file->end, scene->files[block->file].whole + block->offset,
			block->len);
		snprintf(scene->what, sizeof(scene->what), "%u behind the end", a);
		scene_check(scene, expect);
	}
}

// Blocks of a log of the same shapes, at their own places.
static void check_foreign(struct scene *scene, struct scene *twin)
{
	for (unsigned i = 0; i < scene->block_count; i++) {
		const struct scene_block *block = &scene->blocks[i];

		for (unsigned last = i; last < scene->block_count; last++) {
			if (scene->blocks[last].file != block->file)
				break;
			if (last == i)
				scene_restore(scene);
			memcpy(scene_bytes(scene, &scene->blocks[last]),
				scene_bytes(twin, &twin->blocks[last]), block->len);
			snprintf(scene->what, sizeof(scene->what), "%u to %u of another", i, last);
			scene_check(scene, scene_model(scene));
		}
	}
}

static void blocks_of_another_log_are_no_blocks(void **state)
{
	struct scene twin;

	scene_init(&twin);
	twin.boast = true;
	scene_fill(&twin, alike, true);
	check_foreign(*state, &twin);
	scene_free(&twin);
}

static void blocks_of_an_older_generation_are_no_blocks(void **state)
{
	struct scene *scene = *state, twin;

	scene_init(&twin);
	twin.boast = true;
	twin.lb.log_id = scene->lb.log_id;
	twin.lb.generation = 0;
	scene_fill(&twin, alike, true);
	check_foreign(scene, &twin);
	scene_free(&twin);
}

static void fix_crc(uint8_t *bytes, size_t len)
{
	uint32_t crc = crc32c(bytes, len - 4);

	memcpy(bytes + len - 4, &crc, 4);
}

// The CRC fits: it is the block's own place and neighbours that tell. What only the chain of CRCs
// tells is told at the next block, so never of the last one of a segment.
static const struct {
	const char *name;
	unsigned at;
	bool by_next;
} rewritten[] = {
#define FIELD(name) #name, offsetof(struct wal_trailer, name)
	{FIELD(magic), false},
	{FIELD(file_offset), false},
	{FIELD(block_len), false},
	{FIELD(header_len), false},
	{FIELD(generation), false},
	{FIELD(partition), false},
	{FIELD(first_seq), false},
	{FIELD(rows), false},
	{FIELD(flags), true},
	{FIELD(batch), false},
	{FIELD(durable_seq), true},
	{FIELD(received_min), true},
	{FIELD(received_max), true},
	{FIELD(prev_crc), false},
	{FIELD(zero), false},
#undef FIELD
};

static void check_rewritten(struct scene *scene, unsigned number, unsigned field)
{
	const struct scene_block *block = &scene->blocks[number];
	uint8_t *bytes = scene_bytes(scene, block);
	unsigned bad = number + rewritten[field].by_next;

	bytes[block->len - WAL_TRAILER_BYTES + rewritten[field].at] ^= 1;
	fix_crc(bytes, block->len);
	snprintf(scene->what, sizeof(scene->what), "%s of block %u rewritten",
		rewritten[field].name, number);
	if (bad < scene->block_count && scene->blocks[bad].file == block->file)
		scene_check(scene, scene_bad_at(scene, bad));
}

static void a_field_rewritten_with_its_crc_breaks_the_chain(void **state)
{
	struct scene *scene = *state;

	for (unsigned field = 0; field < COUNT(rewritten); field++) {
		for (unsigned i = 1; i < scene->block_count; i++) {
			scene_restore(scene);
			check_rewritten(scene, i, field);
		}
	}
}

enum forgery { FORGED_BLOCK, FORGED_NEXT_BLOCK, FORGED_END, FORGED_SCHEMA, FORGERIES };

// Something whole in every respect for that place of the newest segment.
static uint32_t forge(const struct scene *scene, enum forgery kind, uint64_t at, uint8_t *ret)
{
	struct logbuilder liar = scene->lb;
	struct wal_segment_end end = {.segment_id = liar.header.segment_id,
		.file_offset = at,
		.generation = liar.generation,
		.partition = liar.partition,
		.end_seq = 1000000,
		.next_seq = 2000000,
		.next_batch = 70};
	struct wal_segment_info info = {.header = liar.header,
		.receiver = "liar",
		.listeners = "{}",
		.compression = "none"};

	memset(ret, 0, FORGED_MAX);
	liar.seq += kind == FORGED_BLOCK ? 1000000 : 1;
	liar.durable_seq = liar.seq;
	if (kind == FORGED_END)
		wal_end_compose(ret, &end);
	else if (kind == FORGED_SCHEMA)
		wal_schema_compose(ret, &info);
	else
		return lb_compose(&liar, ret, at, 4, 0);
	return kind == FORGED_END ? WAL_PAGE : WAL_SCHEMA_BYTES;
}

// Two blocks, one with the forgery, and some behind it that don't know it to be durable or do.
static unsigned build_host(struct scene *scene, enum forgery kind, unsigned behind, bool signed_end)
{
	uint8_t *forged = malloc(FORGED_MAX);
	uint32_t len;

	assert_non_null(forged);
	scene_init(scene);
	scene_segment(scene);
	scene_add(scene, 20, WAL_FLAG_SEALED);
	scene_segment(scene);
	scene_add(scene, 20, WAL_FLAG_SEALED);
	scene_add(scene, 20, 0);
	len = forge(scene, kind, scene_payload_at(scene), forged);
	scene_add_with(scene, forged, len);
	for (unsigned i = 0; i < behind; i++)
		scene_add(scene, 20, 0);
	scene_finish(scene, signed_end);
	free(forged);
	return scene->block_count - 1 - behind;
}

// Both ends of the host agree, so what is in it is in it.
static void a_forgery_in_a_payload_is_a_payload(void **state)
{
	static const int flips[] = {-1, 700, -WAL_PAGE, -200, -4}; // -1: none; from its end
	(void)state;

	for (unsigned i = 0; i < FORGERIES * 4 * 2 * COUNT(flips); i++) {
		struct scene scene;
		enum forgery kind = i % FORGERIES;
		unsigned behind = i / FORGERIES % 4;
		int flip = flips[i / FORGERIES / 8];
		unsigned host = build_host(&scene, kind, behind, i / FORGERIES / 4 % 2);
		const struct scene_block *block = &scene.blocks[host];

		snprintf(scene.what, sizeof(scene.what), "forgery %u, %u behind, flip at %d", kind,
			behind, flip);
		if (flip != -1)
			scene_bytes(&scene, block)[flip > 0 ? flip : (int)block->len + flip] ^= 1;
		scene_check(&scene, scene_model(&scene));
		scene_free(&scene);
	}
}

// With an end of its host torn off nothing tells what it is. A start is then refused: that is on
// the safe side, and takes somebody who knows the segment's random id.
static void a_forgery_whose_host_is_torn_loses_no_row_silently(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FORGERIES * 4 * 2; i++) {
		struct scene scene;
		enum forgery kind = i % FORGERIES;
		unsigned behind = i / FORGERIES % 4;
		unsigned host = build_host(&scene, kind, behind, false);
		const struct scene_block *block = &scene.blocks[host];
		struct scene_expect expect;

		snprintf(scene.what, sizeof(scene.what), "forgery %u, %u behind, torn", kind,
			behind);
		if (i / FORGERIES / 4 == 0)
			memset(scene_bytes(&scene, block), 0, 512);
		else
			memset(scene_bytes(&scene, block) + block->len - 512, 0, 512);
		expect = scene_model(&scene);
		if (kind != FORGED_SCHEMA)
			expect.state = SCENE_DAMAGED;
		scene_check(&scene, expect);
		scene_free(&scene);
	}
}

int main(void)
{
#define OPEN(name) cmocka_unit_test_setup_teardown(name, open_tail, scene_teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, closed, scene_teardown)
	const struct CMUnitTest tests[] = {
		OPEN(blocks_swapped_are_found),
		CLOSED(blocks_swapped_are_found),
		OPEN(a_block_in_the_place_of_another_is_found),
		OPEN(a_block_repeated_behind_the_end_adds_no_row),
		CLOSED(a_block_repeated_behind_the_end_adds_no_row),
		OPEN(blocks_of_another_log_are_no_blocks),
		CLOSED(blocks_of_another_log_are_no_blocks),
		OPEN(blocks_of_an_older_generation_are_no_blocks),
		OPEN(a_field_rewritten_with_its_crc_breaks_the_chain),
		CLOSED(a_field_rewritten_with_its_crc_breaks_the_chain),
		cmocka_unit_test(a_forgery_in_a_payload_is_a_payload),
		cmocka_unit_test(a_forgery_whose_host_is_torn_loses_no_row_silently),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
