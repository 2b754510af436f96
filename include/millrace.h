// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// libmillrace: events to a Millrace receiver, none lost. An event that was called durable is on the
// receiver's disk, under the policy of its listener, and can be forgotten. C, and C++.
//
//   millrace_open() ──▶ millrace_send() … ──▶ millrace_durable() or millrace_reports()
//                                        ──▶ millrace_flush() ──▶ millrace_close()
//
// A handle keeps every event until it is durable, and sends it again where that is needed, also to
// another receiver. In memory: then each open draws a new source id at random, and what was not
// durable when the process ended is not sent again. Or in a spool, a directory on this host's disk:
// then the next open of it goes on with what was not durable, after a crash of the host, too.
//
// Seqs: the events of a handle count from 0, those of a spool from one handle to the next, without
// gaps, in the order in which millrace_send() took them. (source, seq) is how the receiver's log
// names them.
//
// Threads: every function may be called by any thread at any time, but for millrace_close(), which
// must be the last call. A thread of the library's own, with all signals blocked, does the
// sending. A handle doesn't survive fork(): the child must not use it.
//
// Errors are negative errno values. Times to wait are in milliseconds; below 0: without limit.

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILLRACE_TEXT 256u            // room for an error in words
#define MILLRACE_KEY 32u              // bytes of a pre-shared key
#define MILLRACE_EVENT_MAX (1u << 20) // bytes; a receiver may take less

struct millrace;

// Where the n-th receiver is now, counted from 0: 0 with the address and its length (in: the room
// for it), and a name for messages in 'name'. -ENOENT: there is no n-th; any other error: it has no
// address now, 'name' says why. Called by the library's thread alone; it may take its time, while
// nothing is sent.
typedef int millrace_resolve(void *arg, unsigned n, struct sockaddr_storage *address,
	socklen_t *address_len, char name[MILLRACE_TEXT]);

// Which receiver is tried when the n-th has failed: its number. MILLRACE_NONE in: the first of all;
// out: none is left, and the next round begins. Called as a 'resolve' is.
#define MILLRACE_NONE 0xffffffffu
typedef unsigned millrace_next(void *arg, unsigned n);

enum millrace_cipher { MILLRACE_XCHACHA20_POLY1305, MILLRACE_AES_256_GCM };

#define MILLRACE_REPORTS 1u // reports of each event are wanted: millrace_reports()

// All zero but 'size' and one of 'receivers' and 'resolve' is right. Copied by millrace_open().
struct millrace_options {
	size_t size; // sizeof(struct millrace_options), by which later versions know this one
	// "HOST:PORT" or "[IPv6]:PORT", several separated by commas. The first one is used, the
	// next when that one fails, round and round. Names are asked for anew at every change.
	const char *receivers;
	millrace_resolve *resolve; // instead of 'receivers'
	void *resolve_arg;         // valid until millrace_close()
	const uint8_t *key;        // MILLRACE_KEY bytes that the receivers have, too; NULL: none
	uint16_t key_id;           // its id there, from 1
	enum millrace_cipher cipher;
	uint64_t bytes_max;         // of events that are kept, about 100 for each in addition to
				    // its own; 0: 64 MiB
	uint32_t failover_after_ms; // without progress, while events are kept; 0: 10000
	uint32_t mtu;   // of a datagram's payload that is tried at most, 1232 to 65487; 0: 1472. It
			// begins at 1232 and is found out for each session; no fragments are sent
	uint32_t flags; // MILLRACE_REPORTS
	// A directory for this handle alone, made if need be; NULL: no spool. An event is synced
	// there before it is sent. Never copy one, nor put one back from a backup: two of them give
	// the same seqs to different events.
	const char *spool;
	uint64_t spool_bytes_max; // on disk, from 4 MiB; 0: 1 GiB
	millrace_next *next;      // with 'resolve' and its 'arg'; NULL: n + 1
};

// Does not wait for a receiver. -EINVAL: an option is wrong, which one is in 'why' (room for
// MILLRACE_TEXT bytes, or NULL); -ENOTSUP: this CPU hasn't the cipher; -ENOMEM, -EMFILE, -EAGAIN:
// the system has no memory, descriptor or thread. Of a spool: -EBUSY: another handle has it;
// -EBADMSG: it is damaged; -ENOTSUP: a later version has written it; or what the file system says.
int millrace_open(struct millrace **ret, const struct millrace_options *options, char *why);

// The id by which receivers know this handle, for logs and queries.
uint64_t millrace_source(const struct millrace *m);

// Copies an event of 'len' bytes, which may be 0, and never waits. 0 and its seq in *seq (NULL:
// not wanted). -EAGAIN: bytes_max are kept, and the event is not; -EMSGSIZE: it is larger than
// MILLRACE_EVENT_MAX, than the present receiver takes, or than bytes_max; -ENOMEM; -ESHUTDOWN:
// after millrace_stop(). With a spool, -EAGAIN also: spool_bytes_max are on disk, or the disk is
// full; any other error: the spool has failed for good (-EIO), or can't be trusted any more
// (-EBADMSG, -ESTALE), and millrace_error_text() says why. What was spooled before is sent yet,
// where it can be read.
int millrace_send(struct millrace *m, const void *event, uint32_t len, uint64_t *seq);
// The same, waiting for room: -EAGAIN when the time is over.
int millrace_send_wait(
	struct millrace *m, const void *event, uint32_t len, int timeout_ms, uint64_t *seq);

