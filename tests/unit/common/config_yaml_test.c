// SPDX-License-Identifier: BSD-3-Clause
// Text that is no YAML, or more of it than anybody needs; and text changed at random.

#include "tests/unit/common/config_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void what_is_no_yaml_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{"data: [1, 2\n", 2},
		{"data: 'x\n", 2},
		{"a: 1\n\tb: 2\n", 2},
		{"a: b: c\n", 1},
		{"a: 1\n b: 2\n", 2},
		{"- a\nb: 1\n", 2},
		{"a: \"\\q\"\n", 1},
		{"a: @x\n", 1},
		{"%YAML 9\n", 1},
		{"a: 1\nb: \x01\n", 2},
		{"a: 1\nb: \xff\n", 2},
		{"a: \xc0\xaf\n", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_refused(rows[i].text, rows[i].line, "not YAML: ");
}

static void only_a_map_is_a_configuration(void **state)
{
	(void)state;
	assert_refused("- a\n", 1, "must be a map of keys");
	assert_refused("\ntext\n", 2, "must be a map of keys");
	assert_refused("5\n", 1, "must be a map of keys");
}

static void forms_of_yaml_that_mean_nothing_here_are_refused(void **state)
{
	(void)state;
	assert_refused(PORT LISTENER "---\na: 1\n", 3, "a second document");
	assert_refused(PORT "partitions: !!int 1\n", 2, "tags ('!...') mean nothing here");
	assert_refused("!x {a: 1}\n", 1, "tags ('!...') mean nothing here");
	assert_refused("a: !x [1]\n", 1, "tags ('!...') mean nothing here");
	assert_refused("? {a: 1}\n: 2\n", 1, "a key must be a word");
	assert_refused("? [a]\n: 2\n", 1, "a key must be a word");
	assert_refused("b: &a 1\n*a : 2\n", 2, "a key must be a word");
	assert_refused("&a b: 1\n", 1, "an anchor on a key");
}

static void wrong_aliases_are_refused(void **state)
{
	(void)state;
	assert_refused("a: *none\n", 1, "nothing is anchored as '&none'");
	assert_refused("a: &x [*x]\n", 1, "'*x' stands inside what it stands for");
	assert_refused("&x a:\n  b: 1\n", 1, "an anchor on a key");
	assert_refused("log: &x\n  direct: *x\n", 2, "stands inside what it stands for");
}

// n times 'open', then 'middle', then n times 'close'.
static char *nested(const char *open, const char *middle, const char *close, size_t n)
{
	char *text = malloc(n * (strlen(open) + strlen(close)) + strlen(middle) + 1), *c = text;

	for (size_t i = 0; i < n; i++)
		c = stpcpy(c, open);
	c = stpcpy(c, middle);
	for (size_t i = 0; i < n; i++)
		c = stpcpy(c, close);
	return text;
}

static void deep_nesting_is_refused(void **state)
{
	static const char *const forms[][3] = {{"[", "1", "]"}, {"{a: ", "1", "}"}, {"[", "", ""},
		{"{a: ", "", ""}, {"- ", "1", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char *text = nested(forms[i][0], forms[i][1], forms[i][2], 100000);

		assert_refused(text, 1, "nested deeper than 16 levels");
		free(text);
	}
}

static void many_values_anchors_and_bytes_are_refused(void **state)
{
	char *text = nested("- 1\n", "", "", 20001);

	(void)state;
	assert_refused(text, 20000, "more than 20000 values");
	free(text);
	text = nested("- &a 1\n", "", "", 65);
	assert_refused(text, 65, "more than 64 anchors");
	free(text);
	text = nested("- *a\n", "", "", 10);
	assert_refused(text, 1, "nothing is anchored");
	free(text);
	text = nested("#", "", "", (1 << 20) + 1);
	assert_refused(text, 0, "larger than 1 MiB");
	text[1 << 20] = '\0';
	assert_int_equal(parse(text), -EINVAL); // an empty file, not a large one
	assert_false(has(false, 0, "larger"));
	free(text);
}

// Every level names the one before seven times: a reader that copies would need 7^7 nodes. Here and
// below the runner's time limit is what fails.
static void a_billion_laughs_take_no_time(void **state)
{
	char text[4096] = "a0: &a0 [x]\n";
	size_t len = strlen(text);

	(void)state;
	for (int i = 1; i < 8; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "a%d: &a%d [", i, i);
		for (int j = 0; j < 7; j++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "*a%d,", i - 1);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "]\n");
	}
	assert_int_equal(parse(text), -EINVAL);
}

