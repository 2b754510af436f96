// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_table.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define US 1000ull
#define MS (1000 * US)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

#define FIELD(type, member) .offset = offsetof(struct type, member), .size = SIZE_OF(type, member)
#define SIZE_OF(type, member) sizeof(((struct type *)0)->member)

static const struct config_key memory_keys[] = {
	{
		.name = "hugepages",
		.type = TYPE_BOOL,
		FIELD(config, hugepages),
		.standard = "true",
		.help = "Take packet and block memory from hugepages; false runs without, slower",
	},
	{
		.name = "mbufs",
		.type = TYPE_UINT,
		FIELD(config, mbufs),
		.standard = "0",
		.max = 16777216,
		.unit = "mbufs",
		.help = "Packet buffers of each port's pool; 0 takes as many as the port needs",
	},
	{
		.name = "ring_size",
		.type = TYPE_UINT,
		FIELD(config, ring_size),
		.standard = "4096",
		.min = 64,
		.max = 1048576,
		.power_of_two = true,
		.unit = "mbufs",
		.help = "Room of the ring between a receiving lcore and a partition",
	},
	{.name = NULL},
};

static const struct config_key fragment_keys[] = {
	{
		.name = "flows",
		.type = TYPE_UINT,
		FIELD(config, fragment_flows),
		.standard = "256",
		.max = 65536,
		.unit = "datagrams",
		.help = "Fragmented datagrams that each receiving lcore puts together at a time, "
			"of 8 fragments at most; 0 drops fragments",
	},
	{
		.name = "timeout",
		.type = TYPE_DURATION,
		FIELD(config, fragment_timeout_ns),
		.standard = "1s",
		.min = MS,
		.max = 60 * SECOND,
		.help = "A datagram is given up so long after its first fragment",
	},
	{.name = NULL},
};

static const struct config_key port_keys[] = {
	{
		.name = "name",
		.type = TYPE_NAME,
		FIELD(config_port, name),
		.standard_help = "port and its place in the list, from 0",
		.help = "Label of the port in metrics and tables",
	},
	{
		.name = "device",
		.type = TYPE_TEXT,
		FIELD(config_port, device),
		.required = true,
		.example = "eth1",
		.help = "PCI address, network device, or DPDK virtual device with its arguments",
	},
	{
		.name = "rx_queues",
		.type = TYPE_UINT,
		FIELD(config_port, rx_queues),
		.standard = "1",
		.min = 1,
		.max = 64,
		.unit = "queues",
		.help = "Receive queues, over which the device spreads the flows",
	},
	{
		.name = "rx_descriptors",
		.type = TYPE_UINT,
		FIELD(config_port, rx_descriptors),
		.standard = "1024",
		.min = 64,
		.max = 32768,
		.unit = "packets",
		.help = "Packets that each receive queue holds",
	},
	{
		.name = "tx_descriptors",
		.type = TYPE_UINT,
		FIELD(config_port, tx_descriptors),
		.standard = "256",
		.min = 64,
		.max = 32768,
		.unit = "packets",
		.help = "Packets that each transmit queue holds",
	},
	{
		.name = "mtu",
		.type = TYPE_UINT,
		FIELD(config_port, mtu),
		.standard = "0",
		.max = 9710,
		.note = "; 0, or what the network carries: 1280 to 9710",
		.unit = "bytes",
		.help = "Longest IP packet that a PCI or virtual device takes, set at the start; 0 "
			"leaves it as it is; a network device has its MTU from the kernel",
	},
	{
		.name = "addresses",
		.type = TYPE_ADDRESSES,
		FIELD(config_port, addresses),
		.count_offset = offsetof(struct config_port, address_count),
		.standard = "[]",
		.max = CONFIG_ADDRESSES_MAX,
		.example = "[\"10.0.0.1/24\", \"fd00::1/64\"]",
		.help = "Addresses that are answered for (ARP, neighbour discovery, echo) on a "
			"port that the kernel doesn't share; with none, packets for any "
			"destination are "
			"taken",
	},
	{
		.name = "gateways",
		.type = TYPE_GATEWAYS,
		FIELD(config_port, gateways),
		.count_offset = offsetof(struct config_port, gateway_count),
		.standard = "[]",
		.max = CONFIG_GATEWAYS_MAX,
		.example = "[10.0.0.254]",
		.help = "Routers on the port's networks that answers to other networks go to; the "
			"first of a family that is there takes them",
	},
	{
		.name = "exception",
		.type = TYPE_NAME,
		FIELD(config_port, exception),
		.standard_help = "none",
		.example = "mill0",
		.help = "Network device (TAP) that is made for the kernel to get what isn't for "
			"millraced (ssh, DHCP, LLDP) and to send by; it gets the port's addresses",
	},
	{
		.name = "exception_rate",
		.type = TYPE_UINT,
		FIELD(config_port, exception_rate),
		.standard = "10000",
		.min = 1,
		.max = 10000000,
		.unit = "packets/s",
		.help = "What the kernel gets at most; the rest is the drop host_rate",
	},
	{.name = NULL},
};

