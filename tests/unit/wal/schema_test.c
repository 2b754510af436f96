// SPDX-License-Identifier: BSD-3-Clause
#include "sample.h"
#include "wal/format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t *page; // on the heap: a sanitizer sees a byte too many

static int setup(void **)
{
	page = malloc(WAL_SCHEMA_BYTES);
	memset(page, 0xa5, WAL_SCHEMA_BYTES);
	return page ? 0 : -1;
}

static int teardown(void **)
{
	free(page);
	return 0;
}

static void what_was_composed_is_parsed(void **)
{
	struct wal_segment_info info = sample_segment();
	struct wal_segment_header h;

	info.header.gap_from = 900;
	assert_int_equal(wal_schema_compose(page, &info), 0);
	assert_int_equal(wal_schema_parse(page, &h), 0);
	assert_int_equal(h.version, WAL_FORMAT_VERSION);
	assert_int_equal(h.schema_len, WAL_SCHEMA_BYTES);
	assert_true(wal_id_equal(&h.log_id, &info.header.log_id));
	assert_true(wal_id_equal(&h.segment_id, &info.header.segment_id));
	assert_int_equal(h.generation, 3);
	assert_int_equal(h.partition, 2);
	assert_int_equal(h.first_seq, SAMPLE_FIRST_SEQ);
	assert_int_equal(h.first_batch, 7);
	assert_int_equal(h.gap_from, 900);
}

static void what_it_says_for_people_is_found(void **)
{
	struct wal_segment_info info = sample_segment();
	char listeners[3000];

	memset(listeners, 'l', sizeof(listeners) - 1);
	listeners[sizeof(listeners) - 1] = '\0';
	assert_int_equal(wal_schema_compose(page, &info), 0);
	assert_string_equal(wal_schema_value(page, "listeners"), info.listeners);
	assert_string_equal(wal_schema_value(page, "receiver"), "slave-1");
	assert_string_equal(wal_schema_value(page, "first_seq"), "1000");
	assert_string_equal(wal_schema_value(page, "compression"), "none");
	assert_null(wal_schema_value(page, "listener"));
	assert_null(wal_schema_value(page, ""));
	info.listeners = listeners;
	assert_int_equal(wal_schema_compose(page, &info), 0);
	assert_string_equal(wal_schema_value(page, "listeners"), listeners);
	memset(page, 0, WAL_SCHEMA_BYTES);
	assert_null(wal_schema_value(page, "listeners"));
	memset(page, 0xff, WAL_SCHEMA_BYTES);
	assert_null(wal_schema_value(page, "listeners"));
}

// Whatever the page holds: nothing outside of it is read, which the sanitizers see.
static void a_page_of_anything_is_read_within_its_bounds(void **)
{
	struct wal_segment_info info = sample_segment();
	uint64_t x = 1;

	for (unsigned i = 0; i < 200000; i++) {
		const char *value;

		if (i % 8 == 0)
			assert_int_equal(wal_schema_compose(page, &info), 0);
		x = x * 6364136223846793005 + 1442695040888963407;
		page[(x >> 33) % 1700] = (uint8_t)(x >> 17 & 1 ? x >> 50 : 0xff);
		value = wal_schema_value(page, "listeners");
		if (value != NULL)
			assert_true(
				value >= (char *)page &&
				strlen(value) < (size_t)((char *)page + WAL_SCHEMA_BYTES - value));
	}
}

static void any_byte_flipped_is_refused(void **)
{
	struct wal_segment_info info = sample_segment();
	struct wal_segment_header h;

	assert_int_equal(wal_schema_compose(page, &info), 0);
	for (uint32_t i = 0; i < WAL_SCHEMA_BYTES; i++) {
		for (unsigned bit = 0; bit < 8; bit += 7) {
			page[i] ^= 1u << bit;
			assert_int_equal(wal_schema_parse(page, &h), -EBADMSG);
			page[i] ^= 1u << bit;
		}
	}
	assert_int_equal(wal_schema_parse(page, &h), 0);
}

static void texts_that_do_not_fit_are_refused_before_the_header(void **)
{
	struct wal_segment_info info = sample_segment();
	struct wal_segment_header h;
	char *text = calloc(1, 20001);
	int rc = 0;
	unsigned fit;

	info.listeners = text;
	for (fit = 0; rc == 0 && fit < 20000; fit++) {
		text[fit] = 'x';
		rc = wal_schema_compose(page, &info);
		if (rc == 0) {
			assert_int_equal(wal_schema_parse(page, &h), 0);
			assert_non_null(memmem(page, WAL_SCHEMA_BYTES - sizeof(h), "none", 5));
		}
	}
	assert_in_range(fit, 6500, 8064);
	for (; fit < 20000; fit += 100) {
		memset(text, 'x', fit);
		assert_int_equal(wal_schema_compose(page, &info), -E2BIG);
	}
	free(text);
}

static void no_segment_is_told_from_a_damaged_one(void **)
{
	struct wal_segment_info info = sample_segment();
	struct wal_segment_header h;

	assert_int_equal(wal_schema_parse(page, &h), -ENODATA); // noise
	memset(page, 0, WAL_SCHEMA_BYTES);
	assert_int_equal(wal_schema_parse(page, &h), -ENODATA);
	assert_int_equal(wal_schema_compose(page, &info), 0);
	memset(page + WAL_PAGE, 0, WAL_PAGE); // the second page never came to the disk
	assert_int_equal(wal_schema_parse(page, &h), -EBADMSG);
}

static void a_newer_version_is_named_whatever_its_checksum(void **)
{
	struct wal_segment_info info = sample_segment();
	struct wal_segment_header h;

	assert_int_equal(wal_schema_compose(page, &info), 0);
	memcpy(&h, page + WAL_SCHEMA_BYTES - sizeof(h), sizeof(h));
	h.version = WAL_FORMAT_VERSION + 1;
	h.crc ^= 1; // one that this version would not compute
	memcpy(page + WAL_SCHEMA_BYTES - sizeof(h), &h, sizeof(h));
	assert_int_equal(wal_schema_parse(page, &h), -EPROTONOSUPPORT);
	assert_int_equal(h.version, WAL_FORMAT_VERSION + 1);
	sample_fix_crc(page, WAL_SCHEMA_BYTES);
	assert_int_equal(wal_schema_parse(page, &h), -EPROTONOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_composed_is_parsed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_says_for_people_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_page_of_anything_is_read_within_its_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(any_byte_flipped_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			texts_that_do_not_fit_are_refused_before_the_header, setup, teardown),
		cmocka_unit_test_setup_teardown(
			no_segment_is_told_from_a_damaged_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_newer_version_is_named_whatever_its_checksum, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
