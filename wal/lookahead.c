// SPDX-License-Identifier: BSD-3-Clause
#include "wal/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (2u << 20)

struct search {
	struct wal_found_list *list;
	unsigned begin; // of this search's own entries in the list
	const struct wal_segment_header *segment;
	uint64_t from;
	struct wal_window pages;  // where ends are looked for
	struct wal_window blocks; // where a candidate is judged, without losing the place
};

// Blocks end in ascending order, so what lies inside the newcomer stands at the end of the list. A
// payload may hold bytes that are a block in every respect; only the outer one is real.
static int found_add(struct search *search, const struct wal_found *found)
{
	struct wal_found_list *list = search->list;

#ifndef MUTANT_CONTAINMENT_IGNORED
	while (list->count > search->begin && list->list[list->count - 1].offset >= found->offset)
		list->count--;
#endif
	if (list->count == list->room) {
		unsigned more = list->room ? 2 * list->room : 64;
		struct wal_found *grown = reallocarray(list->list, more, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		list->list = grown;
		list->room = more;
	}
	list->list[list->count++] = *found;
	return 0;
}

static bool trailer_plausible(
	const struct search *search, const struct wal_trailer *trailer, uint64_t end)
{
	if (trailer->magic != WAL_TRAILER_MAGIC)
		return false;
	if (search->segment != NULL &&
		!wal_id_equal(&trailer->segment_id, &search->segment->segment_id))
		return false;
	return trailer->block_len >= WAL_PAGE && trailer->block_len <= WAL_BLOCK_MAX &&
	       trailer->block_len % WAL_PAGE == 0 && trailer->block_len <= end &&
	       trailer->file_offset == end - trailer->block_len &&
	       trailer->file_offset >= search->from;
}

// A trailer alone may be forged; a block is taken for one when its header claims the same length.
static int judge_block(struct search *search, const struct wal_trailer *trailer)
{
	struct wal_segment_header named = {.version = WAL_FORMAT_VERSION,
		.segment_id = trailer->segment_id,
		.generation = trailer->generation,
		.partition = trailer->partition};
	struct wal_block_view view;
	struct wal_found found = {.offset = trailer->file_offset,
		.end = trailer->file_offset + trailer->block_len,
		.segment_id = trailer->segment_id,
		.generation = trailer->generation,
		.partition = trailer->partition,
		.first_seq = trailer->first_seq,
		.next_seq = trailer->first_seq + trailer->rows,
		.batch = trailer->batch,
		.durable_seq = trailer->durable_seq};
	const uint8_t *bytes;
	size_t len;
	int r;

	r = wal_window_get(&search->blocks, found.offset, WAL_BLOCK_HEADER_BYTES, &bytes, &len);
	if (r < 0)
		return r;
	if (len < WAL_BLOCK_HEADER_BYTES || wal_block_claimed_len(bytes) != trailer->block_len)
		return 0;

	r = wal_window_get(&search->blocks, found.offset, trailer->block_len, &bytes, &len);
	if (r < 0)
		return r;
	found.good = wal_block_check(bytes, len, search->segment ? search->segment : &named,
			     found.offset, &view) == WAL_BLOCK_GOOD;
	return found_add(search, &found);
}

static int judge_end(struct search *search, const uint8_t *page, uint64_t at)
{
	struct wal_segment_header named = {0};
	struct wal_segment_end end;

	memcpy(&end, page + WAL_PAGE - sizeof(end), sizeof(end));
	named.segment_id = end.segment_id;
	if (wal_end_parse(page, search->segment ? search->segment : &named, at, &end) < 0)
		return 0;
	return found_add(search, &(struct wal_found){.offset = at,
					 .end = at + WAL_PAGE,
					 .good = true,
					 .segment_end = true,
					 .segment_id = end.segment_id,
					 .generation = end.generation,
					 .partition = end.partition,
					 .first_seq = end.end_seq,
					 .next_seq = end.next_seq,
					 .batch = end.next_batch,
					 .durable_seq = end.end_seq});
}

static int judge_page(struct search *search, const uint8_t *page, uint64_t at)
{
	struct wal_trailer trailer;

	memcpy(&trailer, page + WAL_PAGE - sizeof(trailer), sizeof(trailer));
	if (trailer.magic == WAL_END_MAGIC)
		return judge_end(search, page, at);
	if (!trailer_plausible(search, &trailer, at + WAL_PAGE))
		return 0;
	return judge_block(search, &trailer);
}

int wal_look_ahead(struct wal_found_list *list, int fd, const struct wal_segment_header *segment,
	uint64_t from, uint64_t to)
{
	struct search search = {
		.list = list, .begin = list->count, .segment = segment, .from = from};
	int r = 0;

	wal_window_init(&search.pages, fd, to);
	wal_window_init(&search.blocks, fd, to);
	for (uint64_t at = from; r == 0 && at < to; at += CHUNK) {
		const uint8_t *bytes;
		size_t len = 0;

		r = wal_window_get(&search.pages, at, CHUNK, &bytes, &len);
		for (size_t i = 0; r == 0 && i + WAL_PAGE <= len; i += WAL_PAGE)
			r = judge_page(&search, bytes + i, at + i);
		if (len < CHUNK)
			break;
	}
	wal_window_free(&search.pages);
	wal_window_free(&search.blocks);
	return r;
}

void wal_found_free(struct wal_found_list *list)
{
	free(list->list);
	*list = (struct wal_found_list){0};
}
