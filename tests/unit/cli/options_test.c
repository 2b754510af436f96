// SPDX-License-Identifier: BSD-3-Clause
// Command lines, against a table of the test's own.

#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { OPT_FROM, OPT_FOLLOW, OPT_FORMAT, OPT_QUIET, OPT_END };

static const struct cli_option cat_options[] = {
	[OPT_FROM] = {"from", 'f', "SEQ", "first seq", NULL},
	[OPT_FOLLOW] = {"follow", 'F', NULL, "go on", NULL},
	[OPT_FORMAT] = {"format", 0, "FORMAT", "of the output", "text|ndjson|arrow"},
	[OPT_QUIET] = {"quiet", 'q', NULL, "say less", NULL},
	[OPT_END] = {0},
};

enum { OWN_TIMEOUT, OWN_END };

static const struct cli_option own_options[] = {
	[OWN_TIMEOUT] = {"timeout", 't', "N", "another one", NULL},
	[OWN_END] = {0},
};

static const struct cli_command log_cat = {
	.name = "log cat", .args = "[GLOB]", .max_args = 1, .options = cat_options};
static const struct cli_command log_ls = {.name = "log ls"};
static const struct cli_command status = {.name = "status"};
static const struct cli_command own = {
	.name = "own", .args = "A B", .min_args = 2, .max_args = 2, .options = own_options};

const struct cli_command *const cli_commands[] = {&log_cat, &log_ls, &status, &own, NULL};

static struct cli_request request;
static char *words[32];

// A line of words separated by spaces; '_' stands for an empty word.
static int parse(const char *line)
{
	static char copy[512];
	int argc = 1;
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	words[0] = (char *)"millrace";
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		words[argc++] = strcmp(w, "_") == 0 ? w + 1 : w;
	words[argc] = NULL;
	return cli_parse_line(argc, words, &request);
}

static void assert_wrong(const char *line, const char *error)
{
	assert_int_equal(parse(line), EXIT_CLI_USAGE);
	if (strstr(request.error, error) == NULL)
		fail_msg("'%s' says '%s', not '%s'", line, request.error, error);
}

static void a_line_without_options_has_the_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse("status"), 0);
	assert_ptr_equal(request.command, &status);
	assert_string_equal(request.cli.socket, "/run/millrace/millraced.sock");
	assert_int_equal(request.cli.timeout_ns, 5000000000);
	assert_false(request.cli.json);
	assert_int_equal(request.args.argc, 0);
}

static void global_options_stand_before_and_behind_the_command(void **state)
{
	static const char *const lines[] = {"--socket /s --json --timeout 2s status",
		"status --socket=/s --json --timeout=2s",
		"--socket=/s status --timeout 2000ms --json"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(parse(lines[i]), 0);
		assert_ptr_equal(request.command, &status);
		assert_string_equal(request.cli.socket, "/s");
		assert_true(request.cli.json);
		assert_int_equal(request.cli.timeout_ns, 2000000000);
	}
}

static void two_words_are_one_command(void **state)
{
	(void)state;
	assert_int_equal(parse("log cat"), 0);
	assert_ptr_equal(request.command, &log_cat);
	assert_int_equal(parse("log ls"), 0);
	assert_ptr_equal(request.command, &log_ls);
}

static void options_and_arguments_mix(void **state)
{
	(void)state;
	assert_int_equal(parse("log cat --from 7 glob -F --format=arrow"), 0);
	assert_string_equal(request.args.value[OPT_FROM], "7");
	assert_string_equal(request.args.value[OPT_FOLLOW], "");
	assert_string_equal(request.args.value[OPT_FORMAT], "arrow");
	assert_null(request.args.value[OPT_QUIET]);
	assert_int_equal(request.args.argc, 1);
	assert_string_equal(request.args.argv[0], "glob");
}

