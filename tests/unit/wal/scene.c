// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/scene.h"

#include "common/crc32c.h"

#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BEHIND (4u * WAL_PAGE) // bytes of a file behind its last page

static const struct wal_limit no_limit = {.segment_first = UINT64_MAX};

void scene_segment(struct scene *scene)
{
	struct logbuilder *lb = &scene->lb;

	if (scene->file_count > 0 && scene->restarts) {
		lb_truncate(lb, lb->name, lb->offset);
		lb->generation++;
	} else if (scene->file_count > 0) {
		lb_eos(lb);
	}
	lb_segment(lb);
	memcpy(scene->files[scene->file_count++].name, lb->name, sizeof(lb->name));
	assert_in_range(scene->file_count, 1, SCENE_FILES);
}

static struct scene_block *begin_block(struct scene *scene, uint32_t rows)
{
	struct scene_block *block = &scene->blocks[scene->block_count];
	struct logbuilder *lb = &scene->lb;

	assert_in_range(scene->block_count, 0, SCENE_BLOCKS - 1);
	lb->durable_seq = scene->boast                                 ? lb->seq
			  : scene->restarts || scene->block_count == 0 ? 0
								       : block[-1].seq;
	*block = (struct scene_block){.file = scene->file_count - 1,
		.seq = lb->seq,
		.rows = rows,
		.durable_seq = lb->durable_seq};
	return block;
}

static void end_block(struct scene *scene, struct scene_block *block)
{
	block->offset = scene->lb.last;
	block->len = (uint32_t)(scene->lb.offset - scene->lb.last);
	scene->files[block->file].end = scene->lb.offset;
	scene->block_count++;
}

void scene_add(struct scene *scene, uint32_t rows, uint32_t flags)
{
	struct scene_block *block = begin_block(scene, rows);

	if (rows > 0)
		lb_block(&scene->lb, rows, flags);
	else
		lb_seal(&scene->lb);
	end_block(scene, block);
}

void scene_add_with(struct scene *scene, const void *payload, uint32_t len)
{
	struct scene_block *block = begin_block(scene, 1);

	lb_block_with(&scene->lb, payload, len);
	end_block(scene, block);
}

uint64_t scene_payload_at(const struct scene *scene)
{
	return lb_payload_at(&scene->lb);
}

static void take_in(struct scene *scene, struct scene_file *file)
{
	char path[256];
	int fd;

	file->len = file->end + WAL_PAGE + BEHIND;
	if (lb_size(&scene->lb, file->name) == file->end)
		file->len = file->end; // cut by recovery
	file->whole = calloc(1, file->len);
	file->bytes = malloc(file->len);
	assert_non_null(file->whole);
	assert_non_null(file->bytes);
	snprintf(path, sizeof(path), "%s/%s", scene->lb.dir, file->name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && pread(fd, file->whole, file->len, 0) > 0);
	close(fd);
}

uint64_t scene_row_digest(const struct wal_row *row)
{
	uint32_t crc = crc32c(row->payload, row->payload_len);

	return ((uint64_t)crc << 32) ^ crc32c(row->src_addr, 16) ^
	       (row->seq * 31 + (uint64_t)row->received_at * 7 + row->src_port +
		       row->listener * 3u + row->source_id + row->source_epoch + row->source_seq +
		       row->payload_len * 11u);
}

static void learn_truth(struct scene *scene)
{
	struct wal_reader *reader;
	struct wal_block_view view;
	struct wal_row row;

	assert_int_equal(wal_reader_open(&reader, scene->lb.dir, 0, no_limit), 0);
	while (wal_reader_next(reader, &view) == 1) {
		for (uint32_t i = 0; i < view.trailer->rows; i++) {
			assert_in_range(scene->seqs, 0, SCENE_ROWS - 1);
			wal_row_get(&view, i, &row);
			scene->truth[scene->seqs++] = scene_row_digest(&row);
		}
	}
	wal_reader_close(reader);
	assert_int_equal(scene->seqs, scene->lb.seq);
}

void scene_finish(struct scene *scene, bool signed_end)
{
	if (signed_end)
		lb_end(&scene->lb);
	scene->signed_end = signed_end;
	for (unsigned i = 0; i < scene->file_count; i++)
		take_in(scene, &scene->files[i]);
	learn_truth(scene);
	scene_restore(scene);
}

// A block of no rows seals; the one before it does not.
static bool sealed(const uint32_t rows[4], unsigned i)
{
	return rows[i] == 0 || (i % 2 == 0 && rows[i + 1] > 0);
}

void scene_init(struct scene *scene)
{
	// Nothing here is about what a flush does.
	if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	mallopt(M_MMAP_THRESHOLD, 64 << 20); // what is freed and had anew thousands of times
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	*scene = (struct scene){.what = "as built"};
	lb_init(&scene->lb);
}

