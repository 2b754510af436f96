// SPDX-License-Identifier: BSD-3-Clause
#include "wal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

// What lies in [from, from + ahead) of a segment's file, or under any segment_id where its schema
// page is of no use.
static int look(const struct wal_survey *survey, unsigned index, uint64_t from, uint64_t ahead,
	struct wal_found_list *ret)
{
	const struct wal_segment *segment = &survey->segments[index];
	uint64_t to = segment->limit - from > ahead ? from + ahead : segment->limit;
	int fd, r;

	if (from >= segment->limit)
		return 0;
	fd = wal_survey_file(survey, index, O_RDONLY);
	if (fd < 0)
		return fd;
	r = wal_look_ahead(ret, fd, segment->header_error ? NULL : &segment->header, from, to);
	close(fd);
	return r;
}

// A block says that the missing seq was durable before the block was composed; a signed end says it
// of everything before it in its segment, of a block without rows too.
static void take_proof(const struct wal_survey *survey, unsigned index,
	const struct wal_found *found, struct wal_judgement *ret)
{
#ifdef MUTANT_LOOKAHEAD_IGNORED
	return;
#endif
	if (ret->state == LOG_DAMAGED ||
		(found->durable_seq <= ret->seq && !(found->segment_end && index == ret->index)))
		return;

	ret->state = LOG_DAMAGED;
	snprintf(ret->proof, sizeof(ret->proof),
		"%s at offset %" PRIu64 " of %s says that all below seq %" PRIu64 " was durable",
		found->segment_end ? "the end" : "the block", found->offset,
		survey->segments[index].file.name, found->durable_seq);
}

// Blocks under a damaged schema page count only as this log's if they could be its continuation:
// a recycled file is full of older ones.
static bool continues(const struct wal_survey *survey, unsigned index,
	const struct wal_found *found, uint64_t seq)
{
	const struct wal_segment *before = index > 0 ? &survey->segments[index - 1] : NULL;

	if (!survey->segments[index].header_error)
		return true;
	return found->first_seq >= seq &&
	       (before == NULL || before->header_error ||
		       (found->partition == before->header.partition &&
			       found->generation >= before->header.generation));
}

static void take_found(const struct wal_survey *survey, unsigned index, uint64_t from,
	const struct wal_found_list *list, struct wal_judgement *ret)
{
	uint64_t end = from;

	for (unsigned i = 0; i < list->count; i++) {
		const struct wal_found *found = &list->list[i];

		if (!continues(survey, index, found, ret->seq))
			continue;
		end = most(end, found->end);
		if (!found->good)
			continue;
		take_proof(survey, index, found, ret);
		ret->next_seq = most(ret->next_seq, most(found->next_seq, found->durable_seq));
		ret->next_batch = most(ret->next_batch, found->batch + !found->segment_end);
		if (found->segment_end)
			continue;
		ret->intact_blocks++;
		ret->intact_rows += found->next_seq - found->first_seq;
	}
	ret->tail_bytes += end - from;
}

// A segment that a later start began: that start had found everything before it in order.
static void take_generation(
	const struct wal_survey *survey, unsigned index, struct wal_judgement *ret)
{
	const struct wal_segment *segment = &survey->segments[index];
	const struct wal_segment *bad = &survey->segments[ret->index];

	if (ret->state == LOG_DAMAGED || segment->header_error || bad->header_error ||
		index == ret->index || segment->header.generation <= bad->header.generation)
		return;

	ret->state = LOG_DAMAGED;
	snprintf(ret->proof, sizeof(ret->proof), "%s was begun by a later start, at seq %" PRIu64,
		segment->file.name, segment->header.first_seq);
}

// Where the log goes on when the place is mended: with the next segment, else behind all that was
// ever durable or given out there.
static void goes_on_mended(const struct wal_survey *survey, struct wal_judgement *ret)
{
	for (unsigned i = ret->index + 1; i < survey->count; i++) {
		if (survey->segments[i].header_error)
			continue;
		if (survey->segments[i].header.first_seq < ret->seq)
			continue;
		ret->next_seq = survey->segments[i].header.first_seq;
		ret->next_batch = survey->segments[i].header.first_batch;
		return;
	}
}

// Where the log goes on when it is cut at the judgement's place.
static void goes_on_cut(const struct wal_survey *survey, struct wal_judgement *ret)
{
	const struct wal_segment *segment = &survey->segments[ret->index];

	ret->next_seq = ret->gap_from = ret->seq;
	ret->next_batch = segment->next_batch;
	if (ret->state == LOG_WHOLE && segment->has_end)
		ret->gap_from = segment->end_seq;
	else if (segment->blocks == 0 && !segment->has_end)
		ret->gap_from = least(segment->header.gap_from, ret->seq);
}

