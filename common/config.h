// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The configuration: one YAML file, one table (config_keys in config_table.c) from which come the
// parser, its defaults, ranges and messages, `millrace config docs` and the sample file.

#include "common/cpus.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_NAME_MAX 64
#define CONFIG_PATH_MAX 256
#define CONFIG_DEVICE_MAX 256
#define CONFIG_PORTS_MAX 16
#define CONFIG_ADDRESSES_MAX 16 // per port
#define CONFIG_GATEWAYS_MAX 8   // per port
#define CONFIG_GROUPS_MAX 64    // listeners with a multicast address
#define CONFIG_ALLOW_MAX 64     // prefixes per listener
#define CONFIG_NETDEV_MAX 16    // a network device's name, its end included
#define CONFIG_LISTENERS_MAX 256
#define CONFIG_PARTITIONS_MAX 64
#define CONFIG_ALL_PARTITIONS UINT64_MAX
#define CONFIG_CPUS_MAX CPUS_MAX
#define CONFIG_SINKS_MAX 16
#define CONFIG_PROPERTIES_MAX 48 // per sink

enum config_mode { MODE_RUN_TO_COMPLETION, MODE_PIPELINE };
enum config_kind { KIND_PLAIN, KIND_RELIABLE };
enum config_split { SPLIT_DATAGRAM, SPLIT_LINES };
enum config_durability { DURABILITY_FLUSH, DURABILITY_DSYNC };
enum config_compression { COMPRESSION_NONE, COMPRESSION_LZ4 };
enum config_io { IO_AUTO, IO_URING, IO_SYNC };
enum config_ack { ACK_LOCAL, ACK_SINK };
enum config_sink_kind { SINK_KAFKA, SINK_FILES };
enum config_sink_format { SINK_FORMAT_EVENTS, SINK_FORMAT_ARROW };

struct config_address {
	struct in6_addr ip; // IPv4 as ::ffff:a.b.c.d
	uint8_t prefix_len; // of the family as written: 0..32 or 0..128
	bool is_ip4;
};

struct config_port {
	char name[CONFIG_NAME_MAX];     // label in metrics; default "port<N>"
	char device[CONFIG_DEVICE_MAX]; // PCI address, network device, or DPDK vdev with its
					// arguments
	uint16_t rx_queues;             // 1..64
	uint16_t rx_descriptors;        // per queue
	uint16_t tx_descriptors;        // per queue
	uint16_t mtu;                   // 0: as the device is
	unsigned address_count;
	// Where this host answers on a port that the kernel doesn't share; with none, packets for
	// any destination are taken and nothing is answered.
	struct config_address addresses[CONFIG_ADDRESSES_MAX];
	unsigned gateway_count; // next hops for what isn't on the networks of 'addresses'
	struct config_address gateways[CONFIG_GATEWAYS_MAX];
	char exception[CONFIG_NETDEV_MAX]; // TAP that the kernel gets the rest by; "": none
	uint32_t exception_rate;           // packets/s to it
};

struct config_listener {
	char name[CONFIG_NAME_MAX];
	uint16_t number; // what the column 'listener' holds: position in the file, from 0
	enum config_kind kind;
	uint16_t udp_port; // 1..65535
	bool any_address;
	struct config_address address;
	enum config_split split;
	unsigned allow_count; // 0: any source
	struct config_address allow[CONFIG_ALLOW_MAX];
	uint32_t source_rate; // packets/s of a source address; 0: any
	enum config_ack ack;  // what an acknowledgement says; reliable listeners
};

// A secret is not in the configuration, only where it is.
enum config_property_source { PROPERTY_PLAIN, PROPERTY_FILE, PROPERTY_ENVIRONMENT };

struct config_property {
	char name[CONFIG_NAME_MAX];
	enum config_property_source source;
	char value[CONFIG_PATH_MAX]; // or the file's path, or the variable's name
};

// What isn't of the sink's kind has its default.
struct config_sink {
	char name[CONFIG_NAME_MAX];
	enum config_sink_kind kind;
	bool required;       // retention waits for it, and so do acknowledgements of ACK_SINK
	uint64_t hold_bytes; // ... while a partition's log takes no more than this; 0: whatever
	// kafka
	char topic[CONFIG_PATH_MAX]; // template: {port} {listener} {receiver} {partition}
	enum config_sink_format format;
	bool transactions;
	char cursor_topic[CONFIG_NAME_MAX]; // whose partition 0 the cursors are committed for
	unsigned transaction_batches;       // most in one transaction, when lagging
	uint64_t transaction_timeout_ns;
	unsigned property_count;
	struct config_property properties[CONFIG_PROPERTIES_MAX]; // librdkafka's, by its names
	// files
	char path[CONFIG_PATH_MAX]; // directory
	char file[CONFIG_PATH_MAX]; // template: {date} {hour} {receiver} {partition} {first} {last}
				    // {log_id}
	uint64_t roll_bytes;        // a file takes no further batch that would make it larger
	uint64_t roll_interval_ns;  // ... nor one received so long after its first event
};

