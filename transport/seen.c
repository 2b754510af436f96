// SPDX-License-Identifier: BSD-3-Clause
#include "transport/seen_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static uint32_t slots_for(uint32_t sources)
{
	uint32_t slots = 16;

	while (slots < sources * 2)
		slots *= 2;
	return slots;
}

static void make_free_lists(struct seen *s)
{
	for (uint32_t i = 0; i < s->capacity; i++)
		s->sources[i].next = i + 1 < s->capacity ? i + 1 : SEEN_NONE;
	for (uint32_t i = 0; i < s->window_count; i++)
		s->windows[i].next = i + 1 < s->window_count ? i + 1 : SEEN_NONE;
	s->free_source = s->capacity > 0 ? 0 : SEEN_NONE;
	s->free_window = s->window_count > 0 ? 0 : SEEN_NONE;
	s->oldest = s->newest = SEEN_NONE;
}

int seen_make(struct seen **ret, uint32_t sources, uint32_t windows)
{
	struct seen *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->capacity = sources;
	s->window_count = windows;
	s->slots = slots_for(sources);
	s->table = calloc(s->slots, sizeof(*s->table));
	s->sources = calloc(sources, sizeof(*s->sources));
	s->windows = calloc(windows, sizeof(*s->windows));
	if (s->table == NULL || s->sources == NULL || s->windows == NULL) {
		seen_free(s);
		return -ENOMEM;
	}
	make_free_lists(s);
	crypto_shorthash_keygen(s->secret);
	*ret = s;
	return 0;
}

void seen_free(struct seen *s)
{
	if (s == NULL)
		return;
	free(s->table);
	free(s->sources);
	free(s->windows);
	free(s);
}

size_t seen_bytes(const struct seen *s)
{
	return sizeof(*s) + s->slots * sizeof(*s->table) + s->capacity * sizeof(*s->sources) +
	       s->window_count * sizeof(*s->windows);
}

uint32_t seen_count(const struct seen *s)
{
	return s->count;
}

struct seen_source *seen_at(struct seen *s, uint32_t index)
{
	return &s->sources[index];
}

uint32_t seen_index(const struct seen *s, const struct seen_source *source)
{
	return (uint32_t)(source - s->sources);
}

static uint32_t home_of(const struct seen *s, uint64_t id)
{
	uint8_t hash[crypto_shorthash_BYTES], bytes[sizeof(id)];
	uint32_t word;

	memcpy(bytes, &id, sizeof(id));
	crypto_shorthash(hash, bytes, sizeof(bytes), s->secret);
	memcpy(&word, hash, sizeof(word));
	return word & (s->slots - 1);
}

// Where the id stands, or would.
static uint32_t slot_of(const struct seen *s, uint64_t id)
{
	uint32_t slot = home_of(s, id);

	while (s->table[slot] != 0 && s->sources[s->table[slot] - 1].id != id)
		slot = (slot + 1) & (s->slots - 1);
	return slot;
}

// SEEN_NONE: not known.
static uint32_t place_of(const struct seen *s, uint64_t id)
{
	uint32_t entry = s->table[slot_of(s, id)];

	return entry != 0 ? entry - 1 : SEEN_NONE;
}

struct seen_source *seen_find(struct seen *s, uint64_t id)
{
	uint32_t place = place_of(s, id);

	return place != SEEN_NONE ? &s->sources[place] : NULL;
}

static void unlink_source(struct seen *s, struct seen_source *source)
{
	if (source->prev != SEEN_NONE)
		s->sources[source->prev].next = source->next;
	else
		s->oldest = source->next;
	if (source->next != SEEN_NONE)
		s->sources[source->next].prev = source->prev;
	else
		s->newest = source->prev;
}

static void link_newest(struct seen *s, struct seen_source *source)
{
	uint32_t index = seen_index(s, source);

	source->prev = s->newest;
	source->next = SEEN_NONE;
	if (s->newest != SEEN_NONE)
		s->sources[s->newest].next = index;
	else
		s->oldest = index;
	s->newest = index;
}

void seen_touch(struct seen *s, struct seen_source *source, uint32_t now)
{
	source->heard = now;
	if (s->newest == seen_index(s, source))
		return;
	unlink_source(s, source);
	link_newest(s, source);
}

struct seen_source *seen_oldest(struct seen *s, uint32_t before)
{
	struct seen_source *source = s->oldest != SEEN_NONE ? &s->sources[s->oldest] : NULL;

	return source != NULL && source->heard < before ? source : NULL;
}

static void release_window(struct seen *s, struct seen_source *source)
{
	struct window *window;

	if (source->window == SEEN_NONE)
		return;
	window = &s->windows[source->window];
	if (window->marked > 0)
		memset(window->bits, 0, sizeof(window->bits));
	window->marked = 0;
	window->next = s->free_window;
	s->free_window = source->window;
	source->window = SEEN_NONE;
}

static bool is_marked(const struct window *window, uint64_t seq)
{
	return (window->bits[seq % SEEN_WINDOW / 64] >> (seq % 64) & 1) != 0;
}

static void unmark(struct window *window, uint64_t seq)
{
	if (!is_marked(window, seq))
		return;
	window->bits[seq % SEEN_WINDOW / 64] &= ~(1ull << (seq % 64));
	window->marked--;
}

// Over what follows without a gap.
static void advance(struct seen *s, struct seen_source *source)
{
	struct window *window;

	if (source->window == SEEN_NONE)
		return;
	window = &s->windows[source->window];
	while (window->marked > 0 && is_marked(window, source->floor))
		unmark(window, source->floor++);
	if (window->marked == 0)
		release_window(s, source);
}

