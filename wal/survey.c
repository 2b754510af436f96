// SPDX-License-Identifier: BSD-3-Clause
#include "wal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHY_BYTES 512

int wal_survey_file(const struct wal_survey *survey, unsigned index, int flags)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", survey->dir,
		    survey->segments[index].file.name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

// For reading.
static int file_open(const struct wal_survey *survey, unsigned index)
{
	if (survey->direct)
		return wal_open_direct(survey->dir, survey->segments[index].file.name);
	return wal_survey_file(survey, index, O_RDONLY);
}

// Reads the schema page anew. Errors of wal_walk_header(), or of opening the file.
static int header_load(const struct wal_survey *survey, unsigned index,
	struct wal_segment_header *ret, char *why, size_t why_len)
{
	int fd, r;

	fd = file_open(survey, index);
	if (fd < 0) {
		snprintf(why, why_len, "can't be opened: %s", strerror(-fd));
		return fd;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	r = wal_walk_header(fd, survey->segments[index].file.first_seq, ret, why, why_len);
	if (r < 0 && wal_renamed(survey->dir, survey->segments[index].file.name, fd))
		r = -ENOENT;
	close(fd);
	return r;
}

// A schema page against that of a segment looked at before.
static int same_log(
	const struct wal_survey *survey, const struct wal_segment *a, const struct wal_segment *b)
{
	char x[33], y[33];

	if (wal_id_equal(&a->header.log_id, &b->header.log_id))
		return 0;

	wal_id_text(&a->header.log_id, x);
	wal_id_text(&b->header.log_id, y);
	snprintf(survey->why, WHY_BYTES,
		"%s holds segments of two logs: %s is of %s, %s of %s; take the foreign ones away",
		survey->dir, a->file.name, x, b->file.name, y);
	return -EBADMSG;
}

static int right_partition(const struct wal_survey *survey, const struct wal_segment *segment)
{
	if ((int)segment->header.partition == survey->partition)
		return 0;

	snprintf(survey->why, WHY_BYTES, "%s/%s belongs to partition %u, not %d", survey->dir,
		segment->file.name, segment->header.partition, survey->partition);
	return -EINVAL;
}

int wal_survey_header(struct wal_survey *survey, unsigned index)
{
	struct wal_segment *segment = &survey->segments[index];
	int r;

	if (segment->looked)
		return 0;
	segment->looked = true;
	r = header_load(survey, index, &segment->header, segment->why, sizeof(segment->why));
	segment->gone = r == -ENOENT;
	segment->header_error = r;
	if (r == -ENODATA || r == -EBADMSG || r == -ENOENT)
		return 0;
	if (r < 0) {
		snprintf(survey->why, WHY_BYTES, "%s/%s: %s", survey->dir, segment->file.name,
			segment->why);
		return r;
	}

	if (survey->partition < 0)
		survey->partition = (int)segment->header.partition;
	r = survey->known != NULL ? same_log(survey, survey->known, segment) : 0;
	if (r == 0)
		r = right_partition(survey, segment);
	if (r == 0)
		survey->known = segment;
	return r;
}

static uint64_t limit_of(const struct wal_segment_file *file, struct wal_limit limit)
{
	return file->first_seq == limit.segment_first && limit.offset < file->size ? limit.offset
										   : file->size;
}

int wal_survey_load(struct wal_survey *survey, int partition, struct wal_limit limit)
{
	struct wal_segment_file *files = NULL;
	unsigned count;
	int r;

	survey->count = 0;
	survey->segments = NULL;
	survey->known = NULL;
	survey->partition = partition;
	survey->limited = limit.segment_first != UINT64_MAX;
	r = wal_list_segments(survey->dir, &files, &count);
	if (r < 0) {
		snprintf(survey->why, WHY_BYTES, "%s: %s", survey->dir, strerror(-r));
		return r;
	}
	survey->segments = calloc(count + 1, sizeof(*survey->segments));
	if (survey->segments == NULL) {
		r = -ENOMEM;
		goto out;
	}

	for (unsigned i = 0; i < count && files[i].first_seq <= limit.segment_first; i++) {
		if (files[i].first_seq == limit.segment_first && limit.offset <= WAL_SCHEMA_BYTES)
			break;
		survey->segments[i].file = files[i];
		survey->segments[i].limit = limit_of(&files[i], limit);
		survey->all_bytes += survey->segments[i].limit;
		survey->count = i + 1;
	}
out:
	free(files);
	return r;
}

void wal_survey_free(struct wal_survey *survey)
{
	free(survey->segments);
	survey->segments = NULL;
	survey->count = 0;
}

static bool walk_progress(struct wal_survey *survey, uint64_t done)
{
	return survey->progress == NULL ||
	       survey->progress(survey->walked_bytes + done, survey->all_bytes, survey->arg);
}

// Copies what a walk that has ended knows.
static void walk_result(struct wal_segment *segment, const struct wal_walk *walk, int stop)
{
	segment->walked = true;
	segment->stop = (enum wal_step)stop;
	segment->as_written = walk->as_written;
	segment->end = walk->offset;
	segment->end_seq = segment->next_seq = walk->next_seq;
	segment->next_batch = walk->batch + (walk->blocks > 0);
	segment->durable_seq = walk->durable_seq;
	segment->blocks = walk->blocks;
	segment->rows = walk->rows;
	segment->batches = walk->batches + !walk->sealed;
	segment->has_end = stop == WAL_STEP_EOS && walk->has_end;
	if (segment->has_end) {
		segment->next_seq = walk->end.next_seq;
		segment->next_batch = walk->end.next_batch;
	}
	snprintf(segment->why, sizeof(segment->why), "%s", walk->why);
}

// Whether the file's name has become another segment's, or nobody's, since it was listed.
static bool taken_away(const struct wal_survey *survey, unsigned index)
{
	struct wal_segment_header now;
	char why[160];
	int r = header_load(survey, index, &now, why, sizeof(why));

	return r == -ENOENT || (r == 0 && !wal_id_equal(&now.segment_id,
						  &survey->segments[index].header.segment_id));
}

// Walks the open file. Errors of reading; -ECANCELED.
static int walk_file(struct wal_survey *survey, unsigned index, int fd)
{
	struct wal_segment *segment = &survey->segments[index];
	struct wal_block_view view;
	struct wal_walk walk = {0};
	int r;

	r = wal_walk_open(&walk, fd, segment->limit, segment->file.first_seq);
	walk.unpacks = survey->thorough;
	if (r == 0 && survey->from != NULL)
		wal_walk_go_to(&walk, survey->from);
	survey->walk = &walk;
	while (r == 0 && (r = wal_walk_next(&walk, &view)) == WAL_STEP_BLOCK)
		r = walk_progress(survey, walk.offset) ? 0 : -ECANCELED;
	if (r > 0)
		walk_result(segment, &walk, r);
	if ((r == WAL_STEP_BAD || r == WAL_STEP_NONE || r < 0) && taken_away(survey, index))
		segment->gone = true;
	else if (r < 0 && r != -ECANCELED)
		snprintf(survey->why, WHY_BYTES, "%s/%s at offset %" PRIu64 ": %s", survey->dir,
			segment->file.name, walk.offset, strerror(-r));
	if (segment->gone)
		r = 0;
	survey->walk = NULL;
	wal_walk_close(&walk);
	return r < 0 ? r : 0;
}

int wal_survey_walk(struct wal_survey *survey, unsigned index)
{
	struct wal_segment *segment = &survey->segments[index];
	int fd, r;

	r = wal_survey_header(survey, index);
	if (r < 0 || segment->walked || segment->header_error)
		return r;
	fd = file_open(survey, index);
	if (fd == -ENOENT) {
		segment->gone = true;
		return 0;
	}
	if (fd < 0) {
		snprintf(survey->why, WHY_BYTES, "%s/%s: %s", survey->dir, segment->file.name,
			strerror(-fd));
		return fd;
	}

	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	r = walk_file(survey, index, fd);
	survey->walked_bytes += segment->walked ? segment->end : 0;
	// Had to go through the page cache after all: it is left as it was, or nearly.
	if (survey->direct && !(fcntl(fd, F_GETFL) & O_DIRECT))
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return r;
}

// Whether a segment proves that everything before it was durable: by a row of its own that was.
// That all rows before it were does not tell of what closes the segment before, a seal and its
// end-of-stream page.
static bool proves_before(const struct wal_segment *segment)
{
	return segment->has_end || segment->durable_seq > segment->header.first_seq;
}

// Walks from the newest segment back as far as a crash can have reached: through the segments of
// the last run that no later block knows to be durable. A segment that a crash left open is walked
// with the one before, whose end-of-stream page may have been in flight. *ret_first: the oldest
// walked.
int wal_survey_walk_back(struct wal_survey *survey, unsigned *ret_first)
{
	unsigned i = survey->count;
	bool open = false;

	while (i > 0) {
		struct wal_segment *segment = &survey->segments[--i];
		int r = wal_survey_walk(survey, i);

		if (r < 0)
			return r;
		*ret_first = i;
		if (segment->header_error) {
			open = true;
			continue;
		}
		if (proves_before(segment) && (open || segment->stop == WAL_STEP_EOS))
			return 0;
		if (i == 0)
			return 0;
		r = wal_survey_header(survey, i - 1);
		if (r < 0)
			return r;
		// The start that began it had found everything before in order. Without a block it
		// is about to be removed, and that proof with it.
		if (segment->blocks > 0 && !survey->segments[i - 1].header_error &&
			survey->segments[i - 1].header.generation < segment->header.generation)
			return 0;
		open = true;
	}
	return 0;
}
