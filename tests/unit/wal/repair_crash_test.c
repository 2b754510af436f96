// SPDX-License-Identifier: BSD-3-Clause

// A power cut during a repair, and damage to what a repair has written: the seqs that were lost
// stay lost, and are given to nothing else.

#include "tests/unit/wal/recovery.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define OPS_MAX 16
#define KEPT 10u // rows in front of the damage

enum op_kind { OP_WRITE, OP_FLUSH, OP_SIZE };

struct op {
	enum op_kind kind;
	uint64_t offset; // or the size
	size_t len;
	uint8_t bytes[2 * WAL_PAGE];
};

static struct op ops[OPS_MAX];
static unsigned op_count;
static ino_t target; // 0: nothing is recorded

static struct op *record(int fd, enum op_kind kind)
{
	struct stat st;

	if (target == 0 || fstat(fd, &st) < 0 || st.st_ino != target)
		return NULL;
	assert_in_range(op_count, 0, OPS_MAX - 1);
	ops[op_count] = (struct op){.kind = kind};
	return &ops[op_count++];
}

ssize_t __real_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
	struct op *op = record(fd, OP_WRITE);

	if (op != NULL) {
		assert_in_range(len, 1, sizeof(op->bytes));
		op->offset = (uint64_t)offset;
		op->len = len;
		memcpy(op->bytes, bytes, len);
	}
	return __real_pwrite64(fd, bytes, len, offset);
}

int __wrap_fdatasync(int fd)
{
	record(fd, OP_FLUSH);
	return __real_fdatasync(fd);
}

int __wrap_ftruncate64(int fd, off_t size)
{
	struct op *op = record(fd, OP_SIZE);

	if (op != NULL)
		op->offset = (uint64_t)size;
	return __real_ftruncate64(fd, size);
}

// The damaged segment as it was, and as a crash leaves it.
struct disk {
	char path[256];
	size_t len, size;
	uint8_t *before, *now;
	uint64_t next_seq; // with which the log goes on
};

static void disk_read(struct disk *disk, const struct logbuilder *lb)
{
	int fd;

	snprintf(disk->path, sizeof(disk->path), "%s/%s", lb->dir, lb->name);
	lb_truncate(lb, lb->name, lb->offset + 4 * WAL_PAGE);
	disk->len = lb_size(lb, lb->name);
	disk->before = malloc(disk->len);
	disk->now = malloc(disk->len);
	assert_true(disk->before != NULL && disk->now != NULL);
	fd = open(disk->path, O_RDONLY);
	assert_int_equal(read(fd, disk->before, disk->len), disk->len);
	close(fd);
}

static void disk_free(struct disk *disk)
{
	free(disk->before);
	free(disk->now);
}

static void disk_write(const struct disk *disk)
{
	int fd = open(disk->path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, disk->now, disk->size), disk->size);
	close(fd);
}

static void repair(struct disk *disk, const struct logbuilder *lb)
{
	struct wal_repair_report report;
	struct stat st;
	char why[512];

	assert_int_equal(stat(disk->path, &st), 0);
	op_count = 0;
	target = st.st_ino;
	assert_int_equal(wal_repair(lb->dir, &report, why), 0);
	target = 0;
	assert_true(op_count > 2);
	assert_int_equal(report.lost_from, KEPT);
	disk->next_seq = report.lost_to;
}

// Whatever state the crash left: a start goes on behind what was lost, perhaps after one more
// repair, and never says that nothing is wrong and gives those seqs away again.
static void assert_still_lost(const struct disk *disk, const struct logbuilder *lb)
{
	struct wal_repair_report report;
	struct wal_verify_report verify;
	struct wal_tail tail = {0};
	char why[512];

	disk_write(disk);
	if (wal_recover(lb->dir, 0, &tail, why) < 0) {
		assert_int_equal(wal_repair(lb->dir, &report, why), 0);
		assert_int_equal(report.lost_from, KEPT);
		assert_int_equal(wal_recover(lb->dir, 0, &tail, why), 0);
	}
	assert_int_equal(tail.report.next_seq, disk->next_seq);
	assert_int_equal(tail.gap_from, KEPT);
	assert_int_equal(wal_verify(lb->dir, (struct wal_limit){.segment_first = UINT64_MAX},
				 &verify, NULL, NULL),
		0);
	assert_false(verify.damaged || verify.torn);
	assert_int_equal(verify.rows, KEPT);
}

