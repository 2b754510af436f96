// SPDX-License-Identifier: BSD-3-Clause
// Messages out of a TCP stream, whatever the pieces in which it comes.

#include "cli/relay/framing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 32u
#define FOUND_BYTES 512

struct found {
	char text[FOUND_BYTES]; // each message in [ ]
	int end;
	uint32_t rest;
};

static void take_all(struct framing *f, struct found *ret)
{
	const uint8_t *message;
	uint32_t len;

	while ((ret->end = framing_next(f, &message, &len)) == 1) {
		size_t at = strlen(ret->text);

		snprintf(ret->text + at, sizeof(ret->text) - at, "[%.*s]", (int)len,
			(const char *)message);
		framing_take(f);
	}
}

static void read_stream(const char *stream, size_t piece, struct found *ret)
{
	size_t left = strlen(stream);
	struct framing f;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(framing_init(&f, MOST), 0);
	while (left > 0 && ret->end == 0) {
		uint32_t room, len = (uint32_t)(piece < left ? piece : left);
		uint8_t *to = framing_room(&f, &room);

		assert_true(room >= len);
		memcpy(to, stream, len);
		framing_filled(&f, len);
		stream += len;
		left -= len;
		take_all(&f, ret);
	}
	framing_end(&f);
	if (ret->end == 0)
		take_all(&f, ret);
	ret->rest = framing_rest(&f);
	framing_free(&f);
}

static const struct {
	const char *stream, *messages;
	int end;
	uint32_t rest;
} cases[] = {
	{"", "", 0, 0},
	{"<13>a\n<13>b\n", "[<13>a][<13>b]", 0, 0},
	{"a\r\nb\r\n", "[a][b]", 0, 0},
	{"\n\r\n\na\n\n", "[a]", 0, 0},
	{" a \n\tb", "[ a ][\tb]", 0, 0},
	{"a\rb\r\r\n", "[a\rb\r]", 0, 0},
	{"<13>without an end", "[<13>without an end]", 0, 0},
	{"6 <13>ab7 <13>c\nd", "[<13>ab][<13>c\nd]", 0, 0},
	{"6 <13>ab\n6 <13>cd\n", "[<13>ab][<13>cd]", 0, 0},
	{"6 <13>ab<13>line\n6 <13>cd", "[<13>ab][<13>line][<13>cd]", 0, 0},
	{"6 <13>ab5 plain", "[<13>ab][plain]", 0, 0},
	// No syslog behind the number: a line.
	{"42 is the answer\n7\n", "[42 is the answer][7]", 0, 0},
	{"42\n", "[42]", 0, 0},
	{"42", "[42]", 0, 0},
	{"42 ", "[42 ]", 0, 0},
	{"0 <13>a\n", "[0 <13>a]", 0, 0},
	{"0000000006 <13>\n", "[0000000006 <13>]", 0, 0},
	{"9999999999 <13>\n", "[9999999999 <13>]", 0, 0},
	// What breaks off.
	{"6 <13>ab6 <13>c", "[<13>ab]", 0, 7},
	{"6 <13>ab6", "[<13>ab]", 0, 1},
	{"6 <13>ab12 ", "[<13>ab]", 0, 3},
	// At the limit, and above it.
	{"0123456789abcdef0123456789abcdef\n", "[0123456789abcdef0123456789abcdef]", 0, 0},
	{"0123456789abcdef0123456789abcdef\r\nx", "[0123456789abcdef0123456789abcdef][x]", 0, 0},
	{"a\n0123456789abcdef0123456789abcdefX\n", "[a]", -EMSGSIZE, 34},
	{"0123456789abcdef0123456789abcdefX", "", -EMSGSIZE, 33},
	{"32 <123456789abcdef0123456789abcdef", "[<123456789abcdef0123456789abcdef]", 0, 0},
	{"33 <123456789abcdef0123456789abcdefX", "", -EMSGSIZE, 0},
	{"999999999 <13>", "", -EMSGSIZE, 0},
};

static void messages_are_the_same_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 1; piece <= strlen(cases[i].stream) + 1; piece++) {
			struct found found;

			read_stream(cases[i].stream, piece, &found);
			if (strcmp(found.text, cases[i].messages) != 0)
				print_message("\"%s\" in pieces of %zu\n", cases[i].stream, piece);
			assert_string_equal(found.text, cases[i].messages);
			assert_int_equal(found.end, cases[i].end);
			if (found.end == 0)
				assert_int_equal(found.rest, cases[i].rest);
		}
	}
}

static void a_message_stays_until_it_is_taken(void **state)
{
	const uint8_t *message;
	struct framing f;
	uint32_t len, room;

	(void)state;
	assert_int_equal(framing_init(&f, MOST), 0);
	memcpy(framing_room(&f, &room), "5 <1>ab\nc\n", 10);
	framing_filled(&f, 10);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(framing_next(&f, &message, &len), 1);
		assert_int_equal(len, 5);
		assert_memory_equal(message, "<1>ab", 5);
	}
	framing_take(&f);
	assert_int_equal(framing_next(&f, &message, &len), 1);
	assert_int_equal(len, 1);
	framing_free(&f);
}

static void there_is_always_room_for_the_rest_of_a_message(void **state)
{
	const uint8_t *message;
	struct framing f;
	uint32_t len, room;
	uint8_t *to;

	(void)state;
	assert_int_equal(framing_init(&f, 65536), 0);
	to = framing_room(&f, &room);
	memset(to, 'x', room);
	memcpy(to, "a\n", 2);
	framing_filled(&f, 65537);
	assert_int_equal(framing_next(&f, &message, &len), 1);
	framing_take(&f);
	assert_int_equal(framing_next(&f, &message, &len), 0);
	framing_room(&f, &room);
	assert_true(room >= 65536);
	framing_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_the_same_in_pieces_of_any_size),
		cmocka_unit_test(a_message_stays_until_it_is_taken),
		cmocka_unit_test(there_is_always_room_for_the_rest_of_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
