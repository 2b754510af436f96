// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/scene.h"
#include "wal/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REPAIRS_MAX 8

static const struct wal_limit no_limit = {.segment_first = UINT64_MAX};

// Like assert_true, but says which case it was.
#define holds(scene, condition) \
	do { \
		if (!(condition)) { \
			print_error("%s: %s does not hold\n", (scene)->what, #condition); \
			fail(); \
		} \
	} while (0)

static bool in_any(const struct wal_repair_report *lost, unsigned count, uint64_t seq)
{
	for (unsigned i = 0; i < count; i++)
		if (seq >= lost[i].lost_from && seq < lost[i].lost_to)
			return true;
	return false;
}

// Reads from the begin until the reader stops; every row must be the one of its seq, and none may
// be missing but those that a repair declared. Returns the seq behind the last; *ret_r: why it
// ended.
static uint64_t read_all(
	struct scene *scene, const struct wal_repair_report *lost, unsigned count, int *ret_r)
{
	struct wal_reader *reader = NULL;
	struct wal_block_view view;
	uint64_t due = 0;
	struct wal_row row;
	int r = wal_reader_open(&reader, scene->lb.dir, 0, no_limit);

	while (r == 0 && (r = wal_reader_next(reader, &view)) == 1) {
		for (uint32_t i = 0; i < view.trailer->rows; i++, due++) {
			while (in_any(lost, count, due))
				due++;
			wal_row_get(&view, i, &row);
			holds(scene, row.seq == due && due < scene->seqs);
			holds(scene, scene_row_digest(&row) == scene->truth[due]);
		}
		r = 0;
	}
	while (in_any(lost, count, due))
		due++;
	*ret_r = r;
	wal_reader_close(reader);
	return due;
}

// The directory as the test has broken it, without what an earlier case left there.
static void write_out(struct scene *scene)
{
	char command[300], path[256];

	snprintf(command, sizeof(command), "%s/quarantine", scene->lb.dir);
	if (access(command, F_OK) == 0) {
		snprintf(command, sizeof(command), "rm -rf %s/quarantine", scene->lb.dir);
		assert_int_equal(system(command), 0);
	}
	for (unsigned i = 0; i < scene->file_count; i++) {
		const struct scene_file *file = &scene->files[i];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", scene->lb.dir, file->name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, file->bytes, file->len), file->len);
		close(fd);
	}
}

static void check_verify(struct scene *scene, const struct scene_expect *expect)
{
	struct wal_verify_report report;
	uint64_t before = lb_digest(&scene->lb);
	int r = wal_verify(scene->lb.dir, no_limit, &report, NULL, NULL);

	holds(scene, lb_digest(&scene->lb) == before);
	if (expect->state == SCENE_REFUSED) {
		holds(scene, r < 0 && report.why[0] != '\0');
		return;
	}
	if (report.damaged != (expect->state == SCENE_DAMAGED) ||
		report.torn != (expect->state == SCENE_TORN))
		print_error("%s: %d %s\n", scene->what, r, report.why);
	holds(scene, r == 0);
	holds(scene, report.damaged == (expect->state == SCENE_DAMAGED));
	holds(scene, report.torn == (expect->state == SCENE_TORN));
	holds(scene, report.why[0] != '\0' || expect->state == SCENE_WHOLE);
	if (expect->state == SCENE_WHOLE) {
		holds(scene, report.next_seq == expect->seq);
		return;
	}
	holds(scene, strcmp(report.file, scene->files[expect->file].name) == 0);
	holds(scene, report.offset == expect->offset);
	holds(scene, report.seq == expect->seq);
}

static void check_reader(struct scene *scene, const struct scene_expect *expect)
{
	int r;
	uint64_t end = read_all(scene, NULL, 0, &r);
	uint64_t due = expect->read > 0 ? expect->read : expect->seq;

	if (expect->state == SCENE_REFUSED) {
		holds(scene, r < 0);
		return;
	}
	if (end != due)
		print_error("%s: read up to %" PRIu64 ", not %" PRIu64 "\n", scene->what, end, due);
	holds(scene, end == due);
	if (expect->read > 0)
		return;
	if (expect->state == SCENE_DAMAGED && expect->file + 1 < scene->file_count)
		holds(scene, r == -EBADMSG);
	else
		holds(scene, r == 0 || r == -EBADMSG);
	if (expect->state == SCENE_WHOLE)
		holds(scene, r == 0);
}

// Verifies, and holds exactly the rows up to 'end' but those lost.
static void check_mended(
	struct scene *scene, const struct wal_repair_report *lost, unsigned count, uint64_t end)
{
	struct wal_verify_report report;
	int r;

	holds(scene, wal_verify(scene->lb.dir, no_limit, &report, NULL, NULL) == 0);
	if (report.damaged || report.torn)
		print_error("%s: %s\n", scene->what, report.why);
	holds(scene, !report.damaged && !report.torn);
	holds(scene, read_all(scene, lost, count, &r) == end);
	holds(scene, r == 0);
}

// A start does not look at segments that a newer one knows durable: of what it looks at, where does
// the log end? UINT64_MAX: it sees the damage.
static uint64_t end_without_looking(const struct scene *scene, const struct scene_expect *expect)
{
	struct wal_verify_report report;

	if (expect->state != SCENE_DAMAGED || expect->file + 1 == scene->file_count ||
		wal_inspect(scene->lb.dir, &report) < 0 || report.damaged)
		return UINT64_MAX;
	return report.torn ? report.seq : report.next_seq;
}

static void check_recover(struct scene *scene, const struct scene_expect *expect)
{
	uint64_t before = lb_digest(&scene->lb);
	uint64_t unseen = end_without_looking(scene, expect);
	struct wal_tail tail = {0};
	char why[512];
	int r = wal_recover(scene->lb.dir, 0, &tail, why);

	if (unseen != UINT64_MAX) {
		holds(scene, r == 0 && tail.report.next_seq == unseen);
		return;
	}
	if (expect->state == SCENE_DAMAGED || expect->state == SCENE_REFUSED) {
		holds(scene, r < 0);
		// Of several places a start sees, perhaps, only a later one.
		holds(scene, expect->file + 1 < scene->file_count ||
				     strstr(why, scene->files[expect->file].name) != NULL);
		holds(scene, lb_digest(&scene->lb) == before);
		return;
	}
	if (r < 0)
		print_error("%s: %s\n", scene->what, why);
	holds(scene, r == 0);
	if (tail.report.next_seq != expect->seq)
		print_error("%s: goes on with %" PRIu64 "\n", scene->what, tail.report.next_seq);
	holds(scene, tail.report.next_seq == expect->seq);
	holds(scene, tail.gap_from == expect->seq);
	if (expect->state == SCENE_TORN)
		holds(scene, strcmp(tail.report.cut_file, scene->files[expect->file].name) == 0);
	check_mended(scene, NULL, 0, expect->seq);
}

static const struct scene_file *file_named(const struct scene *scene, const char *name)
{
	unsigned i = 0;

	while (i + 1 < scene->file_count && strcmp(scene->files[i].name, name) != 0)
		i++;
	holds(scene, strcmp(scene->files[i].name, name) == 0);
	return &scene->files[i];
}

// The bytes that left the log lie in quarantine as they were.
static void check_quarantine(struct scene *scene, const struct wal_repair_report *report)
{
	const struct scene_file *file = file_named(scene, report->file);
	char path[400];
	uint8_t *kept;
	size_t len;
	int fd;

	if (report->quarantined_bytes == 0)
		return;
	len = file->len - report->offset;
	kept = malloc(len);
	assert_non_null(kept);
	snprintf(path, sizeof(path), "%s/%.20s-%" PRIu64 ".raw", report->quarantine, report->file,
		report->offset);
	fd = open(path, O_RDONLY);
	holds(scene, fd >= 0);
	holds(scene, read(fd, kept, len) == (ssize_t)len);
	holds(scene, memcmp(kept, file->bytes + report->offset, len) == 0);
	close(fd);
	free(kept);
}

// Rows may be lost only of the damaged segment, from the bad place on.
static void check_loss(struct scene *scene, const struct wal_repair_report *report)
{
	for (unsigned i = 0; i < scene->block_count; i++) {
		const struct scene_block *block = &scene->blocks[i];
		bool lost = block->rows > 0 && block->seq >= report->lost_from &&
			    block->seq < report->lost_to;

		holds(scene, !lost || (strcmp(scene->files[block->file].name, report->file) == 0 &&
					      block->offset >= report->offset));
	}
}

static void check_repair(struct scene *scene, const struct scene_expect *expect)
{
	struct wal_repair_report lost[REPAIRS_MAX];
	uint64_t before = lb_digest(&scene->lb), end = expect->seq;
	struct wal_tail tail = {0};
	unsigned count = 0;
	char why[512];
	int r;

	while ((r = wal_repair(scene->lb.dir, &lost[count], why)) == 0 &&
		lost[count].file[0] != '\0') {
		check_loss(scene, &lost[count]);
		if (count == 0)
			check_quarantine(scene, &lost[0]);
		holds(scene, ++count < REPAIRS_MAX);
	}
	if (expect->state == SCENE_REFUSED)
		holds(scene, r < 0);
	else if (r < 0)
		print_error("%s: %s\n", scene->what, why);
	holds(scene, r == 0 || expect->state == SCENE_REFUSED);
	if (expect->state != SCENE_DAMAGED) {
		holds(scene, count == 0 && lb_digest(&scene->lb) == before);
		return;
	}
	holds(scene, count > 0 && strcmp(lost[0].file, scene->files[expect->file].name) == 0);
	holds(scene, lost[0].offset == expect->offset);
	holds(scene, lost[0].lost_from == expect->seq && lost[0].lost_to >= expect->seq);

	r = wal_recover(scene->lb.dir, 0, &tail, why);
	if (r < 0)
		print_error("%s: %s\n", scene->what, why);
	holds(scene, r == 0);
	for (unsigned i = 0; i < count; i++)
		if (lost[i].lost_to > end)
			end = lost[i].lost_to;
	holds(scene, tail.report.next_seq >= end);
	check_mended(scene, lost, count, tail.report.next_seq);
}

void scene_check(struct scene *scene, struct scene_expect expect)
{
	write_out(scene);
	check_verify(scene, &expect);
	check_reader(scene, &expect);
	check_recover(scene, &expect);
	write_out(scene);
	check_repair(scene, &expect);
}
