// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What is wrong with a file, as `millrace config check` prints it.

#include "common/config.h"

#include <jansson.h>

#include <stdio.h>

// As compilers say it, so that editors jump to the line.
void problems_print(const struct config_problems *problems, const char *path, FILE *out);

// The envelope of millrace.config-check/1 on stdout.
void problems_print_json(const struct config_problems *problems, const char *path, bool valid);