static bool chosen(unsigned way, unsigned sector, unsigned sectors)
{
	if (way < sectors)
		return sector < way;
	if (way < 2 * sectors)
		return sector >= way - sectors;
	if (way < 3 * sectors)
		return sector == way - 2 * sectors;
	if (way < 4 * sectors)
		return sector != way - 3 * sectors;
	return (way * 2654435761u >> (sector % 16 + 8) & 1) != 0;
}

// The ops before the last completed flush, and of the unflushed ones the sectors chosen.
static void crash_at(struct disk *disk, unsigned at, unsigned way)
{
	unsigned flushed = at;

	memcpy(disk->now, disk->before, disk->len);
	disk->size = disk->len;
	while (flushed > 0 && ops[flushed - 1].kind != OP_FLUSH)
		flushed--;
	for (unsigned i = 0; i < at; i++) {
		const struct op *op = &ops[i];
		unsigned sectors = (unsigned)(op->len / SECTOR);

		if (op->kind == OP_SIZE && (i < flushed || way % 2 == 0))
			disk->size = op->offset;
		for (unsigned s = 0; op->kind == OP_WRITE && s < sectors; s++)
			if (i < flushed || chosen(way, s, sectors))
				memcpy(disk->now + op->offset + (size_t)s * SECTOR,
					op->bytes + (size_t)s * SECTOR, SECTOR);
	}
}

static void crash_everywhere(struct logbuilder *lb)
{
	struct disk disk;

	disk_read(&disk, lb);
	repair(&disk, lb);
	for (unsigned at = 0; at <= op_count; at++) {
		for (unsigned way = 0; way < 64; way++) {
			crash_at(&disk, at, way);
			assert_still_lost(&disk, lb);
		}
	}
	disk_free(&disk);
}

// A damaged block of so many rows, and behind it blocks that know it to be durable.
static void build(struct logbuilder *lb, uint32_t rows, bool missing)
{
	uint64_t bad;

	lb_segment(lb);
	lb_block(lb, KEPT, WAL_FLAG_SEALED);
	bad = lb->offset;
	if (missing)
		lb_skip(lb, rows);
	else
		lb_block(lb, rows, 0);
	lb->durable_seq = lb->seq;
	lb_block(lb, 5, 0);
	if (!missing)
		lb_flip(lb, lb->name, bad + 700);
}

static void a_crash_while_a_long_block_is_cut_off(void **state)
{
	build(*state, 100, false);
	crash_everywhere(*state);
}

// The copy of the end page is written over the block that knows of the damage.
static void a_crash_while_a_block_of_one_page_is_cut_off(void **state)
{
	build(*state, 3, false);
	crash_everywhere(*state);
}

static void a_crash_while_a_missing_block_is_mended(void **state)
{
	build(*state, 3, true);
	crash_everywhere(*state);
}

// Nothing else in the log says which seqs were lost, until it goes on.
static void damage_to_the_end_page_of_a_repair_forgets_no_gap(void **state)
{
	struct logbuilder *lb = *state;
	struct disk disk;
	uint64_t end;

	build(lb, 100, false);
	disk_read(&disk, lb);
	repair(&disk, lb);
	crash_at(&disk, op_count, 0);
	end = disk.size - 2 * WAL_PAGE;
	for (unsigned at = 0; at < 2 * WAL_PAGE; at += at % WAL_PAGE < WAL_PAGE - 128 ? 61 : 1) {
		disk.now[end + at] ^= 0x10;
		assert_still_lost(&disk, lb);
		disk.now[end + at] ^= 0x10;
	}
	for (unsigned at = 0; at < 2 * WAL_PAGE; at += SECTOR) {
		memset(disk.now + end + at, 0, SECTOR);
		assert_still_lost(&disk, lb);
		crash_at(&disk, op_count, 0);
	}
	disk_free(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_crash_while_a_long_block_is_cut_off),
		TEST(a_crash_while_a_block_of_one_page_is_cut_off),
		TEST(a_crash_while_a_missing_block_is_mended),
		TEST(damage_to_the_end_page_of_a_repair_forgets_no_gap),
	};

	if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