// The API over TCP, and its consumers.
struct config_api {
	char listen[CONFIG_NAME_MAX]; // "10.0.0.1:8443", "[::]:8443"; "": only the Unix socket
	char certificate[CONFIG_PATH_MAX];
	char key[CONFIG_PATH_MAX];
	char tokens[CONFIG_PATH_MAX]; // file of "ROLE[,ROLE] NAME SECRET" lines
	unsigned consumers;           // most at once, of each partition
	uint64_t consumer_ttl_ns;     // longest time to live that a consumer may ask for
	uint64_t consumer_hold_bytes; // largest log that a consumer holds; 0: whatever
};

// Of each partition.
struct config_reliable {
	uint32_t sources, sessions; // most at once
	uint64_t credit_bytes;      // under way, of all senders together
	uint32_t event_bytes;       // the largest event
	uint32_t large_events;      // larger than a datagram, put together at a time
	char keys[CONFIG_PATH_MAX]; // file of pre-shared keys; "": none
};

struct config_log {
	uint64_t segment_bytes;      // size of a segment file, multiple of 1 MiB
	uint32_t block_bytes;        // buffer of one block, multiple of 4096
	uint32_t queue_depth;        // blocks in flight per partition
	uint64_t commit_interval_ns; // a block is submitted at latest so long after its first event
	uint64_t seal_interval_ns;   // a batch is sealed at latest so long after its first event
	uint64_t seal_bytes;         // ... or when its blocks hold so many bytes
	uint64_t seal_events;        // ... or so many events
	uint64_t retain_bytes;       // per partition; 0: until the disk is full
	uint64_t retain_age_ns;      // 0: for ever
	uint64_t scrub_rate;         // bytes/s over all partitions; 0: off
	uint64_t scrub_interval_ns;  // from the begin of a round to that of the next
	enum config_durability durability;
	enum config_compression compression;
	uint64_t compressed_partitions; // bit n: partition n, where compression is on
	enum config_io io;
	bool direct; // O_DIRECT where the file system has it
};

struct config {
	char receiver[CONFIG_NAME_MAX]; // default: the host's name
	char data[CONFIG_PATH_MAX];
	char socket[CONFIG_PATH_MAX]; // HTTP on this Unix socket
	enum config_mode mode;
	unsigned partitions;
	unsigned rx_lcores; // pipeline: how many of the cpus only receive
	unsigned cpu_count; // one lcore on each
	uint16_t cpus[CONFIG_CPUS_MAX];
	bool hugepages;               // false: --no-huge
	uint32_t mbufs;               // per port's pool; 0: as many as the port needs
	uint32_t ring_size;           // mbufs per (rx lcore, partition), power of two
	uint64_t idle_sleep_ns;       // longest sleep of an idle lcore; 0: never sleeps
	uint32_t fragment_flows;      // datagrams put together at a time, by each lcore; 0: none
	uint64_t fragment_timeout_ns; // from a datagram's first fragment
	unsigned port_count;
	struct config_port ports[CONFIG_PORTS_MAX];
	unsigned listener_count;
	struct config_listener listeners[CONFIG_LISTENERS_MAX];
	struct config_reliable reliable;
	struct config_log log;
	unsigned sink_count;
	struct config_sink sinks[CONFIG_SINKS_MAX];
	uint64_t recent_bytes; // of each partition's last blocks in memory, for sinks and consumers
	struct config_api api;
};

struct config_problem {
	unsigned line; // 1-based; 0 when it concerns no line
	bool warning;
	char text[256]; // what is wrong and what would be right, without a full stop
};

struct config_problems {
	unsigned count; // how many were found, also those that found no room below
	unsigned errors;
	struct config_problem list[64];
};

// Fills *ret from a YAML file (or, path NULL, with the defaults), finding all problems at once.
// 0 when there is no error (warnings allowed); -EINVAL with *problems filled; another negative
// errno when the file can't be read. *ret is unspecified after an error.
int config_load(const char *path, struct config *ret, struct config_problems *problems);

// The same from memory; 'name' appears in nothing but parser messages.
int config_parse(
	const char *text, size_t len, struct config *ret, struct config_problems *problems);

// The same for a receiver that is given so many CPUs (1 to CONFIG_CPUS_MAX), elsewhere: those that
// the text names are read and replaced. -ENOMEM, too.
int config_parse_elsewhere(const char *text, size_t len, unsigned cpus, struct config *ret,
	struct config_problems *problems);

// Each problem as a line of the log: "PATH:LINE: TEXT".
void config_problems_log(const struct config_problems *problems, const char *path);

// Writes the effective configuration as YAML that config_load() reads back to the same values.
void config_print(const struct config *config, FILE *out);

// Writes the sample file: every key with help, unit, range, default and reload, values commented
// out where they equal the default.
void config_print_sample(FILE *out);

// Writes the reference: table of keys in Markdown.
void config_print_docs(FILE *out);

bool config_is_multicast(const struct config_address *address);

// Of the 128 bits of the mapped form, those that are the network's.
unsigned config_network_bits(const struct config_address *network);

// ip: 16 bytes, the mapped form.
bool config_covers(const struct config_address *network, const uint8_t *ip);

// "10.0.0.1" or "fd00::1" from the mapped form; buf holds at least INET6_ADDRSTRLEN bytes.
const char *config_address_text(const struct config_address *address, char *buf, size_t len);
