// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_table.h"

#define FIELD(member) \
	.offset = offsetof(struct config_reliable, member), \
	.size = sizeof(((struct config_reliable *)0)->member)

const struct config_key config_reliable_keys[] = {
	{
		.name = "sources",
		.type = TYPE_UINT,
		FIELD(sources),
		.standard = "65536",
		.min = 1,
		.max = 16777216,
		.unit = "sources",
		.help = "Senders whose duplicates are known, for as long as they are heard of once "
			"in 14 days",
	},
	{
		.name = "sessions",
		.type = TYPE_UINT,
		FIELD(sessions),
		.standard = "16384",
		.min = 1,
		.max = 1048576,
		.unit = "sessions",
		.help = "Senders that send at the same time; idle ones make room",
	},
	{
		.name = "credit",
		.type = TYPE_SIZE,
		FIELD(credit_bytes),
		.standard = "64MiB",
		.min = MIB,
		.max = 64 * GIB,
		.help = "Bytes that all senders together may have under way",
	},
	{
		.name = "event_size",
		.type = TYPE_SIZE,
		FIELD(event_bytes),
		.standard = "64KiB",
		.min = KIB,
		.max = MIB,
		.help = "Largest event; larger than a datagram it comes in parts",
	},
	{
		.name = "large_events",
		.type = TYPE_UINT,
		FIELD(large_events),
		.standard = "64",
		.max = 4096,
		.unit = "events",
		.help = "Events larger than a datagram that are put together at a time",
	},
	{
		.name = "keys",
		.type = TYPE_PATH,
		FIELD(keys),
		.standard_help = "none",
		.example = "/etc/millrace/keys",
		.help = "File of pre-shared keys, without which nobody is heard; none takes every "
			"sender",
	},
	{.name = NULL},
};
