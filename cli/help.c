// SPDX-License-Identifier: BSD-3-Clause

#include "cli/help.h"

#include "cli/options.h"

#include <string.h>

#define TEXT_COLUMN 26
#define LINE_COLUMNS 80

// Words from column 'indent' on, wrapped there again.
static void print_wrapped(const char *text, unsigned indent, FILE *out)
{
	unsigned column = indent;

	while (*text != '\0') {
		size_t len = strcspn(text, " \n");

		if (column > indent && column + 1 + len > LINE_COLUMNS) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		}
		column += (unsigned)fprintf(
			out, "%s%.*s", column > indent ? " " : "", (int)len, text);
		text += len;
		if (*text == '\n') {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		}
		text += strspn(text, " \n");
	}
	fputc('\n', out);
}

static void print_entry(const char *left, const char *text, FILE *out)
{
	if (strlen(left) + 4 > TEXT_COLUMN)
		fprintf(out, "  %s\n%*s", left, TEXT_COLUMN, "");
	else
		fprintf(out, "  %-*s", TEXT_COLUMN - 2, left);
	print_wrapped(text, TEXT_COLUMN, out);
}

static void print_option(const struct cli_option *option, FILE *out)
{
	char left[64], letter[8] = "    ";

	if (option->letter != 0)
		snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, option->name,
		option->arg != NULL ? " " : "", option->arg != NULL ? option->arg : "");
	print_entry(left, option->help, out);
	if (option->values != NULL) {
		fprintf(out, "%*s", TEXT_COLUMN, "");
		print_wrapped(option->values, TEXT_COLUMN, out);
	}
}

static void print_options(const struct cli_option *options, FILE *out)
{
	for (; options != NULL && options->name != NULL; options++)
		print_option(options, out);
}

static void print_commands(const char *group, FILE *out)
{
	size_t len = group != NULL ? strlen(group) : 0;

	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		const struct cli_command *command = cli_commands[i];

		if (command->hidden || (group != NULL && (strncmp(command->name, group, len) != 0 ||
								 command->name[len] != ' ')))
			continue;
		print_entry(command->name, command->summary, out);
	}
}

void help_synopsis(const struct cli_command *command, FILE *out)
{
	bool options = command->options != NULL && command->options->name != NULL;
	bool args = command->args != NULL && command->args[0] != '\0';

	fprintf(out, "millrace %s%s%s%s", command->name, options ? " [options]" : "",
		args ? " " : "", args ? command->args : "");
}

void help_all(FILE *out)
{
	fputs("usage: millrace [options] COMMAND ...\n\ncommands:\n", out);
	print_commands(NULL, out);
	fputs("\noptions:\n", out);
	print_options(cli_global_options, out);
	fputs("\n'millrace help COMMAND' tells more. Exit status: 0 ok, 1 degraded or failed,\n"
	      "2 usage, 3 receiver not reached, 4 invalid configuration or damaged data,\n"
	      "5 refused for safety, 6 timed out, 130 interrupted.\n",
		out);
}

void help_group(const char *word, FILE *out)
{
	fprintf(out, "usage: millrace [options] %s ...\n\ncommands:\n", word);
	print_commands(word, out);
}

void help_command(const struct cli_command *command, FILE *out)
{
	fputs("usage: ", out);
	help_synopsis(command, out);
	fputs("\n\n", out);
	print_wrapped(command->summary, 0, out);
	if (command->details != NULL) {
		fputc('\n', out);
		print_wrapped(command->details, 0, out);
	}
	if (command->options != NULL && command->options->name != NULL) {
		fputs("\noptions:\n", out);
		print_options(command->options, out);
	}
	fputs("\noptions of every command:\n", out);
	print_options(cli_global_options, out);
}
