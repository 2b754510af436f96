// SPDX-License-Identifier: BSD-3-Clause

#include "control/spec_internal.h"

#define FIELD(member) \
	.offset = offsetof(struct spec, member), .size = sizeof(((struct spec *)0)->member)

static const struct config_key log_keys[] = {
	{
		.name = "attribute",
		.type = TYPE_NAME,
		FIELD(log_attribute),
		.standard_help = "none",
		.example = "millrace_log",
		.help = "Attribute of the agents that holds the path, on that slave, under which "
			"logs are; slaves without it get no receiver",
	},
	{
		.name = "volume",
		.type = TYPE_SIZE,
		FIELD(volume_bytes),
		.standard = "0",
		.max = 1024 * TIB,
		.multiple = MIB,
		.help = "Size of the persistent volume that is made for each receiver's log, out "
			"of disk reserved for the role; instead of 'attribute'",
	},
	{.name = NULL},
};

const struct config_key spec_keys[] = {
	{
		.name = "count",
		.type = TYPE_UINT,
		FIELD(count),
		.required = true,
		.max = SPEC_COUNT_MAX,
		.unit = "receivers",
		.example = "3",
		.reload = RELOAD_LIVE,
		.help = "How many receivers there are to be",
	},
	{
		.name = "lcores",
		.type = TYPE_UINT,
		FIELD(lcores),
		.standard = "1",
		.min = 1,
		.max = RESOURCES_LCORES_MAX,
		.unit = "lcores",
		.help = "CPUs that are each receiver's alone, out of the agents' resource lcores; "
			"Mesos is asked for one more in cpus, for all else that it does",
	},
	{
		.name = "mem",
		.type = TYPE_SIZE,
		FIELD(mem_bytes),
		.standard = "1GiB",
		.min = 64 * MIB,
		.max = 64 * TIB,
		.multiple = MIB,
		.help = "Memory of each receiver, hugepages not included",
	},
	{
		.name = "hugepages",
		.type = TYPE_UINT,
		FIELD(hugepages),
		.standard = "0",
		.max = 1u << 24,
		.unit = "pages of 2 MiB",
		.help = "Hugepages of each receiver, out of the agents' resource hugepages",
	},
	{
		.name = "nics",
		.type = TYPE_UINT,
		FIELD(nics),
		.standard = "0",
		.max = RESOURCES_NICS_MAX,
		.unit = "NICs",
		.help = "Network devices of each receiver, out of the agents' resource nics; 0: "
			"those that the receivers' own file names",
	},
	{
		.name = "constraints",
		.type = TYPE_OWN,
		.offset = offsetof(struct spec, constraints),
		.standard = "[]",
		.max = CONSTRAINTS_MAX,
		.example = "[[hostname, UNIQUE], [rack, GROUP_BY, 3]]",
		.range = "at most 16 of [FIELD, OPERATOR] or [FIELD, OPERATOR, VALUE]",
		.reload = RELOAD_LIVE,
		.read = spec_constraints_read,
		.print = spec_constraints_print,
		.help = "Where a receiver may begin (docs/cluster.md)",
	},
	{
		.name = "unreachable_after",
		.type = TYPE_DURATION,
		FIELD(unreachable_after_ns),
		.standard = "15m",
		.min = SECOND,
		.max = 30 * DAY,
		.reload = RELOAD_LIVE,
		.help = "A receiver whose slave is unreachable for so long is replaced by one on "
			"another",
	},
	{
		.name = "backoff",
		.type = TYPE_DURATION,
		FIELD(backoff_ns),
		.standard = "1s",
		.min = 100 * MS,
		.max = HOUR,
		.reload = RELOAD_LIVE,
		.help = "A receiver that ended is launched again after so long, doubled each time",
	},
	{
		.name = "backoff_max",
		.type = TYPE_DURATION,
		FIELD(backoff_max_ns),
		.standard = "5m",
		.min = 100 * MS,
		.max = DAY,
		.reload = RELOAD_LIVE,
		.help = "... but after no more than this",
	},
	{
		.name = "healthy_after",
		.type = TYPE_DURATION,
		FIELD(healthy_after_ns),
		.standard = "1m",
		.min = SECOND,
		.max = DAY,
		.reload = RELOAD_LIVE,
		.help = "So long in good health, and the next end counts as the first",
	},
	{
		.name = "kill_grace",
		.type = TYPE_DURATION,
		FIELD(kill_grace_ns),
		.standard = "30s",
		.min = SECOND,
		.max = HOUR,
		.reload = RELOAD_LIVE,
		.help = "What a receiver that is to end has to do so, before it is killed",
	},
	{
		.name = "move_after",
		.type = TYPE_DURATION,
		FIELD(move_after_ns),
		.standard = "5s",
		.min = 100 * MS,
		.max = HOUR,
		.reload = RELOAD_LIVE,
		.help = "A source waits so long for its own receiver before it moves to another",
	},
	{
		.name = "receiver",
		.type = TYPE_TEXT,
		.offset = offsetof(struct spec_draft, receiver),
		.size = CONFIG_PATH_MAX,
		.required = true,
		.example = "millraced.yaml",
		.help = "File with the configuration of all receivers, relative to this one; its "
			"receiver, data and cpus are set for each",
	},
	{
		.name = "log",
		.type = TYPE_SECTION,
		.children = log_keys,
		.help = "Where each receiver's log is: one of the two",
	},
	{.name = NULL},
};
