// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// For tests: each way of computing CRC-32C by itself.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crc32c_impl {
	const char *name;
	// Without initial value and final xor.
	uint32_t (*update)(uint32_t crc, const uint8_t *data, size_t len);
};

extern const struct crc32c_impl crc32c_impls[2]; // vpclmul, isal

// Whether the first of them runs on this CPU.
bool crc32c_has_vpclmul(void);
