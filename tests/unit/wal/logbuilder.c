// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/wal/logbuilder.h"

#include "common/crc32c.h"
#include "tests/lib/remove_tree.h"
#include "wal/reader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES (1u << 20)
#define PAYLOAD 100u

// Not assert(): it must act in every build.
#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s: %m\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static void write_at(int fd, const void *bytes, size_t len, uint64_t offset)
{
	must(pwrite(fd, bytes, len, (off_t)offset) == (ssize_t)len);
}

static int open_in(const struct logbuilder *lb, const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", lb->dir, name);
	fd = open(path, flags | O_CLOEXEC, 0640);
	must(fd >= 0);
	return fd;
}

void lb_init(struct logbuilder *lb)
{
	const char *tmp = getenv("TMPDIR");

	*lb = (struct logbuilder){.generation = 1, .fd = -1, .gap_from = UINT64_MAX};
	snprintf(lb->dir, sizeof(lb->dir), "%s/millrace-log.XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(lb->dir) != NULL);
	must(wal_id_random(&lb->log_id) == 0);
}

void lb_done(struct logbuilder *lb)
{
	if (lb->fd >= 0)
		close(lb->fd);
	must(remove_tree(lb->dir) == 0);
}

void lb_segment(struct logbuilder *lb)
{
	uint8_t page[WAL_SCHEMA_BYTES];
	struct wal_segment_info info = {
		.header = {.log_id = lb->log_id,
			.generation = lb->generation,
			.partition = lb->partition,
			.first_seq = lb->seq,
			.gap_from = lb->gap_from == UINT64_MAX ? lb->seq : lb->gap_from},
		.receiver = "test",
		.listeners = "{}",
		.compression = "none"};

	if (lb->offset > WAL_SCHEMA_BYTES && !lb->sealed)
		lb->batch++;
	info.header.first_batch = lb->batch;
	must(wal_id_random(&info.header.segment_id) == 0);
	must(wal_schema_compose(page, &info) == 0);
	must(wal_schema_parse(page, &lb->header) == 0);

	if (lb->fd >= 0)
		close(lb->fd);
	snprintf(lb->name, sizeof(lb->name), "%020" PRIu64 ".arrows", lb->seq);
	lb->fd = open_in(lb, lb->name, O_RDWR | O_CREAT | O_TRUNC);
	must(ftruncate(lb->fd, LB_SEGMENT) == 0);
	write_at(lb->fd, page, sizeof(page), 0);
	lb->offset = WAL_SCHEMA_BYTES;
	lb->prev_crc = lb->header.crc;
	lb->sealed = true;
	lb->gap_from = UINT64_MAX;
}

static struct wal_block_info info_of(const struct logbuilder *lb, uint64_t offset, uint32_t rows,
	uint32_t flags, uint32_t payload_bytes)
{
	return (struct wal_block_info){.segment_id = lb->header.segment_id,
		.file_offset = offset,
		.generation = lb->generation,
		.partition = lb->partition,
		.first_seq = lb->seq,
		.rows = rows,
		.flags = flags,
		.batch = lb->batch,
		.durable_seq = lb->durable_seq,
		.received_min = rows ? 1000 : 0,
		.received_max = rows ? 1000 + rows : 0,
		.prev_crc = lb->prev_crc,
		.payload_bytes = payload_bytes};
}

static void fill_row(
	const struct logbuilder *lb, uint8_t *block, const struct wal_layout *layout, uint32_t row)
{
	uint64_t seq = lb->seq + row;
	uint64_t at = 1000 + row;

	memcpy(block + layout->at[COL_SEQ] + (size_t)row * 8, &seq, 8);
	memcpy(block + layout->at[COL_RECEIVED_AT] + (size_t)row * 8, &at, 8);
}

static uint32_t compose(const struct logbuilder *lb, uint8_t *block, uint64_t offset, uint32_t rows,
	uint32_t flags, const void *payload, uint32_t payload_len)
{
	struct wal_block_info info = info_of(lb, offset, rows, flags, rows * payload_len);
	struct wal_layout layout;

	if (rows == 0) {
		wal_block_empty(block, &info);
		return WAL_PAGE;
	}
	wal_layout_init(&layout, rows, BLOCK_BYTES);
	must(rows * payload_len <= layout.payload_max);
	for (uint32_t i = 0; i <= rows; i++) {
		uint32_t at = i * payload_len;

		memcpy(block + layout.at[COL_PAYLOAD] + (size_t)i * 4, &at, 4);
		if (i == rows)
			break;
		fill_row(lb, block, &layout, i);
		memcpy(block + layout.payload + at, payload, payload_len);
	}
	wal_block_close(block, &layout, &info);
	return wal_block_len(&layout, info.payload_bytes);
}

uint32_t lb_compose(
	const struct logbuilder *lb, uint8_t *block, uint64_t offset, uint32_t rows, uint32_t flags)
{
	char payload[PAYLOAD];

	memset(payload, 'a' + (int)(lb->seq % 26), sizeof(payload));
	return compose(lb, block, offset, rows, flags, payload, sizeof(payload));
}

static void advance(
	struct logbuilder *lb, const uint8_t *block, uint32_t len, uint32_t rows, uint32_t flags)
{
	memcpy(&lb->prev_crc, block + len - 4, 4);
	lb->last = lb->offset;
	lb->offset += len;
	lb->seq += rows;
	lb->sealed = flags & WAL_FLAG_SEALED;
	lb->batch += lb->sealed;
}

static uint64_t add(struct logbuilder *lb, uint32_t rows, uint32_t flags, const void *payload,
	uint32_t len, bool written)
{
	uint8_t *block = aligned_alloc(WAL_PAGE, BLOCK_BYTES);
	uint32_t block_len;

	must(block != NULL);
	memset(block, 0, BLOCK_BYTES);
	block_len = payload ? compose(lb, block, lb->offset, rows, flags, payload, len)
			    : lb_compose(lb, block, lb->offset, rows, flags);
	must(lb->offset + block_len <= LB_SEGMENT);
	if (written)
		write_at(lb->fd, block, block_len, lb->offset);
	advance(lb, block, block_len, rows, flags);
	free(block);
	return lb->last;
}

uint64_t lb_block(struct logbuilder *lb, uint32_t rows, uint32_t flags)
{
	return add(lb, rows, flags, NULL, 0, true);
}

void lb_skip(struct logbuilder *lb, uint32_t rows)
{
	add(lb, rows, 0, NULL, 0, false);
}

void lb_seal(struct logbuilder *lb)
{
	add(lb, 0, WAL_FLAG_SEALED, NULL, 0, true);
}

// Where the payload of a block of one row begins, and how far it is from there to a page.
static uint64_t payload_at(const struct logbuilder *lb, uint32_t *ret_skip)
{
	struct wal_layout layout;

	wal_layout_init(&layout, 1, BLOCK_BYTES);
	*ret_skip = (WAL_PAGE - layout.payload % WAL_PAGE) % WAL_PAGE;
	return lb->offset + layout.payload;
}

uint64_t lb_payload_at(const struct logbuilder *lb)
{
	uint32_t skip;
	uint64_t at = payload_at(lb, &skip);

	return at + skip;
}

uint64_t lb_block_with(struct logbuilder *lb, const void *payload, uint32_t len)
{
	uint64_t ret = lb_payload_at(lb);
	uint8_t *padded;
	uint32_t skip;

	payload_at(lb, &skip);
	padded = calloc(1, skip + len);
	must(padded != NULL);
	memcpy(padded + skip, payload, len);
	add(lb, 1, 0, padded, skip + len, true);
	free(padded);
	return ret;
}

void lb_eos(struct logbuilder *lb)
{
	uint8_t page[WAL_PAGE];

	wal_eos_compose(page);
	write_at(lb->fd, page, sizeof(page), lb->offset);
	lb->last = lb->offset;
}

void lb_end(struct logbuilder *lb)
{
	uint8_t page[WAL_PAGE];
	struct wal_segment_end end = {.segment_id = lb->header.segment_id,
		.file_offset = lb->offset,
		.generation = lb->generation,
		.partition = lb->partition,
		.end_seq = lb->seq,
		.next_seq = lb->seq,
		.next_batch = lb->batch + !lb->sealed};

	wal_end_compose(page, &end);
	write_at(lb->fd, page, sizeof(page), lb->offset);
	must(ftruncate(lb->fd, (off_t)(lb->offset + WAL_PAGE)) == 0);
}

void lb_flip(const struct logbuilder *lb, const char *name, uint64_t offset)
{
	int fd = open_in(lb, name, O_RDWR);
	uint8_t byte;

	must(pread(fd, &byte, 1, (off_t)offset) == 1);
	byte ^= 0x10;
	write_at(fd, &byte, 1, offset);
	close(fd);
}

static void fill(
	const struct logbuilder *lb, const char *name, uint64_t offset, uint64_t len, bool noise)
{
	int fd = open_in(lb, name, O_RDWR);
	uint8_t *bytes = calloc(1, len);

	must(bytes != NULL);
	for (uint64_t i = 0; noise && i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	write_at(fd, bytes, len, offset);
	free(bytes);
	close(fd);
}

void lb_zero(const struct logbuilder *lb, const char *name, uint64_t offset, uint64_t len)
{
	fill(lb, name, offset, len, false);
}

void lb_noise(const struct logbuilder *lb, const char *name, uint64_t offset, uint64_t len)
{
	fill(lb, name, offset, len, true);
}

void lb_truncate(const struct logbuilder *lb, const char *name, uint64_t size)
{
	int fd = open_in(lb, name, O_RDWR);

	must(ftruncate(fd, (off_t)size) == 0);
	close(fd);
}

void lb_remove(const struct logbuilder *lb, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", lb->dir, name);
	must(unlink(path) == 0);
}

uint64_t lb_size(const struct logbuilder *lb, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", lb->dir, name);
	return stat(path, &st) < 0 ? UINT64_MAX : (uint64_t)st.st_size;
}

static uint8_t *read_file(const struct logbuilder *lb, const char *name, size_t *ret_len)
{
	int fd = open_in(lb, name, O_RDONLY);
	uint8_t *bytes;

	*ret_len = lb_size(lb, name);
	must(*ret_len < UINT64_MAX);
	bytes = malloc(*ret_len + 1);
	must(bytes != NULL);
	must(pread(fd, bytes, *ret_len, 0) == (ssize_t)*ret_len);
	close(fd);
	return bytes;
}

void lb_copy(const struct logbuilder *lb, const char *name, const char *to)
{
	size_t len;
	uint8_t *bytes = read_file(lb, name, &len);
	int fd = open_in(lb, to, O_RDWR | O_CREAT | O_TRUNC);

	write_at(fd, bytes, len, 0);
	free(bytes);
	close(fd);
}

uint64_t lb_digest(const struct logbuilder *lb)
{
	struct wal_segment_file *files;
	uint64_t digest = 0;
	unsigned count;

	must(wal_list_segments(lb->dir, &files, &count) == 0);
	for (unsigned i = 0; i < count; i++) {
		size_t len;
		uint8_t *bytes = read_file(lb, files[i].name, &len);

		digest = digest * 31 + crc32c(bytes, len) + files[i].first_seq + len;
		free(bytes);
	}
	free(files);
	return digest;
}

int lb_setup(void **state)
{
	struct logbuilder *lb = malloc(sizeof(*lb));

	lb_init(lb);
	*state = lb;
	return 0;
}

int lb_teardown(void **state)
{
	lb_done(*state);
	free(*state);
	return 0;
}
