// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 32

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

// Levenshtein's distance, of words below WORD_MAX bytes.
static unsigned distance(const char *a, const char *b)
{
	unsigned row[WORD_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return WORD_MAX;
	for (unsigned j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

const char *closest_word(
	const char *word, const char *(*next)(const void *arg, unsigned i), const void *arg)
{
	unsigned best_distance = strlen(word) < 5 ? 2 : 3; // one below it is near enough
	const char *best = NULL, *candidate;

	for (unsigned i = 0; (candidate = next(arg, i)) != NULL; i++) {
		unsigned d = distance(word, candidate);

		if (d < best_distance && d < strlen(word)) {
			best_distance = d;
			best = candidate;
		}
	}
	return best;
}
