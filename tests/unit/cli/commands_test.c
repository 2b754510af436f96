// SPDX-License-Identifier: BSD-3-Clause
// What must hold for every command of the real table.

#include "cli/help.h"
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// What a function prints; the caller's to free.
static char *text_of(void (*print)(FILE *out))
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	print(out);
	fclose(out);
	return text;
}

static char *text_of_command(
	void (*print)(const struct cli_command *command, FILE *out), const struct cli_command *c)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	print(c, out);
	fclose(out);
	return text;
}

static void assert_contains(const char *text, const char *part, const char *what)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s: '%s' is missing", what, part);
}

static void every_command_is_complete(void **state)
{
	(void)state;
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++) {
		assert_non_null(c->name);
		assert_non_null(c->run);
		assert_true(c->min_args <= c->max_args);
		if (c->max_args > 0)
			assert_true(c->args != NULL && c->args[0] != '\0');
		if (strspn(c->name, "abcdefghijklmnopqrstuvwxyz- ") != strlen(c->name))
			fail_msg("'%s' is no name of a command", c->name);
		if (strchr(c->name, ' ') != strrchr(c->name, ' '))
			fail_msg("'%s' has more than two words", c->name);
	}
}

static void every_summary_is_one_line_without_a_full_stop(void **state)
{
	(void)state;
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++) {
		size_t len = c->summary != NULL ? strlen(c->summary) : 0;

		if (len < 10 || len > 80 || strchr(c->summary, '\n') != NULL ||
			c->summary[len - 1] == '.')
			fail_msg("summary of '%s'", c->name);
	}
}

static void no_name_is_there_twice(void **state)
{
	(void)state;
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++) {
		assert_ptr_equal(cli_find(c->name), c);
		if (strchr(c->name, ' ') == NULL && cli_is_group(c->name))
			fail_msg("'%s' is a command and the first word of others", c->name);
	}
}

static void every_option_has_help_and_a_name_of_its_own(void **state)
{
	(void)state;
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++) {
		const struct cli_option *o = c->options;
		unsigned count = 0;

		for (; o != NULL && o->name != NULL; o++, count++) {
			if (o->help == NULL || o->help[0] == '\0')
				fail_msg("--%s of '%s' has no help", o->name, c->name);
			if (o->values != NULL && o->arg == NULL)
				fail_msg("--%s of '%s' is a switch with values", o->name, c->name);
			for (const struct cli_option *p = c->options; p < o; p++)
				if (strcmp(p->name, o->name) == 0 ||
					(p->letter != 0 && p->letter == o->letter))
					fail_msg("--%s of '%s' is there twice", o->name, c->name);
		}
		assert_true(count <= CLI_OPTIONS_MAX);
	}
}

static void help_names_every_command_and_none_that_is_hidden(void **state)
{
	char *text = text_of(help_all);

	(void)state;
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++) {
		if (!c->hidden)
			assert_contains(text, c->name, "help");
		else
			assert_null(strstr(text, c->name));
	}
	free(text);
}

static void help_of_a_command_has_its_options(void **state)
{
	(void)state;
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++) {
		char *text = text_of_command(help_command, c);

		assert_contains(text, c->name, "help");
		assert_contains(text, "--socket", c->name);
		for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++)
			assert_contains(text, o->name, c->name);
		free(text);
	}
}

static void help_lines_fit_into_80_columns(void **state)
{
	char *text = text_of(help_all);

	(void)state;
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");

		if (len > 80)
			fail_msg("%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
	free(text);
}

static void completions_have_every_word(void **state)
{
	char *bash = text_of(completion_bash), *zsh = text_of(completion_zsh);

	(void)state;
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++) {
		const char *last = strrchr(c->name, ' ');

		if (c->hidden)
			continue;
		last = last != NULL ? last + 1 : c->name;
		assert_contains(bash, last, "bash");
		assert_contains(zsh, last, "zsh");
		for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++) {
			assert_contains(bash, o->name, "bash");
			assert_contains(zsh, o->name, "zsh");
		}
	}
	free(bash);
	free(zsh);
}

static void pages_escape_what_man_would_obey(void **state)
{
	static const struct cli_option options[] = {
		{"rate", 'r', "N", ".5 is 'half' \\ of one", "a|b"}, {0}};
	static const struct cli_command command = {.name = "log cat",
		.args = "[GLOB]",
		.summary = "'quoted' and -dashed",
		.details = ".SH evil\n'x \\fB",
		.options = options};
	char *text = text_of_command(man_command, &command);

	(void)state;
	assert_contains(text, ".TH \"MILLRACE-LOG-CAT\" \"1\"", "page");
	assert_contains(text, "millrace\\-log\\-cat \\- \\&'quoted' and \\-dashed\n", "page");
	assert_contains(text, "\n\\&.SH evil\n", "page");
	assert_contains(text, "\n\\&'x \\efB\n", "page");
	assert_contains(text, "\n\\fB\\-r\\fR, \\fB\\-\\-rate\\fR \\fIN\\fR\n", "page");
	assert_contains(text, "\n\\&.5 is 'half' \\e of one (a|b)\n", "page");
	assert_contains(text, "\n.SH SEE ALSO\n", "page");
	free(text);
}

static void the_overview_names_every_page(void **state)
{
	char *text = text_of(man_overview);

	(void)state;
	assert_contains(text, "\\fBmillrace\\-config\\-check\\fR(1)", "overview");
	for (const struct cli_command *c, *const *at = cli_commands; (c = *at) != NULL; at++)
		if (!c->hidden)
			assert_contains(text,
				strrchr(c->name, ' ') != NULL ? strrchr(c->name, ' ') + 1 : c->name,
				"overview");
	free(text);
}

static void the_page_of_the_configuration_has_its_keys(void **state)
{
	char *text = text_of(man_config);

	(void)state;
	assert_contains(text, "\\fBcommit_interval\\fR", "page");
	assert_contains(text, "100us to 10s. Default: 50ms. A restart takes a change.", "page");
	assert_contains(text, ".SS listeners", "page");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_complete),
		cmocka_unit_test(every_summary_is_one_line_without_a_full_stop),
		cmocka_unit_test(no_name_is_there_twice),
		cmocka_unit_test(every_option_has_help_and_a_name_of_its_own),
		cmocka_unit_test(help_names_every_command_and_none_that_is_hidden),
		cmocka_unit_test(help_of_a_command_has_its_options),
		cmocka_unit_test(help_lines_fit_into_80_columns),
		cmocka_unit_test(completions_have_every_word),
		cmocka_unit_test(pages_escape_what_man_would_obey),
		cmocka_unit_test(the_overview_names_every_page),
		cmocka_unit_test(the_page_of_the_configuration_has_its_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
