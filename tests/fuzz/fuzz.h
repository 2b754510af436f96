// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What every target begins with.

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define expect(truth) \
	do { \
		if (!(truth)) { \
			fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #truth); \
			abort(); \
		} \
	} while (0)
