// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Where masters are, as "host:port".

#include <stdbool.h>
#include <stddef.h>

#define MASTERS_MAX 16
#define MASTER_BYTES 272 // a host of at most 255 characters, in brackets when it is of IPv6

struct masters {
	unsigned count;
	char list[MASTERS_MAX][MASTER_BYTES];
};

// "host:port,…"; blanks around each are fine, and so is none at all. -EINVAL; -E2BIG: more than
// MASTERS_MAX.
int masters_parse(const char *text, struct masters *ret);

bool masters_have(const struct masters *masters, const char *master);
bool masters_same(const struct masters *a, const struct masters *b);

// Of a Location: "//host:port/…", with a scheme before it or without. False: it names no master.
bool masters_location(const char *location, char ret[MASTER_BYTES]);
