// SPDX-License-Identifier: BSD-3-Clause

#include "common/words.h"

#include <stddef.h>
#include <string.h>

#define WORD_MAX 32

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

const char *word_closest(
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
