// SPDX-License-Identifier: BSD-3-Clause
// What was seen, as bytes and back.

#include "transport/bytes.h"
#include "transport/seen_internal.h"

#include <errno.h>

#define SAVED_SOURCE 24u // without its window

size_t seen_save_room(const struct seen *s)
{
	return s->capacity * (size_t)SAVED_SOURCE +
	       (2 * s->window_count + 1) * sizeof(s->windows[0].bits);
}

static size_t save_source(const struct seen *s, const struct seen_source *source, uint8_t *to)
{
	bool window = source->window != SEEN_NONE;

	put_le64(to, source->id);
	put_le64(to + 8, source->floor);
	put_le32(to + 16, source->epoch);
	put_le32(to + 20, window);
	if (!window)
		return SAVED_SOURCE;
	for (unsigned i = 0; i < SEEN_WORDS; i++)
		put_le64(to + SAVED_SOURCE + 8 * i, s->windows[source->window].bits[i]);
	return SAVED_SOURCE + SEEN_WINDOW / 8;
}

int seen_save(
	const struct seen *s, uint32_t *at, uint32_t count, uint8_t *to, size_t *len, size_t room)
{
	uint32_t end = s->capacity - *at > count ? *at + count : s->capacity;

	for (; *at < end; ++*at) {
		const struct seen_source *source = &s->sources[*at];

		if (source->epoch == 0)
			continue;
		if (room - *len < SAVED_SOURCE + SEEN_WINDOW / 8)
			return -ENOSPC;
		*len += save_source(s, source, to + *len);
	}
	return *at == s->capacity;
}

// Marks what the bits, those of a window above 'floor', say.
static int mark_all(struct seen *s, struct seen_source *source, uint64_t floor, const uint8_t *bits)
{
	for (uint64_t seq = floor + 1; seq < floor + SEEN_WINDOW; seq++) {
		enum seen_is is;

		if ((bits[seq % SEEN_WINDOW / 8] >> (seq % 8) & 1) == 0)
			continue;
		is = seen_mark_again(s, source, seq);
		if (is != SEEN_NEW && is != SEEN_TWICE)
			return -ENOSPC;
	}
	source->durable = source->floor;
	return 0;
}

// Adds a saved source to what is known of it. Returns its bytes; 0: there is no room.
static size_t load_source(struct seen *s, const uint8_t *from, uint32_t now)
{
	struct seen_source *source = seen_find(s, le64(from));
	uint32_t epoch = le32(from + 16);
	uint64_t floor = le64(from + 8);
	bool window = le32(from + 20) != 0;

	if (source != NULL && source->epoch > epoch)
		epoch = source->epoch;
	source = seen_open(s, le64(from), epoch, floor, now);
	if (source == NULL || (window && mark_all(s, source, floor, from + SAVED_SOURCE) != 0))
		return 0;
	return SAVED_SOURCE + (window ? SEEN_WINDOW / 8 : 0);
}

int seen_load(struct seen *s, const uint8_t *from, size_t len, uint32_t now)
{
	while (len > 0) {
		size_t size = SAVED_SOURCE;

		if (len < SAVED_SOURCE)
			return -EINVAL;
		size += le32(from + 20) != 0 ? SEEN_WINDOW / 8 : 0;
		if (len < size || le32(from + 16) == 0)
			return -EINVAL;
		if (load_source(s, from, now) == 0)
			return -ENOSPC;
		from += size;
		len -= size;
	}
	return 0;
}

int seen_merge(struct seen *to, const struct seen *from, bool (*moves)(void *arg, uint64_t id),
	void *arg, uint32_t now)
{
	uint8_t saved[SAVED_SOURCE + SEEN_WINDOW / 8];
	int moved = 0;

	for (uint32_t i = 0; i < from->capacity; i++) {
		const struct seen_source *source = &from->sources[i];

		if (source->epoch == 0 || !moves(arg, source->id))
			continue;
		save_source(from, source, saved);
		if (load_source(to, saved, now) == 0)
			return -ENOSPC;
		moved++;
	}
	return moved;
}