// All seqs below it are durable. Never goes back.
uint64_t millrace_durable(struct millrace *m);

// All seqs below it are synced in the spool: a crash of this host doesn't lose them. Never goes
// back. 0 without a spool.
uint64_t millrace_spooled(struct millrace *m);

// To be polled for reading, never read: readable while there are reports (with MILLRACE_REPORTS),
// or while millrace_durable() would return something new (without). The handle's; room after
// -EAGAIN comes at the same moments.
int millrace_fd(const struct millrace *m);

enum millrace_fate {
	MILLRACE_DURABLE = 1,
	MILLRACE_FAILED,    // never sent: in no receiver's log, surely
	MILLRACE_UNCERTAIN, // sent and not confirmed when the handle was stopped
	MILLRACE_SPOOLED,   // the next handle of the spool sends it
};

struct millrace_report {
	uint64_t seq;
	enum millrace_fate fate;
};

// Up to 'room' reports, each event once, in the order of seqs; returns how many. Only with
// MILLRACE_REPORTS. They cost no memory: they may be fetched late, or never. Until millrace_stop()
// all say durable; after it there is one for every event that had none. Those of a spool begin with
// what was not durable when it was opened.
unsigned millrace_reports(struct millrace *m, struct millrace_report *ret, unsigned room);

// Waits until everything given before the call is durable, and what was in the spool. -ETIMEDOUT;
// -ESHUTDOWN: stopped before; the error of a spool that has failed, see millrace_send().
int millrace_flush(struct millrace *m, int timeout_ms);

// Flushes, takes no more events meanwhile, takes leave of the receiver if all is durable, and ends
// the sending. What was given is in the spool then, if there is one and its disk has room. Returns
// how many events are not acknowledged (0: all is durable). Reports, figures
// and texts stay until millrace_close(). Called again it returns the same. It may take longer than
// the time given by what a 'resolve' under way takes.
uint64_t millrace_stop(struct millrace *m, int timeout_ms);

// millrace_stop(), then frees the handle. NULL: nothing, 0.
uint64_t millrace_close(struct millrace *m, int timeout_ms);

// Goes to receiver n of 'resolve' in good order: sends the present one nothing new, waits until all
// that was sent is durable, or until failover_after_ms are over, and moves. No event is in two logs
// then, or as few as can be. To the present one: asks for its address again. Returns at once; a
// later call takes the place of one that hasn't come to its end.
void millrace_go_to(struct millrace *m, unsigned n);

// As the option of that name, from now on. 0: nothing changes.
void millrace_failover_after(struct millrace *m, uint32_t ms);

// A log that events go to from first_seq on, and what the log before has of them: those with seqs
// from prev_seq to below prev_end were sent to it and not acknowledged, so they may be in both.
struct millrace_log {
	uint32_t epoch;
	uint32_t prev_epoch; // 0: there is no log before
	uint8_t log_id[16], prev_log_id[16];
	uint64_t first_seq;
	uint64_t prev_seq, prev_end;
	uint32_t planned;  // 1: millrace_go_to() made it
	char receiver[64]; // as the 'resolve' named it; cut where it is longer
};

// Up to 'room' of them, each once, in the order in which they were opened; returns how many. The
// last 32 are kept. What an earlier handle of a spool left in doubt is not told again.
unsigned millrace_logs(struct millrace *m, struct millrace_log *ret, unsigned room);

struct millrace_stats {
	uint64_t events;                    // taken by millrace_send(), or from the spool
	uint64_t acknowledged;              // durable
	uint64_t bytes_kept;                // as bytes_max counts them
	uint64_t sent;                      // events, each the first time
	uint64_t again;                     // events, each further time
	uint64_t datagrams, datagram_bytes; // to receivers
	uint64_t answers;                   // datagrams from them
	uint64_t lost;                      // datagrams taken for lost
	uint64_t timeouts;                  // probe timeouts
	uint64_t moves;                     // to another receiver
	uint64_t epochs;      // opened because of a move, or of a receiver that had forgotten
	uint64_t rtt_ns;      // smoothed
	uint64_t cwnd;        // bytes that the network is taken to carry
	uint32_t receiver;    // number of the present one in the list
	uint32_t open;        // 1: it has a session for us
	uint64_t spool_bytes; // on disk
	uint64_t overlap;     // events that may be in two logs, see millrace_log
};

// 'size': sizeof(struct millrace_stats). A few milliseconds old at most.
void millrace_get_stats(struct millrace *m, struct millrace_stats *ret, size_t size);

// Why events are not durable yet, in words: the last thing that went wrong, with the receiver's
// name; "" when nothing did since events last became durable. 'text': room for MILLRACE_TEXT bytes.
void millrace_error_text(struct millrace *m, char *text);

// Of the library, as text.
const char *millrace_version(void);

#ifdef __cplusplus
}
#endif
