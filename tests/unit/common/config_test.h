// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the tests of the configuration share.

#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PORT "ports: [{device: eth1}]\n"
#define LISTENER "listeners: [{port: 5140}]\n"
// What every file needs, in one line, so that the next one is line 2. One CPU that exists.
#define BASE "{ports: [{device: eth1}], listeners: [{port: 5140}], cpus: '0'"

static struct config config;
static struct config_problems problems;

static inline int parse(const char *text)
{
	return config_parse(text, strlen(text), &config, &problems);
}

// True when a problem of that kind and line has 'part' in its text.
static inline bool has(bool warning, unsigned line, const char *part)
{
	for (unsigned i = 0; i < problems.count && i < 64; i++) {
		const struct config_problem *p = &problems.list[i];

		if (p->warning == warning && p->line == line && strstr(p->text, part) != NULL)
			return true;
	}
	return false;
}

static inline void print_problems(void)
{
	for (unsigned i = 0; i < problems.count && i < 64; i++)
		print_message("%u: %s%s\n", problems.list[i].line,
			problems.list[i].warning ? "warning: " : "", problems.list[i].text);
}

static inline void assert_valid(const char *text)
{
	if (parse(text) != 0) {
		print_problems();
		fail_msg("refused: %s", text);
	}
}

// The only error, in that line.
static inline void assert_refused(const char *text, unsigned line, const char *part)
{
	int rc = parse(text);

	if (rc != -22 || problems.errors != 1 || !has(false, line, part)) {
		print_problems();
		fail_msg("wanted %u: '%s' of: %s", line, part, text);
	}
}

struct refusal {
	const char *key; // behind BASE, in line 2
	const char *part;
};

static inline void assert_each(const struct refusal *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[2048];

		snprintf(text, sizeof(text), BASE ",\n%s}\n", rows[i].key);
		assert_refused(text, 2, rows[i].part);
	}
}

#define ASSERT_EACH(rows) assert_each(rows, sizeof(rows) / sizeof(rows[0]))
