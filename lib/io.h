// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The library's thread: the sender's half of the protocol on a socket, and which receiver it has.
// All of it is that thread's own.

#include "lib/client.h"

#define BATCH 64u        // datagrams of one system call
#define ANSWER_ROOM 512u // above what a receiver may send

// A receiver, as it was found.
struct target {
	struct sockaddr_storage address;
	socklen_t address_len;
	char name[MILLRACE_TEXT];
};

struct io {
	struct millrace *m;
	struct send_half *half;
	uint64_t now; // ns, of this round
	bool ending;

	// Taken from callers, not yet in 'half', which takes them unless there is no memory or one
	// is too large for the present receiver.
	struct queue queue;
	uint64_t queued; // bytes
	struct chunk *empty;
	uint64_t blocked_until; // tries again then; 0: nothing in the way

	// With a spool, what callers give comes from there instead.
	struct spool_reader *reader;
	uint64_t spooled;        // all below may be read
	bool unreadable;         // nothing more may be
	struct send_epoch epoch; // as it is on disk
	uint64_t epoch_due;      // when another one is to be tried again; 0: it is on disk

	// lib/socket.c
	int fd; // connected to the receiver; -1: none
	uint8_t *out_bytes;
	uint32_t out_room;      // of each datagram
	unsigned out_at, out_n; // of 'out': next to be handed over, behind the last
	struct mmsghdr *out, *in;
	struct iovec *out_iov, *in_iov;
	uint8_t *in_bytes;
	uint64_t answers;

	// lib/failover.c
	struct target target;
	unsigned receiver;
	bool had_receiver;
	bool busy;            // something was kept in the last round
	uint64_t since;       // at this receiver
	uint64_t progress;    // the last time that something went on, or nothing had to
	uint64_t durable;     // seen
	unsigned rounds;      // through the list, since anything became durable
	uint64_t connect_due; // without a socket
	uint64_t moves;
	uint64_t failover_ns;
	// A planned move; MILLRACE_NONE: none.
	unsigned wish;
	uint64_t wish_until;  // it waits for what was sent until then
	uint64_t hold_end;    // all below is to be durable first; nothing else is sent
	bool planned;         // the last move was
	uint32_t told_epoch;  // whose log is in the handle's list; 0: none
	uint32_t first_epoch; // that an earlier handle began; 0: none did
	uint64_t overlap;
	int noted; // errno in the handle's text, 0: none, which spares saying it for each datagram
};

// lib/io.c
int io_make(struct io **ret, struct millrace *m, const struct send_config *config);
void io_free(struct io *io);
void *io_main(void *arg); // of pthread_create(); 'arg' is the struct io
// The handle's text. 'reason': errno; 0: no system call's.
__attribute__((format(printf, 3, 4))) void note(struct io *io, int reason, const char *fmt, ...);

// lib/socket.c
int socket_open(const struct target *target); // the descriptor
int socket_buffers_make(struct io *io, uint32_t mtu);
void socket_buffers_free(struct io *io);
void take_datagrams(struct io *io);
void give_datagrams(struct io *io);

// lib/failover.c
// Connects, and goes to another receiver when it is time, or when it is wished.
void watch_receiver(struct io *io);
uint64_t receiver_due(const struct io *io);

// lib/move.c
// What callers wish; with the handle's lock held.
void take_wish(struct io *io);
// When the receiver that is wished may be gone to; UINT64_MAX: nothing is wished.
uint64_t wish_due(const struct io *io);
// Puts a log that was opened into the handle's list.
void tell_log(struct io *io);