static const struct config_key listener_keys[] = {
	{
		.name = "name",
		.type = TYPE_NAME,
		FIELD(config_listener, name),
		.standard_help = "listener and its place in the list, from 0",
		.help = "Name of the listener in the log, in metrics and tables",
	},
	{
		.name = "kind",
		.type = TYPE_CHOICE,
		FIELD(config_listener, kind),
		.standard = "plain",
		.choices = "plain|reliable",
		.help = "Plain UDP without acknowledgement, or the protocol of libmillrace",
	},
	{
		.name = "port",
		.type = TYPE_UINT,
		FIELD(config_listener, udp_port),
		.required = true,
		.min = 1,
		.max = 65535,
		.example = "5140",
		.help = "UDP port",
	},
	{
		.name = "address",
		.type = TYPE_LISTEN_ADDRESS,
		.offset = 0,
		.standard_help = "any",
		.example = "10.0.0.1",
		.help = "Take only datagrams for this destination address; a multicast group is "
			"joined on every port with an address of its family",
	},
	{
		.name = "split",
		.type = TYPE_CHOICE,
		FIELD(config_listener, split),
		.standard = "datagram",
		.choices = "datagram|lines",
		.help = "What is an event: the whole datagram, or each line of it",
	},
	{
		.name = "allow",
		.type = TYPE_PREFIXES,
		FIELD(config_listener, allow),
		.count_offset = offsetof(struct config_listener, allow_count),
		.standard = "[]",
		.max = CONFIG_ALLOW_MAX,
		.example = "[10.0.0.0/8, \"fd00::/8\"]",
		.help = "Networks whose senders are taken, else the drop source_denied; none: all",
	},
	{
		.name = "source_rate",
		.type = TYPE_UINT,
		FIELD(config_listener, source_rate),
		.standard = "0",
		.max = 100000000,
		.unit = "packets/s",
		.help = "What is taken of each source address, by each receiving lcore; the rest "
			"is the drop source_rate; 0 is no limit",
	},
	{.name = NULL},
};

static const struct config_key log_keys[] = {
	{
		.name = "segment_size",
		.type = TYPE_SIZE,
		FIELD(config_log, segment_bytes),
		.standard = "1GiB",
		.min = 16 * MIB,
		.max = TIB,
		.multiple = MIB,
		.help = "Size of a segment file; at least 4 x queue_depth x block_size",
	},
	{
		.name = "block_size",
		.type = TYPE_SIZE,
		FIELD(config_log, block_bytes),
		.standard = "1MiB",
		.min = 128 * KIB,
		.max = 16 * MIB,
		.multiple = 4 * KIB,
		.help = "Memory of one block, the unit of a disk write",
	},
	{
		.name = "queue_depth",
		.type = TYPE_UINT,
		FIELD(config_log, queue_depth),
		.standard = "8",
		.min = 1,
		.max = 64,
		.unit = "blocks",
		.help = "Blocks in flight to the disk, for each partition",
	},
	{
		.name = "commit_interval",
		.type = TYPE_DURATION,
		FIELD(config_log, commit_interval_ns),
		.standard = "50ms",
		.min = 100 * US,
		.max = 10 * SECOND,
		.help = "A block is written at latest so long after its first event",
	},
	{
		.name = "seal_interval",
		.type = TYPE_DURATION,
		FIELD(config_log, seal_interval_ns),
		.standard = "200ms",
		.min = MS,
		.max = HOUR,
		.help = "A batch is sealed at latest so long after its first event",
	},
	{
		.name = "seal_size",
		.type = TYPE_SIZE,
		FIELD(config_log, seal_bytes),
		.standard = "64MiB",
		.min = 128 * KIB,
		.max = TIB,
		.help = "A batch is sealed when its blocks hold so many bytes",
	},
	{
		.name = "seal_events",
		.type = TYPE_UINT,
		FIELD(config_log, seal_events),
		.standard = "1000000",
		.min = 1,
		.max = 1000000000000,
		.unit = "events",
		.help = "A batch is sealed when it holds so many events",
	},
	{
		.name = "retain_size",
		.type = TYPE_SIZE,
		FIELD(config_log, retain_bytes),
		.standard = "0",
		.max = 1024 * TIB,
		.help = "Oldest segments of a partition go when its log is larger; 0 keeps them "
			"until the disk is full",
	},
	{
		.name = "retain_age",
		.type = TYPE_DURATION,
		FIELD(config_log, retain_age_ns),
		.standard = "0",
		.max = 36500 * DAY,
		.help = "Segments go when their youngest event is older; 0 keeps them for ever",
	},
	{
		.name = "scrub_rate",
		.type = TYPE_SIZE,
		FIELD(config_log, scrub_rate),
		.standard = "32MiB",
		.max = 64 * GIB,
		.unit = "bytes/s",
		.help = "Closed segments are read again in the background at this rate, over all "
			"partitions, to find damage; 0 does not",
	},
	{
		.name = "scrub_interval",
		.type = TYPE_DURATION,
		FIELD(config_log, scrub_interval_ns),
		.standard = "7d",
		.min = SECOND,
		.max = 3650 * DAY,
		.help = "Time from the begin of reading all closed segments again to the next",
	},
	{
		.name = "durability",
		.type = TYPE_CHOICE,
		FIELD(config_log, durability),
		.standard = "flush",
		.choices = "flush|dsync",
		.help = "How a write becomes durable: a flush per group of writes, or O_DSYNC "
			"writes; "
			"'millrace doctor' measures both",
	},
	{
		.name = "compression",
		.type = TYPE_CHOICE,
		FIELD(config_log, compression),
		.standard = "none",
		.choices = "none|lz4",
		.help = "Whether blocks are compressed before they are written, where that saves a "
			"tenth: for text on slow disks",
	},
	{
		.name = "compressed_partitions",
		.type = TYPE_PARTITIONS,
		FIELD(config_log, compressed_partitions),
		.standard = CONFIG_ALL_TEXT,
		.help = "Partitions that 'compression' is for",
	},
	{
		.name = "io",
		.type = TYPE_CHOICE,
		FIELD(config_log, io),
		.standard = "auto",
		.choices = "auto|io_uring|pwrite",
		.help = "How blocks are written; auto takes io_uring where the kernel has it",
	},
	{
		.name = "direct",
		.type = TYPE_BOOL,
		FIELD(config_log, direct),
		.standard = "true",
		.help = "Write past the page cache (O_DIRECT) where the file system can",
	},
	{.name = NULL},
};

