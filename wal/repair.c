// SPDX-License-Identifier: BSD-3-Clause
#include "common/file.h"
#include "wal/recover.h"
#include "wal/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)
#define SECTOR 512u // what a disk writes as a whole

// A new file in quarantine for what stood at 'offset'; an older one of the same name is that of a
// repair that was cut short, and replaced.
static int quarantine_file(
	const struct wal_survey *survey, unsigned index, uint64_t offset, const char *suffix)
{
	const char *name = survey->segments[index].file.name;
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/quarantine/%.20s-%" PRIu64 ".%s", survey->dir,
		    name, offset, suffix) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	return fd < 0 ? -errno : fd;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

// Zeros become holes: a segment is mostly tail.
static int copy_raw(int from, uint64_t offset, uint64_t end, int to)
{
	struct wal_window window;
	int r = 0;

	wal_window_init(&window, from, end);
	for (uint64_t at = offset; r == 0 && at < end; at += COPY_BYTES) {
		const uint8_t *bytes;
		size_t len = 0;

		r = wal_window_get(&window, at, COPY_BYTES, &bytes, &len);
		if (r == 0 && !all_zero(bytes, len))
			r = file_write_at(to, bytes, len, at - offset);
		if (len < COPY_BYTES)
			break;
	}
	wal_window_free(&window);
	if (r == 0 && ftruncate(to, (off_t)(end - offset)) < 0)
		r = -errno;
	if (r == 0 && fsync(to) < 0)
		r = -errno;
	return r;
}

// A schema page for blocks whose own is damaged: what the blocks say, and the log of a neighbour.
static int compose_schema(
	const struct wal_survey *survey, const struct wal_found *first, uint8_t *page)
{
	struct wal_segment_info info = {
		.receiver = "", .listeners = "{}", .compression = "unknown"};

	for (unsigned i = 0; i < survey->count; i++)
		if (!survey->segments[i].header_error)
			info.header.log_id = survey->segments[i].header.log_id;
	info.header.segment_id = first->segment_id;
	info.header.generation = first->generation;
	info.header.partition = first->partition;
	info.header.first_seq = info.header.gap_from = first->first_seq;
	info.header.first_batch = first->batch;
	return wal_schema_compose(page, &info);
}

static int read_schema(int fd, uint8_t *page)
{
	ssize_t n = pread(fd, page, WAL_SCHEMA_BYTES, 0);

	return n < 0 ? -errno : n == WAL_SCHEMA_BYTES ? 0 : -EBADMSG;
}

static int copy_block(int from, const struct wal_found *found, int to, uint64_t at)
{
	struct wal_window window;
	const uint8_t *bytes;
	size_t len;
	int r;

	wal_window_init(&window, from, found->end);
	r = wal_window_get(&window, found->offset, found->end - found->offset, &bytes, &len);
	if (r == 0)
		r = file_write_at(to, bytes, len, at);
	wal_window_free(&window);
	return r;
}

// The intact blocks behind a schema page, readable as Arrow.
static int copy_blocks(const struct wal_survey *survey, unsigned index, int from,
	const struct wal_found_list *list, int to)
{
	uint8_t page[WAL_SCHEMA_BYTES];
	uint64_t at = WAL_SCHEMA_BYTES;
	int r;

	r = survey->segments[index].header_error ? compose_schema(survey, &list->list[0], page)
						 : read_schema(from, page);
	if (r == 0)
		r = file_write_at(to, page, WAL_SCHEMA_BYTES, 0);
	for (unsigned i = 0; r == 0 && i < list->count; i++) {
		if (!list->list[i].good || list->list[i].segment_end)
			continue;
		r = copy_block(from, &list->list[i], to, at);
		at += list->list[i].end - list->list[i].offset;
	}
	wal_eos_compose(page);
	if (r == 0)
		r = file_write_at(to, page, WAL_PAGE, at);
	if (r == 0 && fsync(to) < 0)
		r = -errno;
	return r;
}

static int save_blocks(const struct wal_survey *survey, unsigned index, uint64_t offset, int from,
	struct wal_repair_report *ret)
{
	const struct wal_segment *segment = &survey->segments[index];
	struct wal_found_list list = {0};
	unsigned good = 0;
	int to, r;

	r = wal_look_ahead(&list, from, segment->header_error ? NULL : &segment->header, offset,
		segment->file.size);
	for (unsigned i = 0; r == 0 && i < list.count; i++) {
		if (!list.list[i].good || list.list[i].segment_end)
			continue;
		good++;
		ret->intact_rows += list.list[i].next_seq - list.list[i].first_seq;
	}
	ret->intact_blocks += good;
	if (r == 0 && good > 0) {
		to = quarantine_file(survey, index, offset, "arrows");
		r = to < 0 ? to : copy_blocks(survey, index, from, &list, to);
		if (to >= 0)
			close(to);
	}
	wal_found_free(&list);
	return r;
}

// Copies everything from 'offset' to the segment's end; the segment itself is not touched.
static int quarantine(const struct wal_survey *survey, unsigned index, uint64_t offset,
	struct wal_repair_report *ret)
{
	uint64_t size = survey->segments[index].file.size;
	int from, to, r;

	if (offset >= size)
		return 0;
	from = wal_survey_file(survey, index, O_RDONLY);
	if (from < 0)
		return from;
	to = quarantine_file(survey, index, offset, "raw");
	r = to < 0 ? to : copy_raw(from, offset, size, to);
	if (to >= 0)
		close(to);
	if (r == 0)
		r = save_blocks(survey, index, offset, from, ret);
	close(from);
	ret->quarantined_bytes += size - offset;
	return r;
}

