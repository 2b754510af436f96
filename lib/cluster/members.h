// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The receivers of a cluster as one source sees them: where each is, which is its own, and when it
// moves. No clock, no connection, no lock: the owner's.
//
// A receiver has its number for good, by which libmillrace knows it. Times are ns of one clock.

#include "include/millrace.h"

#include <jansson.h>

#include <stdbool.h>

#define MEMBERS_MAX 4096u
#define MEMBER_NAME 64u
#define MEMBER_ADDRESSES 16u
#define MEMBERS_NONE MILLRACE_NONE
// Times of move_after: so long is a receiver well before its sources come back to it, and within as
// long again they come one by one.
#define MEMBERS_SETTLE 6u

enum member_health {
	MEMBER_GONE,     // not registered
	MEMBER_FAILED,   // by its own words
	MEMBER_STARTING, // may be gone to, but isn't well
	MEMBER_WELL,
};

struct member {
	char name[MEMBER_NAME];
	uint64_t weight;
	enum member_health health;
	bool seen; // in the reading under way
	bool leave;
	uint64_t leave_since, failed_since;
	bool well;       // and not to be left, and with an address
	uint64_t since;  // ... without a break
	uint64_t left;   // when it was left because it failed
	unsigned failed; // times that it was, one soon after the other
	unsigned address_count;
	struct sockaddr_storage addresses[MEMBER_ADDRESSES];
};

struct members {
	uint64_t source;
	const char *listener; // NULL: a receiver's first of the kind reliable; the owner's
	uint64_t move_after_ns;
	struct member *list;
	unsigned count, room;
	bool read;             // at least once
	uint64_t read_at;      // the last time
	unsigned present;      // where the source is
	uint64_t came;         // when it came there
	bool readdressed;      // the present one has other addresses than it had then
	unsigned wish;         // where it was sent; MEMBERS_NONE: nowhere that it isn't
	uint64_t wish_ends_at; // then somewhere else may be wished
};

void members_init(struct members *ret, uint64_t source, const char *listener);
void members_free(struct members *m);

// A reading: all that is registered, and nothing else. What can't be read as
// docs/schema/live.1.json says is as if it weren't there.
void members_begin(struct members *m);
int members_take(struct members *m, const json_t *live); // -EINVAL; -ENOMEM
void members_end(struct members *m, uint64_t now);

// Of docs/schema/senders.1.json; NULL: there is none yet. -EINVAL: nothing of it is taken.
int members_told(struct members *m, const json_t *senders, uint64_t now);

// In the source's order, of those that may be gone to: the one behind n. MEMBERS_NONE: the first;
// it is also returned when there is none.
unsigned members_next(const struct members *m, unsigned n);
bool members_may_go_to(const struct members *m, unsigned n);

// The source has gone to n: as it was wished, or because the one before had failed.
void members_came(struct members *m, unsigned n, uint64_t now);

// Where it shall go now; MEMBERS_NONE: nowhere, and *ret_due says when to ask again, UINT64_MAX
// when something has changed. *ret_read: a reading is wanted first.
unsigned members_wish(struct members *m, uint64_t now, uint64_t *ret_due, bool *ret_read);
