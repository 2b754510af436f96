// SPDX-License-Identifier: BSD-3-Clause
// SUBSCRIBE's transfer: one response that goes on for as long as the stream lives.

#include "common/logmsg.h"
#include "control/mesos/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define GRACE (10 * MS)
#define TURN \
	(10 * MS) // of events in a row: calls, timers and what ZooKeeper brings want theirs, too

static long status_of(const struct stream *s)
{
	long status = 0;

	curl_easy_getinfo(s->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct stream *s = arg;

	if (status_of(s) != 200)
		return http_take_text(data, size, count, &s->text);
	if (s->behind) { // or it would grow for as long as the master is faster than we are
		s->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (recordio_feed(&s->records, data, size * count) == -ENOMEM)
		return 0;
	loop_timer_set(s->mesos->options.loop, &s->drain, 0);
	return size * count;
}

static void keep_header(const char *line, size_t len, const char *name, char *ret, size_t size)
{
	size_t skip = strlen(name);

	if (len < skip || strncasecmp(line, name, skip) != 0)
		return;
	while (skip < len && (line[skip] == ' ' || line[skip] == '\t'))
		skip++;
	while (len > skip && (unsigned char)line[len - 1] <= ' ')
		len--;
	if (len - skip < size)
		snprintf(ret, size, "%.*s", (int)(len - skip), line + skip);
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct stream *s = arg;

	keep_header(line, size * count, "Mesos-Stream-Id:", s->id, sizeof(s->id));
	keep_header(line, size * count, "Location:", s->location, sizeof(s->location));
	return size * count;
}

// The frame was whole: an event that we can't read is left out, and what it said is found by
// reconciliation. But a stream that begins so is none of a master's.
static void malformed(struct mesos *m, bool whole)
{
	struct stream *s = &m->stream;
	char why[MESOS_WHY_BYTES];

	m->counters.records_malformed++;
	snprintf(why, sizeof(why), "%s sent what is no event", s->master);
	if (whole && s->subscribed)
		log_warn("Mesos: %s, ignoring", why);
	else
		scheduler_lost(m, RETRY_LATER, why);
}

// Each handler may have closed this stream, and opened another. Up to 'until_ns'; what is left then
// has its turn in the next round.
static void take_events(struct mesos *m, uint64_t until_ns)
{
	struct stream *s = &m->stream;
	uint64_t serial = s->serial;
	const char *data;
	size_t len;
	int r = 0;

	s->behind = false;
	while (s->serial == serial && (r = recordio_next(&s->records, &data, &len)) > 0) {
		if (events_take(m, data, len) < 0)
			malformed(m, true);
		else if (s->serial == serial)
			stream_alive(m);
		if (s->serial == serial && loop_now_ns() >= until_ns) {
			s->behind = true;
			loop_timer_set(m->options.loop, &s->drain, 0);
			return;
		}
	}
	if (s->serial == serial && r < 0)
		malformed(m, false);
}

static void drain(void *arg)
{
	struct mesos *m = arg;
	struct stream *s = &m->stream;
	uint64_t serial = s->serial;

	take_events(m, loop_now_ns() + TURN);
	if (s->serial != serial || s->behind || !s->paused)
		return;
	s->paused = false;
	curl_easy_pause(s->transfer.easy, CURLPAUSE_CONT);
}

void stream_alive(struct mesos *m)
{
	struct stream *s = &m->stream;

	s->suspected = false;
	if (s->subscribed)
		loop_timer_set(m->options.loop, &s->silence,
			s->heartbeat_ns * m->options.heartbeat_misses);
}

// A process that was stopped for a while finds this timer due first, and only then what came.
static void on_silence(void *arg)
{
	struct mesos *m = arg;
	struct stream *s = &m->stream;
	char why[MESOS_WHY_BYTES];

	if (!s->suspected) {
		s->suspected = true;
		loop_timer_set(m->options.loop, &s->silence, GRACE);
		return;
	}
	m->counters.silences++;
	snprintf(why, sizeof(why), s->subscribed ? "%s sent no heartbeat" : "%s did not answer",
		s->master);
	scheduler_lost(m, RETRY_NEXT, why);
}

static void refused(struct mesos *m, long status)
{
	struct stream *s = &m->stream;
	char why[MESOS_WHY_BYTES];

	http_why(why, sizeof(why), s->master, status, &s->text);
	if (status == 301 || status == 302 || status == 307 || status == 308)
		scheduler_redirected(m, s->location);
	else if (status == 401 || status == 403)
		scheduler_ended(m, MESOS_REFUSED, why);
	else
		scheduler_failed(m, RETRY_LATER, why);
}

static void stream_done(struct loop_transfer *transfer, CURLcode code)
{
	struct stream *s = (struct stream *)transfer;
	struct mesos *m = s->mesos;
	uint64_t serial = s->serial;
	char why[MESOS_WHY_BYTES];
	long status = status_of(s);

	if (code == CURLE_OK && status != 200) {
		refused(m, status);
		return;
	}
	take_events(m, UINT64_MAX); // what came last may say why
	if (s->serial != serial)
		return;
	if (code == CURLE_OK)
		snprintf(why, sizeof(why), "%s closed the stream", s->master);
	else
		snprintf(why, sizeof(why), "%s: %.200s", s->master,
			s->error[0] != '\0' ? s->error : curl_easy_strerror(code));
	scheduler_lost(m, RETRY_NEXT, why);
}

void stream_init(struct mesos *m)
{
	m->stream.mesos = m;
	m->stream.transfer.done = stream_done;
	m->stream.drain = (struct loop_timer){.fn = drain, .arg = m};
	m->stream.silence = (struct loop_timer){.fn = on_silence, .arg = m};
}

// On a connection of its own, which ends with it.
static int start(struct mesos *m, const char *master)
{
	struct stream *s = &m->stream;
	CURL *easy;

	s->request = info_subscribe(m);
	s->headers = http_headers(NULL);
	easy = s->transfer.easy = http_new(m, master, s->error);
	if (s->request == NULL || s->headers == NULL || easy == NULL)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, s->request);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	return loop_transfer_start(m->options.loop, &s->transfer);
}

int stream_open(struct mesos *m, const char *master)
{
	struct stream *s = &m->stream;
	int r;

	stream_close(m);
	snprintf(s->master, sizeof(s->master), "%s", master);
	s->open = true;
	r = start(m, master);
	if (r < 0)
		return r;
	loop_timer_set(m->options.loop, &s->silence, scheduler_answer_ns(m));
	return 0;
}

void stream_close(struct mesos *m)
{
	struct stream *s = &m->stream;

	s->serial++;
	if (!s->open)
		return;
	loop_timer_cancel(m->options.loop, &s->drain);
	loop_timer_cancel(m->options.loop, &s->silence);
	if (s->transfer.easy != NULL) {
		loop_transfer_cancel(m->options.loop, &s->transfer);
		curl_easy_cleanup(s->transfer.easy);
	}
	s->transfer.easy = NULL;
	curl_slist_free_all(s->headers);
	s->headers = NULL;
	free(s->request);
	s->request = NULL;
	recordio_done(&s->records);
	s->open = s->subscribed = s->suspected = s->behind = s->paused = false;
	s->id[0] = s->location[0] = s->error[0] = '\0';
	s->text = (struct http_text){0};
}
