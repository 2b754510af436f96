// SPDX-License-Identifier: BSD-3-Clause

// A log that compresses, from its writer to its reader.

#include "common/clock.h"
#include "log_fixture.h"
#include "sample.h"
#include "wal/internal.h"
#include "wal/reader.h"
#include "wal/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 150u
#define PAYLOAD 600u

static const struct wal_limit no_limit = {.segment_first = UINT64_MAX};

static int setup(void **state)
{
	struct log_fixture *f = malloc(sizeof(*f));

	log_fixture_init(f);
	f->options.log.compression = COMPRESSION_LZ4;
	f->options.log.compressed_partitions = CONFIG_ALL_PARTITIONS;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	log_fixture_done(*state);
	free(*state);
	return 0;
}

static void open_log(struct log_fixture *f, bool fake)
{
	log_fixture_open(f, fake);
	assert_int_equal(wal_attach(f->wal), 0);
}

// Byte i of an event: text that repeats, or noise.
static uint8_t byte_of(uint64_t seq, uint32_t i, bool text)
{
	uint64_t x = (seq * PAYLOAD + i) * 0x9e3779b97f4a7c15;

	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9;
	return text ? (uint8_t)("log keeps what the receiver took; "[(i + seq % 7) % 34])
		    : (uint8_t)(x >> 32);
}

static struct wal_block *get_block(struct log_fixture *f)
{
	struct wal_block *b = NULL;

	for (int i = 0; i < 5000 && !b; i++) {
		wal_poll(f->wal);
		b = wal_block_get(f->wal);
		if (!b)
			usleep(1000);
	}
	assert_non_null(b);
	return b;
}

static void submit(struct log_fixture *f, bool text)
{
	struct wal_block *b = get_block(f);
	struct wal_fill fill = {.rows = ROWS,
		.payload_bytes = ROWS * PAYLOAD,
		.received_min = 5,
		.received_max = 6,
		.opened_at = clock_ticks()};
	uint64_t first = wal_next_seq(f->wal);

	wal_layout_init(&fill.layout, ROWS, b->size);
	sample_fill(b->mem, &fill.layout, first, ROWS);
	for (uint32_t i = 0; i <= ROWS; i++)
		memcpy(b->mem + fill.layout.at[COL_PAYLOAD] + 4 * (size_t)i,
			&(uint32_t){i * PAYLOAD}, 4);
	for (uint32_t i = 0; i < fill.payload_bytes; i++)
		b->mem[fill.layout.payload + i] = byte_of(first + i / PAYLOAD, i % PAYLOAD, text);
	assert_int_equal(wal_submit(f->wal, b, &fill), 0);
}

static uint64_t counted(const struct log_fixture *f, enum wal_counter counter)
{
	return f->wal->counters[counter];
}

static void close_log(struct log_fixture *f)
{
	assert_int_equal(wal_detach(f->wal), 0);
	wal_close(f->wal);
	f->wal = NULL;
}

// Reads the log: 'rows' of them, each as submitted. Returns the last block's offset.
static uint64_t assert_holds(struct log_fixture *f, uint64_t rows, bool text)
{
	struct wal_reader *reader;
	struct wal_block_view view;
	struct wal_row row;
	uint64_t seq = 0, offset = 0;

	assert_int_equal(wal_reader_open(&reader, f->dir, 0, no_limit), 0);
	while (wal_reader_next(reader, &view) == 1) {
		offset = wal_reader_offset(reader);
		for (uint32_t i = 0; i < view.trailer->rows; i++, seq++) {
			wal_row_get(&view, i, &row);
			assert_int_equal(row.seq, seq);
			assert_int_equal(row.src_port, 1024 + seq % 1000);
			assert_int_equal(row.source_seq, seq + 5);
			assert_int_equal(row.src_addr[15], (uint8_t)seq);
			assert_int_equal(row.payload_len, PAYLOAD);
			for (uint32_t b = 0; b < PAYLOAD; b++)
				assert_int_equal(row.payload[b], byte_of(seq, b, text));
		}
	}
	assert_string_equal(wal_reader_why(reader), "");
	wal_reader_close(reader);
	assert_int_equal(seq, rows);
	return offset;
}

