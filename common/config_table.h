// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The table of configuration keys, for those that read or describe it.

#include "common/config.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define US 1000ull
#define MS (1000 * US)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

enum config_type {
	TYPE_TEXT,     // printable, into a char array of 'size'
	TYPE_NAME,     // the same of letters, digits, '.', '_', '-'
	TYPE_PATH,     // the same, absolute
	TYPE_UINT,     // these five into an unsigned integer (or bool) of 'size'
	TYPE_SIZE,     // bytes
	TYPE_DURATION, // ns
	TYPE_CHOICE,   // position in 'choices'
	TYPE_BOOL,
	TYPE_CPUS,           // config.cpus and cpu_count
	TYPE_PARTITIONS,     // a bit for each; "all": CONFIG_ALL_PARTITIONS
	TYPE_ADDRESSES,      // these three: arrays of struct config_address; own ones
	TYPE_GATEWAYS,       // of other hosts, without a prefix
	TYPE_PREFIXES,       // of networks
	TYPE_LISTEN_ADDRESS, // config_listener.address and any_address
	TYPE_PROPERTIES,     // an array of struct config_property: a map of names and texts
	TYPE_SECTION,        // a map of 'children'
	TYPE_LIST,           // a list of maps of 'children'
};

#define CONFIG_ALL_TEXT "all"

enum config_reload { RELOAD_RESTART, RELOAD_LIVE };

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;        // in what holds the key: struct config, or an element of its list
	size_t size;          // of the field, or of an element of a list; 0: checked, not stored
	const char *standard; // default as it would be written; NULL: has none and is required, or
			      // is told by 'standard_help'
	const char *standard_help; // the default in words, where it is no fixed value
	uint64_t min, max;         // UINT, SIZE, DURATION; LIST and arrays: of elements
	uint64_t multiple;         // value must be a multiple of it; 0: any
	bool power_of_two;
	bool required;
	enum config_reload reload;
	const char *choices;               // "flush|dsync"
	const char *note;                  // added to the message when the value is refused
	const char *unit;                  // "bytes", "ns", "" as the docs show it
	const char *example;               // for the sample, where there is no default
	const char *help;                  // one line without a full stop
	const struct config_key *children; // ends with name NULL
	size_t count_offset;               // LIST, arrays: where the count (unsigned) is
};

extern const struct config_key config_keys[]; // ends with name NULL
extern const struct config_key config_api_keys[];
extern const struct config_key config_log_keys[];
extern const struct config_key config_reliable_keys[];
extern const struct config_key config_sink_keys[];

// What the key takes, in words: "128KiB to 16MiB", "flush or dsync". buf: at least 128 bytes.
const char *config_range_text(const struct config_key *key, char *buf);

// What stands for the default in the docs: "50ms", "the host's name", "required". Never NULL.
const char *config_default_text(const struct config_key *key);
