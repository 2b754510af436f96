// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Where receivers may be, in Marathon's words: [FIELD, OPERATOR, VALUE]. FIELD is an agent's
// attribute, or "hostname".
//
//   UNIQUE            no two receivers share a value
//   CLUSTER   VALUE   all have that value; without VALUE: all the same one
//   GROUP_BY  N       spread evenly over the values; N: at least so many are expected
//   LIKE      REGEX   the value matches (whole; POSIX extended)
//   UNLIKE    REGEX   it doesn't
//   MAX_PER   N       at most so many share a value
//
// https://mesosphere.github.io/marathon/docs/constraints.html

#include <jansson.h>

#include <stdbool.h>

#define CONSTRAINTS_MAX 16
#define CONSTRAINT_FIELD_MAX 64
#define CONSTRAINT_VALUE_MAX 256

enum constraint_operator {
	CONSTRAINT_UNIQUE,
	CONSTRAINT_CLUSTER,
	CONSTRAINT_GROUP_BY,
	CONSTRAINT_LIKE,
	CONSTRAINT_UNLIKE,
	CONSTRAINT_MAX_PER,
};

struct constraint {
	char field[CONSTRAINT_FIELD_MAX];
	enum constraint_operator op;
	char value[CONSTRAINT_VALUE_MAX]; // "": none
};

// A slave: its hostname, and its attributes as texts: {"rack": "r1", "cores": "4"}.
struct constraint_slave {
	const char *hostname;
	const json_t *attributes; // object of strings
};

// From Mesos' own array of attributes. A number is written without needless zeros, a set as
// "{a,b}", ranges as "[1-3,5-6]". NULL on lack of memory.
json_t *constraint_attributes(const json_t *mesos_attributes);

// From three texts ('value' NULL: none). False, with what is wrong and what would be right in why.
bool constraint_parse(const char *field, const char *op, const char *value, struct constraint *ret,
	char *why, size_t size);

const char *constraint_operator_text(enum constraint_operator op);

// Whether a further receiver may be on 'slave' while the others are on 'placed'. False, with the
// constraint and the reason in words in why.
bool constraints_allow(const struct constraint *list, unsigned count,
	const struct constraint_slave *slave, const struct constraint_slave *placed,
	unsigned placed_count, char *why, size_t size);