static struct wal_verify_report verified(const struct log_fixture *f)
{
	struct wal_verify_report report;

	assert_int_equal(wal_verify(f->dir, no_limit, &report, NULL, NULL), 0);
	return report;
}

static void text_takes_less_and_is_read_back(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, false);
	for (int i = 0; i < 40; i++)
		submit(f, true);
	assert_int_equal(counted(f, WAL_compressed_blocks), 40);
	assert_int_equal(counted(f, WAL_compression_tries), 40);
	assert_true(counted(f, WAL_compressed_from_bytes) > 40 * ROWS * PAYLOAD);
	assert_true(counted(f, WAL_compressed_to_bytes) < 10 * ROWS * PAYLOAD);
	assert_int_equal(counted(f, WAL_written_bytes),
		counted(f, WAL_compressed_to_bytes) + WAL_SCHEMA_BYTES);
	close_log(f);
	assert_holds(f, 40 * ROWS, true);
	assert_false(verified(f).damaged);
}

static void noise_is_written_as_it_lies_and_hardly_tried(void **state)
{
	struct log_fixture *f = *state;

	open_log(f, false);
	for (int i = 0; i < 100; i++)
		submit(f, false);
	assert_int_equal(counted(f, WAL_compressed_blocks), 0);
	assert_int_equal(counted(f, WAL_compression_tries), 4 + 96 / 16);
	close_log(f);
	assert_holds(f, 100 * ROWS, false);
}

static void a_partition_that_is_not_named_does_not_compress(void **state)
{
	struct log_fixture *f = *state;

	f->options.log.compressed_partitions = 1u << 3 | 1u << 5;
	open_log(f, false);
	submit(f, true);
	assert_int_equal(counted(f, WAL_compression_tries), 0);
	close_log(f);
	assert_holds(f, ROWS, true);
	assert_true(wal_compresses(&f->options.log, 5));
	assert_false(wal_compresses(&f->options.log, 4));
}

static void as_many_blocks_are_in_flight_as_without_compression(void **state)
{
	struct log_fixture *f = *state;
	uint8_t *mem;

	open_log(f, true);
	mem = get_block(f)->mem;
	f->wal->free_block_count++;
	for (unsigned i = 0; i < f->options.log.queue_depth + 1; i++) {
		submit(f, true);
		assert_ptr_not_equal(wal_entry(f->wal, f->wal->tail - 1)->buf, mem);
	}
	assert_null(wal_block_get(f->wal));
	wal_fail(f->wal, -EIO); // or closing waits for the fake disk
}

static char *segment_path(const struct log_fixture *f, char path[200])
{
	snprintf(path, 200, "%s/00000000000000000000.arrows", f->dir);
	return path;
}

static uint8_t *load(const char *path, size_t *ret_len)
{
	uint8_t *bytes = malloc(FIXTURE_SEGMENT);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, FIXTURE_SEGMENT);

	close(fd);
	assert_true(n > 0);
	*ret_len = (size_t)n;
	return bytes;
}

