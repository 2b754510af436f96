// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The `millrace` command: one table (commands.c) from which come parsing, usage, man pages and
// shell completion. A command is one entry and one function.

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum cli_exit {
	EXIT_CLI_OK = 0,
	EXIT_CLI_DEGRADED = 1, // degraded or failed
	EXIT_CLI_USAGE = 2,
	EXIT_CLI_UNREACHABLE = 3,
	EXIT_CLI_INVALID = 4, // invalid configuration or damaged data
	EXIT_CLI_REFUSED = 5, // refused for safety
	EXIT_CLI_TIMEOUT = 6,
	EXIT_CLI_INTERRUPTED = 130,
};

#define CLI_OPTIONS_MAX 32

struct cli_option {
	const char *name;   // "rate" for --rate
	char letter;        // 0: none
	const char *arg;    // placeholder of its value: "N"; NULL: a switch
	const char *help;   // one line, with unit and default
	const char *values; // "text|ndjson|arrow": checked and completed; NULL: free
};

struct cli_args {
	const char *
		value[CLI_OPTIONS_MAX]; // by position in the command's table; switch: "" when given
	int argc;                       // positional arguments
	char **argv;
};

struct cli {
	const char *socket; // default /run/millrace/millraced.sock
	bool json;
	uint64_t timeout_ns; // default 5 s
	bool tty;            // stdout is a terminal: colour and refresh allowed
};

struct cli_command {
	const char *name; // "log cat": one word or two
	const char *args; // "[GLOB]": positional, as usage shows it
	unsigned min_args, max_args;
	const char *summary;              // one line
	const char *details;              // paragraphs for the man page; may be NULL
	const struct cli_option *options; // ends with name NULL; may be NULL
	int (*run)(const struct cli *cli, const struct cli_args *args); // returns enum cli_exit
	bool hidden; // not in usage, man pages and completion
};

extern const struct cli_command *const cli_commands[]; // ends with NULL

// GET path from the receiver's socket. 0 and the envelope in *ret (caller's reference), or an exit
// code with the reason told on stderr.
int cli_get(const struct cli *cli, const char *path, json_t **ret);

// Prints an envelope for --json: one line of JSON on stdout.
void cli_print_json(json_t *envelope);

// The same of what a command has done on this host itself. Takes both; -ENOMEM when 'data' is NULL.
int cli_print_account(const char *schema, json_t *data, json_t *warnings);

// "millrace: ..." on stderr.
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// Set by SIGINT and SIGTERM; long commands look at it and return EXIT_CLI_INTERRUPTED.
extern volatile bool cli_interrupted;

// Human figures: "1.49 M", "893 MB". buf: at least 32 bytes.
const char *cli_count_text(double value, char *buf);
const char *cli_bytes_text(double bytes, char *buf);
