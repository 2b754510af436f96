// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The API of millrace-control: what is to be seen, and the commands, over http/. A follower answers
// reads of its own state, and redirects all else to the leader (307, Location; 503 while there is
// none).
//
//   GET  /healthz /metrics            of this process
//   GET  /api/v1/cluster/leader       of this process: who leads, as far as it knows
//   GET  /api/v1/cluster/status | receivers | tasks | spec           the leader's
//   GET  /api/v1/cluster/events?from=ID&wait_ms=N                     the leader's
//   POST /api/v1/cluster/apply        {"spec":…,"dry_run":bool}
//   POST /api/v1/cluster/scale        {"count":N}
//   POST /api/v1/cluster/drain        {"slave":HOSTNAME,"off":bool}
//   POST /api/v1/cluster/replace      {"slave":HOSTNAME}
//   POST /api/v1/cluster/restart      {"receiver":NAME or null}
//   POST /api/v1/cluster/reset        {}
//
// A command is answered when its outcome is stored in ZooKeeper, or refused; with 504 when neither
// has happened within 30 s, or within ?wait_ms=N. It may take effect all the same then.

#include "control/conf.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

enum api_view { API_STATUS, API_RECEIVERS, API_TASKS, API_SPEC, API_EVENTS, API_VIEWS };

// The core's side. All are called in the API's thread; the core locks for itself.
struct api_core {
	void *arg;
	// A new reference that nobody changes any more; NULL on lack of memory. 'from': of
	// API_EVENTS, those with an id above it.
	json_t *(*show)(void *arg, enum api_view view, uint64_t from);
	// Whether this process leads, and where the leader is: "" when none is known; else
	// "https://host:port", or "unix:PATH" of one that has no TCP.
	bool (*leads)(void *arg, char *ret_name, char *ret_address, size_t size);
	// Takes the body over; returns a ticket.
	uint64_t (*submit)(void *arg, const char *command, json_t *body);
	// False: not done yet. Else *ret_status is of HTTP, and either *ret_data is a new reference
	// or error (256 bytes) says what is wrong. A ticket is good for one true.
	bool (*outcome)(
		void *arg, uint64_t ticket, unsigned *ret_status, json_t **ret_data, char *error);
	// Gives the ticket up: its outcome is nobody's any more.
	void (*forget)(void *arg, uint64_t ticket);
	bool (*healthy)(void *arg, char *why, size_t size);
};

struct api;

// 'conf' outlives the API. 'why': HTTP_WHY_BYTES, as http_start_with(), whose errors it has.
int api_start(struct api **ret, const struct conf *conf, const struct api_core *core, char *why);
// Who still waits for an outcome is cut off, the core's ticket given up. NULL is fine.
void api_stop(struct api *api);

// As http_tcp_port().
unsigned api_tcp_port(const struct api *api);
