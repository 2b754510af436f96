// SPDX-License-Identifier: BSD-3-Clause
#include "wal/cursor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD \
	"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":\"17\",\"seq\":\"5012\"," \
	"\"crc\":\"89abcdef\"}"

struct fixture {
	char dir[64], path[100];
	struct wal_cursor cursor;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/millrace-cursor-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/cursor.kafka-1.json", f->dir);
	f->cursor = (struct wal_cursor){.batch = 17, .seq = 5012, .crc = 0x89abcdef};
	for (unsigned i = 0; i < 15; i++)
		f->cursor.log_id.bytes[i] = (uint8_t)i;
	f->cursor.log_id.bytes[15] = 0xff;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0); // nothing else was left behind
	free(f);
	return 0;
}

static void assert_same(const struct wal_cursor *a, const struct wal_cursor *b)
{
	assert_true(wal_id_equal(&a->log_id, &b->log_id));
	assert_int_equal(a->batch, b->batch);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->crc, b->crc);
}

static void the_text_is_as_promised_and_read_back(void **state)
{
	struct fixture *f = *state;
	char text[WAL_CURSOR_TEXT_BYTES];
	struct wal_cursor cursor = {0};

	wal_cursor_text(&f->cursor, text);
	assert_string_equal(text, GOOD);
	assert_int_equal(wal_cursor_parse(text, strlen(text), &cursor), 0);
	assert_same(&cursor, &f->cursor);

	f->cursor.batch = f->cursor.seq = UINT64_MAX;
	f->cursor.crc = 1;
	wal_cursor_text(&f->cursor, text);
	assert_true(strlen(text) < WAL_CURSOR_TEXT_BYTES - 1);
	assert_int_equal(wal_cursor_parse(text, strlen(text), &cursor), 0);
	assert_same(&cursor, &f->cursor);
}

static void other_texts_are_no_cursor(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"17",
		GOOD "x",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":\"17\","
		"\"seq\":\"5012\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0e\",\"batch\":\"17\","
		"\"seq\":\"5012\",\"crc\":\"89abcdef\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eXf\",\"batch\":\"17\","
		"\"seq\":\"5012\",\"crc\":\"89abcdef\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":17,"
		"\"seq\":\"5012\",\"crc\":\"89abcdef\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":\"-1\","
		"\"seq\":\"5012\",\"crc\":\"89abcdef\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":\"17 \","
		"\"seq\":\"5012\",\"crc\":\"89abcdef\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":\"17\","
		"\"seq\":\"18446744073709551616\",\"crc\":\"89abcdef\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":\"17\","
		"\"seq\":\"5012\",\"crc\":\"89abcde\"}",
		"{\"log_id\":\"000102030405060708090a0b0c0d0eff\",\"batch\":\"17\","
		"\"seq\":\"5012\",\"crc\":\"89abcdef\",\"more\":1}",
	};
	struct wal_cursor cursor;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(wal_cursor_parse(bad[i], strlen(bad[i]), &cursor), -EBADMSG);
	// Only what the length says is looked at.
	assert_int_equal(wal_cursor_parse(GOOD "x", strlen(GOOD), &cursor), 0);
	assert_int_equal(wal_cursor_parse(GOOD, strlen(GOOD) - 1, &cursor), -EBADMSG);
}

static void what_was_saved_is_loaded_until_it_is_removed(void **state)
{
	struct fixture *f = *state;
	struct wal_cursor cursor = {0};

	assert_int_equal(wal_cursor_load(f->dir, "kafka-1", &cursor), -ENOENT);
	assert_int_equal(wal_cursor_save(f->dir, "kafka-1", &f->cursor), 0);
	assert_int_equal(access(f->path, R_OK), 0);
	f->cursor.batch++;
	assert_int_equal(wal_cursor_save(f->dir, "kafka-1", &f->cursor), 0);
	assert_int_equal(wal_cursor_load(f->dir, "kafka-1", &cursor), 0);
	assert_same(&cursor, &f->cursor);
	assert_int_equal(wal_cursor_load(f->dir, "kafka", &cursor), -ENOENT);
	assert_int_equal(wal_cursor_remove(f->dir, "kafka-1"), 0);
	assert_int_equal(wal_cursor_load(f->dir, "kafka-1", &cursor), -ENOENT);
	assert_int_equal(wal_cursor_remove(f->dir, "kafka-1"), 0);
}

static void a_name_does_not_lead_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct wal_cursor cursor;
	char name[300];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(wal_cursor_save(f->dir, "x/../../y", &f->cursor), -EINVAL);
	assert_int_equal(wal_cursor_save(f->dir, "", &f->cursor), -EINVAL);
	assert_int_equal(wal_cursor_save(f->dir, name, &f->cursor), -ENAMETOOLONG);
	assert_int_equal(wal_cursor_load(f->dir, "../x", &cursor), -EINVAL);
	assert_int_equal(wal_cursor_remove(f->dir, "../x"), -EINVAL);
}

static size_t get(const struct fixture *f, char *ret, size_t room)
{
	FILE *file = fopen(f->path, "rb");
	size_t len;

	assert_non_null(file);
	len = fread(ret, 1, room, file);
	fclose(file);
	return len;
}

static void put(const struct fixture *f, const char *text, size_t len)
{
	FILE *file = fopen(f->path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
}

// Whatever bit falls over, wherever the file ends: the same cursor (where it only was white space)
// or none.
static void a_damaged_file_is_never_taken_for_a_cursor(void **state)
{
	struct fixture *f = *state;
	char text[1024], broken[1024], many[8192];
	struct wal_cursor cursor;
	size_t len;

	assert_int_equal(wal_cursor_save(f->dir, "kafka-1", &f->cursor), 0);
	len = get(f, text, sizeof(text));
	for (size_t i = 0; i < 8 * len; i++) {
		int r;

		memcpy(broken, text, len);
		broken[i / 8] ^= (char)(1 << i % 8);
		put(f, broken, len);
		r = wal_cursor_load(f->dir, "kafka-1", &cursor);
		assert_true(r == 0 || r == -EBADMSG);
		if (r == 0)
			assert_same(&cursor, &f->cursor);
	}
	for (size_t cut = 0; cut < len - 1; cut++) {
		put(f, text, cut);
		assert_int_equal(wal_cursor_load(f->dir, "kafka-1", &cursor), -EBADMSG);
	}
	memset(many, ' ', sizeof(many));
	put(f, many, sizeof(many));
	assert_int_equal(wal_cursor_load(f->dir, "kafka-1", &cursor), -EBADMSG);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_text_is_as_promised_and_read_back),
		T(other_texts_are_no_cursor),
		T(what_was_saved_is_loaded_until_it_is_removed),
		T(a_name_does_not_lead_elsewhere),
		T(a_damaged_file_is_never_taken_for_a_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
