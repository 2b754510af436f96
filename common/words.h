// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What a mistyped word may have meant.

// The word that is near enough to 'word', else NULL. next(arg, i) gives the i-th candidate, NULL
// behind the last.
const char *word_closest(
	const char *word, const char *(*next)(const void *arg, unsigned i), const void *arg);
