// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The desired state: what `millrace cluster apply` takes as a YAML file, and what is kept as JSON
// in ZooKeeper. From one table of keys (spec_keys in spec.c).

#include "common/config.h"
#include "common/config_table.h"
#include "control/constraints.h"
#include "control/resources.h"

#include <jansson.h>

#define SPEC_COUNT_MAX 1000
#define SPEC_CONFIG_MAX (64u << 10)

struct spec {
	unsigned count;        // of receivers
	unsigned lcores;       // of each; Mesos is asked for lcores + 1 cpus
	uint64_t mem_bytes;    // of each, hugepages not included
	uint64_t hugepages;    // of 2 MiB, of each; 0: none asked for
	unsigned nics;         // of each; 0: those that the receiver's own file names
	uint64_t volume_bytes; // of a reserved persistent volume for the log; 0: a host path
	char log_attribute[CONFIG_NAME_MAX]; // attribute of an agent that holds that path
	unsigned constraint_count;
	struct constraint constraints[CONSTRAINTS_MAX];
	uint64_t unreachable_after_ns;       // then another slave takes its place; default 15 min
	uint64_t backoff_ns, backoff_max_ns; // before a receiver that ended is launched again
	uint64_t healthy_after_ns;           // so long in good health ends the back-off
	uint64_t kill_grace_ns;              // from SIGTERM to SIGKILL
	uint64_t move_after_ns; // a source waits so long for its own receiver; default 5 s
	char *receiver;         // text of the receivers' millraced.yaml; allocated
};

// For printing; what they read into is more than struct spec. RELOAD_LIVE: a change needs no
// restart.
extern const struct config_key spec_keys[];

// From the YAML text; the file that 'receiver' names is read relative to 'dir' and checked as
// millraced would with so many lcores, its problems reported with its name. 0 (with warnings,
// perhaps); -EINVAL and *problems; -ENOMEM. After an error there is nothing to free.
int spec_parse(const char *text, size_t len, const char *dir, struct spec *ret,
	struct config_problems *problems);
void spec_free(struct spec *spec); // what it holds

// To and from what is kept. The reader takes what spec_write() gave, with every check of the YAML
// file; -EINVAL else, -ENOMEM. NULL from the writer: lack of memory.
json_t *spec_write(const struct spec *spec);
int spec_read(const json_t *json, struct spec *ret);
// The same, and says what is wrong.
int spec_read_check(const json_t *json, struct spec *ret, struct config_problems *problems);

// What one receiver takes.
struct resources_need spec_need(const struct spec *spec);

// [{"key","from","to"}], in the order of the table, values as in the YAML file, null for what isn't
// there; the receiver's text as "(changed)". NULL 'from': all is new. NULL on lack of memory.
json_t *spec_diff(const struct spec *from, const struct spec *to);

// Whether a running receiver must be restarted to be as 'to' wants it.
bool spec_needs_restart(const struct spec *from, const struct spec *to);

// A sample of the file.
void spec_print_sample(FILE *out);
