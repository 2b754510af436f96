// SPDX-License-Identifier: BSD-3-Clause

#include "cli/help.h"
#include "cli/options.h"
#include "common/config_table.h"

#include <ctype.h>
#include <string.h>

// man(7): a backslash and a hyphen are escaped, and a line must not begin with a control character.
static void put(const char *text, FILE *out)
{
	bool line_start = true;

	for (; *text != '\0'; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
		line_start = *text == '\n';
	}
}

// Paragraphs, one a line.
static void put_paragraphs(const char *text, FILE *out)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		char line[4096];

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		fputs(".PP\n", out);
		put(line, out);
		fputc('\n', out);
		text += len;
		text += strspn(text, "\n");
	}
}

static void put_page_name(const struct cli_command *command, FILE *out)
{
	fputs("millrace\\-", out);
	for (const char *c = command->name; *c != '\0'; c++)
		fputs(*c == ' ' || *c == '-' ? "\\-" : (char[]){*c, '\0'}, out);
}

static void put_head(const char *title, unsigned section, FILE *out)
{
	fputs(".TH \"", out);
	for (const char *c = title; *c != '\0'; c++)
		fputc(*c == ' ' ? '-' : toupper((unsigned char)*c), out);
	fprintf(out, "\" \"%u\" \"\" \"millrace %s\" \"Millrace\"\n", section, MILLRACE_VERSION);
}

static void put_option(const struct cli_option *option, FILE *out)
{
	fputs(".TP\n", out);
	if (option->letter != 0)
		fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
	fputs("\\fB\\-\\-", out);
	put(option->name, out);
	fputs("\\fR", out);
	if (option->arg != NULL) {
		fputs(" \\fI", out);
		put(option->arg, out);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	put(option->help, out);
	if (option->values != NULL) {
		fputs(" (", out);
		put(option->values, out);
		fputc(')', out);
	}
	fputc('\n', out);
}

static void put_options(const struct cli_option *options, FILE *out)
{
	for (; options != NULL && options->name != NULL; options++)
		put_option(options, out);
}

static void put_exit_status(FILE *out)
{
	static const char *const rows[][2] = {
		{"0", "ok"},
		{"1", "degraded or failed"},
		{"2", "wrong usage"},
		{"3", "the receiver cannot be reached"},
		{"4", "invalid configuration or damaged data"},
		{"5", "refused for safety"},
		{"6", "timed out"},
		{"130", "interrupted"},
	};

	fputs(".SH EXIT STATUS\n", out);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fprintf(out, ".TP\n%s\n%s\n", rows[i][0], rows[i][1]);
}

void man_overview(FILE *out)
{
	put_head("millrace", 1, out);
	fputs(".SH NAME\nmillrace \\- look at and work with a Millrace event receiver\n"
	      ".SH SYNOPSIS\n\\fBmillrace\\fR [\\fIoptions\\fR] \\fICOMMAND\\fR ...\n"
	      ".SH DESCRIPTION\n"
	      "Data goes to standard output, all talk to standard error.\n"
	      "Without a terminal there is no colour and no refresh.\n"
	      ".SH COMMANDS\n",
		out);
	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		if (cli_commands[i]->hidden)
			continue;
		fputs(".TP\n\\fB", out);
		put_page_name(cli_commands[i], out);
		fputs("\\fR(1)\n", out);
		put(cli_commands[i]->summary, out);
		fputc('\n', out);
	}
	fputs(".SH OPTIONS\nThese are taken before and behind the command.\n", out);
	put_options(cli_global_options, out);
	put_exit_status(out);
	fputs(".SH SEE ALSO\n\\fBmillrace.yaml\\fR(5)\n", out);
}

void man_command(const struct cli_command *command, FILE *out)
{
	char title[80];

	snprintf(title, sizeof(title), "millrace-%s", command->name);
	put_head(title, 1, out);
	fputs(".SH NAME\n", out);
	put_page_name(command, out);
	fputs(" \\- ", out);
	put(command->summary, out);
	fputs("\n.SH SYNOPSIS\n\\fBmillrace ", out);
	put(command->name, out);
	fputs("\\fR", out);
	if (command->options != NULL && command->options->name != NULL)
		fputs(" [\\fIoptions\\fR]", out);
	if (command->args != NULL && command->args[0] != '\0') {
		fputc(' ', out);
		put(command->args, out);
	}
	fputc('\n', out);
	if (command->details != NULL) {
		fputs(".SH DESCRIPTION\n", out);
		put_paragraphs(command->details, out);
	}
	if (command->options != NULL && command->options->name != NULL) {
		fputs(".SH OPTIONS\n", out);
		put_options(command->options, out);
	}
	fputs(".SH SEE ALSO\n\\fBmillrace\\fR(1), for the options and the exit status of every "
	      "command\n",
		out);
}

static void put_key(const struct config_key *key, FILE *out)
{
	char range[128];

	fputs(".TP\n\\fB", out);
	put(key->name, out);
	fputs("\\fR\n", out);
	put(key->help, out);
	fputs(".\n", out);
	put(config_range_text(key, range), out);
	if (key->unit != NULL && key->unit[0] != '\0') {
		fputs(", in ", out);
		put(key->unit, out);
	}
	fputs(key->required ? ". " : ". Default: ", out);
	put(key->required ? "Required" : config_default_text(key), out);
	fputs(key->reload == RELOAD_LIVE ? ". A reload takes a change.\n"
					 : ". A restart takes a change.\n",
		out);
}

static void put_keys(const struct config_key *keys, FILE *out)
{
	for (; keys->name != NULL; keys++)
		if (keys->children == NULL)
			put_key(keys, out);
}

void man_config(FILE *out)
{
	put_head("millrace.yaml", 5, out);
	fputs(".SH NAME\nmillrace.yaml \\- configuration of millraced\n"
	      ".SH DESCRIPTION\n"
	      "One YAML file.\n"
	      "Durations are written as 50ms (ns us ms s m h d), sizes as 64MiB.\n"
	      "A key that is not in the file has its default.\n"
	      "\\fBmillrace config check\\fR says all that is wrong with a file, and\n"
	      "\\fBmillrace config sample\\fR prints one with every key.\n"
	      ".SH KEYS\n",
		out);
	put_keys(config_keys, out);
	for (const struct config_key *key = config_keys; key->name != NULL; key++) {
		if (key->children == NULL)
			continue;
		fprintf(out, ".SS %s\n", key->name);
		put(key->help, out);
		fputs(key->type == TYPE_LIST ? ". A list of elements with these keys:\n" : ".\n",
			out);
		put_keys(key->children, out);
	}
	fputs(".SH SEE ALSO\n\\fBmillrace\\fR(1)\n", out);
}
