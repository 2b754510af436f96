// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A handle's spool. Its thread takes events from callers, writes and syncs them, many at a time;
// then the I/O thread reads them from there: what it sends is always on this disk.
//
//   millrace_send() ─lock─▶ queue ─▶ spool thread ─▶ files ─▶ I/O thread ─▶ socket
//                                        │ synced up to ──lock──▶ │

#include "lib/client.h"

// Locks the directory and takes what is in it: source, seqs, what is durable. Without an error or
// with one, spooling_close() is due. 'why': room for MILLRACE_TEXT.
int spooling_open(struct millrace *m, const struct millrace_options *options,
	struct spool_found *found, char *why);
// Nothing without a spool. -EAGAIN: the system has no thread.
int spooling_start(struct millrace *m);
// Writes what callers have given, as far as the disk has room, and ends the thread.
void spooling_end(struct millrace *m);
void spooling_close(struct millrace *m);

// No more events are taken, and callers are told so. Any thread.
void spooling_fail(struct millrace *m, int err, const char *why);
