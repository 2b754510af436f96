// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Where the events of `millrace send --reliable` come from. One thread takes them and says which
// ones it gave away; another one says what became durable.

#include "cli/send/send.h"

#include <stdbool.h>
#include <stdint.h>

#define SEND_INPUT_WHY_BYTES 1024
#define SEND_IN_FLIGHT (1u << 20) // events that are given and not durable, at most

struct send_input {
	// The next event, borrowed until the next call: 1. 0: there is none any more; -EAGAIN: none
	// after 100 ms; -EMSGSIZE: one was too long and is skipped; else what went wrong.
	int (*next)(struct send_input *in, const uint8_t **event, uint32_t *len);
	// The event that next() returned last was taken as 'seq'. NULL: not wanted.
	void (*given)(struct send_input *in, uint64_t seq);
	// All seqs below 'durable' are durable, or in the spool. By the other thread, several times
	// a second; the last time when nobody gives any more. NULL: not wanted.
	void (*settle)(struct send_input *in, uint64_t durable, bool last);
	void (*close)(struct send_input *in);
	bool generated;                 // by the plan, whose count ends it
	char why[SEND_INPUT_WHY_BYTES]; // what went wrong in words; "": what errno says
};

// The generator's events; 'plan' must outlive it. -ENOMEM.
int send_input_generator(struct send_input **ret, const struct send_plan *plan);

// The lines of a file or pipe; takes the descriptor, also when it fails. -ENOMEM.
int send_input_lines(struct send_input **ret, int fd);
