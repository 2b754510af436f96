// SPDX-License-Identifier: BSD-3-Clause
#include "wal/recover.h"

#include "common/file.h"
#include "wal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int remove_file(const struct wal_survey *survey, unsigned index)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", survey->dir,
		    survey->segments[index].file.name) >= sizeof(path))
		return -ENAMETOOLONG;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

// Everything that is kept must be on the disk before the writer calls any of it durable: after a
// killed process it may be no further than a cache.
static int flush_segment(
	const struct wal_survey *survey, unsigned index, uint64_t size, uint64_t durable)
{
	int fd, r = 0;

	fd = wal_survey_file(survey, index, O_RDWR);
	if (fd < 0)
		return fd;
#ifndef MUTANT_APPEND_IN_PLACE
	if (size < survey->segments[index].file.size && ftruncate(fd, (off_t)size) < 0)
		r = -errno;
#endif
#ifndef MUTANT_RECOVERY_NO_REWRITE
	if (r == 0)
		r = wal_rewrite(&survey->segments[index], fd, durable);
#else
	(void)durable;
#endif
#ifndef MUTANT_RECOVERY_NO_FLUSH
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
#endif
	close(fd);
	return r;
}

// A segment without an end-of-stream page is cut behind its last good block, or what a recycled
// file held before would follow it in the Arrow stream. A closed one keeps its size, to be
// recycled.
static uint64_t cut_at(const struct wal_segment *segment)
{
	return segment->stop == WAL_STEP_EOS ? segment->file.size : segment->end;
}

// The highest seq below which blocks say all to be durable, of those that are kept.
static uint64_t proven_seq(const struct wal_survey *survey, unsigned first, unsigned last)
{
	uint64_t seq = 0;

	for (unsigned i = first; i <= last; i++)
		if (survey->segments[i].durable_seq > seq)
			seq = survey->segments[i].durable_seq;
	return seq;
}

static int cut(
	const struct wal_survey *survey, unsigned first, const struct wal_judgement *judgement)
{
	const struct wal_segment *last = &survey->segments[judgement->index];
	unsigned count = survey->count + survey->unbegun;
	uint64_t durable = proven_seq(survey, first, judgement->index);
	int r = 0;

	for (unsigned i = count; r == 0 && i > judgement->index + 1; i--)
		r = remove_file(survey, i - 1);
	for (unsigned i = first; r == 0 && i <= judgement->index; i++)
		r = flush_segment(survey, i, cut_at(&survey->segments[i]), durable);
	if (r == 0 && last->blocks == 0 && !last->has_end)
		r = remove_file(survey, judgement->index);
	return r;
}

static void report_cut(const struct wal_survey *survey, const struct wal_judgement *judgement,
	unsigned index, struct wal_recovery *ret)
{
	ret->cut_bytes = judgement->tail_bytes;
	ret->cut_intact_blocks = judgement->intact_blocks;
	ret->cut_intact_rows = judgement->intact_rows;
	if (judgement->state == LOG_TORN || judgement->tail_bytes > 0)
		snprintf(ret->cut_file, sizeof(ret->cut_file), "%s",
			survey->segments[index].file.name);
}

static void report(const struct wal_survey *survey, const struct wal_judgement *judgement,
	struct wal_tail *ret)
{
	const struct wal_segment *last = &survey->segments[judgement->index];
	struct wal_recovery *recovery = &ret->report;
	unsigned torn = judgement->state == LOG_TORN ? judgement->index : survey->count;

	recovery->log_id = last->header.log_id;
	// Those that were looked at: generations only grow.
	for (unsigned i = 0; i < survey->count; i++)
		if (survey->segments[i].looked && !survey->segments[i].header_error &&
			survey->segments[i].header.generation >= recovery->generation)
#if defined(MUTANT_GENERATION_KEPT) || defined(MUTANT_APPEND_IN_PLACE)
			recovery->generation = survey->segments[i].header.generation;
#else
			recovery->generation = survey->segments[i].header.generation + 1;
#endif
	recovery->next_seq = judgement->next_seq;
	recovery->next_batch = judgement->next_batch;
	recovery->verified_bytes = survey->walked_bytes;
	report_cut(survey, judgement, torn, recovery);
	ret->gap_from = judgement->gap_from;
}

static int begin_new(const struct wal_survey *survey, const struct wal_judgement *judgement,
	struct wal_tail *ret)
{
	int r = survey->unbegun ? remove_file(survey, 0) : 0;

	report_cut(survey, judgement, 0, &ret->report);
	if (r == 0)
		r = file_sync_dir(survey->dir);
	if (r == 0)
		r = wal_id_random(&ret->report.log_id);
	ret->report.created = true;
	ret->report.generation = 1;
	return r;
}

// Nobody takes segments away from whoever holds the lock; a judgement that leaves one out would cut
// what is behind it.
static int all_there(const struct wal_survey *survey, unsigned first)
{
	for (unsigned i = first; i < survey->count; i++) {
		if (!survey->segments[i].gone)
			continue;
		snprintf(survey->why, 512, "%s/%s was taken away while it was being recovered",
			survey->dir, survey->segments[i].file.name);
		return -ESTALE;
	}
	return 0;
}

static int recover(struct wal_survey *survey, struct wal_tail *ret)
{
	struct wal_judgement judgement = {0};
	unsigned first = 0;
	int r;

	r = wal_survey_walk_back(survey, &first);
	// A foreign segment in front of those walked, or as the oldest, must not pass for ours.
	// What lies between is for scrubbing and for readers.
	if (r == 0 && first > 0)
		r = wal_survey_header(survey, first - 1);
	if (r == 0 && first > 0)
		r = wal_survey_header(survey, 0);
	if (r == 0)
		r = all_there(survey, first);
	if (r < 0)
		return r;
	r = survey->count > 0 ? wal_survey_judge(survey, first, WAL_LOOKAHEAD_MAX, &judgement) : 0;
	if (r < 0)
		return r;
	if (survey->count == 0)
		return begin_new(survey, &judgement, ret);
	if (judgement.state == LOG_DAMAGED) {
		wal_survey_explain(survey, &judgement);
		return -EBADMSG;
	}

	r = cut(survey, first, &judgement);
	if (r == 0)
		r = file_sync_dir(survey->dir);
	if (r < 0)
		snprintf(survey->why, 512, "%s: can't be cut at its end: %s", survey->dir,
			strerror(-r));
	else
		report(survey, &judgement, ret);
	return r;
}

int wal_recover(const char *dir, unsigned partition, struct wal_tail *ret, char *why)
{
	struct wal_survey survey = {.dir = dir, .why = why};
	struct wal_tail tail = {0};
	int r;

	why[0] = '\0';
	r = wal_survey_load(
		&survey, (int)partition, (struct wal_limit){.segment_first = UINT64_MAX});
	if (r == 0)
		r = recover(&survey, &tail);
	if (r < 0 && why[0] == '\0')
		snprintf(why, 512, "%s: %s", dir, strerror(-r));
	if (r == 0)
		*ret = tail;
	wal_survey_free(&survey);
	return r;
}
