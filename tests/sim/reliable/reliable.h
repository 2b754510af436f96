// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Both ends of the reliable transport, the network between them and the logs behind them, in one
// thread and under one virtual clock. One seed, one run. The code under test is transport/ alone;
// everything here plays what surrounds it, and knows better than it what has become of each event.

#include "transport/receive.h"
#include "transport/send.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SEC (1000 * MS)

#define SENDERS 4u
#define RECEIVERS 2u
#define ROGUE SENDERS          // a sender's place that is a misbehaving one's
#define STRANGER (SENDERS + 1) // ... that is nobody's: addresses that somebody made up
#define PLACES (SENDERS + 2)
#define PORTS_MAX 4u
#define SOURCES 96u // in one run, at most

// --- draw.c: all choices come from the seed; one stream of them for each concern, so that a run
// without one class of faults resembles the run with it
enum concern {
	DRAW_PLAN,
	DRAW_FAULTS,
	DRAW_NETWORK,
	DRAW_DISK,
	DRAW_RECEIVER,
	DRAW_ATTACK,
	DRAW_ROGUE,
	DRAW_SODIUM,
	DRAW_SENDER, // and one more for each
	DRAW_CONCERNS = DRAW_SENDER + SENDERS
};
void draw_seed(uint64_t seed);
uint64_t draw(unsigned concern);
uint32_t draw_below(unsigned concern, uint32_t n);
uint32_t draw_between(unsigned concern, uint32_t low, uint32_t high);
bool draw_chance(unsigned concern, unsigned per_thousand);
uint64_t draw_time(unsigned concern, uint64_t low, uint64_t high); // ns; small ones more often
uint64_t draw_run(void);                                           // the seed of this run
void draw_sodium_setup(void);                                      // before sodium_init()

// --- world.c: the virtual clock (ns) and what is to happen
typedef void world_fn(void *arg, uint64_t tag);
void world_reset(uint64_t now);
uint64_t world_now(void);
void world_at(uint64_t when, world_fn *fn, void *arg, uint64_t tag);
bool world_step(void); // false: nothing is to happen any more

// --- report.c
#define TALLIES(X) \
	X(seeds) \
	X(events) \
	X(rows) \
	X(blocks) \
	X(losses) \
	X(duplicates) \
	X(reordered) \
	X(corrupted) \
	X(partitions) \
	X(shrunk) \
	X(oversized) \
	X(overrun) \
	X(stalls) \
	X(refused_appends) \
	X(busy) \
	X(receiver_crashes) \
	X(landed) \
	X(rows_cut) \
	X(failures) \
	X(wipes) \
	X(sender_crashes) \
	X(spool_restarts) \
	X(moves) \
	X(failovers) \
	X(closes) \
	X(replays) \
	X(old_replays) \
	X(spoofed) \
	X(rogue_datagrams) \
	X(rogue_opened) \
	X(openings) \
	X(reopened) \
	X(overlap_rows) \
	X(new_epochs) \
	X(large_events) \
	X(empty_events) \
	X(sealed_runs) \
	X(sent_again) \
	X(lost_datagrams) \
	X(timeouts) \
	X(challenges) \
	X(acks) \
	X(resets) \
	X(refusals) \
	X(resumed) \
	X(known_twice) \
	X(beyond_window) \
	X(no_window) \
	X(wrong_epoch) \
	X(no_parts) \
	X(saves) \
	X(loads) \
	X(expired_sources) \
	X(came_back)
enum tally {
#define X(name) TALLY_##name,
	TALLIES(X)
#undef X
		TALLY_COUNT
};
void tally_add(enum tally what, uint64_t n);
static inline void tally(enum tally what)
{
	tally_add(what, 1);
}
void tally_print(void);

