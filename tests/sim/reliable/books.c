// SPDX-License-Identifier: BSD-3-Clause

// What every event's fate must be, whatever happens: offered by somebody, once in a log, in the
// window, durable where its sender was told so.

#include "reliable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX (1u << 20) // of one source

static struct source sources[SOURCES];
static unsigned source_count;

void books_reset(void)
{
	for (unsigned i = 0; i < source_count; i++)
		free(sources[i].events);
	memset(sources, 0, source_count * sizeof(*sources));
	source_count = 0;
}

unsigned books_count(void)
{
	return source_count;
}

struct source *books_open(unsigned place, uint64_t id, uint64_t first_seq, uint64_t first_index)
{
	struct source *source;

	require(source_count < SOURCES, "simulation", "too many sources");
	source = &sources[source_count++];
	*source = (struct source){
		.id = id, .place = place, .first_seq = first_seq, .first_index = first_index};
	return source;
}

struct source *books_find(uint64_t id)
{
	for (unsigned i = source_count; i > 0; i--)
		if (sources[i - 1].id == id)
			return &sources[i - 1];
	return NULL;
}

// NULL: never offered.
static struct event *event_of(struct source *source, uint64_t seq)
{
	uint64_t at = seq - source->first_seq;

	return seq >= source->first_seq && at < source->count ? &source->events[at] : NULL;
}

void books_offered(struct source *source, uint64_t seq)
{
	uint64_t at = seq - source->first_seq;

	if (at < source->count) // again, from a spool
		return;
	require(at < EVENTS_MAX, "simulation", "seq %" PRIu64 " is too far", seq);
	if (at >= source->room) {
		uint64_t room = source->room ? 2 * source->room : 256;

		while (room <= at)
			room *= 2;
		source->events = realloc(source->events, room * sizeof(struct event));
		if (!source->events)
			abort();
		memset(source->events + source->room, 0,
			(room - source->room) * sizeof(struct event));
		source->room = room;
	}
	source->count = at + 1;
}

void books_told(struct source *source, uint32_t epoch, const struct log *log)
{
	source->told_epoch = epoch;
	memcpy(source->told_log, log->id, sizeof(source->told_log));
}

void books_acked(struct source *source, uint64_t seq)
{
	struct event *event = event_of(source, seq);

	require(event, "durable",
		"source %" PRIx64 " seq %" PRIu64 " is acknowledged, never offered", source->id,
		seq);
	require(event->was_durable, "durable",
		"source %" PRIx64 " (sender %u) seq %" PRIu64
		" is acknowledged and not durable in any log",
		source->id, source->place, seq);
	event->acked = true;
}

static bool is_marked(struct source *source, unsigned log, uint64_t seq)
{
	struct event *event = event_of(source, seq);

	return event && event->epoch_in[log] != 0;
}

static void advance(struct source *source, unsigned log)
{
	while (is_marked(source, log, source->in[log].floor))
		source->in[log].floor++;
}

// What lies below an epoch's first seq its sender has heard to be durable, here or elsewhere.
static void mark_opening(unsigned log, const struct row *row, uint64_t at)
{
	struct source *source = row->source;
	struct receive_opening opening;

	receive_read_opening(row->opening, RECEIVE_OPENING, &opening);
	source->in[log].epoch = row->epoch;
	source->in[log].first = opening.first_seq;
	source->in[log].row = source->forgotten[log] == row->epoch ? UINT64_MAX : at;
	source->in[log].since = world_now();
	if (source->in[log].floor < opening.first_seq)
		source->in[log].floor = opening.first_seq;
	advance(source, log);
}

static void mark(unsigned log, const struct row *row, uint64_t at)
{
	if (row->opening) {
		mark_opening(log, row, at);
		return;
	}
	event_of(row->source, row->seq)->epoch_in[log] = row->epoch;
	advance(row->source, log);
}