// Looks beyond a bad place over this segment and the following ones.
static int look_beyond(struct wal_survey *survey, uint64_t ahead, struct wal_judgement *ret)
{
	uint64_t from = ret->offset;
	int r = 0;

	ret->next_seq = ret->seq;
	for (unsigned i = ret->index; i < survey->count && ahead > 0 && r == 0; i++) {
		struct wal_found_list list = {0};

		r = look(survey, i, from, ahead, &list);
		if (r == 0)
			take_found(survey, i, from, &list, ret);
		take_generation(survey, i, ret);
		ahead -= least(
			ahead, survey->segments[i].limit - least(from, survey->segments[i].limit));
		from = WAL_SCHEMA_BYTES;
		wal_found_free(&list);
	}
	if (r < 0)
		snprintf(survey->why, 512, "%s: can't be read: %s", survey->dir, strerror(-r));
	return r;
}

static int judge_bad(struct wal_survey *survey, uint64_t ahead, struct wal_judgement *ret)
{
	int r;

	if (survey->limited) {
		ret->state = LOG_DAMAGED;
		snprintf(ret->proof, sizeof(ret->proof), "it lies below the durable position");
	}
	r = look_beyond(survey, ahead, ret);
	if (r < 0)
		return r;

	if (ret->state == LOG_DAMAGED) {
		ret->gap_from = ret->seq;
		goes_on_mended(survey, ret);
	} else {
		ret->tail_bytes = most(ret->tail_bytes, WAL_PAGE);
		goes_on_cut(survey, ret);
	}
	return 0;
}

// The newest file without a schema page: never begun, or begun by writes of which the schema page
// is the one that the crash kept from the disk. Only a block that knows its segment to be durable
// says that the page was there and is damaged.
static int judge_unbegun(struct wal_survey *survey, uint64_t ahead, struct wal_judgement *ret)
{
	unsigned last = survey->count - 1;
	const struct wal_segment *before = last > 0 ? &survey->segments[last - 1] : NULL;
	int r;

	*ret = (struct wal_judgement){.index = last};
	ret->seq = before == NULL   ? survey->segments[last].file.first_seq
		   : before->walked ? before->next_seq
				    : before->file.first_seq;
	r = look_beyond(survey, ahead, ret);
	if (r < 0)
		return r;
	if (ret->state != LOG_DAMAGED) {
		survey->unbegun = true;
		survey->count = last;
		return 0;
	}
	ret->gap_from = ret->seq;
	snprintf(ret->what, sizeof(ret->what), "%s", survey->segments[last].why);
	return 0;
}

// How a segment's begin fits what is before it. 0: it does; 1: *ret tells the bad place.
static int judge_begin(const struct wal_survey *survey, unsigned index, struct wal_judgement *ret)
{
	const struct wal_segment *segment = &survey->segments[index];
	const struct wal_segment *before = &survey->segments[index - 1];
	const struct wal_segment_header *header = &segment->header;
	bool gap = header->gap_from == before->next_seq && header->gap_from < header->first_seq;

	if (header->first_seq > before->next_seq && !gap) {
		ret->index = index - 1;
		ret->offset = before->end;
		ret->seq = before->next_seq;
		snprintf(ret->what, sizeof(ret->what),
			"the segment ends here, but %s begins with seq %" PRIu64,
			segment->file.name, header->first_seq);
		return 1;
	}
	if (header->first_seq < before->next_seq)
		snprintf(ret->what, sizeof(ret->what),
			"it begins with seq %" PRIu64 ", which %s holds already", header->first_seq,
			before->file.name);
	else if (header->generation < before->header.generation)
		snprintf(ret->what, sizeof(ret->what), "its generation is older than that of %s",
			before->file.name);
	else if (header->first_batch < before->next_batch ||
		 (!gap && header->first_batch != before->next_batch))
		snprintf(ret->what, sizeof(ret->what),
			"its first batch is %" PRIu64 " and should be %" PRIu64,
			header->first_batch, before->next_batch);
	else
		return 0;

	ret->index = index;
	ret->offset = 0;
	ret->seq = before->next_seq;
	ret->state = LOG_DAMAGED;
	snprintf(ret->proof, sizeof(ret->proof), "no crash leaves that behind");
	return 1;
}

// A segment by itself. 0: in order; 1: *ret tells the bad place.
static int judge_segment(
	const struct wal_survey *survey, unsigned index, unsigned first, struct wal_judgement *ret)
{
	const struct wal_segment *segment = &survey->segments[index];

	if (segment->header_error) {
		ret->index = index;
		ret->offset = 0;
		ret->seq = index > first ? survey->segments[index - 1].next_seq
					 : segment->file.first_seq;
		ret->state = LOG_DAMAGED;
		snprintf(ret->what, sizeof(ret->what), "%s", segment->why);
		snprintf(ret->proof, sizeof(ret->proof), "a newer segment follows");
		return 1;
	}
	if (index > first && judge_begin(survey, index, ret))
		return 1;

	ret->index = index;
	ret->offset = segment->end;
	ret->seq = segment->next_seq;
	if (segment->stop != WAL_STEP_BAD)
		return 0;
	snprintf(ret->what, sizeof(ret->what), "%s", segment->why);
	if (segment->as_written) {
		ret->state = LOG_DAMAGED;
		snprintf(ret->proof, sizeof(ret->proof), "its CRC fits, so no crash tore it");
	}
	return 1;
}