const struct config_key config_keys[] = {
	{
		.name = "receiver",
		.type = TYPE_NAME,
		FIELD(config, receiver),
		.standard_help = "the host's name",
		.help = "Name of this receiver in the log and in all output",
	},
	{
		.name = "data",
		.type = TYPE_PATH,
		FIELD(config, data),
		.standard = "/var/lib/millrace",
		.help = "Directory of the logs, one directory for each partition",
	},
	{
		.name = "socket",
		.type = TYPE_PATH,
		FIELD(config, socket),
		.standard = "/run/millrace/millraced.sock",
		// sockaddr_un.sun_path has 108 bytes, one of them for the end
		.max = 107,
		.help = "Unix socket of the HTTP interface; at most 107 bytes",
	},
	{
		.name = "mode",
		.type = TYPE_CHOICE,
		FIELD(config, mode),
		.standard = "run-to-completion",
		.choices = "run-to-completion|pipeline",
		.help = "Every lcore receives and writes, or some lcores only receive",
	},
	{
		.name = "partitions",
		.type = TYPE_UINT,
		FIELD(config, partitions),
		.standard = "1",
		.min = 1,
		.max = CONFIG_PARTITIONS_MAX,
		.help = "Logs written side by side, an lcore each; with fewer CPUs some share one",
	},
	{
		.name = "cpus",
		.type = TYPE_CPUS,
		.standard_help = "the last CPU that the process may use",
		.example = "2-3",
		.help = "CPUs that run one lcore each, such as 0-3,8",
	},
	{
		.name = "rx_lcores",
		.type = TYPE_UINT,
		FIELD(config, rx_lcores),
		.standard = "1",
		.min = 1,
		.max = CONFIG_CPUS_MAX,
		.unit = "lcores",
		.help = "In pipeline mode: how many of the CPUs only receive",
	},
	{
		.name = "idle_sleep",
		.type = TYPE_DURATION,
		FIELD(config, idle_sleep_ns),
		.standard = "250us",
		.max = SECOND,
		.help = "Longest sleep of an idle lcore; 0 never sleeps",
	},
	{
		.name = "memory",
		.type = TYPE_SECTION,
		.children = memory_keys,
		.help = "Memory of the dataplane",
	},
	{
		.name = "fragments",
		.type = TYPE_SECTION,
		.children = fragment_keys,
		.help = "IP fragments; the kernel puts IPv4's together before AF_PACKET sees them",
	},
	{
		.name = "ports",
		.type = TYPE_LIST,
		FIELD(config, ports[0]),
		.count_offset = offsetof(struct config, port_count),
		.max = CONFIG_PORTS_MAX,
		.children = port_keys,
		.help = "Devices that packets come from",
	},
	{
		.name = "listeners",
		.type = TYPE_LIST,
		FIELD(config, listeners[0]),
		.count_offset = offsetof(struct config, listener_count),
		.max = CONFIG_LISTENERS_MAX,
		.children = listener_keys,
		.help = "Where events arrive; the first that fits takes the datagram",
	},
	{
		.name = "reliable",
		.type = TYPE_SECTION,
		.offset = offsetof(struct config, reliable),
		.children = config_reliable_keys,
		.help = "What each partition has for the senders of reliable listeners",
	},
	{
		.name = "log",
		.type = TYPE_SECTION,
		.offset = offsetof(struct config, log),
		.children = log_keys,
		.help = "The log of each partition",
	},
	{.name = NULL},
};
