// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of `millrace send` share.

#include "cli/cli.h"
#include "cli/send/reliable.h"

// What is sent instead of the generator's events; NULL: not given.
struct send_from {
	const char *lines; // of this file, "-" for stdin
	bool follow;
	const char *position;
	const char *pcap;
};

// Of plain datagrams. 'arg': uint64_t, what was sent at the last call.
void send_print_progress(const struct send_tally *tally, void *arg);
int send_print_json(const struct send_plan *plan, const struct send_tally *tally);
void send_print_text(const struct send_plan *plan, const struct send_tally *tally);

// Sends by the library and prints the account. Returns enum cli_exit.
int send_reliable(const struct cli *cli, const struct send_plan *plan,
	struct reliable_options *options, const struct send_from *from);

// What millrace_open()'s error is to scripts; a damaged spool and one that is in use among them.
enum cli_exit send_exit_of_open(int err);