static void save(const char *path, const uint8_t *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

// Three compressed blocks and the signed end; the last block begins at *ret_last.
static uint8_t *three_blocks(struct log_fixture *f, uint64_t *ret_last, size_t *ret_len)
{
	char path[200];

	open_log(f, false);
	for (int i = 0; i < 3; i++)
		submit(f, true);
	close_log(f);
	*ret_last = assert_holds(f, 3 * ROWS, true);
	return load(segment_path(f, path), ret_len);
}

static void a_torn_compressed_block_is_cut_wherever_it_tore(void **state)
{
	struct log_fixture *f = *state;
	uint8_t *whole, *torn;
	uint64_t last;
	char path[200];
	size_t len;

	whole = three_blocks(f, &last, &len);
	torn = malloc(len);
	for (size_t at = last; at < len - WAL_PAGE; at += 512) {
		memcpy(torn, whole, at);
		memset(torn + at, 0, len - at);
		save(segment_path(f, path), torn, len);
		log_fixture_open(f, false);
		assert_int_equal(f->report.next_seq, 2 * ROWS);
		assert_int_equal(f->report.cut_bytes > 0, at > last);
		wal_close(f->wal);
		f->wal = NULL;
		assert_holds(f, 2 * ROWS, true);
	}
	free(torn);
	free(whole);
}

static void a_changed_compressed_block_before_a_signed_end_is_damage(void **state)
{
	struct log_fixture *f = *state;
	uint8_t *bytes;
	uint64_t last;
	char path[200];
	size_t len;

	bytes = three_blocks(f, &last, &len);
	bytes[last + 2000] ^= 1;
	save(segment_path(f, path), bytes, len);
	assert_int_equal(wal_open(&f->wal, &f->options, &f->report, f->why), -EBADMSG);
	f->wal = NULL;
	assert_non_null(strstr(f->why, "CRC differs"));
	free(bytes);
}

// The CRC fits, so whoever wrote it got it wrong: recovery does not see that, verification does.
static void a_block_that_does_not_unpack_is_found_by_verification_and_reader(void **state)
{
	struct log_fixture *f = *state;
	struct wal_verify_report report;
	struct wal_reader *reader;
	struct wal_block_view view;
	uint8_t *bytes;
	uint64_t last;
	char path[200];
	size_t len;

	bytes = three_blocks(f, &last, &len);
	memset(bytes + last + WAL_BLOCK_HEADER_BYTES + 30, 0xff, 64);
	sample_fix_crc(bytes + last, (uint32_t)(len - WAL_PAGE - last));
	save(segment_path(f, path), bytes, len);
	report = verified(f);
	assert_true(report.damaged);
	assert_int_equal(report.offset, last);
	assert_non_null(strstr(report.why, "no LZ4 frame"));

	assert_int_equal(wal_reader_open(&reader, f->dir, 2 * ROWS, no_limit), 0);
	assert_int_equal(wal_reader_next(reader, &view), -EBADMSG);
	assert_non_null(strstr(wal_reader_why(reader), "no LZ4 frame"));
	wal_reader_close(reader);

	// Nor is it a torn tail where no end proves it durable: a start does not cut it.
	save(segment_path(f, path), bytes, len - WAL_PAGE);
	report = verified(f);
	assert_true(report.damaged);
	assert_non_null(strstr(report.why, "no crash tore it"));
	free(bytes);
}

static void a_log_of_version_1_goes_on_in_version_2(void **state)
{
	struct log_fixture *f = *state;
	char command[300];

	snprintf(command, sizeof(command), "mkdir -p %s && cp %s/v1/0/*.arrows %s/", f->dir,
		GOLDEN_DIR, f->dir);
	assert_int_equal(system(command), 0);
	open_log(f, false);
	assert_int_equal(f->report.next_seq, 5);
	submit(f, true);
	assert_int_equal(counted(f, WAL_compressed_blocks), 1);
	close_log(f);
	assert_int_equal(verified(f).next_seq, 5 + ROWS);
	assert_false(verified(f).damaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(text_takes_less_and_is_read_back),
		T(noise_is_written_as_it_lies_and_hardly_tried),
		T(a_partition_that_is_not_named_does_not_compress),
		T(as_many_blocks_are_in_flight_as_without_compression),
		T(a_torn_compressed_block_is_cut_wherever_it_tore),
		T(a_changed_compressed_block_before_a_signed_end_is_damage),
		T(a_block_that_does_not_unpack_is_found_by_verification_and_reader),
		T(a_log_of_version_1_goes_on_in_version_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
