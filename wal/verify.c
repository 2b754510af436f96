// SPDX-License-Identifier: BSD-3-Clause
#include "wal/survey.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// Sums over what was walked up to the bad place.
static void sum(const struct wal_survey *survey, const struct wal_judgement *judgement,
	struct wal_verify_report *ret)
{
	bool first = true;

	for (unsigned i = 0; i < survey->count && i <= judgement->index; i++) {
		const struct wal_segment *segment = &survey->segments[i];

		if (segment->gone || !segment->walked)
			continue;
		if (first)
			ret->first_seq = segment->header.first_seq;
		first = false;
		ret->segments++;
		ret->blocks += segment->blocks;
		ret->rows += segment->rows;
		ret->batches += segment->batches;
		ret->bytes += segment->end;
		ret->next_seq = segment->next_seq;
	}
}

static void report(const struct wal_survey *survey, const struct wal_judgement *judgement,
	struct wal_verify_report *ret)
{
	const struct wal_segment *segment = &survey->segments[judgement->index];

	sum(survey, judgement, ret);
	ret->torn = judgement->state == LOG_TORN;
	ret->damaged = judgement->state == LOG_DAMAGED;
	if (judgement->state == LOG_WHOLE)
		return;

	snprintf(ret->file, sizeof(ret->file), "%s", segment->file.name);
	ret->offset = judgement->offset;
	ret->seq = judgement->seq;
	if (ret->damaged)
		wal_survey_explain(survey, judgement);
	else
		snprintf(ret->why, sizeof(ret->why),
			"%s; %u intact blocks beyond it were not durable either", judgement->what,
			judgement->intact_blocks);
}

int wal_verify(const char *dir, struct wal_limit limit, struct wal_verify_report *ret,
	bool (*progress)(uint64_t done, uint64_t all, void *arg), void *arg)
{
	struct wal_survey survey = {.dir = dir,
		.why = ret->why,
		.direct = true,
		.thorough = true,
		.progress = progress,
		.arg = arg};
	struct wal_judgement judgement;
	int r;

	*ret = (struct wal_verify_report){0};
	r = wal_survey_load(&survey, -1, limit);
	for (unsigned i = 0; r == 0 && i < survey.count; i++)
		r = wal_survey_walk(&survey, i);
	if (r == 0)
		r = wal_survey_judge(&survey, 0, WAL_LOOKAHEAD_MAX, &judgement);
	if (r == 0 && survey.count > 0)
		report(&survey, &judgement, ret);
	wal_survey_free(&survey);
	return r;
}

int wal_inspect(const char *dir, struct wal_verify_report *ret)
{
	struct wal_survey survey = {.dir = dir, .why = ret->why};
	struct wal_judgement judgement;
	unsigned first = 0;
	int r;

	*ret = (struct wal_verify_report){0};
	r = wal_survey_load(&survey, -1, (struct wal_limit){.segment_first = UINT64_MAX});
	if (r == 0)
		r = wal_survey_walk_back(&survey, &first);
	if (r == 0)
		r = wal_survey_judge(&survey, first, WAL_LOOKAHEAD_MAX, &judgement);
	if (r == 0 && survey.count > 0)
		report(&survey, &judgement, ret);
	wal_survey_free(&survey);
	return r;
}
