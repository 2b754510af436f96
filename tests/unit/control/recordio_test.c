// SPDX-License-Identifier: BSD-3-Clause
// RecordIO however the stream is cut into pieces, and what is none.

#include "control/mesos/recordio.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char stream[] = "5\nhello0\n1\n\n11\n{\"a\":\"1\n2\"}3\nabc";
static const char *const records[] = {"hello", "", "\n", "{\"a\":\"1\n2\"}", "abc"};
#define RECORDS 5

struct reading {
	struct recordio r;
	unsigned count;
};

// Everything that is there is as it should be.
static void take_all(struct reading *reading)
{
	const char *data;
	size_t len;
	int r;

	while ((r = recordio_next(&reading->r, &data, &len)) > 0) {
		assert_true(reading->count < RECORDS);
		assert_int_equal(len, strlen(records[reading->count]));
		assert_memory_equal(data, records[reading->count], len);
		reading->count++;
	}
	assert_int_equal(r, 0);
}

// A copy of just that size: a read beyond it is seen by the address sanitizer.
static void feed(struct recordio *r, const char *data, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, data, len);
	assert_int_equal(recordio_feed(r, copy, len), 0);
	free(copy);
}

static void test_every_split_in_three(void **state)
{
	size_t size = sizeof(stream) - 1;

	(void)state;
	for (size_t a = 0; a <= size; a++) {
		for (size_t b = a; b <= size; b++) {
			struct reading reading = {0};

			feed(&reading.r, stream, a);
			take_all(&reading);
			feed(&reading.r, stream + a, b - a);
			take_all(&reading);
			feed(&reading.r, stream + b, size - b);
			take_all(&reading);
			assert_int_equal(reading.count, RECORDS);
			recordio_done(&reading.r);
		}
	}
}

static void test_byte_by_byte(void **state)
{
	struct reading reading = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(stream) - 1; i++) {
		feed(&reading.r, stream + i, 1);
		take_all(&reading);
	}
	assert_int_equal(reading.count, RECORDS);
	recordio_done(&reading.r);
}

// Records of all sizes, of bytes that tell their place, in pieces of all sizes.
static void test_random_splits(void **state)
{
	struct recordio r = {0};
	size_t size = 0, at = 0;
	unsigned sent = 0, count = 0;
	char *all = malloc(64u << 20);
	static size_t sizes[2000];

	(void)state;
	assert_non_null(all);
	srandom(20);
	for (; sent < 2000 && size < (60u << 20); sent++) {
		sizes[sent] = (size_t)random() % (sent % 100 == 0 ? 3u << 20 : 20000);
		size += (size_t)snprintf(all + size, 32, "%zu\n", sizes[sent]);
		memset(all + size, (int)(sent % 251), sizes[sent]);
		size += sizes[sent];
	}
	while (at < size) {
		size_t len = (size_t)random() % (random() % 10 == 0 ? 2u << 20 : 5000);
		const char *data;

		len = len < size - at ? len : size - at;
		assert_int_equal(recordio_feed(&r, all + at, len), 0);
		at += len;
		while (recordio_next(&r, &data, &len) > 0) {
			assert_int_equal(len, sizes[count]);
			for (size_t i = 0; i < len; i++)
				if ((unsigned char)data[i] != count % 251)
					fail_msg("record %u is wrong at %zu", count, i);
			count++;
		}
		assert_int_equal(r.error, 0);
	}
	assert_int_equal(count, sent);
	recordio_done(&r);
	free(all);
}

static void test_largest(void **state)
{
	struct recordio r = {0};
	char *record = calloc(1, RECORDIO_RECORD_MAX);
	const char *data;
	size_t len;

	(void)state;
	feed(&r, "16777216\n", 9);
	assert_int_equal(recordio_feed(&r, record, RECORDIO_RECORD_MAX - 1), 0);
	assert_int_equal(recordio_next(&r, &data, &len), 0);
	feed(&r, "x1\ny", 4);
	assert_int_equal(recordio_next(&r, &data, &len), 1);
	assert_int_equal(len, RECORDIO_RECORD_MAX);
	assert_int_equal(data[len - 1], 'x');
	assert_int_equal(recordio_next(&r, &data, &len), 1);
	assert_int_equal(recordio_next(&r, &data, &len), 0);
	feed(&r, "1\nz", 3);
	assert_true(r.size < RECORDIO_RECORD_MAX); // it isn't kept for ever
	assert_int_equal(recordio_next(&r, &data, &len), 1);
	assert_memory_equal(data, "z", 1);
	recordio_done(&r);
	free(record);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {"\n", "x", "1x\n", " 1\na", "-1\na", "1 \na", "+1\na",
		"0x1\na", "16777217\n", "9999999999\n", "12345678901", "00000000001\na", "1\r\na",
		"HTTP/1.1 200", "<html>"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct recordio r = {0};
		const char *data;
		size_t len;

		feed(&r, "2\nok", 4);
		feed(&r, bad[i], strlen(bad[i]));
		assert_int_equal(recordio_next(&r, &data, &len), 1);
		if (recordio_next(&r, &data, &len) != -EBADMSG)
			fail_msg("\"%s\" was taken", bad[i]);
		// And so it stays.
		assert_int_equal(recordio_feed(&r, "1\na", 3), -EBADMSG);
		assert_int_equal(recordio_next(&r, &data, &len), -EBADMSG);
		recordio_done(&r);
		feed(&r, "1\na", 3);
		assert_int_equal(recordio_next(&r, &data, &len), 1);
		recordio_done(&r);
	}
}

// Leading zeros within the ten digits are none of our business.
static void test_digits(void **state)
{
	struct recordio r = {0};
	const char *data;
	size_t len;

	(void)state;
	feed(&r, "0000000001", 10);
	assert_int_equal(recordio_next(&r, &data, &len), 0);
	feed(&r, "\na", 2);
	assert_int_equal(recordio_next(&r, &data, &len), 1);
	assert_int_equal(len, 1);
	recordio_done(&r);
}

// Whatever comes, it is a record, or none, or not yet; never one beyond the bound.
static void test_noise(void **state)
{
	static const char letters[] = "0123456789\n\n\n0ab";

	(void)state;
	srandom(7);
	for (unsigned round = 0; round < 20000; round++) {
		struct recordio r = {0};
		char noise[40];
		size_t len = (size_t)random() % sizeof(noise), given;
		const char *data;

		for (size_t i = 0; i < len; i++)
			noise[i] = letters[(size_t)random() % (sizeof(letters) - 1)];
		feed(&r, noise, len);
		while (recordio_next(&r, &data, &given) > 0)
			assert_true(given < len);
		recordio_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_split_in_three),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_random_splits),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
