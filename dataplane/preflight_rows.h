// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between the files of preflight: what is checked, and how a row is added.

#include "dataplane/plan.h"
#include "dataplane/preflight.h"

struct checks {
	const struct config *config;
	const struct plan *plan;
	const char *root; // where /sys and /proc lie: "", or a test's directory
	bool measure_disk;
	bool running;
	struct preflight *out;
};

// Adds a row; returns it so that a mend can be written, never NULL (the last row is overwritten
// when there are too many).
struct check_row *check_add(struct checks *c, enum check_result result, const char *name,
	const char *found, ...) __attribute__((format(printf, 4, 5)));
void check_mend(struct check_row *row, const char *mend, ...) __attribute__((format(printf, 2, 3)));

// First line of a file below root, without its newline; false when it can't be read.
bool check_read(const struct checks *c, char *ret, size_t len, const char *path, ...)
	__attribute__((format(printf, 4, 5)));
// Its number; -1 when it can't be read or is none.
long long check_number(const struct checks *c, const char *path, ...)
	__attribute__((format(printf, 2, 3)));
bool check_exists(const struct checks *c, const char *path, ...)
	__attribute__((format(printf, 2, 3)));

// The NUMA node of a port's device; 0 where there is none.
unsigned check_port_node(const struct checks *c, unsigned port);

void check_memory(struct checks *c);      // hugepages, mempools
void check_permissions(struct checks *c); // capabilities, limits, cpus
void check_ports(struct checks *c);
void check_disk(struct checks *c);
void check_api(struct checks *c);

#define MIB (1024.0 * 1024.0)
