// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the files of `millrace send` share.

#include "cli/cli.h"
#include "cli/send/reliable.h"

// Sends by the library and prints the account. 'from': file whose lines are the events, "-" for
// stdin; NULL: the generator's. Returns enum cli_exit.
int send_reliable(const struct cli *cli, const struct send_plan *plan,
	struct reliable_options *options, const char *from);