// Seqs go on across epochs, and what lies below the new one's first seq its sender has from
// somebody's acknowledgement: it is as good as here.
static void skip_to(struct seen *s, struct seen_source *source, uint64_t seq)
{
	if (seq - source->floor >= SEEN_WINDOW)
		release_window(s, source);
	if (source->window == SEEN_NONE)
		source->floor = seq;
	for (; source->floor < seq; source->floor++)
		unmark(&s->windows[source->window], source->floor);
	advance(s, source);
	if (source->durable < seq)
		source->durable = seq;
}

static struct seen_source *add_source(struct seen *s, uint64_t id)
{
	uint32_t index = s->free_source;
	struct seen_source *source;

	if (index == SEEN_NONE)
		return NULL;
	source = &s->sources[index];
	s->free_source = source->next;
	memset(source, 0, sizeof(*source));
	source->id = id;
	source->window = source->session = SEEN_NONE;
	s->table[slot_of(s, id)] = index + 1;
	s->count++;
	link_newest(s, source);
	return source;
}

struct seen_source *seen_open(
	struct seen *s, uint64_t id, uint32_t epoch, uint64_t first_seq, uint32_t now)
{
	uint32_t place = place_of(s, id);
	struct seen_source *source;

	if (place == SEEN_NONE) {
		source = add_source(s, id);
		if (source == NULL)
			return NULL;
		source->floor = source->durable = first_seq;
	} else {
		source = &s->sources[place];
		if (first_seq > source->floor)
			skip_to(s, source, first_seq);
	}
	source->epoch = epoch;
	seen_touch(s, source, now);
	return source;
}

// Linear probing without tombstones: what stands behind the hole and could stand in it moves there.
static void empty_slot(struct seen *s, uint32_t hole)
{
	uint32_t mask = s->slots - 1;

	for (uint32_t at = (hole + 1) & mask; s->table[at] != 0; at = (at + 1) & mask) {
		uint32_t home = home_of(s, s->sources[s->table[at] - 1].id);

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		s->table[hole] = s->table[at];
		hole = at;
	}
	s->table[hole] = 0;
}

void seen_forget(struct seen *s, struct seen_source *source)
{
	release_window(s, source);
	empty_slot(s, slot_of(s, source->id));
	unlink_source(s, source);
	source->epoch = 0;
	source->next = s->free_source;
	s->free_source = seen_index(s, source);
	s->count--;
}

enum seen_is seen_look(const struct seen *s, const struct seen_source *source, uint64_t seq)
{
	if (seq < source->floor)
		return SEEN_TWICE;
	if (seq == source->floor)
		return SEEN_NEW;
#ifndef MUTANT_SEEN_WINDOW_UNCHECKED
	if (seq - source->floor >= SEEN_WINDOW)
		return SEEN_BEYOND;
#endif
	if (source->window == SEEN_NONE)
		return s->free_window != SEEN_NONE ? SEEN_NEW : SEEN_NO_WINDOW;
	return is_marked(&s->windows[source->window], seq) ? SEEN_TWICE : SEEN_NEW;
}

void seen_mark(struct seen *s, struct seen_source *source, uint64_t seq)
{
	struct window *window;

	if (seq == source->floor) {
		source->floor++;
		advance(s, source);
		return;
	}
	if (source->window == SEEN_NONE) {
		source->window = s->free_window;
		s->free_window = s->windows[source->window].next;
	}
	window = &s->windows[source->window];
	window->bits[seq % SEEN_WINDOW / 64] |= 1ull << (seq % 64);
	window->marked++;
}

static int grow(struct seen *s)
{
	uint32_t count = s->window_count > 0 ? 2 * s->window_count : 16;
	struct window *more = realloc(s->windows, count * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	s->windows = more;
	for (uint32_t i = s->window_count; i < count; i++) {
		memset(&more[i], 0, sizeof(more[i]));
		more[i].next = s->free_window;
		s->free_window = i;
	}
	s->window_count = count;
	return 0;
}

enum seen_is seen_mark_again(struct seen *s, struct seen_source *source, uint64_t seq)
{
	enum seen_is is = seen_look(s, source, seq);

	if (is == SEEN_NO_WINDOW && grow(s) == 0)
		is = SEEN_NEW;
	if (is == SEEN_NEW)
		seen_mark(s, source, seq);
	return is;
}

// The first seq from 'seq' on whose bit is 'set'; 'end' when there is none before it.
static uint64_t find_bit(const struct window *window, uint64_t seq, uint64_t end, bool set)
{
	while (seq < end) {
		uint64_t word = window->bits[seq % SEEN_WINDOW / 64];

		word = (set ? word : ~word) >> (seq % 64);
		if (word != 0) {
			seq += (uint64_t)__builtin_ctzll(word);
			return seq < end ? seq : end;
		}
		seq += 64 - seq % 64;
	}
	return end;
}

unsigned seen_runs(const struct seen *s, const struct seen_source *source, struct seen_run *runs,
	unsigned most)
{
	const struct window *window;
	uint64_t seq = source->floor + 1, end = source->floor + SEEN_WINDOW;
	unsigned n = 0;

	if (source->window == SEEN_NONE)
		return 0;
	window = &s->windows[source->window];
	while (n < most && (seq = find_bit(window, seq, end, true)) < end) {
		runs[n].from = seq;
		seq = find_bit(window, seq, end, false);
		runs[n].count = seq - runs[n].from;
		n++;
	}
	return n;
}

void seen_forget_all(struct seen *s, bool (*goes)(void *arg, uint64_t id), void *arg)
{
	for (uint32_t i = 0; i < s->capacity; i++)
		if (s->sources[i].epoch != 0 && goes(arg, s->sources[i].id))
			seen_forget(s, &s->sources[i]);
}
