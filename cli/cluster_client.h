// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Asking millrace-control: over the Unix socket of one on this host, or by https. Whichever is
// asked, its redirect to the leader is followed. What goes wrong is told on stderr, with what mends
// it.

#include "cli/cli.h"

#include <stdio.h>

#define CLUSTER_TOKEN_BYTES 513
#define CLUSTER_ERROR_BYTES 1024

// The first options of each command, and where its own begin.
enum { CLUSTER_CONTROL, CLUSTER_TOKEN, CLUSTER_CA, CLUSTER_OWN };

#define CLUSTER_OPTIONS \
	[CLUSTER_CONTROL] = {"control", 0, "PATH|URL", \
		"socket or https://HOST:PORT of a millrace-control (default " \
		"/run/millrace/control.sock)", \
		NULL}, \
	[CLUSTER_TOKEN] = {"token", 0, "FILE", "that holds the token to show, over https", NULL}, \
	[CLUSTER_CA] = {"ca", 0, "FILE", \
		"certificates to trust, over https (default: the system's)", NULL}

struct cluster {
	const struct cli *cli;
	const char *socket; // NULL: the URL
	const char *url;    // without a path
	const char *ca;     // NULL: the system's
	char token[CLUSTER_TOKEN_BYTES];
};

// From the options; 'value' is that of struct cli_args. An exit code; cluster_close() wipes the
// token.
int cluster_open(struct cluster *ret, const struct cli *cli, const char *const *value);
void cluster_close(struct cluster *cluster);

// GET of what stands behind /api/v1/cluster/. 'hold_ns': so long the answer may be held back, on
// top of --timeout. 0 and the envelope (caller's reference), or an exit code, with the reason in
// 'error' (CLUSTER_ERROR_BYTES), "" when the command was interrupted.
int cluster_try(const struct cluster *cluster, const char *path, uint64_t hold_ns, json_t **ret,
	char *error);

// Whether an exit code of it may be different the next time: nobody leads for a moment, or nobody
// answers.
bool cluster_may_mend(int exit_code);

// The same, told.
int cluster_get(const struct cluster *cluster, const char *path, json_t **ret);

// A command; takes the body over, also when it is NULL for lack of memory.
int cluster_post(const struct cluster *cluster, const char *command, json_t *body, json_t **ret);

// What a command prints: for --json the envelope as it came, else its warnings and what 'view'
// makes of data and the envelope's time. Takes the envelope.
typedef void (*cluster_view)(const json_t *data, const char *time, FILE *out);
void cluster_print(const struct cluster *cluster, json_t *envelope, cluster_view view);

// A whole command: opens, asks, prints.
int cluster_show(
	const struct cli *cli, const struct cli_args *args, const char *path, cluster_view view);
int cluster_command(const struct cli *cli, const struct cli_args *args, const char *command,
	json_t *body, cluster_view view);

// Looks at the receivers each second until 'left' says 0: how many there are still to wait for, in
// words in 'text' (128 bytes), which a terminal gets to see. Who leads may change meanwhile.
// 'limit_ns' 0: however long. An exit code, told.
int cluster_wait(const struct cluster *cluster,
	unsigned (*left)(const json_t *receivers, void *arg, char *text), void *arg,
	uint64_t limit_ns);

// --wait and --for, at these places. False: told.
bool cluster_wait_options(
	const char *const *value, unsigned wait, unsigned limit, uint64_t *ret_limit_ns);

// How long ago 'key' of the object was, by the envelope's time. buf: VIEW_TEXT_BYTES.
const char *cluster_age(const json_t *object, const char *key, const char *time, char *buf);

// "r1, r2" of an array of texts; "-" for none. buf of 'room' bytes.
const char *cluster_names(const json_t *names, char *buf, size_t room);
