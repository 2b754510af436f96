// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The scheduler from within. All of it belongs to the loop's thread. Nothing of it is called from
// curl's own callbacks, in which no transfer can be started or cancelled: what the stream brings is
// kept, and taken out by a timer of no delay.

#include "control/mesos/backoff.h"
#include "control/mesos/masters.h"
#include "control/mesos/recordio.h"
#include "control/mesos/scheduler.h"

#include <curl/curl.h>

#define STREAM_ID_BYTES 128
#define HTTP_TEXT_BYTES 256
#define MESOS_TEXTS 8 // of mesos_options

// What a master says when it refuses: the beginning, in one line.
struct http_text {
	size_t len;
	char text[HTTP_TEXT_BYTES];
};

// The answer to SUBSCRIBE, for as long as it lasts.
struct stream {
	struct loop_transfer transfer; // first: stream_done() casts
	struct mesos *mesos;
	bool open, subscribed, suspected;
	bool behind, paused; // whole events wait here; so does what curl has
	uint64_t serial;     // of this stream; another one when it was closed meanwhile
	uint64_t subscribed_ns, heartbeat_ns;
	char master[MASTER_BYTES];
	char id[STREAM_ID_BYTES]; // "": no such header
	char location[MASTER_BYTES + 64];
	char *request;
	struct curl_slist *headers;
	struct recordio records;
	struct http_text text;
	char error[CURL_ERROR_SIZE];
	struct loop_timer drain, silence;
};

struct call {
	struct call *next;
	const char *type; // static
	bool changes;     // 'may' is asked
	char *body;
};

// Waiting calls, and the one that is being sent: one at a time, for a master handles those of
// several connections in any order, and a KILL must not come before its LAUNCH.
struct calls {
	struct loop_transfer transfer; // first: call_done() casts
	struct mesos *mesos;
	struct call *first, **last, *sending;
	size_t count; // that wait
	struct curl_slist *headers;
	struct http_text text;
	char error[CURL_ERROR_SIZE];
};

struct mesos {
	struct mesos_options options; // its texts are in the fields below
	char *texts[MESOS_TEXTS];
	struct mesos_handlers handlers;
	void *arg;
	struct masters masters;
	bool started;
	char framework_id[MESOS_ID_BYTES];

	// The next try: masters.list[at], or where it redirected to.
	unsigned at;
	char via[MASTER_BYTES]; // as it stands in the list
	unsigned tried, hops;   // masters tried in this round; redirects followed
	struct mesos_backoff backoff;
	struct loop_timer retry;
	char complaint[MESOS_WHY_BYTES]; // what was logged last

	struct stream stream;
	struct calls calls;
	struct mesos_counters counters;
};

enum retry {
	RETRY_NEXT,  // with another master, at once; after a delay when each was tried
	RETRY_LATER, // after a delay
};

// scheduler.c. These close the stream; each calls a handler, after which m may have a new one.
void scheduler_redirected(struct mesos *m, const char *location);
void scheduler_failed(struct mesos *m, enum retry how, const char *why); // the try
void scheduler_lost(struct mesos *m, enum retry how, const char *why);   // stream or try
void scheduler_ended(struct mesos *m, enum mesos_end end, const char *why);
bool scheduler_may(const struct mesos *m);
uint64_t scheduler_answer_ns(const struct mesos *m);

// stream.c
void stream_init(struct mesos *m);
int stream_open(struct mesos *m, const char *master);
void stream_close(struct mesos *m); // also when it is closed
void stream_alive(struct mesos *m); // an event came

// http.c: a POST of JSON to the scheduler API of a master, with all that TLS and credentials need.
CURL *http_new(const struct mesos *m, const char *master, char *error);
struct curl_slist *http_headers(const char *stream_id); // NULL: none
size_t http_take_text(char *data, size_t size, size_t count, void *http_text);
void http_why(
	char *ret, size_t size, const char *master, long status, const struct http_text *text);

// calls.c
void calls_init(struct mesos *m);
void calls_drop(struct mesos *m); // also when there are none
int calls_begin(struct mesos *m); // the stream is subscribed
int calls_make(struct mesos *m, const char *type, bool changes, const char *field, json_t *body);

// events.c: one record. -EBADMSG: it is no event.
int events_take(struct mesos *m, const char *data, size_t len);

// info.c: the body of SUBSCRIBE; NULL on lack of memory. free().
char *info_subscribe(const struct mesos *m);
