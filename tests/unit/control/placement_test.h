// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A cluster of slaves that offer the same: 4 cpus, 4096 MiB, lcores 0 to 3, eth1 and eth2, 512
// hugepages, and the attributes log:/srv/log and rack:rN.

#include "control/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SLAVES_MAX 16

struct cluster {
	unsigned count;
	char hostnames[SLAVES_MAX][16], ids[SLAVES_MAX][16];
	json_t *attributes[SLAVES_MAX];
	struct placement_offer offers[SLAVES_MAX];
};

static inline json_t *offered(double cpus)
{
	return json_pack("[{s:s,s:{s:f}},{s:s,s:{s:f}},{s:s,s:{s:f}},{s:s,s:{s:[{s:i,s:i}]}},"
			 "{s:s,s:{s:[s,s]}}]",
		"name", "cpus", "scalar", "value", cpus, "name", "mem", "scalar", "value", 4096.0,
		"name", "hugepages", "scalar", "value", 512.0, "name", "lcores", "ranges", "range",
		"begin", 0, "end", 3, "name", "nics", "set", "item", "eth1", "eth2");
}

static inline void add_slave(struct cluster *c, unsigned rack, double cpus)
{
	unsigned i = c->count++;
	struct placement_offer *o = &c->offers[i];
	char text[16];

	snprintf(c->hostnames[i], sizeof(c->hostnames[i]), "slave%u", i);
	snprintf(c->ids[i], sizeof(c->ids[i]), "offer%u", i);
	snprintf(text, sizeof(text), "r%u", rack);
	c->attributes[i] = json_pack("{s:s,s:s}", "rack", text, "log", "/srv/log");
	*o = (struct placement_offer){.id = c->ids[i],
		.agent_id = c->ids[i],
		.slave = {c->hostnames[i], c->attributes[i]},
		.list = offered(cpus)};
	assert_int_equal(resources_read(o->list, "*", &o->free), 0);
}

static inline void make_cluster(struct cluster *c, unsigned slaves, unsigned racks)
{
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < slaves; i++)
		add_slave(c, i % racks, 4);
}

static inline void free_cluster(struct cluster *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		json_decref(c->attributes[i]);
		json_decref(c->offers[i].list);
	}
}

// One lcore, a NIC, 1 GiB.
static inline struct spec small_spec(void)
{
	return (struct spec){.count = 3,
		.lcores = 1,
		.nics = 1,
		.mem_bytes = 1ull << 30,
		.log_attribute = "log"};
}

static inline void constrain(
	struct spec *spec, const char *field, const char *op, const char *value)
{
	char why[256];

	if (!constraint_parse(field, op, value, &spec->constraints[spec->constraint_count++], why,
		    sizeof(why)))
		fail_msg("%s", why);
}
