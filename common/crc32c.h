// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// CRC-32C (Castagnoli, RFC 3720 appendix B.4): reflected polynomial 0x82F63B78, initial value and
// final xor all ones. crc32c("123456789", 9) = 0xE3069283.
//
// Chosen at run time: VPCLMULQDQ on 512-bit registers where the CPU has it (about 0.03 cycles per
// byte), else ISA-L's three-way crc32_iscsi (about 0.13).

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t len);

// Name of what was chosen: "vpclmul", "isal".
const char *crc32c_impl(void);
