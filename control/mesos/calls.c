// SPDX-License-Identifier: BSD-3-Clause
// How calls are sent; which there are is in verbs.c.

#include "common/logmsg.h"
#include "control/mesos/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000u
#define WAITING_MAX 10000

static void pump(struct mesos *m);

static void free_call(struct call *call)
{
	if (call != NULL)
		free(call->body);
	free(call);
}

static void judge(struct mesos *m, const struct call *call, CURLcode code)
{
	struct calls *c = &m->calls;
	char why[MESOS_WHY_BYTES];
	long status = 0;

	curl_easy_getinfo(c->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK) {
		m->counters.calls_failed++;
		log_warn("Mesos: %s may be lost: %s: %s", call->type, m->stream.master,
			c->error[0] != '\0' ? c->error : curl_easy_strerror(code));
	} else if (status != 200 && status != 202) {
		m->counters.calls_refused++;
		http_why(why, sizeof(why), m->stream.master, status, &c->text);
		log_warn("Mesos: %s was refused: %s", call->type, why);
	}
}

static void call_done(struct loop_transfer *transfer, CURLcode code)
{
	struct calls *c = (struct calls *)transfer;
	struct call *call = c->sending;

	judge(c->mesos, call, code);
	c->sending = NULL;
	free_call(call);
	pump(c->mesos);
}

// curl repeats a request by itself when a connection that it had kept is found closed, even if the
// master took it before: a second ACCEPT would say of tasks that run that they never did.
static int send_call(struct mesos *m, struct call *call)
{
	struct calls *c = &m->calls;
	CURL *easy = c->transfer.easy;

	c->text = (struct http_text){0};
	c->error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, strcmp(call->type, "ACCEPT") == 0 ? 1L : 0L);
	return loop_transfer_start(m->options.loop, &c->transfer);
}

static struct call *take_first(struct calls *c)
{
	struct call *call = c->first;

	c->first = call->next;
	if (c->first == NULL)
		c->last = &c->first;
	c->count--;
	return call;
}

// 'may' is asked before the stream is looked at: it may have ended that.
static void pump(struct mesos *m)
{
	struct calls *c = &m->calls;

	while (c->sending == NULL && c->first != NULL) {
		struct call *call = take_first(c);
#ifndef MUTANT_CALL_UNASKED
		bool may = !call->changes || scheduler_may(m);
#else
		bool may = true;
#endif

		if (!may || !m->stream.subscribed) {
			m->counters.calls_dropped++;
			free_call(call);
		} else if (send_call(m, call) < 0) {
			m->counters.calls_failed++;
			log_warn("Mesos: %s was not sent: out of memory", call->type);
			free_call(call);
		} else {
			m->counters.calls++;
			c->sending = call;
		}
	}
}

void calls_init(struct mesos *m)
{
	m->calls.mesos = m;
	m->calls.last = &m->calls.first;
	m->calls.transfer.done = call_done;
}

int calls_begin(struct mesos *m)
{
	struct calls *c = &m->calls;
	CURL *easy = http_new(m, m->stream.master, c->error);

	c->transfer.easy = easy;
	c->headers = http_headers(m->stream.id);
	if (easy == NULL || c->headers == NULL)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_take_text);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &c->text);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(scheduler_answer_ns(m) / MS));
	return 0;
}

void calls_drop(struct mesos *m)
{
	struct calls *c = &m->calls;

	if (c->sending != NULL) {
		m->counters.calls_failed++;
		log_warn("Mesos: %s may be lost: its stream ended", c->sending->type);
		loop_transfer_cancel(m->options.loop, &c->transfer);
		free_call(c->sending);
		c->sending = NULL;
	}
	if (c->count > 0)
		log_warn("Mesos: %zu calls were not sent: their stream ended", c->count);
	m->counters.calls_dropped += c->count;
	while (c->first != NULL)
		free_call(take_first(c));
	curl_easy_cleanup(c->transfer.easy);
	c->transfer.easy = NULL;
	curl_slist_free_all(c->headers);
	c->headers = NULL;
}

static char *write_body(const struct mesos *m, const char *type, const char *field, json_t *body)
{
	json_t *call =
		json_pack("{s:s, s:{s:s}}", "type", type, "framework_id", "value", m->framework_id);
	char *text = NULL;

	if (field == NULL || json_object_set(call, field, body) == 0)
		text = json_dumps(call, JSON_COMPACT);
	json_decref(call);
	return text;
}

static int enqueue(struct mesos *m, const char *type, bool changes, const char *field, json_t *body)
{
	struct calls *c = &m->calls;
	struct call *call;

	if (changes && !scheduler_may(m)) {
		m->counters.calls_dropped++;
		return -EPERM;
	}
	if (!m->stream.subscribed)
		return -ENOTCONN;
	if (c->count >= WAITING_MAX)
		return -ENOBUFS;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	call->type = type;
	call->changes = changes;
	call->body = write_body(m, type, field, body);
	if (call->body == NULL) {
		free_call(call);
		return -ENOMEM;
	}
	*c->last = call;
	c->last = &call->next;
	c->count++;
	return 0;
}

int calls_make(struct mesos *m, const char *type, bool changes, const char *field, json_t *body)
{
	int r = enqueue(m, type, changes, field, body);

	json_decref(body);
	if (r == 0)
		pump(m);
	return r;
}
