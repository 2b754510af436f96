// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the table of commands says in other forms.

#include "cli/cli.h"

#include <stdio.h>

void help_all(FILE *out);
void help_command(const struct cli_command *command, FILE *out);
void help_group(const char *word, FILE *out); // the commands whose first word it is

// "millrace log cat [options] [GLOB]"
void help_synopsis(const struct cli_command *command, FILE *out);

void man_overview(FILE *out);                                   // millrace(1)
void man_command(const struct cli_command *command, FILE *out); // millrace-log-cat(1)
void man_config(FILE *out);                                     // millrace.yaml(5)

void completion_bash(FILE *out);
void completion_zsh(FILE *out);
