// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between the files that check a configuration as a whole.

#include "common/config_internal.h"

struct checking {
	const struct config *config;
	const struct config_node *root;
	struct config_problems *problems;
};

#define ERROR(c, line, ...) problem_add((c)->problems, line, false, __VA_ARGS__)
#define WARN(c, line, ...) problem_add((c)->problems, line, true, __VA_ARGS__)

// The line of a key, of its section when it is not written, else 0.
unsigned line_of(const struct checking *c, const char *section, const char *name);
// The line of an element of a list.
unsigned item_line(const struct checking *c, const char *list, unsigned index);

// config_check_sinks.c: sinks, acknowledgements, the API over TCP.
void check_sinks(const struct checking *c);