// A segment with all its rows, which others follow, but without its end-of-stream page: readers of
// Arrow run on into what lies behind. Recovery cuts such a file at its end and is content.
static bool lacks_end(const struct wal_survey *survey, unsigned index, struct wal_judgement *ret)
{
	const struct wal_segment *segment = &survey->segments[index];
	const struct wal_segment *next = &survey->segments[index + 1];

	if (!survey->thorough || segment->stop != WAL_STEP_NONE || index + 1 >= survey->count ||
		!next->looked || next->header_error || next->header.first_seq != segment->next_seq)
		return false;
	snprintf(ret->what, sizeof(ret->what), "the segment ends here without its last page");
	return true;
}

bool wal_survey_judge_closed(
	const struct wal_survey *survey, unsigned index, struct wal_judgement *ret)
{
	const struct wal_segment *next = &survey->segments[index + 1];

	*ret = (struct wal_judgement){0};
	if (judge_segment(survey, index, index, ret) || lacks_end(survey, index, ret))
		return true;
	return index + 1 < survey->count && next->looked && !next->header_error &&
	       judge_begin(survey, index + 1, ret);
}

// The newest segment ends without a bad block; blocks may still lie beyond a missing one.
static int judge_last(struct wal_survey *survey, uint64_t ahead, struct wal_judgement *ret)
{
	const struct wal_segment *segment = &survey->segments[ret->index];
	int r;

	if (survey->limited && segment->end < segment->limit && segment->stop != WAL_STEP_EOS) {
		snprintf(ret->what, sizeof(ret->what), "no block begins here");
		return judge_bad(survey, ahead, ret);
	}
	if (segment->stop != WAL_STEP_NONE)
		goto whole;

	snprintf(ret->what, sizeof(ret->what), "no block begins here");
	r = look_beyond(survey, ahead, ret);
	if (r < 0)
		return r;
	if (ret->state == LOG_DAMAGED) {
		ret->gap_from = ret->seq;
		return 0;
	}
	ret->state = ret->tail_bytes > 0 ? LOG_TORN : LOG_WHOLE;

whole:
	goes_on_cut(survey, ret);
	return 0;
}

// All from 'first' on, which are walked.
static int judge_all(
	struct wal_survey *survey, unsigned first, uint64_t ahead, struct wal_judgement *ret)
{
	for (unsigned i = first; i < survey->count; i++)
		if (survey->segments[i].gone)
			first = i + 1;
	if (first >= survey->count)
		return 0;

	for (unsigned i = first; i < survey->count; i++) {
		int r;

		if (!judge_segment(survey, i, first, ret)) {
			r = lacks_end(survey, i, ret) ? judge_bad(survey, ahead, ret) : 0;
			// Unless what follows knows it to be durable, it was in flight.
			if (r < 0 || ret->state == LOG_DAMAGED)
				return r;
			*ret = (struct wal_judgement){
				.index = ret->index, .offset = ret->offset, .seq = ret->seq};
			continue;
		}
		if (ret->state != LOG_DAMAGED)
			ret->state = LOG_TORN;
		return judge_bad(survey, ahead, ret);
	}
	return judge_last(survey, ahead, ret);
}

int wal_survey_judge(
	struct wal_survey *survey, unsigned first, uint64_t ahead, struct wal_judgement *ret)
{
	struct wal_judgement unbegun = {0};
	const struct wal_segment *newest;
	int r;

	*ret = (struct wal_judgement){0};
	if (survey->count == 0)
		return 0;
	newest = &survey->segments[survey->count - 1];
	if (newest->header_error && !newest->gone && !survey->limited) {
		r = judge_unbegun(survey, ahead, &unbegun);
		if (r < 0 || unbegun.state == LOG_DAMAGED) {
			*ret = unbegun;
			return r;
		}
	}

	r = judge_all(survey, first, ahead, ret);
	ret->tail_bytes += unbegun.tail_bytes;
	ret->intact_blocks += unbegun.intact_blocks;
	ret->intact_rows += unbegun.intact_rows;
	return r;
}

void wal_survey_explain(const struct wal_survey *survey, const struct wal_judgement *judgement)
{
	snprintf(survey->why, 512,
		"%s/%s: damaged at offset %" PRIu64 ", where seq %" PRIu64
		" is due: %s; %s. To mend it: millrace log repair --yes %s",
		survey->dir, survey->segments[judgement->index].file.name, judgement->offset,
		judgement->seq, judgement->what, judgement->proof, survey->dir);
}
