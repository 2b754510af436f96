// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between the files of the desired state.

#include "control/spec.h"

#define SPEC_SCHEMA "millrace.spec/1"

// What spec_keys read into: the receiver's file is a name in the YAML file, and its text in all
// else.
struct spec_draft {
	struct spec spec;
	char receiver[CONFIG_PATH_MAX];
};

// spec_keys.c

void spec_constraints_read(const struct config_key *key, const struct config_node *node,
	void *holder, const char *path, struct config_problems *problems);
void spec_constraints_print(const struct config_key *key, const void *holder, FILE *out);
json_t *spec_constraints_json(const struct spec *spec); // NULL on lack of memory

// spec.c

// What no single key can say.
config_check_fn spec_check;

// Takes the receiver's text over, and checks it. 'name' and 'line' are where it is from.
int spec_take_receiver(struct spec *spec, char *text, size_t len, const char *name, unsigned line,
	struct config_problems *problems);

// spec_json.c

// The value as in the YAML file (or the receiver's text); a null when it isn't there. 'key' of the
// outermost keys or of a section. NULL on lack of memory.
json_t *spec_value(const struct config_key *key, const struct spec *spec);