// An error in thousands of places takes no time either, and 64 aliases of a large map neither.
static void a_file_of_nothing_but_errors_takes_no_time(void **state)
{
	char *text = malloc(1 << 20), *c;

	(void)state;
	c = stpcpy(text, "listeners:\n- &x\n");
	for (int i = 0; i < 19000; i++)
		c += snprintf(c, 32, "  prt%d: 1\n", i);
	for (int i = 0; i < 60; i++)
		c = stpcpy(c, "- *x\n");
	assert_int_equal(parse(text), -EINVAL);
	assert_true(problems.count > 19000 * 60);
	free(text);
}

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((random_state >> 33) % n);
}

static size_t mutate(char *text, size_t len, size_t room)
{
	static const char interesting[] = "\n\t :-[]{}&*!|>'\"%@`#,?~09az\\\0\x80\xff";
	size_t at = random_below((unsigned)len + 1), n;

	switch (random_below(4)) {
	case 0: // another byte
		if (at < len)
			text[at] = interesting[random_below(sizeof(interesting) - 1)];
		return len;
	case 1: // a byte more
		if (len + 1 > room)
			return len;
		memmove(text + at + 1, text + at, len - at);
		text[at] = interesting[random_below(sizeof(interesting) - 1)];
		return len + 1;
	case 2: // some bytes fewer
		n = random_below(20);
		if (n > len - at)
			n = len - at;
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	default: // a piece twice
		n = random_below(40);
		if (n > len - at || len + n > room)
			return len;
		memmove(text + at + n, text + at, len - at);
		return len + n;
	}
}

// Whatever was refused, it was said why; whatever was taken can be printed and read back.
static void assert_consistent(const char *text, size_t len)
{
	static struct config back;
	int rc = config_parse(text, len, &config, &problems);
	size_t printed_len;
	char *printed;
	FILE *out;

	assert_true(rc == 0 || rc == -EINVAL);
	assert_true((rc == 0) == (problems.errors == 0));
	assert_true(problems.count >= problems.errors);
	if (rc != 0)
		return;
	out = open_memstream(&printed, &printed_len);
	config_print(&config, out);
	fclose(out);
	assert_int_equal(config_parse(printed, printed_len, &back, &problems), 0);
	assert_memory_equal(&back, &config, sizeof(config));
	free(printed);
}

static void random_changes_never_break_it(void **state)
{
	static const char seed[] =
		"receiver: r1\ndata: \"/var/lib/millrace\"\nmode: pipeline\ncpus: 0-3,8\n"
		"rx_lcores: 2\nidle_sleep: 250us\nmemory: {hugepages: true, ring_size: 4096}\n"
		"ports:\n  - name: &n p0\n    device: eth1\n    rx_queues: 2\n"
		"    addresses: [\"10.0.0.1/24\", \"fd00::1/64\"]\n  - {device: eth2, name: p1}\n"
		"listeners:\n  - port: 514\n    split: lines\n    address: 10.0.0.1\n"
		"  - {name: *n, port: 515, kind: plain}\n"
		"log:\n  segment_size: 64MiB\n  commit_interval: 2ms # often\n  direct: false\n";
	unsigned taken = 0;

	(void)state;
	random_state = 20230701;
	assert_valid(seed);
	for (int i = 0; i < 20000; i++) {
		char text[2048];
		size_t len = sizeof(seed) - 1;

		memcpy(text, seed, len);
		for (unsigned n = 1 + random_below(4); n > 0; n--)
			len = mutate(text, len, sizeof(text));
		assert_consistent(text, len);
		taken += problems.errors == 0;
	}
	assert_in_range(taken, 500, 19500); // else the changes try nothing
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
		cmocka_unit_test(only_a_map_is_a_configuration),
		cmocka_unit_test(forms_of_yaml_that_mean_nothing_here_are_refused),
		cmocka_unit_test(wrong_aliases_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(many_values_anchors_and_bytes_are_refused),
		cmocka_unit_test(a_billion_laughs_take_no_time),
		cmocka_unit_test(a_file_of_nothing_but_errors_takes_no_time),
		cmocka_unit_test(random_changes_never_break_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