static void check_opening(unsigned log, const struct row *row)
{
	const struct source *source = row->source;
	uint32_t known = source->in[log].epoch;
	bool forgotten = known != 0 && source->in[log].row == UINT64_MAX;
	struct receive_opening opening;

	require(row->len == RECEIVE_OPENING &&
			receive_read_opening(row->opening, row->len, &opening),
		"opening", "an opening row that says nothing");
	// A forgotten one may begin again where nothing of it was ever acknowledged.
	require(row->epoch != known || (forgotten && source->told_epoch != known), "twice",
		"epoch %" PRIu32 " of %" PRIx64 " is opened twice", row->epoch, source->id);
	require(row->epoch >= known, "epoch",
		"epoch %" PRIu32 " of %" PRIx64 " is opened after %" PRIu32, row->epoch, source->id,
		known);
	require(opening.first_seq >= source->first_seq, "opening", "first seq %" PRIu64,
		opening.first_seq);
	require(opening.prev_epoch < row->epoch, "opening",
		"epoch %" PRIu32 " goes on from %" PRIu32, row->epoch, opening.prev_epoch);
	tally(TALLY_openings);
	if (known)
		tally(TALLY_reopened);
	if (forgotten)
		tally(TALLY_came_back);
}

static void check_event(unsigned log, const struct row *row, const uint8_t *payload)
{
	struct source *source = row->source;
	struct event *event = event_of(source, row->seq);

	require(event, "foreign", "source %" PRIx64 " never offered seq %" PRIu64, source->id,
		row->seq);
	require(source->in[log].epoch == row->epoch, "epoch",
		"a row of epoch %" PRIu32 " of %" PRIx64 " in a log that is at epoch %" PRIu32,
		row->epoch, source->id, source->in[log].epoch);
	// An epoch of which something was acknowledged is of that log alone.
	require(row->epoch != source->told_epoch || memcmp(receiver_log(log)->id, source->told_log,
							    sizeof(source->told_log)) == 0,
		"epoch", "epoch %" PRIu32 " of %" PRIx64 " is in a second log", row->epoch,
		source->id);
	require(row->len == payload_len(source, row->seq) &&
			memcmp(payload, payload_of(source, row->seq), row->len) == 0,
		"foreign", "source %" PRIx64 " (sender %u) seq %" PRIu64 ": other bytes",
		source->id, source->place, row->seq);
	require(event->epoch_in[log] == 0, "twice",
		"source %" PRIx64 " (sender %u) seq %" PRIu64 " of epochs %" PRIu32 " and %" PRIu32
		" in log %u",
		source->id, source->place, row->seq, event->epoch_in[log], row->epoch, log);
	require(row->seq >= source->in[log].first, "overlap",
		"source %" PRIx64 " seq %" PRIu64 " is before its epoch's first, %" PRIu64,
		source->id, row->seq, source->in[log].first);
	require(row->seq < source->in[log].floor + SEEN_WINDOW, "window",
		"source %" PRIx64 " seq %" PRIu64 " while %" PRIu64 " is missing", source->id,
		row->seq, source->in[log].floor);
	for (unsigned i = 0; i < RECEIVERS; i++)
		if (event->epoch_in[i])
			tally(TALLY_overlap_rows);
	tally(TALLY_rows);
}

void books_append(unsigned log, const struct row *row, const uint8_t *payload, uint64_t at)
{
	if (row->opening)
		check_opening(log, row);
	else
		check_event(log, row, payload);
	mark(log, row, at);
}

void books_durable(unsigned log, const struct row *row)
{
	struct event *event;

	(void)log;
	if (row->opening)
		return;
	event = event_of(row->source, row->seq);
	event->was_durable = true;
}

void books_again(unsigned log, const struct row *row, uint64_t at)
{
	mark(log, row, at);
}

void books_known(unsigned log, const struct seen *seen)
{
	for (unsigned i = 0; i < source_count; i++) {
		struct source *source = &sources[i];

		if (source->in[log].epoch == 0 || seen_find((struct seen *)seen, source->id))
			continue;
		source->forgotten[log] = source->in[log].epoch;
		source->in[log].row = UINT64_MAX;
	}
}

void books_forget(unsigned log)
{
	for (unsigned i = 0; i < source_count; i++) {
		struct source *source = &sources[i];

		memset(&source->in[log], 0, sizeof(source->in[log]));
		for (uint64_t k = 0; k < source->count; k++)
			source->events[k].epoch_in[log] = 0;
	}
}