static void letters_stand_together_and_take_values(void **state)
{
	(void)state;
	assert_int_equal(parse("log cat -Fqf7"), 0);
	assert_string_equal(request.args.value[OPT_FROM], "7");
	assert_non_null(request.args.value[OPT_FOLLOW]);
	assert_non_null(request.args.value[OPT_QUIET]);
	assert_int_equal(parse("log cat -f 7"), 0);
	assert_string_equal(request.args.value[OPT_FROM], "7");
	assert_int_equal(parse("log cat -f -1"), 0);
	assert_string_equal(request.args.value[OPT_FROM], "-1");
}

static void the_last_of_several_counts(void **state)
{
	(void)state;
	assert_int_equal(parse("log cat --from 1 -f2 --from=3"), 0);
	assert_string_equal(request.args.value[OPT_FROM], "3");
}

static void an_empty_value_is_a_value(void **state)
{
	(void)state;
	assert_int_equal(parse("log cat --from="), 0);
	assert_string_equal(request.args.value[OPT_FROM], "");
	assert_int_equal(parse("log cat --from _"), 0);
	assert_string_equal(request.args.value[OPT_FROM], "");
	assert_int_equal(parse("log cat _"), 0);
	assert_int_equal(request.args.argc, 1);
}

static void behind_two_dashes_all_are_arguments(void **state)
{
	(void)state;
	assert_int_equal(parse("own a -- --json"), 0);
	assert_int_equal(request.args.argc, 2);
	assert_string_equal(request.args.argv[1], "--json");
	assert_false(request.cli.json);
	assert_int_equal(parse("own - --"), EXIT_CLI_USAGE); // one argument
	assert_int_equal(parse("own - -"), 0);
	assert_string_equal(request.args.argv[0], "-");
	assert_int_equal(parse("own -- -- --"), 0);
	assert_string_equal(request.args.argv[0], "--");
}

static void a_commands_own_option_goes_before_the_global_one(void **state)
{
	(void)state;
	assert_int_equal(parse("--timeout 3s own a b --timeout x"), 0);
	assert_string_equal(request.args.value[OWN_TIMEOUT], "x");
	assert_int_equal(request.cli.timeout_ns, 3000000000);
}

static void help_and_version_need_no_command_and_no_arguments(void **state)
{
	(void)state;
	assert_int_equal(parse("--help"), 0);
	assert_true(request.help);
	assert_null(request.command);
	assert_int_equal(parse("-h"), 0);
	assert_true(request.help);
	assert_int_equal(parse("--version"), 0);
	assert_true(request.version);
	assert_int_equal(parse("own --help"), 0);
	assert_true(request.help);
	assert_ptr_equal(request.command, &own);
	assert_int_equal(parse("--json -h log cat"), 0);
	assert_ptr_equal(request.command, &log_cat);
}

static void unknown_commands_are_refused_with_what_was_meant(void **state)
{
	(void)state;
	assert_wrong("statsu", "unknown command 'statsu'; did you mean 'status'?");
	assert_wrong("log cta", "unknown command 'log cta'; did you mean 'log cat'?");
	assert_wrong("lgo cat", "unknown command 'lgo'; did you mean 'log cat'?");
	assert_wrong("frobnicate", "unknown command 'frobnicate'; see 'millrace help'");
	assert_wrong("log", "'log' needs a second word; see 'millrace help log'");
	assert_wrong("log --json", "'log' needs a second word");
	assert_wrong("log cat2", "did you mean 'log cat'?");
	assert_wrong("logs", "unknown command 'logs'");
	assert_wrong("", "which command?");
	assert_wrong("_", "unknown command ''");
	assert_wrong("--json", "which command?");
	assert_wrong("-- status", "unknown command '--'");
}

