// SPDX-License-Identifier: BSD-3-Clause

#include "problem_cases.h"

#include <errno.h>
#include <string.h>

struct config_problems case_problems;

bool problems_have(bool warning, unsigned line, const char *part)
{
	for (unsigned i = 0; i < case_problems.count && i < 64; i++) {
		const struct config_problem *p = &case_problems.list[i];

		if (p->warning == warning && p->line == line && strstr(p->text, part) != NULL)
			return true;
	}
	return false;
}

static void print_problems(void)
{
	for (unsigned i = 0; i < case_problems.count && i < 64; i++)
		print_message("%u: %s%s\n", case_problems.list[i].line,
			case_problems.list[i].warning ? "warning: " : "",
			case_problems.list[i].text);
}

void assert_valid(const char *text)
{
	if (parse_case(text) != 0) {
		print_problems();
		fail_msg("refused: %s", text);
	}
}

void assert_refused(const char *text, unsigned line, const char *part)
{
	int rc = parse_case(text);

	if (rc != -EINVAL || case_problems.errors != 1 || !problems_have(false, line, part)) {
		print_problems();
		fail_msg("wanted %u: '%s' of: %s", line, part, text);
	}
}
