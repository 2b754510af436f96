// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Lists of CPUs as people write them: "0-3,8".

#include <stddef.h>
#include <stdint.h>

#define CPUS_MAX 128 // in a list
#define CPUS_NUMBER_MAX 1023
#define CPUS_TEXT_BYTES (CPUS_MAX * 5)

// Takes "3" or "0-3" from *text, up to a comma or the end. NULL, or what is wrong.
const char *cpus_parse_range(const char **text, uint64_t *first, uint64_t *last);

// In the order in which they are written. NULL, or what is wrong; *count is 0 then.
const char *cpus_parse(const char *text, uint16_t list[CPUS_MAX], unsigned *count);

// buf: CPUS_TEXT_BYTES for any list.
const char *cpus_text(const uint16_t *list, unsigned count, char *buf, size_t size);
