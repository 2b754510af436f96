// SPDX-License-Identifier: BSD-3-Clause

#include "dataplane/lines.h"
#include "packets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// Cuts len bytes that end at a guard page; the events are joined by '|' into 'ret'.
static unsigned cut(const char *bytes, uint32_t len, char *ret)
{
	const uint8_t *payload = at_guard_page(bytes, len);
	const uint8_t *event;
	struct lines lines;
	uint32_t event_len;
	unsigned count = 0;

	lines_init(&lines, payload, len);
	while (lines_next(&lines, &event, &event_len)) {
		assert_true(event_len > 0);
		assert_true(event >= payload && event + event_len <= payload + len);
		memcpy(ret, event, event_len);
		ret += event_len;
		*ret++ = '|';
		count++;
	}
	*ret = '\0';
	assert_false(lines_next(&lines, &event, &event_len));
	return count;
}

static void each_line_is_an_event_without_its_end(void **state)
{
	static const struct {
		const char *payload, *events;
		unsigned count;
	} cases[] = {
		{"a\nbc\n", "a|bc|", 2},
		{"a\nbc", "a|bc|", 2},
		{"a\r\nbc\r\n", "a|bc|", 2},
		{"\n\na\n\n\nb\n\n", "a|b|", 2},
		{"\r\n\r\na\r\n\r\n", "a|", 1},
		{"", "", 0},
		{"\n", "", 0},
		{"\r\n", "", 0},
		{"\r", "\r|", 1},
		{"a\r", "a\r|", 1},
		{"a\rb\n", "a\rb|", 1},
		{"a\r\r\n", "a\r|", 1},
		{" \n", " |", 1},
		{"x", "x|", 1},
	};
	char got[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = (uint32_t)strlen(cases[i].payload);

		assert_int_equal(cut(cases[i].payload, len, got), cases[i].count);
		assert_string_equal(got, cases[i].events);
	}
}

static void a_zero_byte_is_data_of_its_line(void **state)
{
	char got[64];

	(void)state;
	assert_int_equal(cut("a\0b\n\0\n", 6, got), 2);
	assert_memory_equal(got, "a\0b|\0|", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_is_an_event_without_its_end),
		cmocka_unit_test(a_zero_byte_is_data_of_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
