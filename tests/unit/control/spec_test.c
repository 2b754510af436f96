// SPDX-License-Identifier: BSD-3-Clause

#include "control/spec.h"
#include "problem_cases.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECEIVER "ports: [{device: eth1}]\nlisteners: [{port: 5140}]\n"
#define LEAST "count: 3\nreceiver: r.yaml\nlog: {attribute: log}\n"

static char dir[] = "/tmp/millrace-spec-XXXXXX";
static struct spec spec;

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	write_file("r.yaml", RECEIVER);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {
		"r.yaml", "other.yaml", "bad.yaml", "large.yaml", "p.yaml"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int parse_case(const char *text)
{
	return spec_parse(text, strlen(text), dir, &spec, &case_problems);
}

static void the_least_has_the_defaults(void **state)
{
	(void)state;
	assert_valid(LEAST);
	assert_int_equal(case_problems.count, 0);
	assert_int_equal(spec.count, 3);
	assert_int_equal(spec.lcores, 1);
	assert_true(spec.mem_bytes == 1ull << 30 && spec.volume_bytes == 0);
	assert_int_equal(spec.hugepages + spec.nics + spec.constraint_count, 0);
	assert_string_equal(spec.log_attribute, "log");
	assert_string_equal(spec.receiver, RECEIVER);
	assert_true(spec.unreachable_after_ns == 900ull * 1000000000);
	assert_true(spec.move_after_ns == 5ull * 1000000000);
	spec_free(&spec);
}

#define ALL \
	"count: 5\nlcores: 3\nmem: 2GiB\nhugepages: 512\nnics: 2\nreceiver: r.yaml\n" \
	"log: {volume: 100GiB}\n" \
	"constraints:\n  - [hostname, UNIQUE]\n  - [rack, GROUP_BY, 3]\n  - [zone, LIKE, " \
	"\"[ab]\"]\n" \
	"unreachable_after: 20m\nbackoff: 2s\nbackoff_max: 10m\nhealthy_after: 90s\n" \
	"kill_grace: 1m\nmove_after: 7s\n"

static void every_key_is_read(void **state)
{
	(void)state;
	assert_valid(ALL);
	assert_int_equal(spec.count, 5);
	assert_int_equal(spec.lcores, 3);
	assert_true(spec.mem_bytes == 2ull << 30 && spec.hugepages == 512);
	assert_int_equal(spec.nics, 2);
	assert_true(spec.volume_bytes == 100ull << 30);
	assert_int_equal(spec.constraint_count, 3);
	assert_string_equal(spec.constraints[1].field, "rack");
	assert_int_equal(spec.constraints[1].op, CONSTRAINT_GROUP_BY);
	assert_string_equal(spec.constraints[1].value, "3");
	assert_string_equal(spec.constraints[2].value, "[ab]");
	assert_true(spec.unreachable_after_ns == 1200ull * 1000000000);
	assert_true(spec.backoff_ns == 2000000000 && spec.backoff_max_ns == 600ull * 1000000000);
	assert_true(spec.healthy_after_ns == 90ull * 1000000000);
	assert_true(spec.kill_grace_ns == 60ull * 1000000000);
	assert_true(spec.move_after_ns == 7ull * 1000000000);
	spec_free(&spec);
}

static void what_a_receiver_takes_is_computed(void **state)
{
	struct resources_need need;

	(void)state;
	assert_valid(ALL);
	need = spec_need(&spec);
	assert_true(need.cpus == 4 && need.mem == 2048 && need.disk == 102400);
	assert_true(need.hugepages == 512);
	assert_int_equal(need.lcores, 3);
	assert_int_equal(need.nics, 2);
	spec_free(&spec);
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
	static const struct {
		const char *key; // in line 4
		const char *part;
	} rows[] = {
		{"count: 4", "count: is there twice, first in line 1"},
		{"lcores: 0", "lcores: '0' is out of range (1 to 128)"},
		{"lcores: 129", "out of range"},
		{"lcore: 2", "lcore: unknown key; did you mean 'lcores'?"},
		{"volume: 1GiB", "volume: unknown key here; it belongs under 'log'"},
		{"mem: 1000", "mem: '1000' is out of range"},
		{"mem: 100000kB", "is not a multiple of 1MiB"},
		{"nics: 17", "nics: '17' is out of range (0 to 16)"},
		{"backoff: 10m", "backoff_max: must be at least backoff"},
		{"move_after: 0", "move_after: '0' is out of range (100ms to 1h)"},
		{"constraints: x", "constraints: must be a list, as [[hostname, UNIQUE]"},
		{"constraints: [hostname]", "constraints[0]: must be [FIELD, OPERATOR]"},
		{"constraints: [[hostname]]", "constraints[0]: must be [FIELD, OPERATOR]"},
		{"constraints: [[a, LIKE, b, c]]", "constraints[0]: must be [FIELD, OPERATOR]"},
		{"constraints: [[a, UNIQUE], [a, LIKE, [b]]]", "constraints[1]: must be [FIELD"},
		{"constraints: [[a, UNIQUES]]",
			"constraints[0]: 'UNIQUES' is no operator; did you mean"},
		{"constraints: [[a, MAX_PER, 0]]", "constraints[0]: '0' is no whole number"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool cross = strncmp(rows[i].key, "backoff:", 8) == 0;

		snprintf(text, sizeof(text), LEAST "%s\n", rows[i].key);
		assert_refused(text, cross ? 0 : 4, rows[i].part);
	}
	assert_refused(LEAST "backoff: 2s\nbackoff_max: 1s\n", 5, "backoff_max: must be at least");
	assert_refused("receiver: r.yaml\nlog: {attribute: log}\n", 0, "count: is missing");
	assert_refused("count: 1001\nreceiver: r.yaml\nlog: {attribute: l}\n", 1, "out of range");
	assert_refused("count: 1\nlog: {attribute: log}\n", 0, "receiver: is missing");
	assert_refused("count: [\n", 2, "not YAML");
	assert_int_equal(parse_case("- 1\n"), -EINVAL);
	assert_true(problems_have(false, 1, "must be a map of keys"));
}

static void more_constraints_than_there_is_room_for_are_refused(void **state)
{
	char text[1024] = LEAST "constraints:\n";

	(void)state;
	for (unsigned i = 0; i < CONSTRAINTS_MAX; i++)
		strncat(text, "- [a, UNIQUE]\n", sizeof(text) - strlen(text) - 1);
	assert_valid(text);
	assert_int_equal(spec.constraint_count, CONSTRAINTS_MAX);
	spec_free(&spec);
	strncat(text, "- [a, UNIQUE]\n", sizeof(text) - strlen(text) - 1);
	assert_refused(text, 4 + CONSTRAINTS_MAX + 1, "constraints: more than 16");
}

static void the_log_is_in_one_place(void **state)
{
	(void)state;
	assert_refused("count: 1\nreceiver: r.yaml\n", 0, "log: needs 'attribute', or a 'volume'");
	assert_refused("count: 1\nreceiver: r.yaml\nlog:\n", 3, "log: needs 'attribute'");
	assert_refused("count: 1\nreceiver: r.yaml\nlog: {volume: 0}\n", 3, "log: needs");
	assert_refused("count: 1\nreceiver: r.yaml\nlog:\n  attribute: a\n  volume: 1GiB\n", 5,
		"log.volume: there is log.attribute, too");
}

static void the_receivers_file_is_checked(void **state)
{
	char *large = malloc(SPEC_CONFIG_MAX + 2);

	(void)state;
	write_file("bad.yaml", RECEIVER "partitions: 0\nlogg: 1\n");
	assert_int_equal(
		parse_case("count: 1\nlog: {attribute: a}\nreceiver: bad.yaml\n"), -EINVAL);
	assert_int_equal(case_problems.errors, 2);
	assert_true(
		problems_have(false, 3, "bad.yaml:3: partitions: '0' is out of range (1 to 64)"));
	assert_true(problems_have(false, 3, "bad.yaml:4: logg: unknown key; did you mean 'log'?"));
	assert_refused("count: 1\nlog: {attribute: a}\nreceiver: none.yaml\n", 3,
		"receiver: none.yaml: No such file");
	memset(large, '#', SPEC_CONFIG_MAX + 1);
	large[SPEC_CONFIG_MAX + 1] = '\0';
	write_file("large.yaml", large);
	free(large);
	assert_refused("count: 1\nlog: {attribute: a}\nreceiver: large.yaml\n", 3,
		"large.yaml: is larger than 64KiB");
}

// Its CPUs are those that it is given, wherever that is.
static void the_receivers_file_is_checked_for_so_many_lcores(void **state)
{
	(void)state;
	write_file(
		"p.yaml", RECEIVER "mode: pipeline\nrx_lcores: 2\npartitions: 2\ncpus: 900-903\n");
	assert_valid("count: 1\nlog: {attribute: a}\nreceiver: p.yaml\nlcores: 4\n");
	assert_int_equal(case_problems.count, 0);
	spec_free(&spec);
	assert_refused("count: 1\nlog: {attribute: a}\nreceiver: p.yaml\nlcores: 2\n", 3,
		"p.yaml:6: cpus: pipeline mode needs more CPUs (2) than rx_lcores (2)");
	assert_valid("count: 1\nlog: {attribute: a}\nreceiver: p.yaml\nlcores: 3\n");
	assert_true(problems_have(true, 3, "p.yaml:6: cpus: 2 partitions share 1 CPUs"));
	spec_free(&spec);
}

static void the_sample_is_right(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	spec_print_sample(out);
	fclose(out);
	write_file("other.yaml", RECEIVER);
	for (char *c = text; (c = strchr(c, '#')) != NULL; c++)
		if (c[1] != ' ')
			memmove(c, c + 1, strlen(c));
	// Of the two places of the log one; 'volume' has its default, 0, there.
	for (char *c = strstr(text, "millraced.yaml"); c != NULL;
		c = strstr(c + 1, "millraced.yaml"))
		memcpy(c, "r.yaml\"#      ", 14);
	assert_valid(text);
	assert_int_equal(spec.constraint_count, 2);
	spec_free(&spec);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_has_the_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(what_a_receiver_takes_is_computed),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(more_constraints_than_there_is_room_for_are_refused),
		cmocka_unit_test(the_log_is_in_one_place),
		cmocka_unit_test(the_receivers_file_is_checked),
		cmocka_unit_test(the_receivers_file_is_checked_for_so_many_lcores),
		cmocka_unit_test(the_sample_is_right),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
