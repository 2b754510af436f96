// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Durations and sizes as people write them, and back. Only exact values are written: what *_text()
// gives, *_parse() reads back to the same number.

#include <stdbool.h>
#include <stdint.h>

#define UNITS_TEXT_BYTES 32

// "1.5s", "200ms", "10us", "2m", "7d" (ns us ms s m h d); "0" needs no unit. False when it is none,
// is not a whole number of nanoseconds, or doesn't fit.
bool units_parse_duration(const char *text, uint64_t *ret_ns);

// "1MiB", "10G", "64k", "1.5TiB", "4096": k M G T, with or without "i" or "iB", are powers of
// 1024; kB MB GB TB are powers of 1000; without a unit, bytes. False as above.
bool units_parse_size(const char *text, uint64_t *ret_bytes);

// "1000000", "1.5M", "10G": k M G T are powers of 1000. False as above.
bool units_parse_count(const char *text, uint64_t *ret);

// "1.25", without a unit, times the scale. False when that is no whole number, or as above.
bool units_parse_decimal(const char *text, uint64_t scale, uint64_t *ret);

// A plain decimal number without sign or blanks.
bool units_parse_uint(const char *text, uint64_t *ret);

// buf: at least UNITS_TEXT_BYTES.
const char *units_duration_text(uint64_t ns, char *buf);
const char *units_size_text(uint64_t bytes, char *buf);
