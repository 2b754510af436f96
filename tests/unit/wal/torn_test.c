// SPDX-License-Identifier: BSD-3-Clause

// The last blocks of a log torn at every 512 bytes: what a disk whose power fails may leave, and
// what it may not.

#include "tests/unit/wal/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECTOR 512u
#define BLOCKS 3 // at the end of the log

static const uint32_t rows[4] = {5, 60, 40, 20};

struct torn {
	struct scene scene;
	struct scene twin; // what the recycled file held before: the same shapes, all boasting
};

static struct torn *of(void **state)
{
	return *(struct torn **)state;
}

static int build(void **state, bool signed_end)
{
	struct torn *t = malloc(sizeof(*t));

	assert_non_null(t);
	*state = t;
	scene_init(&t->twin);
	t->twin.boast = true;
	scene_fill(&t->twin, rows, true);
	scene_init(&t->scene);
	t->scene.lb.log_id = t->twin.lb.log_id;
	t->scene.lb.generation = 2;
	scene_fill(&t->scene, rows, signed_end);
	return 0;
}

static int open_tail(void **state)
{
	return build(state, false);
}

static int closed(void **state)
{
	return build(state, true);
}

static int teardown(void **state)
{
	scene_free(&of(state)->scene);
	scene_free(&of(state)->twin);
	free(*state);
	return 0;
}

enum content { ZEROS, NOISE, OLD, CONTENTS };
static const char *const content_names[CONTENTS] = {"zeros", "noise", "old blocks"};

static void replace(struct torn *t, size_t from, size_t to, enum content content)
{
	unsigned newest = t->scene.file_count - 1;
	uint8_t *bytes = t->scene.files[newest].bytes;

	for (size_t at = from; at < to; at++)
		bytes[at] = content == ZEROS   ? 0
			    : content == NOISE ? (uint8_t)((at + 1) * 2654435761u >> 13)
					       : t->twin.files[newest].whole[at];
}

static void check(struct torn *t, size_t from, size_t to, enum content content)
{
	struct scene *scene = &t->scene;

	scene_restore(scene);
	replace(t, from, to, content);
	snprintf(scene->what, sizeof(scene->what), "%s from %zu to %zu", content_names[content],
		from, to);
	scene_check(scene, scene_model(scene));
}

// The last blocks up to a boundary, or from it on, are not there.
static void tear_blocks(struct torn *t)
{
	struct scene *scene = &t->scene;
	const struct scene_block *last = &scene->blocks[scene->block_count];
	size_t end = scene->files[scene->file_count - 1].end;

	for (unsigned n = 1; n <= BLOCKS; n++) {
		size_t begin = last[-(int)n].offset;

		for (size_t at = begin; at < end; at += SECTOR) {
			for (enum content c = ZEROS; c < CONTENTS; c++) {
				if (n == BLOCKS) // else one of these is tried with a larger n
					check(t, at, end, c);
				check(t, begin, at + SECTOR, c);
			}
		}
	}
}

static void the_last_blocks_of_an_open_log_may_be_torn_anywhere(void **state)
{
	tear_blocks(of(state));
}

static void the_last_blocks_of_a_closed_log_torn_anywhere_are_damage(void **state)
{
	tear_blocks(of(state));
}

static void a_sector_of_the_last_blocks_may_be_missing(void **state)
{
	struct torn *t = of(state);
	const struct scene_block *first = &t->scene.blocks[t->scene.block_count - BLOCKS];

	for (size_t at = first->offset; at < t->scene.files[first->file].end; at += SECTOR)
		for (enum content c = ZEROS; c < CONTENTS; c++)
			check(t, at, at + SECTOR, c);
}

// Only written when every block is durable: however it is torn, no row hangs on it.
static void an_end_page_torn_anywhere_costs_no_row(void **state)
{
	struct torn *t = of(state);
	size_t begin = t->scene.files[t->scene.file_count - 1].end;

	for (size_t at = begin; at <= begin + WAL_PAGE; at += SECTOR) {
		for (enum content c = ZEROS; c < CONTENTS; c++) {
			check(t, begin, at, c);
			check(t, at, begin + WAL_PAGE, c);
		}
	}
}

// The end page is written after the blocks were flushed, the last block before: so this is no tear.
static void a_page_of_zeros_in_front_of_a_signed_end_is_damage(void **state)
{
	struct torn *t = of(state);
	struct scene *scene = &t->scene;
	const struct scene_block *block = &scene->blocks[scene->block_count - 1];

	check(t, block->offset, block->offset + block->len, ZEROS);
	assert_int_equal(scene_model(scene).state, SCENE_DAMAGED);
}

int main(void)
{
#define OPEN(name) cmocka_unit_test_setup_teardown(name, open_tail, teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, closed, teardown)
	const struct CMUnitTest tests[] = {
		OPEN(the_last_blocks_of_an_open_log_may_be_torn_anywhere),
		CLOSED(the_last_blocks_of_a_closed_log_torn_anywhere_are_damage),
		OPEN(a_sector_of_the_last_blocks_may_be_missing),
		CLOSED(a_sector_of_the_last_blocks_may_be_missing),
		CLOSED(an_end_page_torn_anywhere_costs_no_row),
		CLOSED(a_page_of_zeros_in_front_of_a_signed_end_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
