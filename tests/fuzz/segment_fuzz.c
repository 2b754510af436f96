// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: whatever the segments of a log hold, it is read, verified, recovered and repaired
// without a byte read outside a block; who only looks or refuses changes nothing; after a recovery
// the log is whole, and after repairs it recovers; no row is read that was not written.

#include "../lib/remove_tree.h"
#include "common/crc32c.h"
#include "fuzz.h"
#include "segment_recipe.h"
#include "wal/pack.h"
#include "wal/recover.h"
#include "wal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPAIRS_MAX 64

static struct recipe recipe;
static char dir[64];
static const struct wal_limit no_limit = {.segment_first = UINT64_MAX};

static void remove_in(const char *where)
{
	expect(remove_tree(where) == 0);
}

static void remove_all(void)
{
	remove_in(dir);
}

static void make_dir(void)
{
	if (dir[0] != '\0')
		return;
	snprintf(dir, sizeof(dir), "%s/millrace-fuzz-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	expect(mkdtemp(dir) != NULL);
	atexit(remove_all);
}

static void path_of(char ret[128], const char *name)
{
	snprintf(ret, 128, "%s/%s", dir, name);
}

static void clean(void)
{
	struct wal_segment_file *files;
	char path[128];
	unsigned count;

	expect(wal_list_segments(dir, &files, &count) == 0);
	for (unsigned i = 0; i < count; i++) {
		path_of(path, files[i].name);
		expect(unlink(path) == 0);
	}
	free(files);
	path_of(path, "quarantine");
	if (access(path, F_OK) == 0)
		remove_in(path);
}

static void write_out(void)
{
	clean();
	for (unsigned i = 0; i < recipe.file_count; i++) {
		const struct recipe_file *file = &recipe.files[i];
		char name[40], path[128];
		int fd;

		snprintf(name, sizeof(name), "%020" PRIu64 ".arrows", file->first_seq);
		path_of(path, name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		expect(fd >= 0 && write(fd, file->bytes, file->len) == (ssize_t)file->len);
		close(fd);
	}
}

static uint64_t digest(void)
{
	static uint8_t bytes[2 * RECIPE_FILE_MAX];
	struct wal_segment_file *files;
	uint64_t ret = 0;
	char path[128];
	unsigned count;

	expect(wal_list_segments(dir, &files, &count) == 0);
	for (unsigned i = 0; i < count; i++) {
		ssize_t len;
		int fd;

		path_of(path, files[i].name);
		fd = open(path, O_RDONLY);
		expect(fd >= 0);
		len = read(fd, bytes, sizeof(bytes));
		expect(len >= 0);
		close(fd);
		ret = ret * 31 + crc32c(bytes, (size_t)len) + files[i].first_seq;
	}
	free(files);
	return ret;
}

static uint32_t touch_rows(const struct wal_block_view *view)
{
	struct wal_row row;
	uint32_t sum = 0;

	for (uint32_t i = 0; i < view->trailer->rows; i++) {
		wal_row_get(view, i, &row);
		sum += crc32c(row.payload, row.payload_len) + row.src_addr[15];
		expect(!recipe.honest || recipe_row_true(&row));
	}
	return sum;
}

static struct wal_unpacked unpacked;

// In memory of just the room that is stated, so that reading too far is noticed.
static void check_blocks(void)
{
	for (unsigned i = 0; i < recipe.item_count; i++) {
		const struct recipe_item *item = &recipe.items[i];
		struct wal_segment_header header;
		struct wal_block_view view;
		uint8_t *bytes = malloc(item->len);

		expect(bytes != NULL);
		memcpy(bytes, recipe.files[item->file].bytes + item->offset, item->len);
		wal_schema_parse(recipe.files[item->file].bytes, &header);
		for (uint32_t len = item->len; len > 0; len /= 3) {
			enum wal_verdict verdict =
				wal_block_check(bytes, len, &header, item->offset, &view);

			if (verdict == WAL_BLOCK_GOOD && wal_unpack(&unpacked, &view) == 0)
				touch_rows(&view);
			expect(verdict != WAL_BLOCK_BAD || view.why[0] != '\0');
			if (len == item->len && len < WAL_BLOCK_HEADER_BYTES)
				break;
		}
		free(bytes);
	}
	wal_unpacked_free(&unpacked);
}

static void check_reader(uint64_t from, struct wal_limit limit)
{
	struct wal_reader *reader;
	struct wal_block_view view;
	uint64_t seq = 0;
	int r = wal_reader_open(&reader, dir, from, limit);

	if (r < 0)
		return;
	for (unsigned stops = 0; stops < 3;) {
		r = wal_reader_next(reader, &view);
		if (r <= 0) {
			stops++;
			continue;
		}
		touch_rows(&view);
		expect(view.trailer->first_seq + view.trailer->rows >= seq);
		seq = view.trailer->first_seq + view.trailer->rows;
	}
	wal_reader_close(reader);
}

// A gap that only an empty newest segment declared is known to the start alone that removed it: a
// repair declares it in the segment before, too.
// For whoever replays an input: MILLRACE_FUZZ_TALK=1.
static void talk(const struct wal_verify_report *report)
{
	if (getenv("MILLRACE_FUZZ_TALK") == NULL)
		return;
	for (unsigned i = 0; i < recipe.file_count; i++)
		fprintf(stderr, "file %u: seq %" PRIu64 ", %zu bytes\n", i,
			recipe.files[i].first_seq, recipe.files[i].len);
	for (unsigned i = 0; i < recipe.item_count; i++)
		fprintf(stderr, "  file %u: %u bytes at %u\n", recipe.items[i].file,
			recipe.items[i].len, recipe.items[i].offset);
	fprintf(stderr, "%s, next seq %" PRIu64 ": %s\n",
		report->damaged ? "damaged"
		: report->torn  ? "torn"
				: "whole",
		report->next_seq, report->why);
}

static void check_mended(const struct wal_tail *tail)
{
	struct wal_verify_report report;

	expect(wal_verify(dir, no_limit, &report, NULL, NULL) == 0);
	expect(!report.damaged && !report.torn);
	expect(report.segments == 0 || report.next_seq == tail->report.next_seq ||
		report.next_seq == tail->gap_from);
	check_reader(0, no_limit);
}

// A start looks at less than a verification: what it does not look at may still be damaged.
static void check_recover(const struct wal_verify_report *whole)
{
	struct wal_verify_report seen;
	uint64_t before = digest();
	struct wal_tail tail = {0};
	char why[512];
	int inspected = wal_inspect(dir, &seen);
	int r = wal_recover(dir, 0, &tail, why);

	expect(r == 0 || why[0] != '\0');
	expect(r == 0 || digest() == before);
	talk(&seen);
	if (inspected == 0)
		expect((r == -EBADMSG) == seen.damaged || r == -EINVAL);
	if (r < 0)
		return;
	if (!whole->damaged)
		check_mended(&tail);
}

static void check_repair(const struct wal_verify_report *whole)
{
	struct wal_repair_report report;
	struct wal_verify_report after;
	struct wal_tail tail = {0};
	uint64_t before = digest();
	unsigned count = 0;
	char why[512];
	int r;

	while ((r = wal_repair(dir, &report, why)) == 0 && report.file[0] != '\0')
		expect(++count < REPAIRS_MAX && report.lost_to >= report.lost_from);
	expect(r == 0 || why[0] != '\0');
	expect((count > 0) == whole->damaged || r < 0);
	if (count == 0)
		expect(digest() == before);
	if (r < 0)
		return;
	expect(wal_verify(dir, no_limit, &after, NULL, NULL) == 0 && !after.damaged);
	r = wal_recover(dir, 0, &tail, why);
	expect(r == 0 || r == -EINVAL); // of another partition
	if (r == 0)
		check_mended(&tail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wal_verify_report whole, limited;
	uint64_t before;

	make_dir();
	recipe_cook(&recipe, data, size);
	check_blocks();
	write_out();
	before = digest();
	if (wal_verify(dir, no_limit, &whole, NULL, NULL) < 0) {
		// Refused as a whole: of two logs, say. Nobody may touch it then.
		struct wal_repair_report report;

		expect(whole.why[0] != '\0');
		expect(wal_repair(dir, &report, whole.why) < 0 && digest() == before);
		return 0;
	}
	talk(&whole);
	wal_verify(dir, recipe.limit, &limited, NULL, NULL);
	check_reader(recipe.from, no_limit);
	check_reader(recipe.from, recipe.limit);
	expect(digest() == before);
	check_recover(&whole);
	if (whole.damaged) {
		write_out();
		check_repair(&whole);
	}
	return 0;
}
