// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The generic cell rate algorithm (ITU-T I.371, annex A): one clock, which says up to when what was
// taken has used the rate.

#include <stdbool.h>
#include <stdint.h>

// What comes at once is taken up to so many packets, whatever the rate.
#define RATE_BURST 64u

// Whether one more packet is within the rate, of which each takes 'each' ticks.
static inline bool rate_take(uint64_t *used, uint64_t each, uint64_t now)
{
	if (*used < now)
		*used = now;
	if (*used - now > RATE_BURST * each)
		return false;
	*used += each;
	return true;
}
