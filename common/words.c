// SPDX-License-Identifier: BSD-3-Clause

#include "common/words.h"

#include <stddef.h>
#include <string.h>

#define WORD_MAX 32

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

// How many letters to insert, leave out, replace or swap with their neighbour.
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return WORD_MAX;
	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			now[j] = before[j - 1] + (a[i - 1] != b[j - 1]);
			now[j] = min(now[j], min(before[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min(now[j], rows[(i + 1) % 3][j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
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
