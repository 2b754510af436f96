// SPDX-License-Identifier: BSD-3-Clause

#include "common/units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FRACTION_DIGITS_MAX 9
#define KIB 1024ull
#define KB 1000ull

struct unit {
	const char *name;
	uint64_t factor;
};

// From large to small, which is the order in which an exact one is looked for.
static const struct unit durations[] = {
	{"d", 86400000000000},
	{"h", 3600000000000},
	{"m", 60000000000},
	{"s", 1000000000},
	{"ms", 1000000},
	{"us", 1000},
	{"ns", 1},
	{NULL, 0},
};

static const struct unit sizes[] = {
	{"TiB", KIB *KIB *KIB *KIB},
	{"GiB", KIB *KIB *KIB},
	{"MiB", KIB *KIB},
	{"KiB", KIB},
	{"Ti", KIB *KIB *KIB *KIB},
	{"Gi", KIB *KIB *KIB},
	{"Mi", KIB *KIB},
	{"Ki", KIB},
	{"T", KIB *KIB *KIB *KIB},
	{"G", KIB *KIB *KIB},
	{"M", KIB *KIB},
	{"k", KIB},
	{"TB", KB *KB *KB *KB},
	{"GB", KB *KB *KB},
	{"MB", KB *KB},
	{"kB", KB},
	{"B", 1},
	{NULL, 0},
};

static const struct unit counts[] = {
	{"T", KB *KB *KB *KB},
	{"G", KB *KB *KB},
	{"M", KB *KB},
	{"k", KB},
	{"", 1},
	{NULL, 0},
};

// A decimal number in front of a unit: whole + fraction / scale.
struct number {
	uint64_t whole;
	uint64_t fraction;
	uint64_t scale;
};

static const char *read_digits(const char *text, unsigned digits_max, uint64_t *ret)
{
	unsigned digits = 0;

	*ret = 0;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (++digits > digits_max || __builtin_mul_overflow(*ret, 10, ret) ||
			__builtin_add_overflow(*ret, (uint64_t)(*text - '0'), ret))
			return NULL;
	}
	return digits == 0 ? NULL : text;
}

// Returns what follows the number, NULL when there is none.
static const char *read_number(const char *text, struct number *ret)
{
	const char *point;

	ret->fraction = 0;
	ret->scale = 1;
	point = read_digits(text, 20, &ret->whole);
	if (point == NULL || *point != '.')
		return point;
	text = read_digits(point + 1, FRACTION_DIGITS_MAX, &ret->fraction);
	if (text == NULL)
		return NULL;
	for (const char *c = point + 1; c < text; c++)
		ret->scale *= 10;
	return text;
}

static bool multiply(const struct number *n, uint64_t factor, uint64_t *ret)
{
	unsigned __int128 all = (unsigned __int128)n->whole * n->scale + n->fraction;

	all *= factor;
	if (all % n->scale != 0 || all / n->scale > UINT64_MAX)
		return false;
	*ret = (uint64_t)(all / n->scale);
	return true;
}

static bool parse(const char *text, const struct unit *units, bool ignore_case, uint64_t *ret)
{
	struct number number;
	const char *name = read_number(text, &number);

	if (name == NULL)
		return false;
	for (const struct unit *u = units; u->name != NULL; u++) {
		int differs = ignore_case ? strcasecmp(name, u->name) : strcmp(name, u->name);

		if (differs == 0)
			return multiply(&number, u->factor, ret);
	}
	return false;
}

bool units_parse_count(const char *text, uint64_t *ret)
{
	return parse(text, counts, true, ret);
}

bool units_parse_decimal(const char *text, uint64_t scale, uint64_t *ret)
{
	struct number number;
	const char *end = read_number(text, &number);

	return end != NULL && *end == '\0' && multiply(&number, scale, ret);
}

bool units_parse_uint(const char *text, uint64_t *ret)
{
	const char *end = read_digits(text, 20, ret);

	return end != NULL && *end == '\0';
}

bool units_parse_duration(const char *text, uint64_t *ret_ns)
{
	uint64_t plain;

	if (units_parse_uint(text, &plain)) {
		*ret_ns = 0;
		return plain == 0; // "5" could be anything
	}
	return parse(text, durations, false, ret_ns);
}

bool units_parse_size(const char *text, uint64_t *ret_bytes)
{
	return units_parse_uint(text, ret_bytes) || parse(text, sizes, true, ret_bytes);
}

static const char *exact_text(uint64_t value, const struct unit *units, unsigned count, char *buf)
{
	for (unsigned i = 0; value != 0 && i < count; i++) {
		if (value % units[i].factor == 0) {
			snprintf(buf, UNITS_TEXT_BYTES, "%" PRIu64 "%s", value / units[i].factor,
				units[i].name);
			return buf;
		}
	}
	snprintf(buf, UNITS_TEXT_BYTES, "%" PRIu64, value);
	return buf;
}

const char *units_duration_text(uint64_t ns, char *buf)
{
	return exact_text(ns, durations, 7, buf);
}

const char *units_size_text(uint64_t bytes, char *buf)
{
	return exact_text(bytes, sizes, 4, buf);
}
