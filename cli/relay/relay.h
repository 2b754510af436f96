// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// `millrace relay`: syslog and lines from sockets of the kernel to libmillrace, a message an event.
// One thread beside the library's.

#include "cli/send/key.h"
#include "include/millrace.h"

#include <stdbool.h>
#include <stdint.h>

#define RELAY_LISTENERS_MAX 32u
#define RELAY_MESSAGE_MAX 65536u // bytes
#define RELAY_CONNECTIONS_MAX 1024u
#define RELAY_WHY_BYTES MILLRACE_TEXT

struct relay_listener {
	int fd;
	bool stream; // TCP
};

// Opens "udp:[ADDRESS:]PORT" and "tcp:[ADDRESS:]PORT", several separated by commas; room for
// RELAY_LISTENERS_MAX in 'ret'. -EINVAL, or what the system says, with the reason in 'why'
// (RELAY_WHY_BYTES) and nothing left open.
int relay_listen(const char *list, struct relay_listener *ret, unsigned *ret_count, char *why);
// Datagrams that the kernel threw away for lack of room since then.
uint64_t relay_listener_lost(const struct relay_listener *listener);

struct relay_options {
	struct send_target to;
	const char *listen; // as relay_listen() wants it
	uint64_t wait_ns;   // for acknowledgements at the end
};

struct relay_tally {
	uint64_t source;
	uint64_t udp, tcp; // messages that the library took
	uint64_t found;    // that an earlier relay left in the spool
	uint64_t bytes;    // of them
	uint64_t acknowledged, unacknowledged;
	uint64_t spooled; // of the latter: in the spool, for the next relay
	struct {
		uint64_t no_room;   // datagrams that came while the library had no room
		uint64_t socket;    // datagrams for which the kernel had none
		uint64_t too_large; // messages that the receiver doesn't take
		uint64_t too_long;  // messages, and with each its connection
		uint64_t cut_off;   // octet counted messages that broke off
		uint64_t left;      // messages had from a connection and not taken at the end
	} dropped;
	uint64_t connections, connections_refused;
	char reason[MILLRACE_TEXT]; // the library's, of what isn't acknowledged
	int failed;                 // errno of the spool's: it takes no more
	struct millrace_stats stats;
};

// Called when all sockets are open, and then about once a second.
typedef void relay_progress(const struct relay_tally *tally, void *arg);

// Until *stop, which is looked at all the time, or until the spool fails. 0, or what relay_listen()
// or millrace_open() says with the reason in 'why' (RELAY_WHY_BYTES). 'ret' is filled when it is 0.
int relay_run(const struct relay_options *options, const volatile bool *stop,
	relay_progress *progress, void *arg, struct relay_tally *ret, char *why);
