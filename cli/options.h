// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// From the words of a command line to a command and its arguments.

#include "cli/cli.h"

struct cli_request {
	struct cli cli;
	const struct cli_command *command; // NULL: none was named (help or version was asked for)
	struct cli_args args;              // argv: the words given, rearranged
	bool help;
	bool version;
	char error[256]; // what is wrong, when so
};

// Options of every command: --socket, --json, --timeout, --help, --version. Taken before and behind
// the command's name; a command's own option of the same name wins behind it.
extern const struct cli_option cli_global_options[];

// 0, or EXIT_CLI_USAGE with ret->error filled (and ret->command where it was recognised).
// Rearranges argv; ret points into it. argv[0] is the program's name.
int cli_parse_line(int argc, char **argv, struct cli_request *ret);

// The command of that name; NULL. Two words are one name: "log cat".
const struct cli_command *cli_find(const char *name);

// True when some command's first word of two is 'word'.
bool cli_is_group(const char *word);
