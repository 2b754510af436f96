// SPDX-License-Identifier: BSD-3-Clause

#include "control/constraints.h"

#include "common/units.h"
#include "common/words.h"

#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_VALUE "'%.64s'"
#define PER_MAX 1000000 // more receivers than there ever are

static const char *const operators[] = {
	[CONSTRAINT_UNIQUE] = "UNIQUE",
	[CONSTRAINT_CLUSTER] = "CLUSTER",
	[CONSTRAINT_GROUP_BY] = "GROUP_BY",
	[CONSTRAINT_LIKE] = "LIKE",
	[CONSTRAINT_UNLIKE] = "UNLIKE",
	[CONSTRAINT_MAX_PER] = "MAX_PER",
};

#define OPERATORS (sizeof(operators) / sizeof(operators[0]))

const char *constraint_operator_text(enum constraint_operator op)
{
	return operators[op];
}

static const char *operator_name(const void *arg, unsigned i)
{
	(void)arg;
	return i < OPERATORS ? operators[i] : NULL;
}

static bool parse_operator(const char *text, enum constraint_operator *ret, char *why, size_t size)
{
	const char *meant;

	for (unsigned i = 0; i < OPERATORS; i++) {
		if (strcmp(text, operators[i]) == 0) {
			*ret = (enum constraint_operator)i;
			return true;
		}
	}
	meant = word_closest(text, operator_name, NULL);
	if (meant != NULL)
		snprintf(why, size, WHY_VALUE " is no operator; did you mean '%s'?", text, meant);
	else
		snprintf(why, size,
			WHY_VALUE
			" is no operator: UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE or MAX_PER",
			text);
	return false;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool check_regex(const char *text, char *why, size_t size)
{
	char error[96];
	regex_t regex;
	int rc = regcomp(&regex, text, REG_EXTENDED);

	if (rc != 0) {
		regerror(rc, &regex, error, sizeof(error));
		snprintf(why, size, WHY_VALUE " is no regular expression: %s", text, error);
		return false;
	}
	regfree(&regex);
	return true;
}

// The whole value: of all matches POSIX has the first, and of those the longest.
static bool matches(const char *pattern, const char *value)
{
	regmatch_t match;
	regex_t regex;
	bool ret;

	if (regcomp(&regex, pattern, REG_EXTENDED) != 0)
		return false;
	ret = regexec(&regex, value, 1, &match, 0) == 0 && match.rm_so == 0 &&
	      value[match.rm_eo] == '\0';
	regfree(&regex);
	return ret;
}

static bool check_number(const char *text, char *why, size_t size)
{
	uint64_t n;

	if (units_parse_uint(text, &n) && n >= 1 && n <= PER_MAX)
		return true;
	snprintf(why, size, WHY_VALUE " is no whole number of at least 1", text);
	return false;
}

static bool need_value(const struct constraint *c, const char *what, char *why, size_t size)
{
	if (c->value[0] != '\0')
		return true;
	snprintf(why, size, "%s needs %s", operators[c->op], what);
	return false;
}

static bool check_value(const struct constraint *c, char *why, size_t size)
{
	switch (c->op) {
	case CONSTRAINT_UNIQUE:
		if (c->value[0] == '\0')
			return true;
		snprintf(why, size, "UNIQUE takes no value");
		return false;
	case CONSTRAINT_CLUSTER:
		return true;
	case CONSTRAINT_GROUP_BY:
		return c->value[0] == '\0' || check_number(c->value, why, size);
	case CONSTRAINT_MAX_PER:
		return need_value(c, "a number", why, size) && check_number(c->value, why, size);
	default:
		return need_value(c, "a regular expression", why, size) &&
		       check_regex(c->value, why, size);
	}
}

static bool take_text(
	const char *what, const char *text, char *ret, size_t room, char *why, size_t size)
{
	if (strlen(text) >= room)
		snprintf(why, size, "%s is longer than %zu bytes", what, room - 1);
	else if (!is_printable(text))
		snprintf(why, size, "%s holds control characters", what);
	else {
		memcpy(ret, text, strlen(text) + 1);
		return true;
	}
	return false;
}

bool constraint_parse(const char *field, const char *op, const char *value, struct constraint *ret,
	char *why, size_t size)
{
	memset(ret, 0, sizeof(*ret));
	if (*field == '\0') {
		snprintf(why, size, "the field is empty: an attribute of the agents, or hostname");
		return false;
	}
	return parse_operator(op, &ret->op, why, size) &&
	       take_text("the field", field, ret->field, sizeof(ret->field), why, size) &&
	       take_text("the value", value != NULL ? value : "", ret->value, sizeof(ret->value),
		       why, size) &&
	       check_value(ret, why, size);
}

// NULL: the slave has no such attribute.
static const char *value_of(const struct constraint_slave *slave, const char *field)
{
	if (strcmp(field, "hostname") == 0)
		return slave->hostname;
	return json_string_value(json_object_get(slave->attributes, field));
}

// What is asked about, and who is there.
struct asking {
	const struct constraint *c;
	const char *value;
	const struct constraint_slave *placed;
	unsigned placed_count;
	char *why;
	size_t size;
};

static bool refuse(const struct asking *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(const struct asking *a, const char *fmt, ...)
{
	const struct constraint *c = a->c;
	char reason[192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	snprintf(a->why, a->size, "%s %s%s%.64s: %s", c->field, operators[c->op],
		c->value[0] != '\0' ? " " : "", c->value, reason);
	return false;
}

static unsigned sharing(const struct asking *a, const char *value)
{
	unsigned count = 0;

	for (unsigned i = 0; i < a->placed_count; i++) {
		const char *own = value_of(&a->placed[i], a->c->field);

		count += own != NULL && strcmp(own, value) == 0;
	}
	return count;
}

static bool allow_cluster(const struct asking *a)
{
	const char *wanted = a->c->value[0] != '\0' ? a->c->value : NULL;

	for (unsigned i = 0; wanted == NULL && i < a->placed_count; i++)
		wanted = value_of(&a->placed[i], a->c->field);
	if (wanted == NULL || strcmp(wanted, a->value) == 0)
		return true;
	return a->c->value[0] != '\0'
		       ? refuse(a, "it is " WHY_VALUE, a->value)
		       : refuse(a, "it is " WHY_VALUE ", the others are on " WHY_VALUE, a->value,
				 wanted);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// How many values are in use, and what the least used of them has.
static int count_values(const struct asking *a, unsigned *ret_values, unsigned *ret_least)
{
	const char **list = calloc(a->placed_count + 1, sizeof(*list));
	unsigned count = 0, run = 0;

	*ret_values = 0;
	*ret_least = 0;
	if (list == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < a->placed_count; i++) {
		list[count] = value_of(&a->placed[i], a->c->field);
		count += list[count] != NULL;
	}
	qsort(list, count, sizeof(*list), by_text);
	for (unsigned i = 0; i < count; i++) {
		run++;
		if (i + 1 < count && strcmp(list[i], list[i + 1]) == 0)
			continue;
		if (*ret_values == 0 || run < *ret_least)
			*ret_least = run;
		(*ret_values)++;
		run = 0;
	}
	free(list);
	return 0;
}

// Values that nobody is on are unknown, unless N says that there are more: they have none.
static bool allow_group_by(const struct asking *a)
{
	unsigned own = sharing(a, a->value), values, least;
	uint64_t expected = 0;

	if (own == 0)
		return true;
	if (count_values(a, &values, &least) != 0)
		return refuse(a, "no memory to count");
	if (a->c->value[0] != '\0')
		units_parse_uint(a->c->value, &expected);
	if (values < expected)
		return refuse(a, WHY_VALUE " has %u, and only %u of the values are in use",
			a->value, own, values);
	return own == least ||
	       refuse(a, WHY_VALUE " has %u, another value only %u", a->value, own, least);
}

static bool allow_like(const struct asking *a)
{
	bool like = a->c->op == CONSTRAINT_LIKE;

	return matches(a->c->value, a->value) == like || refuse(a, "it is " WHY_VALUE, a->value);
}

static bool allow_max_per(const struct asking *a)
{
	unsigned count = sharing(a, a->value);
	uint64_t most = 0;

	units_parse_uint(a->c->value, &most);
	return count < most || refuse(a, WHY_VALUE " has %u", a->value, count);
}

static bool allow(const struct asking *a)
{
	if (a->value == NULL)
		return a->c->op == CONSTRAINT_UNLIKE || refuse(a, "it has no such attribute");
	switch (a->c->op) {
	case CONSTRAINT_UNIQUE:
		return sharing(a, a->value) == 0 || refuse(a, WHY_VALUE " has one", a->value);
	case CONSTRAINT_CLUSTER:
		return allow_cluster(a);
	case CONSTRAINT_GROUP_BY:
		return allow_group_by(a);
	case CONSTRAINT_MAX_PER:
		return allow_max_per(a);
	default:
		return allow_like(a);
	}
}

bool constraints_allow(const struct constraint *list, unsigned count,
	const struct constraint_slave *slave, const struct constraint_slave *placed,
	unsigned placed_count, char *why, size_t size)
{
	for (unsigned i = 0; i < count; i++) {
		const struct asking a = {.c = &list[i],
			.value = value_of(slave, list[i].field),
			.placed = placed,
			.placed_count = placed_count,
			.why = why,
			.size = size};

		if (!allow(&a))
			return false;
	}
	return true;
}
