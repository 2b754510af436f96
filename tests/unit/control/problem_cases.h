// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a file of keys is refused with.

#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern struct config_problems case_problems; // of the last parse_case()

// The test's own: reads the text, with case_problems.
int parse_case(const char *text);

bool problems_have(bool warning, unsigned line, const char *part);
void assert_valid(const char *text);
// For one reason alone, told of that line.
void assert_refused(const char *text, unsigned line, const char *part);
