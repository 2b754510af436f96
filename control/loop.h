// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The one thread of millrace-control in which everything is decided: what other threads
// (ZooKeeper's client, the API) bring is posted to it; transfers and timers end in it. Nothing here
// blocks.

#include <curl/curl.h>

#include <stdbool.h>
#include <stdint.h>

struct loop;

// Negative errno. Process-wide curl_global_init() is the caller's.
int loop_new(struct loop **ret);
void loop_free(struct loop *loop); // what was posted and didn't run is dropped

// Until loop_stop(), also one from before. May be called again then: what was left goes on.
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); // any thread, and signal handlers

// Any thread: fn(arg) is called in the loop's thread, in the order of posting. -ENOMEM.
int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

// Embedded in its owner; zeroed before first use. Times are of CLOCK_BOOTTIME: it goes on while the
// process is stopped and while the machine sleeps.
struct loop_timer {
	void (*fn)(void *arg);
	void *arg;
	uint64_t due_ns; // 0: not set
	struct loop_timer *next;
};

uint64_t loop_now_ns(void);
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns); // or moves it
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer); // fine when not set

// A transfer of curl, of whose options CURLOPT_PRIVATE is the loop's. The easy handle is the
// caller's, and so is the struct, which lives until done() or loop_transfer_cancel(). done() may
// free both, and start and cancel others; the callbacks that curl itself makes may not (-EBUSY, and
// no cancelling): let them set a timer of no delay.
struct loop_transfer {
	CURL *easy;
	void (*done)(struct loop_transfer *transfer, CURLcode code);
};

// -ENOMEM, -EBUSY, -EINVAL: it is running already.
int loop_transfer_start(struct loop *loop, struct loop_transfer *transfer);
void loop_transfer_cancel(struct loop *loop, struct loop_transfer *transfer); // done() isn't called
