// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between the files of the configuration only.

#include "common/config.h"
#include "common/config_table.h"

#define CONFIG_FILE_MAX (1024 * 1024)
#define PROBLEMS_MAX (sizeof(((struct config_problems *)0)->list) / sizeof(struct config_problem))

// config_problems.c

// By line, those of no line first; of one line, in the order they were found.
void problems_sort(struct config_problems *problems);

// config_value.c

// Reads the text (or list) of a node into the field of 'holder' that the key names. 'path' names
// the key in messages.
void value_read(const struct config_key *key, const struct config_node *node, void *holder,
	const char *path, struct config_problems *problems);

// The same from the table's default, which is always right.
void value_read_default(const struct config_key *key, void *holder);

// config_print.c: "PREFIXTEXT" with its quotes, TEXT escaped.
void quoted_print(const char *prefix, const char *text, FILE *out);

// config_properties.c
void properties_read(const struct config_key *key, const struct config_node *node, void *holder,
	const char *path, struct config_problems *problems);
void properties_print(const struct config_key *key, const void *holder, FILE *out);

// config_address.c

enum address_form {
	ADDRESS_LISTEN,  // 10.0.0.1, or a multicast group
	ADDRESS_GATEWAY, // 10.0.0.1
	ADDRESS_OWN,     // 10.0.0.1/24
	ADDRESS_PREFIX,  // 10.0.0.0/24; 10.0.0.1 is that host alone
};

// NULL, or what is wrong with it.
const char *address_parse(const char *text, enum address_form form, struct config_address *ret);
bool address_equal(const struct config_address *a, const struct config_address *b);

// config_check.c

// What no single key can say. 'root' gives the lines; NULL: nothing was written. 'here': the CPUs
// are this machine's.
void config_cross_check(const struct config *config, const struct config_node *root, bool here,
	struct config_problems *problems);