void scene_fill(struct scene *scene, const uint32_t rows[4], bool signed_end)
{
	for (unsigned f = 0; f < 3; f++) {
		scene_segment(scene);
		for (unsigned i = 0; i < 4; i++)
			scene_add(scene, rows[i], sealed(rows, i) ? WAL_FLAG_SEALED : 0);
	}
	scene_finish(scene, signed_end);
}

void scene_build(struct scene *scene, const uint32_t rows[4], bool signed_end)
{
	scene_init(scene);
	scene_fill(scene, rows, signed_end);
}

void scene_free(struct scene *scene)
{
	lb_done(&scene->lb);
	for (unsigned i = 0; i < scene->file_count; i++) {
		free(scene->files[i].whole);
		free(scene->files[i].bytes);
	}
}

int scene_teardown(void **state)
{
	if (*state != NULL)
		scene_free(*state);
	free(*state);
	return 0;
}

void scene_restore(struct scene *scene)
{
	for (unsigned i = 0; i < scene->file_count; i++)
		memcpy(scene->files[i].bytes, scene->files[i].whole, scene->files[i].len);
}

uint8_t *scene_bytes(struct scene *scene, const struct scene_block *block)
{
	return scene->files[block->file].bytes + block->offset;
}

static bool same(const struct scene *scene, const struct scene_block *block, size_t at, size_t len)
{
	const struct scene_file *file = &scene->files[block->file];

	return memcmp(file->bytes + block->offset + at, file->whole + block->offset + at, len) == 0;
}

// A block whose begin is gone, or that names another segment, is like what a recycled file holds.
static bool unrecognisable(const struct scene *scene, const struct scene_block *block)
{
	size_t trailer = block->len - WAL_TRAILER_BYTES;

	if (!same(scene, block, 0, 8))
		return true;
	return same(scene, block, 0, WAL_BLOCK_HEADER_BYTES) && same(scene, block, trailer, 8) &&
	       !same(scene, block, trailer + offsetof(struct wal_trailer, segment_id),
		       sizeof(struct wal_id));
}

// Whether its two ends still agree about it, for whoever looks for trailers.
static bool seen(const struct scene *scene, const struct scene_block *block)
{
	const uint8_t *bytes = scene->files[block->file].bytes + block->offset;

	return same(scene, block, block->len - WAL_TRAILER_BYTES,
		       offsetof(struct wal_trailer, header_len)) &&
	       wal_block_claimed_len(bytes) == block->len;
}

// Whether the segment just ends earlier, and no row is missing: the batch ends with it, sealed or
// not. What is missing is the segment's end.
static bool not_missed(const struct scene *scene, unsigned number)
{
	const struct scene_block *block = &scene->blocks[number];

	return block->rows == 0 && block->file + 1 < scene->file_count &&
	       block[1].file != block->file && unrecognisable(scene, block);
}

// Whether the newest segment just ends earlier, with nothing of it behind.
static bool not_seen(const struct scene *scene, const struct scene_block *bad)
{
	const struct scene_block *end = &scene->blocks[scene->block_count];

	if (bad->file + 1 < scene->file_count || !unrecognisable(scene, bad))
		return false;
	for (const struct scene_block *block = bad; block < end; block++)
		if (seen(scene, block))
			return false;
	return true;
}

struct scene_expect scene_bad_at(const struct scene *scene, unsigned number)
{
	const struct scene_block *bad = &scene->blocks[number];
	struct scene_expect ret = {SCENE_TORN, bad->file, bad->offset, bad->seq};

	if (!scene->signed_end && not_seen(scene, bad))
		ret.state = SCENE_WHOLE;
	for (unsigned i = number; i < scene->block_count; i++) {
		const struct scene_block *block = &scene->blocks[i];

		if (same(scene, block, 0, block->len) && block->durable_seq > bad->seq)
			ret.state = SCENE_DAMAGED;
	}
	if (scene->signed_end || (scene->restarts && bad->file + 1 < scene->file_count))
		ret.state = SCENE_DAMAGED;
	return ret;
}

struct scene_expect scene_model(const struct scene *scene)
{
	struct scene_expect unended = {0};

	for (unsigned i = 0; i < scene->block_count; i++) {
		const struct scene_block *block = &scene->blocks[i];
		struct scene_expect bad;

		if (same(scene, block, 0, block->len))
			continue;
		bad = scene_bad_at(scene, i);
		if (!not_missed(scene, i)) {
			unended.read = bad.seq;
			return unended.state == SCENE_DAMAGED ? unended : bad;
		}
		if (unended.state != SCENE_DAMAGED && bad.state == SCENE_DAMAGED)
			unended = bad;
	}
	unended.read = scene->seqs;
	if (unended.state == SCENE_DAMAGED)
		return unended;
	return (struct scene_expect){.state = SCENE_WHOLE, .seq = scene->seqs};
}
