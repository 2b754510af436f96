// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_table.h"

#define FIELD(member) \
	.offset = offsetof(struct config_log, member), \
	.size = sizeof(((struct config_log *)0)->member)

const struct config_key config_log_keys[] = {
	{
		.name = "segment_size",
		.type = TYPE_SIZE,
		FIELD(segment_bytes),
		.standard = "1GiB",
		.min = 16 * MIB,
		.max = TIB,
		.multiple = MIB,
		.help = "Size of a segment file; at least 4 x queue_depth x block_size",
	},
	{
		.name = "block_size",
		.type = TYPE_SIZE,
		FIELD(block_bytes),
		.standard = "1MiB",
		.min = 128 * KIB,
		.max = 16 * MIB,
		.multiple = 4 * KIB,
		.help = "Memory of one block, the unit of a disk write",
	},
	{
		.name = "queue_depth",
		.type = TYPE_UINT,
		FIELD(queue_depth),
		.standard = "8",
		.min = 1,
		.max = 64,
		.unit = "blocks",
		.help = "Blocks in flight to the disk, for each partition",
	},
	{
		.name = "commit_interval",
		.type = TYPE_DURATION,
		FIELD(commit_interval_ns),
		.standard = "50ms",
		.min = 100 * US,
		.max = 10 * SECOND,
		.help = "A block is written at latest so long after its first event",
	},
	{
		.name = "seal_interval",
		.type = TYPE_DURATION,
		FIELD(seal_interval_ns),
		.standard = "200ms",
		.min = MS,
		.max = HOUR,
		.help = "A batch is sealed at latest so long after its first event",
	},
	{
		.name = "seal_size",
		.type = TYPE_SIZE,
		FIELD(seal_bytes),
		.standard = "64MiB",
		.min = 128 * KIB,
		.max = TIB,
		.help = "A batch is sealed when its blocks hold so many bytes",
	},
	{
		.name = "seal_events",
		.type = TYPE_UINT,
		FIELD(seal_events),
		.standard = "1000000",
		.min = 1,
		.max = 1000000000000,
		.unit = "events",
		.help = "A batch is sealed when it holds so many events",
	},
	{
		.name = "retain_size",
		.type = TYPE_SIZE,
		FIELD(retain_bytes),
		.standard = "0",
		.max = 1024 * TIB,
		.help = "Oldest segments of a partition go when its log is larger; 0 keeps them "
			"until the disk is full",
	},
	{
		.name = "retain_age",
		.type = TYPE_DURATION,
		FIELD(retain_age_ns),
		.standard = "0",
		.max = 36500 * DAY,
		.help = "Segments go when their youngest event is older; 0 keeps them for ever",
	},
	{
		.name = "scrub_rate",
		.type = TYPE_SIZE,
		FIELD(scrub_rate),
		.standard = "32MiB",
		.max = 64 * GIB,
		.unit = "bytes/s",
		.help = "Closed segments are read again in the background at this rate, over all "
			"partitions, to find damage; 0 does not",
	},
	{
		.name = "scrub_interval",
		.type = TYPE_DURATION,
		FIELD(scrub_interval_ns),
		.standard = "7d",
		.min = SECOND,
		.max = 3650 * DAY,
		.help = "Time from the begin of reading all closed segments again to the next",
	},
	{
		.name = "durability",
		.type = TYPE_CHOICE,
		FIELD(durability),
		.standard = "flush",
		.choices = "flush|dsync",
		.help = "How a write becomes durable: a flush per group of writes, or O_DSYNC "
			"writes; "
			"'millrace doctor' measures both",
	},
	{
		.name = "compression",
		.type = TYPE_CHOICE,
		FIELD(compression),
		.standard = "none",
		.choices = "none|lz4",
		.help = "Whether blocks are compressed before they are written, where that saves a "
			"tenth: for text on slow disks",
	},
	{
		.name = "compressed_partitions",
		.type = TYPE_PARTITIONS,
		FIELD(compressed_partitions),
		.standard = CONFIG_ALL_TEXT,
		.help = "Partitions that 'compression' is for",
	},
	{
		.name = "io",
		.type = TYPE_CHOICE,
		FIELD(io),
		.standard = "auto",
		.choices = "auto|io_uring|pwrite",
		.help = "How blocks are written; auto takes io_uring where the kernel has it",
	},
	{
		.name = "direct",
		.type = TYPE_BOOL,
		FIELD(direct),
		.standard = "true",
		.help = "Write past the page cache (O_DIRECT) where the file system can",
	},
	{.name = NULL},
};