static int write_flushed(int fd, const uint8_t *bytes, size_t len, uint64_t offset)
{
	int r = file_write_at(fd, bytes, len, offset);

	return r == 0 && fdatasync(fd) < 0 ? -errno : r;
}

// The end page over what is bad, so that it is all there as soon as any of it counts: the sector
// with the marker last. With half a page behind a marker the damage would be forgotten, and what
// was lost with it.
static int write_end(int fd, const struct wal_segment_end *end)
{
	uint8_t page[WAL_PAGE];
	int r;

	wal_end_compose(page, end);
	r = write_flushed(fd, page + SECTOR, WAL_PAGE - SECTOR, end->file_offset + SECTOR);
	return r == 0 ? write_flushed(fd, page, SECTOR, end->file_offset) : r;
}

// Nothing but the end page knows which seqs were lost until the log goes on: so it stands there
// twice, the second time where blocks may have been that told of the damage.
static int write_copy(int fd, const struct wal_segment_end *end)
{
	struct wal_segment_end copy = *end;
	uint8_t page[WAL_PAGE];

	copy.file_offset += WAL_PAGE;
	wal_end_compose(page, &copy);
	return write_flushed(fd, page, WAL_PAGE, copy.file_offset);
}

// Ends a segment at 'offset' by pages that say where the log goes on.
static int end_segment(const struct wal_survey *survey, unsigned index, uint64_t offset,
	const struct wal_judgement *judgement)
{
	const struct wal_segment *segment = &survey->segments[index];
	struct wal_segment_end end = {.segment_id = segment->header.segment_id,
		.file_offset = offset,
		.generation = segment->header.generation,
		.partition = segment->header.partition,
		.end_seq = segment->end_seq,
		.next_seq = judgement->next_seq,
		.next_batch = judgement->next_batch};
	int fd, r;

	fd = wal_survey_file(survey, index, O_RDWR);
	if (fd < 0)
		return fd;
	r = write_end(fd, &end);
	if (r == 0)
		r = write_copy(fd, &end);
	if (r == 0 && ftruncate(fd, (off_t)(offset + 2 * WAL_PAGE)) < 0)
		r = -errno;
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

// The bad place is the segment's begin: its file leaves the log, and the one before says so.
static int take_out(const struct wal_survey *survey, const struct wal_judgement *judgement,
	struct wal_repair_report *ret)
{
	unsigned index = judgement->index;
	const struct wal_segment *before = index > 0 ? &survey->segments[index - 1] : NULL;
	char path[PATH_MAX];
	int r;

	r = quarantine(survey, index, 0, ret);
	if (r == 0 && before != NULL && before->walked && before->stop == WAL_STEP_BAD)
		r = quarantine(survey, index - 1, before->end, ret);
	if (r == 0)
		r = file_sync_dir(ret->quarantine);
	if (r < 0)
		return r;

	if (before != NULL && before->walked && judgement->next_seq > before->next_seq)
		r = end_segment(survey, index - 1, before->end, judgement);
	snprintf(path, sizeof(path), "%s/%s", survey->dir, survey->segments[index].file.name);
	if (r == 0 && unlink(path) < 0)
		r = -errno;
	return r;
}

static int cut_off(const struct wal_survey *survey, const struct wal_judgement *judgement,
	struct wal_repair_report *ret)
{
	const struct wal_segment *segment = &survey->segments[judgement->index];
	int r = 0;

	if (segment->stop != WAL_STEP_EOS)
		r = quarantine(survey, judgement->index, judgement->offset, ret);
	if (r == 0)
		r = file_sync_dir(ret->quarantine);
	if (r == 0)
		r = end_segment(survey, judgement->index, judgement->offset, judgement);
	return r;
}

static int mend(const struct wal_survey *survey, const struct wal_judgement *judgement,
	struct wal_repair_report *ret)
{
	int r;

	snprintf(ret->file, sizeof(ret->file), "%s", survey->segments[judgement->index].file.name);
	snprintf(ret->quarantine, sizeof(ret->quarantine), "%s/quarantine", survey->dir);
	ret->offset = judgement->offset;
	ret->lost_from = judgement->seq;
	ret->lost_to = judgement->next_seq > judgement->seq ? judgement->next_seq : judgement->seq;

	r = file_make_dirs(ret->quarantine);
	if (r == 0)
		r = judgement->offset == 0 ? take_out(survey, judgement, ret)
					   : cut_off(survey, judgement, ret);
	if (r == 0)
		r = file_sync_dir(survey->dir);
	return r;
}

int wal_repair(const char *dir, struct wal_repair_report *ret, char *why)
{
	struct wal_survey survey = {.dir = dir, .why = why, .thorough = true};
	struct wal_judgement judgement = {0};
	int r;

	why[0] = '\0';
	*ret = (struct wal_repair_report){0};
	r = wal_survey_load(&survey, -1, (struct wal_limit){.segment_first = UINT64_MAX});
	for (unsigned i = 0; r == 0 && i < survey.count; i++)
		r = wal_survey_walk(&survey, i);
	if (r == 0)
		r = wal_survey_judge(&survey, 0, UINT64_MAX, &judgement);
	if (r == 0 && judgement.state == LOG_DAMAGED)
		r = mend(&survey, &judgement, ret);
	if (r < 0 && why[0] == '\0')
		snprintf(why, 512, "%s: can't be mended: %s", dir, strerror(-r));
	wal_survey_free(&survey);
	return r;
}
