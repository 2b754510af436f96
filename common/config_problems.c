// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"
#include "common/logmsg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void problem_add(
	struct config_problems *problems, unsigned line, bool warning, const char *fmt, ...)
{
	struct config_problem *p;
	va_list ap;

	problems->count++;
	if (!warning)
		problems->errors++;
	if (problems->count > PROBLEMS_MAX)
		return;
	p = &problems->list[problems->count - 1];
	p->line = line;
	p->warning = warning;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	// What was quoted from the file goes to terminals and into journals.
	for (char *c = p->text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

void problems_sort(struct config_problems *problems)
{
	unsigned count = problems->count < PROBLEMS_MAX ? problems->count : PROBLEMS_MAX;

	for (unsigned i = 1; i < count; i++) {
		struct config_problem p = problems->list[i];
		unsigned j = i;

		for (; j > 0 && problems->list[j - 1].line > p.line; j--)
			problems->list[j] = problems->list[j - 1];
		problems->list[j] = p;
	}
}

void config_problems_log(const struct config_problems *problems, const char *path)
{
	unsigned count = problems->count < PROBLEMS_MAX ? problems->count : PROBLEMS_MAX;

	for (unsigned i = 0; i < count; i++) {
		const struct config_problem *p = &problems->list[i];

		log_write(p->warning ? LOG_LEVEL_WARN : LOG_LEVEL_ERR, "%s:%u: %s", path, p->line,
			p->text);
	}
}