static void unknown_options_are_refused_with_what_was_meant(void **state)
{
	(void)state;
	assert_wrong("log cat --frm 7", "unknown option --frm; did you mean --from?");
	assert_wrong("log cat --jsno", "unknown option --jsno; did you mean --json?");
	assert_wrong("--from 7 log cat", "unknown option --from");
	assert_wrong("status --frobnicate=1", "unknown option --frobnicate");
	assert_wrong("log cat -Fx", "unknown option -x");
	assert_wrong("log cat --fro 1", "unknown option --fro");
	assert_wrong("log cat --fromage 1", "unknown option --fromage");
	assert_wrong("status --=x", "unknown option --");
	assert_wrong("---json status", "unknown option ---json");
}

static void values_where_none_belongs_and_none_where_one_does(void **state)
{
	(void)state;
	assert_wrong("log cat --from", "--from needs a value: SEQ");
	assert_wrong("log cat -Ff", "-f needs a value: SEQ");
	assert_wrong("log cat --follow=yes", "--follow takes no value");
	assert_wrong("--json=1 status", "--json takes no value");
	assert_wrong("--socket", "--socket needs a value: PATH");
	assert_wrong("log cat --format csv", "--format: 'csv' is none of text|ndjson|arrow");
	assert_wrong("log cat --format text|ndjson", "is none of");
	assert_wrong("log cat --format=", "is none of");
	assert_wrong("log cat --format tex", "is none of");
}

static void wrong_timeouts_are_refused(void **state)
{
	(void)state;
	assert_wrong("--timeout 0 status", "--timeout: '0' is not a duration such as 5s");
	assert_wrong("--timeout 5 status", "is not a duration");
	assert_wrong("--timeout soon status", "is not a duration");
	assert_wrong("--timeout -1s status", "is not a duration");
}

static void arguments_are_counted(void **state)
{
	(void)state;
	assert_wrong("own a", "'own' needs A B");
	assert_wrong("own a b c", "'own' doesn't take 'c'");
	assert_wrong("status x", "'status' doesn't take 'x'");
	assert_ptr_equal(request.command, &status);
}

// Whatever words come: an answer, and nothing read beyond the line.
static void random_lines_never_break_it(void **state)
{
	static const char *const parts[] = {"log", "cat", "ls", "status", "own", "--json", "-f",
		"--from", "--from=", "--format", "text", "--", "-", "-h", "-Fq", "--timeout", "1s",
		"--socket", "---", "-\xff", "", "--version", "\xc3\xa4"};
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		int argc = 1, rc;

		words[0] = (char *)"millrace";
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		for (int n = (int)(seed >> 60) % 9; n > 0; n--) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			words[argc++] =
				(char *)parts[(seed >> 33) % (sizeof(parts) / sizeof(parts[0]))];
		}
		words[argc] = NULL;
		rc = cli_parse_line(argc, words, &request);
		assert_true(rc == 0 || rc == EXIT_CLI_USAGE);
		assert_true((rc == 0) == (request.error[0] == '\0'));
		if (rc == 0)
			assert_true(request.command != NULL || request.help || request.version);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_without_options_has_the_defaults),
		cmocka_unit_test(global_options_stand_before_and_behind_the_command),
		cmocka_unit_test(two_words_are_one_command),
		cmocka_unit_test(options_and_arguments_mix),
		cmocka_unit_test(letters_stand_together_and_take_values),
		cmocka_unit_test(the_last_of_several_counts),
		cmocka_unit_test(an_empty_value_is_a_value),
		cmocka_unit_test(behind_two_dashes_all_are_arguments),
		cmocka_unit_test(a_commands_own_option_goes_before_the_global_one),
		cmocka_unit_test(help_and_version_need_no_command_and_no_arguments),
		cmocka_unit_test(unknown_commands_are_refused_with_what_was_meant),
		cmocka_unit_test(unknown_options_are_refused_with_what_was_meant),
		cmocka_unit_test(values_where_none_belongs_and_none_where_one_does),
		cmocka_unit_test(wrong_timeouts_are_refused),
		cmocka_unit_test(arguments_are_counted),
		cmocka_unit_test(random_lines_never_break_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