enum trace_mode { TRACE_OFF, TRACE_TAIL, TRACE_ALL };
void trace_start(enum trace_mode mode);
bool trace_wanted(void);
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
// What must not be, by the name of its invariant: told with the seed and the time, and the end.
_Noreturn void violated(const char *invariant, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define require(condition, invariant, ...) \
	do { \
		if (!(condition)) \
			violated(invariant, __VA_ARGS__); \
	} while (0)

// --- plan.c: what a run is like
#define FAULTS(X) \
	X(loss) \
	X(dup) \
	X(reorder) \
	X(corrupt) \
	X(partition) \
	X(stall) \
	X(full) \
	X(crash) \
	X(fail) \
	X(wipe) \
	X(move) \
	X(mtu) \
	X(replay) \
	X(rogue) \
	X(expiry)
enum fault {
#define X(name) FAULT_##name,
	FAULTS(X)
#undef X
		FAULT_COUNT
};

struct plan {
	unsigned senders, receivers;
	uint32_t events;             // of each sender
	uint32_t large, huge, empty; // per thousand of them
	uint32_t small_max;          // bytes of the others
	uint64_t faults_ns;          // how long
	uint64_t outage_ns;          // of which a partition, a stall or a full disk, at most
	uint32_t
		faults[FAULT_COUNT]; // 0: none; per thousand of datagrams, or how many in that time
	bool calm;                   // no more faults
	uint64_t delay, jitter, rate; // ns; ns; bytes/s, 0: unlimited
	uint32_t path_mtu, mtu, mtu_probe;
	uint64_t bytes_max;
	uint64_t failover_after;
	uint32_t spool;                // per thousand of senders
	uint32_t burst;                // events that an application has at once
	struct receive_config receive; // but for log_id
	uint32_t block_rows, flights;
	bool splits;  // a datagram's events between two blocks; the second one's must come again
	bool saves;   // what is known of the sources, as millraced does
	bool patient; // while the log is full nothing is taken from the network
	uint64_t commit_ns, disk_ns;
	uint32_t inbox; // datagrams
	unsigned ports; // of each sender
};
extern struct plan plan;
struct plan_wish {
	bool off[FAULT_COUNT];
	uint32_t events; // 0: the seed's
};
void plan_make(const struct plan_wish *wish);
bool plan_fault(enum fault fault); // whether one of these may happen now
const char *plan_fault_name(enum fault fault);
const struct seal_key *plan_key(uint32_t which); // that a sender uses

// --- books.c: who has offered what, and where each event is
struct event {
	bool acked, was_durable;
	uint32_t epoch_in[RECEIVERS]; // of its latest row in each log; 0: none
};
struct source {
	uint64_t id;
	unsigned place;
	uint64_t first_seq, first_index; // of the application
	struct event *events;            // by seq - first_seq
	uint64_t count, room;
	uint32_t told_epoch; // the latest in which it was told that something is durable
	uint8_t told_log[16];
	struct {
		uint32_t epoch; // the latest that was opened in this log; 0: none
		uint64_t first; // of that epoch
		uint64_t floor; // lowest seq that is missing of it
		uint64_t row;   // its opening's; UINT64_MAX: the receiver has forgotten it
		uint64_t since; // when that was appended, or read back
	} in[RECEIVERS];
	uint32_t forgotten[RECEIVERS]; // the epoch that was, of which a sender may have been told
};
void books_reset(void);
struct source *books_open(unsigned place, uint64_t id, uint64_t first_seq, uint64_t first_index);
struct source *books_find(uint64_t id);
unsigned books_count(void);
void books_offered(struct source *source, uint64_t seq);
struct log;
// The sender holds it durable.
void books_acked(struct source *source, uint64_t seq);
// In this epoch, by the receiver with this log.
void books_told(struct source *source, uint32_t epoch, const struct log *log);

struct row {
	struct source *source;
	uint64_t seq;
	uint32_t epoch, len;
	uint8_t *opening; // RECEIVE_OPENING bytes; NULL: an event
};
// A row is appended to a log, is durable there, is told anew after a restart; all rows are gone.
void books_append(unsigned log, const struct row *row, const uint8_t *payload, uint64_t at);
void books_durable(unsigned log, const struct row *row);
void books_again(unsigned log, const struct row *row, uint64_t at);
void books_forget(unsigned log);
// What the receiver with this log still knows.
void books_known(unsigned log, const struct seen *seen);

// --- payload.c
uint32_t payload_len(const struct source *source, uint64_t seq);
const uint8_t *payload_of(const struct source *source, uint64_t seq); // until the next call

// --- network.c
enum direction { TO_RECEIVER, TO_SENDER };
struct packet {
	struct packet *next, *prev;
	enum direction direction;
	unsigned place, receiver;
	struct peer peer; // the sender's end
	unsigned life;    // of the receiver when this was first sent
	bool replayed;
	const char *nothing; // why no event of it may be appended; NULL: it may
	uint32_t len;
	uint8_t data[];
};
void network_reset(void);
void network_calm(void);
// A copy goes its way. 'like': its other fields.
void network_send(const struct packet *like, const uint8_t *data, uint32_t len);
// The same without faults and without a wire tap.
void network_inject(const struct packet *like, const uint8_t *data, uint32_t len, uint64_t delay);
void network_free(struct packet *packet);
void network_partition(void);
struct peer network_peer(unsigned place, unsigned receiver, uint16_t port);
const char *network_describe(const struct packet *packet, const uint8_t *data, uint32_t len);

// --- wiretap.c: what must hold on the wire
void wiretap_reset(void);
void wiretap_sent(const struct packet *like, const uint8_t *data, uint32_t len);
void wiretap_heard(const struct packet *packet); // by a receiver
void wiretap_secret(uint16_t port); // who speaks from there without a key gets no answer

// --- log.c: the log of a partition
struct block {
	uint64_t end; // rows
	uint64_t done_at;
};
#define FLIGHTS_MAX 8u
struct log {
	unsigned index;
	uint8_t id[16];
	struct row *rows;
	uint64_t count, room, durable, submitted; // rows
	struct block flights[FLIGHTS_MAX];
	uint32_t flight_count;
	uint64_t open_since, full_until, stall_until;
};
void log_new(struct log *log, unsigned index); // with a new log_id, without rows
void log_free(struct log *log);
bool log_is_full(const struct log *log); // until its open block can be submitted
// How many of so many events it takes now.
unsigned log_takes(const struct log *log, unsigned count);
void log_append(struct log *log, const struct received *event);
bool log_wants_submit(const struct log *log);
void log_submitted(struct log *log);
bool log_finish(struct log *log); // true: its oldest block is durable now
uint64_t log_due(const struct log *log);
// Its machine is gone, or a block failed: what of the blocks under way has landed is durable.
void log_crash(struct log *log);

// --- receiver.c
// saving.c
struct saving {
	int state;
	uint8_t *copy, *kept; // under way; in the file
	size_t room, len, kept_len;
	uint64_t from, until, kept_from; // rows
	uint8_t kept_log[16];
	uint32_t at;
};
void saving_step(struct saving *saving, struct receive *r, const struct log *log);
// The row from which on the log is to be read.
uint64_t saving_load(const struct saving *saving, struct receive *r, const struct log *log);
void saving_forget(struct saving *saving); // what is under way: the program has ended
void saving_free(struct saving *saving);

void receivers_reset(void);
void receivers_free(void);
unsigned receiver_life(unsigned receiver);
void receiver_arrive(struct packet *packet);
void receiver_crash(unsigned receiver, uint32_t points); // after so many steps of its program
void receiver_fail(unsigned receiver);
struct log *receiver_log(unsigned receiver);
void receivers_calm(void);
void receivers_describe(void);

// --- sender.c, application.c
struct sender {
	unsigned place;
	struct send_half *half; // NULL: down
	struct source *source;
	bool spool, blocked, finished, moving;
	unsigned receiver, incarnation;
	uint64_t index;      // the application's next event
	uint64_t life_first; // seq that this life began with
	uint32_t epoch;
	struct send_epoch saved; // by the spool
	uint64_t durable;        // as of the last look
	uint64_t look;           // where to look next for what is durable out of order
	uint64_t moved_at, wake, last_instant;
	unsigned calls; // at this instant
	uint32_t crash_in;
};
void senders_reset(void);
void senders_free(void);
void sender_arrive(struct packet *packet);
void sender_crash(unsigned place, uint32_t points);
void sender_move(unsigned place);
void senders_calm(void);
bool senders_done(void);
uint64_t senders_left(void); // events that are to be offered, or to become durable
void senders_describe(void);
uint16_t sender_port(unsigned place); // one of its ports

// application.c
void application_start(struct sender *s, bool anew); // anew: as another source
void application_offer(struct sender *s);
bool application_done(const struct sender *s);
void application_look(struct sender *s); // at what became durable
void application_look_all(struct sender *s);
void application_save(struct sender *s); // with a spool: what the next process has to know

// --- attack.c: whoever records traffic and sends it again, or makes some up
void attack_reset(void);
void attack_record(const struct packet *like, const uint8_t *data, uint32_t len);
void attack(void);

// --- rogue.c: who has the key and does what the protocol forbids
void rogue_reset(void);
void rogue_arrive(struct packet *packet);
void rogue_act(void);

// --- story.c
void story_run(uint64_t seed, const struct plan_wish *wish, enum trace_mode mode);
