// SPDX-License-Identifier: BSD-3-Clause
#include "wal/scrub_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[64], path[100];
	struct scrub_place place;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/millrace-place-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, SCRUB_PLACE_NAME);
	f->place = (struct scrub_place){
		.round_began = 1750000000123456789,
		.segment_first = UINT64_MAX - 5,
		.from = {.offset = 12288,
			.next_seq = 77,
			.batch = 5,
			.prev_crc = 0xfedcba98,
			.sealed = true},
		.damage_count = SCRUB_DAMAGE_MAX,
	};
	wal_id_random(&f->place.log_id);
	wal_id_random(&f->place.from.segment_id);
	for (unsigned i = 0; i < SCRUB_DAMAGE_MAX; i++) {
		struct scrub_damage *damage = &f->place.damage[i];

		*damage = (struct scrub_damage){.segment_first = 100 + i,
			.from = f->place.from,
			.offset = 4096 * i,
			.seq = 1ull << 63,
			.can_mend = i % 2,
			.found_at = 42};
		snprintf(damage->file, sizeof(damage->file), "%020u.arrows", 100 + i);
		snprintf(damage->what, sizeof(damage->what), "\"it\" doesn't fit\n%u", i);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void put(const struct fixture *f, const char *text, size_t len)
{
	FILE *file = fopen(f->path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
}

static size_t get(const struct fixture *f, char *ret, size_t room)
{
	FILE *file = fopen(f->path, "rb");
	size_t len;

	assert_non_null(file);
	len = fread(ret, 1, room - 1, file);
	ret[len] = '\0';
	fclose(file);
	return len;
}

static int load(const struct fixture *f, struct scrub_place *ret)
{
	memset(ret, 0xa5, sizeof(*ret));
	return scrub_place_load(f->dir, &f->place.log_id, ret);
}

static void assert_anew(const struct fixture *f, int error)
{
	struct scrub_place place;

	assert_int_equal(load(f, &place), error);
	assert_true(wal_id_equal(&place.log_id, &f->place.log_id));
	assert_int_equal(place.round_began, 0);
	assert_int_equal(place.damage_count, 0);
	assert_int_equal(place.from.offset, 0);
}

static void what_was_saved_is_loaded(void **state)
{
	struct fixture *f = *state;
	struct scrub_place place;

	assert_int_equal(scrub_place_save(f->dir, &f->place), 0);
	assert_int_equal(load(f, &place), 0);
	assert_int_equal(place.round_began, f->place.round_began);
	assert_int_equal(place.round_ended, f->place.round_ended);
	assert_int_equal(place.segment_first, f->place.segment_first);
	assert_int_equal(place.from.prev_crc, f->place.from.prev_crc);
	assert_true(place.from.sealed);
	assert_true(wal_id_equal(&place.from.segment_id, &f->place.from.segment_id));
	assert_int_equal(place.damage_count, SCRUB_DAMAGE_MAX);
	for (unsigned i = 0; i < SCRUB_DAMAGE_MAX; i++) {
		assert_int_equal(place.damage[i].segment_first, 100 + i);
		assert_int_equal(place.damage[i].seq, 1ull << 63);
		assert_int_equal(place.damage[i].can_mend, i % 2);
		assert_string_equal(place.damage[i].what, f->place.damage[i].what);
		assert_string_equal(place.damage[i].file, f->place.damage[i].file);
	}
}

static void the_newer_place_takes_the_older_ones(void **state)
{
	struct fixture *f = *state;
	struct scrub_place place;

	assert_int_equal(scrub_place_save(f->dir, &f->place), 0);
	f->place.segment_first = 3;
	f->place.damage_count = 0;
	assert_int_equal(scrub_place_save(f->dir, &f->place), 0);
	assert_int_equal(load(f, &place), 0);
	assert_int_equal(place.segment_first, 3);
	assert_int_equal(place.damage_count, 0);
}

static void no_file_is_a_place_that_has_seen_nothing(void **state)
{
	assert_anew(*state, -ENOENT);
}

static void another_logs_place_is_not_taken(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(scrub_place_save(f->dir, &f->place), 0);
	f->place.log_id.bytes[15] ^= 1;
	assert_anew(f, -ESTALE);
}

static void another_versions_place_is_not_taken(void **state)
{
	struct fixture *f = *state;
	static const char newer[] = "{\"schema\":\"millrace.scrub-place/2\",\"x\":[]}";

	put(f, newer, sizeof(newer) - 1);
	assert_anew(f, -EPROTONOSUPPORT);
}

// Whatever bit falls over: the same place is read, where it only was white space, or none.
static void a_flipped_bit_is_never_taken_for_a_place(void **state)
{
	struct fixture *f = *state;
	char text[32768], broken[32768];
	struct scrub_place place;
	size_t len;

	f->place.damage_count = 2;
	assert_int_equal(scrub_place_save(f->dir, &f->place), 0);
	len = get(f, text, sizeof(text));
	for (size_t i = 0; i < len; i++) {
		int r;

		memcpy(broken, text, len);
		broken[i] ^= (char)(1 << i % 7);
		put(f, broken, len);
		r = load(f, &place);
		assert_true(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
		if (r == 0)
			assert_int_equal(place.damage[1].seq, f->place.damage[1].seq);
		if (r == 0)
			assert_int_equal(place.segment_first, f->place.segment_first);
	}
}

static void a_file_cut_short_is_never_taken_for_a_place(void **state)
{
	struct fixture *f = *state;
	char text[32768];
	size_t len;

	assert_int_equal(scrub_place_save(f->dir, &f->place), 0);
	len = get(f, text, sizeof(text));
	for (size_t cut = 0; cut < len; cut += 7) {
		put(f, text, cut);
		assert_anew(f, -EBADMSG);
	}
}

static void other_content_is_never_taken_for_a_place(void **state)
{
	static const char *const texts[] = {"", "null", "[]", "{}", "{\"schema\":1}",
		"{\"schema\":\"millrace.scrub-place/1\"}",
		"{\"schema\":\"millrace.scrub-place/1\",\"crc32c\":0,\"place\":{}}",
		"{\"schema\":\"millrace.scrub-place/1\",\"crc32c\":\"0\",\"place\":7}",
		"{\"schema\":\"millrace.status/1\",\"crc32c\":0,\"place\":{}}", "\xff\xfe\x00"};
	char *big = malloc(1 << 20);

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(*state, texts[i], strlen(texts[i]));
		assert_anew(*state, -EBADMSG);
	}
	memset(big, '[', 1 << 20);
	put(*state, big, 60000); // deep
	assert_anew(*state, -EBADMSG);
	put(*state, big, 1 << 20);
	assert_anew(*state, -EBADMSG);
	free(big);
}

static void a_place_that_cannot_be_saved_is_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(scrub_place_save("/nonexistent", &f->place), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_saved_is_loaded),
		TEST(the_newer_place_takes_the_older_ones),
		TEST(no_file_is_a_place_that_has_seen_nothing),
		TEST(another_logs_place_is_not_taken),
		TEST(another_versions_place_is_not_taken),
		TEST(a_flipped_bit_is_never_taken_for_a_place),
		TEST(a_file_cut_short_is_never_taken_for_a_place),
		TEST(other_content_is_never_taken_for_a_place),
		TEST(a_place_that_cannot_be_saved_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
