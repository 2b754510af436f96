// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Tables of configuration keys, for those that read or describe them: millraced's own, and what
// reads and prints a file by any table.

#include "common/config.h"
#include "common/config_yaml.h"

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
	TYPE_OWN,            // by the key's read() and print(); its default is what is zero
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
	// OWN. read() adds what is wrong to problems, with 'path' as the key's name; print() writes
	// the value as the file has it, in one line; range: what it takes, in words.
	void (*read)(const struct config_key *key, const struct config_node *node, void *holder,
		const char *path, struct config_problems *problems);
	void (*print)(const struct config_key *key, const void *holder, FILE *out);
	const char *range;
};

extern const struct config_key config_keys[]; // ends with name NULL
extern const struct config_key config_api_keys[];
extern const struct config_key config_api_tcp_keys[]; // those that any API over TCP has
extern const struct config_key config_log_keys[];
extern const struct config_key config_reliable_keys[];
extern const struct config_key config_sink_keys[];

// What the key takes, in words: "128KiB to 16MiB", "flush or dsync". buf: at least 128 bytes.
const char *config_range_text(const struct config_key *key, char *buf);

// What stands for the default in the docs: "50ms", "the host's name", "required". Never NULL.
const char *config_default_text(const struct config_key *key);

// Reading by a table. 'holder' is what the offsets of the outermost keys are of; it has its
// defaults already, and is unspecified after an error. 'check' (NULL: none) says what no single key
// can; it is called with the root map, also after errors.
typedef void config_check_fn(
	void *holder, const struct config_node *root, struct config_problems *problems);

// Of a zeroed holder.
void config_keys_defaults(const struct config_key *keys, void *holder);

// A name's default: this host's, "millrace" where that is none.
void config_host_default(const struct config_key *key, void *holder);

// These three add to *problems, sorted by line. 0; -EINVAL: there are errors. 'root' NULL: nothing
// was written.
int config_keys_read(const struct config_key *keys, const struct config_node *root, void *holder,
	config_check_fn *check, struct config_problems *problems);
// Or -ENOMEM.
int config_keys_parse(const struct config_key *keys, const char *text, size_t len, void *holder,
	config_check_fn *check, struct config_problems *problems);
// Or another negative errno when the file can't be read.
int config_keys_load(const struct config_key *keys, const char *path, void *holder,
	config_check_fn *check, struct config_problems *problems);

void problem_add(struct config_problems *problems, unsigned line, bool warning, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

// The line of a key, of its section when it is not written, else 0. 'section' NULL: the root.
unsigned config_key_line(const struct config_node *root, const char *section, const char *name);

// A number or choice of a key; 0 when it is not stored.
uint64_t config_key_load(const struct config_key *key, const void *holder);

// What config_print() and its like are for millraced's table, without a heading.
void config_keys_print(const struct config_key *keys, const void *holder, FILE *out);
void config_keys_print_sample(const struct config_key *keys, FILE *out);
void config_keys_print_docs(const struct config_key *keys, FILE *out);

// What an API over TCP needs, in the section 'api'.
void config_api_check(const struct config_api *api, const struct config_node *root,
	struct config_problems *problems);
