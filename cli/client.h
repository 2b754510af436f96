// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Asking a receiver. cli_get() in cli.h is what most commands want.

#include "cli/cli.h"

#define CLIENT_ERROR_BYTES 512

// As cli_get(), but tells nothing: the reason, with what mends it, is in 'error'.
int client_get(const struct cli *cli, const char *path, json_t **ret, char *error);

// DELETE of the same kind.
int client_delete(const struct cli *cli, const char *path, json_t **ret, char *error);

// The data of an envelope, made fit for a terminal: control characters in its texts become '?'.
// Not to be printed as JSON afterwards. Borrowed from the envelope.
json_t *client_data(json_t *envelope);

// The warnings of an envelope, on stderr.
void client_warn(const json_t *envelope);

// GET and print: for --json the envelope as it came, else its warnings and what 'view' makes of its
// data. An exit code.
int client_show(const struct cli *cli, const char *path, void (*view)(const json_t *, FILE *));

// A duration of an option; 'def' when it wasn't given. False: told on stderr.
bool client_duration(const char *text, const char *option, uint64_t def, uint64_t *ret_ns);

// Sleeps until then (clock_monotonic_ns()), or less when the command is interrupted or, with 'wake'
// not NULL, when *wake becomes true.
void client_sleep_until(uint64_t then_ns, const volatile bool *wake);

// Two answers of /api/v1/stats, 'interval_ns' apart; 0 or an exit code, told.
struct client_samples {
	json_t *before, *after; // envelopes
	uint64_t interval_ns;   // as it came out
};
int client_sample(const struct cli *cli, uint64_t interval_ns, struct client_samples *ret);
void client_samples_free(struct client_samples *samples);
