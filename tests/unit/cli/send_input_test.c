// SPDX-License-Identifier: BSD-3-Clause
// What `millrace send --reliable` reads: lines, and keys.

#include "cli/send/key.h"
#include "cli/send/lines.h"
#include "cli/send/send.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MOST 10u

static void expect_line(struct line_reader *l, const char *text)
{
	const uint8_t *line;
	uint32_t len;

	assert_int_equal(line_reader_next(l, &line, &len), 1);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(line, text, len);
}

static void write_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void lines_come_without_newlines_however_they_are_cut(void **state)
{
	struct line_reader l;
	const uint8_t *line;
	uint32_t len;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(line_reader_init(&l, ends[0], MOST), 0);
	write_text(ends[1], "one\n\nthree\nfo");
	expect_line(&l, "one");
	expect_line(&l, "");
	expect_line(&l, "three");
	assert_int_equal(line_reader_next(&l, &line, &len), -EAGAIN);
	write_text(ends[1], "ur\n1234567890\n");
	expect_line(&l, "four");
	expect_line(&l, "1234567890");
	write_text(ends[1], "last");
	close(ends[1]);
	expect_line(&l, "last");
	assert_int_equal(line_reader_next(&l, &line, &len), 0);
	assert_int_equal(line_reader_next(&l, &line, &len), 0);
	line_reader_free(&l);
	close(ends[0]);
}

static void a_line_that_is_too_long_is_told_once_and_skipped(void **state)
{
	static const char *const endings[] = {"\n", ""};
	const uint8_t *line;
	uint32_t len;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct line_reader l;
		int ends[2];

		assert_int_equal(pipe(ends), 0);
		assert_int_equal(line_reader_init(&l, ends[0], MOST), 0);
		write_text(ends[1], "a\n12345678901234567890123456789012345\nb\n12345678901");
		write_text(ends[1], endings[i]);
		close(ends[1]);
		expect_line(&l, "a");
		assert_int_equal(line_reader_next(&l, &line, &len), -EMSGSIZE);
		expect_line(&l, "b");
		assert_int_equal(line_reader_next(&l, &line, &len), -EMSGSIZE);
		assert_int_equal(line_reader_next(&l, &line, &len), 0);
		line_reader_free(&l);
		close(ends[0]);
	}
}

static int read_key(const char *id, const char *content, size_t len, uint16_t *ret_id, uint8_t *key)
{
	char path[] = "/tmp/millrace-key-XXXXXX", text[64], why[SEND_WHY_BYTES];
	int fd = mkstemp(path), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	snprintf(text, sizeof(text), "%s:%s", id, path);
	err = send_key_read(text, ret_id, key, why);
	close(fd);
	unlink(path);
	return err;
}

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eFf"

static void a_key_is_32_bytes_or_64_digits(void **state)
{
	static const char raw[] = "0123456789abcdef0123456789abcdef";
	uint8_t key[SEND_KEY_BYTES];
	char why[SEND_WHY_BYTES];
	uint16_t id;

	(void)state;
	assert_int_equal(read_key("1", raw, 32, &id, key), 0);
	assert_int_equal(id, 1);
	assert_memory_equal(key, raw, 32);
	assert_int_equal(read_key("65535", HEX " \r\n", 67, &id, key), 0);
	assert_int_equal(id, 65535);
	for (uint8_t i = 0; i < 31; i++)
		assert_int_equal(key[i], i);
	assert_int_equal(key[31], 0xff);
	assert_int_equal(read_key("0", raw, 32, &id, key), -EINVAL);
	assert_int_equal(read_key("65536", raw, 32, &id, key), -EINVAL);
	assert_int_equal(read_key("x", raw, 32, &id, key), -EINVAL);
	assert_int_equal(read_key("1", raw, 31, &id, key), -EINVAL);
	assert_int_equal(read_key("1", HEX, 63, &id, key), -EINVAL);
	assert_int_equal(read_key("1", "g" HEX, 64, &id, key), -EINVAL);
	assert_int_equal(send_key_read("1:/no/such/file", &id, key, why), -ENOENT);
	assert_non_null(strstr(why, "/no/such/file"));
	assert_int_equal(send_key_read("1", &id, key, why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_without_newlines_however_they_are_cut),
		cmocka_unit_test(a_line_that_is_too_long_is_told_once_and_skipped),
		cmocka_unit_test(a_key_is_32_bytes_or_64_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
