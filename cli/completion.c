// SPDX-License-Identifier: BSD-3-Clause

#include "cli/help.h"
#include "cli/options.h"

#include <string.h>

// True when an earlier command begins with the same word.
static bool word_seen(unsigned index, size_t len)
{
	const char *name = cli_commands[index]->name;

	for (unsigned i = 0; i < index; i++)
		if (!cli_commands[i]->hidden && strncmp(cli_commands[i]->name, name, len) == 0 &&
			(cli_commands[i]->name[len] == ' ' || cli_commands[i]->name[len] == '\0'))
			return true;
	return false;
}

static void put_first_words(FILE *out)
{
	const char *space = "";

	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		size_t len = strcspn(cli_commands[i]->name, " ");

		if (cli_commands[i]->hidden || word_seen(i, len))
			continue;
		fprintf(out, "%s%.*s", space, (int)len, cli_commands[i]->name);
		space = " ";
	}
}

static void put_second_words(const char *first, size_t len, FILE *out)
{
	const char *space = "";

	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		const char *name = cli_commands[i]->name;

		if (cli_commands[i]->hidden || strncmp(name, first, len) != 0 || name[len] != ' ')
			continue;
		fprintf(out, "%s%s", space, name + len + 1);
		space = " ";
	}
}

static void put_option_words(const struct cli_option *options, FILE *out)
{
	for (; options != NULL && options->name != NULL; options++)
		fprintf(out, " --%s", options->name);
}

static void put_groups(FILE *out)
{
	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		const char *name = cli_commands[i]->name;
		size_t len = strcspn(name, " ");

		if (cli_commands[i]->hidden || name[len] == '\0' || word_seen(i, len))
			continue;
		fprintf(out, "\t%.*s) words=\"", (int)len, name);
		put_second_words(name, len, out);
		fputs("\" ;;\n", out);
	}
}

static void put_command_options(FILE *out)
{
	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		if (cli_commands[i]->hidden || cli_commands[i]->options == NULL)
			continue;
		fprintf(out, "\t\"%s\") words=\"", cli_commands[i]->name);
		put_option_words(cli_commands[i]->options, out);
		fputs("\" ;;\n", out);
	}
}

static void put_values(const char *command, const struct cli_option *option, FILE *out)
{
	fprintf(out, "\t\"%s --%s\"", command, option->name);
	if (option->letter != 0)
		fprintf(out, "|\"%s -%c\"", command, option->letter);
	fputs(") words=\"", out);
	for (const char *c = option->values; *c != '\0'; c++)
		fputc(*c == '|' ? ' ' : *c, out);
	fputs("\" ;;\n", out);
}

static void put_option_values(FILE *out)
{
	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		const struct cli_option *option = cli_commands[i]->options;

		if (cli_commands[i]->hidden)
			continue;
		for (; option != NULL && option->name != NULL; option++)
			if (option->values != NULL)
				put_values(cli_commands[i]->name, option, out);
	}
}

// One function that both shells use: sets 'words' to what may stand next, or to nothing where a
// file name may. $1: the first word of the command, $2: the second or what stands in its place,
// $3: the word before the one that is completed, $4: how many words are complete, $5: that one.
static void put_function(const char *name, FILE *out)
{
	fprintf(out, "%s()\n{\n\tlocal command=\"$1\"\n\twords=\"\"\n\tcase \"$1\" in\n", name);
	for (unsigned i = 0; cli_commands[i] != NULL; i++) {
		const char *command = cli_commands[i]->name;
		size_t len = strcspn(command, " ");

		if (!cli_commands[i]->hidden && command[len] == ' ' && !word_seen(i, len))
			fprintf(out, "\t%.*s) command=\"$1 $2\" ;;\n", (int)len, command);
	}
	fputs("\tesac\n\tif [ \"$4\" -eq 0 ]; then\n\t\twords=\"", out);
	put_first_words(out);
	put_option_words(cli_global_options, out);
	fputs("\"\n\t\treturn\n\tfi\n\tif [ \"$4\" -eq 1 ]; then\n\tcase \"$1\" in\n", out);
	put_groups(out);
	fputs("\tesac\n\t[ -n \"$words\" ] && return\n\tfi\n\tcase \"$command $3\" in\n", out);
	put_option_values(out);
	fputs("\tesac\n\t[ -n \"$words\" ] && return\n\tcase \"$5\" in\n\t-*) ;;\n"
	      "\t*) return ;;\n\tesac\n\tcase \"$command\" in\n",
		out);
	put_command_options(out);
	fputs("\tesac\n\twords=\"$words", out);
	put_option_words(cli_global_options, out);
	fputs("\"\n}\n\n", out);
}

void completion_bash(FILE *out)
{
	fputs("# bash completion of millrace\n\n", out);
	put_function("_millrace_words", out);
	fputs("_millrace()\n{\n\tlocal words\n"
	      "\t_millrace_words \"${COMP_WORDS[1]}\" \"${COMP_WORDS[2]}\" \\\n"
	      "\t\t\"${COMP_WORDS[COMP_CWORD - 1]}\" $((COMP_CWORD - 1)) "
	      "\"${COMP_WORDS[COMP_CWORD]}\"\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
	      "\"${COMP_WORDS[COMP_CWORD]}\")\n}\n\n"
	      "complete -o default -F _millrace millrace\n",
		out);
}

void completion_zsh(FILE *out)
{
	fputs("#compdef millrace\n\n", out);
	put_function("_millrace_words", out);
	fputs("_millrace()\n{\n\tlocal before=\"${words[CURRENT-1]}\" now=\"${words[CURRENT]}\"\n"
	      "\tlocal first=\"${words[2]}\" second=\"${words[3]}\"\n"
	      "\tlocal -a line=(\"${words[@]}\")\n\tlocal words\n"
	      "\t_millrace_words \"$first\" \"$second\" \"$before\" $((CURRENT - 2)) \"$now\"\n"
	      "\tif [[ -n $words ]]; then\n\t\tcompadd -- "
	      "${=words}\n\telse\n\t\t_files\n\tfi\n}\n\n"
	      "if [[ $funcstack[1] = _millrace ]]; then\n\t_millrace \"$@\"\n"
	      "else\n\tcompdef _millrace millrace\nfi\n",
		out);
}
