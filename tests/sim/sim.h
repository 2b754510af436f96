// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A machine that loses its power: the real code of wal/ and common/file.c, linked so that its
// system calls end here (see meson.build), over a file system in memory that forgets what no flush
// covered. One seed, one run: owner and keeper are fibers of one thread, and every call is a place
// where the other may go on, where a fault may strike and where the power may go.
//
// Three worlds. Inside: code under test, on a fiber. Calm: the same calls by a check, which must
// find a quiet machine. Outside: the driver, between two boots; always calm.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// --- random.c: all choices come from the seed
void sim_seed(uint64_t seed);
uint64_t sim_random(void);
uint64_t sim_hash(uint64_t a, uint64_t b);
uint32_t sim_below(uint32_t n); // 0 … n-1
bool sim_chance(unsigned per_thousand);
uint32_t sim_between(uint32_t low, uint32_t high);

// --- machine.c: fibers, time, crashes
enum sim_end { SIM_RETURNED, SIM_CRASHED };

struct sim_pace {
	unsigned switches;     // per thousand calls, to the other fiber
	unsigned faults;       // per thousand calls that may fail
	unsigned flush_faults; // the same of flushes alone
	unsigned kills;        // per thousand flushes that fail: the next call is the crash
	unsigned completes;    // per thousand, an operation in flight at a look at its completion
};
extern struct sim_pace sim_pace;

// Boots: runs fn(arg) as the owner until it returns, or until its crash_at-th call (0: never). What
// it allocated and did not free is gone afterwards.
enum sim_end sim_boot(void (*fn)(void *arg), void *arg, uint64_t crash_at);
bool sim_inside(void);
bool sim_in_keeper(void);
void sim_calm(bool calm);
bool sim_is_calm(void);
uint64_t sim_calls(void);  // of this boot
uint64_t sim_faults(void); // that struck in this boot
void sim_point(const char *what, ...) __attribute__((format(printf, 1, 2)));
void sim_wait(void);  // the running fiber has nothing to do until the other has gone on
bool sim_fault(void); // whether this call shall fail
bool sim_flush_fault(void);
int64_t sim_now(void); // ns
void sim_pass(int64_t ns);

void sim_keeper_start(void *(*fn)(void *), void *arg);
bool sim_keeper_lives(void);
bool sim_keeper_poll(bool (*ready)(void)); // false: its time ran out

// --- memory.c: what the code under test has allocated
void sim_memory_drop(void);
size_t sim_memory_live(void);
void *sim_keep(size_t len); // for the simulation's own use, in whatever world
void sim_keep_free(void *p);

// --- calls.c: what the kernel would do
#define SIM_ROOT "/sim"
#define SIM_LOG SIM_ROOT "/0"

struct fs_op;
void calls_reset(bool direct); // the process is gone; whether the next one finds O_DIRECT
unsigned calls_open(void);     // file descriptors
int calls_inode(int fd);
void calls_disk_full(bool full);

// --- disk.c: the owner's writes, as io_uring does them
struct wal_io;
struct wal_io *disk_io(void);
void disk_reset(void);

// --- model.c
void model_retire(uint64_t first_seq); // the keeper takes a segment away

// --- crash.c
extern bool sim_verbose;
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
// What must not be: told with the seed, and the end.
_Noreturn void sim_violated(const char *format, ...) __attribute__((format(printf, 1, 2)));
