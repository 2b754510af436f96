// SPDX-License-Identifier: BSD-3-Clause
#include "common/clock.h"
#include "wal/scrub_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool on_block(uint64_t done, uint64_t all, void *arg)
{
	struct scrub_look *look = arg;
	struct wal_walk_point at = wal_walk_point(look->survey.walk);
	uint64_t bytes = at.offset - look->at.offset;

	(void)done, (void)all;
	look->at = at;
	wal_count(look->log->wal, WAL_scrubbed_bytes, bytes);
	if (look->in_round) {
		look->log->place.from = at;
		scrub_save_if_due(look->log);
	}
	return scrub_pace(look->scrub, look->log, bytes);
}

int scrub_look_begin(struct scrub_look *look, struct wal_scrub *scrub, struct scrub_log *log)
{
	struct wal *wal = log->wal;
	int r;

	*look = (struct scrub_look){.scrub = scrub, .log = log};
	look->survey = (struct wal_survey){.dir = wal->dir,
		.direct = true,
		.thorough = true,
		.progress = on_block,
		.arg = look,
		.why = look->why};
	wal_durable_position(wal, &look->limit.segment_first, &look->limit.offset);
	r = wal_survey_load(&look->survey, (int)wal->options.partition, look->limit);
	look->survey.known = &log->own;
	return r;
}

void scrub_look_end(struct scrub_look *look)
{
	wal_survey_free(&look->survey);
}

bool scrub_look_closed(const struct scrub_look *look, unsigned index)
{
	return look->survey.segments[index].file.first_seq < look->limit.segment_first;
}

unsigned scrub_look_find(const struct scrub_look *look, uint64_t first_seq)
{
	unsigned i = 0;

	while (i < look->survey.count && look->survey.segments[i].file.first_seq < first_seq)
		i++;
	return i;
}

static bool is_passing(int error)
{
	return error == -ECANCELED || error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

static struct scrub_damage damage_at(const struct scrub_look *look, unsigned index)
{
	const struct wal_segment *segment = &look->survey.segments[index];
	struct scrub_damage damage = {.segment_first = segment->file.first_seq,
		.from = look->at,
		.offset = look->at.offset,
		.seq = look->at.offset > 0 ? look->at.next_seq : segment->file.first_seq,
		.found_at = clock_system_ns()};

	snprintf(damage.file, sizeof(damage.file), "%s", segment->file.name);
	return damage;
}

// A segment that a survey refuses, or that can't be read.
static struct scrub_damage refused(const struct scrub_look *look, unsigned index, int error)
{
	struct scrub_damage damage = damage_at(look, index);

	if (error == -EBADMSG || error == -EINVAL)
		snprintf(damage.what, sizeof(damage.what), "it belongs to another %s: take it away",
			error == -EINVAL ? "partition" : "log");
	else if (error == -EPROTONOSUPPORT)
		snprintf(damage.what, sizeof(damage.what), "%s", look->survey.segments[index].why);
	else
		snprintf(damage.what, sizeof(damage.what),
			"can't be read: %s; the kernel's messages say more of the disk",
			strerror(-error));
	return damage;
}

static struct scrub_damage judged(
	const struct scrub_look *look, unsigned index, const struct wal_judgement *judgement)
{
	struct scrub_damage damage = damage_at(look, index);

	snprintf(damage.file, sizeof(damage.file), "%s",
		look->survey.segments[judgement->index].file.name);
	damage.offset = judgement->offset;
	damage.seq = judgement->seq;
	damage.can_mend = true;
	snprintf(damage.what, sizeof(damage.what), "%s", judgement->what);
	return damage;
}

enum scrub_verdict scrub_look_at(struct scrub_look *look, unsigned index,
	const struct wal_walk_point *from, struct scrub_damage *ret)
{
	struct wal_segment *segment = &look->survey.segments[index];
	struct wal_judgement judgement;
	int r;

	look->at = *from;
	look->survey.from = from;
	r = wal_survey_walk(&look->survey, index);
	if (segment->gone)
		return SCRUB_GONE;
	if (is_passing(r))
		return SCRUB_UNSEEN;
	if (r < 0) {
		*ret = refused(look, index, r);
		return SCRUB_BAD;
	}
	// What is wrong with the next one itself is found when it is its turn.
	if (index + 1 < look->survey.count)
		wal_survey_header(&look->survey, index + 1);
	if (!wal_survey_judge_closed(&look->survey, index, &judgement))
		return SCRUB_GOOD;
#ifdef MUTANT_SCRUB_BLIND
	return SCRUB_GOOD;
#endif
	*ret = judged(look, index, &judgement);
	return SCRUB_BAD;
}

enum scrub_verdict scrub_look_header(
	struct scrub_look *look, unsigned index, struct scrub_damage *ret)
{
	struct wal_segment *segment = &look->survey.segments[index];
	int r = wal_survey_header(&look->survey, index);

	look->at = (struct wal_walk_point){0};
	if (segment->gone)
		return SCRUB_GONE;
	if (is_passing(r))
		return SCRUB_UNSEEN;
	if (r == 0 && !segment->header_error)
		return SCRUB_GOOD;
	*ret = refused(look, index, r);
	if (r == 0) {
		ret->can_mend = true;
		snprintf(ret->what, sizeof(ret->what), "%s", segment->why);
	}
	return SCRUB_BAD;
}
