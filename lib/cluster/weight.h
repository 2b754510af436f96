// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Rendezvous hashing: each source has an order of its own of all receivers, which everybody who
// knows the two names finds by himself. When a receiver goes only its own sources move, evenly to
// the others; when one comes it takes its share evenly from all. docs/cluster.md has the formula,
// which others compute as well: it never changes.

#include <stdint.h>

// The receiver with the highest is the source's own, the next one is its second, and so on; between
// equals the name that strcmp() has first.
uint64_t cluster_weight(uint64_t source, const char *receiver);

// Evenly below 'span' by the source, so that many sources don't do the same thing at once.
uint64_t cluster_spread(uint64_t source, uint64_t span);
