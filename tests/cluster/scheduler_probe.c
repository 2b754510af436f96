// SPDX-License-Identifier: BSD-3-Clause
// Drives control/mesos/scheduler.h by lines on stdin, and prints what comes of them, a JSON object
// a line. Options are words NAME=VALUE: see options[].
//
//   masters LIST | start [ID] | stop | suppress | revive | may yes|no | quit
//   accept OFFER,… SECONDS OPERATIONS | decline OFFER,… SECONDS | kill TASK AGENT SECONDS
//   ack STATUS | reconcile [TASKS]
//   on EVENT COMMAND    from within that callback, each time; "on EVENT" alone: no more
//   count               offers are declined and counted, not printed
//   counters

#include "common/logmsg.h"
#include "common/thread.h"
#include "control/mesos/scheduler.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OFFERS_MAX 1024
#define REFUSE 5.0

static struct loop *loop;
static struct mesos *mesos;
static bool may = true, counting;
static const char *const events[] = {"subscribed", "failed", "offers", "rescinded", "update",
	"agent_lost", "disconnected", "ended", "may"};
#define EVENTS (sizeof(events) / sizeof(events[0]))
static char *on_event[EVENTS];
static uint64_t backoff_ms = 50, backoff_max_ms = 400, answer_ms, misses = 3;
static double failover_timeout = 60;
static const char *principal, *secret, *ca, *user = "root", *role = "*", *name = "probe";

static const struct {
	const char *name;
	const char **text;
	uint64_t *number;
	double *real;
} options[] = {
	{"principal", &principal},
	{"secret", &secret},
	{"ca", &ca},
	{"user", &user},
	{"role", &role},
	{"name", &name},
	{"backoff_ms", NULL, &backoff_ms},
	{"backoff_max_ms", NULL, &backoff_max_ms},
	{"answer_ms", NULL, &answer_ms},
	{"misses", NULL, &misses},
	{"failover_timeout", NULL, NULL, &failover_timeout},
};

static void obey(char *line);

// Takes 'more' over.
static void say(const char *event, json_t *more)
{
	json_t *line = json_pack("{s:s, s:b}", "event", event, "connected", mesos_connected(mesos));

	json_object_update(line, more);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
	json_decref(more);
}

// Does from within the callback what it was told to.
static void heard(const char *event)
{
	for (size_t i = 0; i < EVENTS; i++) {
		if (on_event[i] == NULL || strcmp(events[i], event) != 0)
			continue;
		char *line = strdup(on_event[i]);

		obey(line);
		free(line);
	}
}

static void on_subscribed(void *arg, const char *framework_id, const char *master)
{
	(void)arg;
	say("subscribed", json_pack("{s:s, s:s}", "framework_id", framework_id, "master", master));
	heard("subscribed");
}

static void on_failed(void *arg, const char *why)
{
	(void)arg;
	say("failed", json_pack("{s:s}", "why", why));
	heard("failed");
}

static void on_offers(void *arg, const json_t *offers)
{
	const char *ids[OFFERS_MAX];
	size_t count = json_array_size(offers);

	(void)arg;
	if (!counting) {
		say("offers", json_pack("{s:O}", "offers", offers));
		heard("offers");
		return;
	}
	for (size_t i = 0; i < count && i < OFFERS_MAX; i++)
		ids[i] = json_string_value(
			json_object_get(json_object_get(json_array_get(offers, i), "id"), "value"));
	mesos_decline(mesos, ids, (unsigned)(count < OFFERS_MAX ? count : OFFERS_MAX), REFUSE);
}

static void on_rescinded(void *arg, const char *offer_id)
{
	(void)arg;
	say("rescinded", json_pack("{s:s}", "offer_id", offer_id));
	heard("rescinded");
}

static void on_update(void *arg, const json_t *status)
{
	(void)arg;
	say("update", json_pack("{s:O}", "status", status));
	heard("update");
}

static void on_agent_lost(void *arg, const char *agent_id)
{
	(void)arg;
	say("agent_lost", json_pack("{s:s}", "agent_id", agent_id));
	heard("agent_lost");
}

static void on_disconnected(void *arg, const char *why)
{
	(void)arg;
	say("disconnected", json_pack("{s:s}", "why", why));
	heard("disconnected");
}

static void on_ended(void *arg, enum mesos_end end, const char *why)
{
	static const char *const ends[] = {"FAILED_OVER", "REMOVED", "REFUSED"};

	(void)arg;
	say("ended", json_pack("{s:s, s:s}", "end", ends[end], "why", why));
	heard("ended");
}

static bool on_may(void *arg)
{
	(void)arg;
	heard("may");
	return may;
}

// --- commands. Each may change the line it is given.

static int do_masters(char *rest)
{
	return mesos_set_masters(mesos, rest);
}

static int do_start(char *rest)
{
	return mesos_start(mesos, rest);
}

static int do_stop(char *rest)
{
	(void)rest;
	mesos_stop(mesos);
	return 0;
}

static int do_suppress(char *rest)
{
	(void)rest;
	return mesos_suppress(mesos);
}

static int do_revive(char *rest)
{
	(void)rest;
	return mesos_revive(mesos);
}

static int do_may(char *rest)
{
	may = strcmp(rest, "yes") == 0;
	return 0;
}

static char *word(char **rest)
{
	static char none[1];
	char *ret = strsep(rest, " ");

	return ret != NULL ? ret : none;
}

static unsigned split(char *text, const char *ids[OFFERS_MAX])
{
	unsigned count = 0;

	for (char *id = strsep(&text, ","); id != NULL && count < OFFERS_MAX;
		id = strsep(&text, ","))
		ids[count++] = id;
	return count;
}

static int do_accept(char *rest)
{
	const char *ids[OFFERS_MAX];
	unsigned count = split(word(&rest), ids);
	double seconds = strtod(word(&rest), NULL);

	return mesos_accept(mesos, ids, count, json_loads(rest, 0, NULL), seconds);
}

static int do_decline(char *rest)
{
	const char *ids[OFFERS_MAX];
	unsigned count = split(word(&rest), ids);

	return mesos_decline(mesos, ids, count, strtod(word(&rest), NULL));
}

static int do_kill(char *rest)
{
	char *task = word(&rest), *agent = word(&rest);

	return mesos_kill(mesos, task, agent, strtod(word(&rest), NULL));
}

static int do_ack(char *rest)
{
	json_t *status = json_loads(rest, 0, NULL);
	int r = mesos_acknowledge(mesos, status);

	json_decref(status);
	return r;
}

static int do_reconcile(char *rest)
{
	return mesos_reconcile(mesos, rest[0] != '\0' ? json_loads(rest, 0, NULL) : NULL);
}

static int do_on(char *rest)
{
	const char *event = word(&rest);

	for (size_t i = 0; i < EVENTS; i++) {
		if (strcmp(events[i], event) != 0)
			continue;
		free(on_event[i]);
		on_event[i] = rest != NULL ? strdup(rest) : NULL;
		return 0;
	}
	return -ENOENT;
}

static int do_count(char *rest)
{
	(void)rest;
	counting = true;
	return 0;
}

static json_t *counters(const struct mesos_counters *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "connects",
		(json_int_t)c->connects, "disconnects", (json_int_t)c->disconnects, "calls",
		(json_int_t)c->calls, "calls_failed", (json_int_t)c->calls_failed, "calls_refused",
		(json_int_t)c->calls_refused, "calls_dropped", (json_int_t)c->calls_dropped,
		"events", (json_int_t)c->events, "offers", (json_int_t)c->offers, "heartbeats",
		(json_int_t)c->heartbeats, "records_malformed", (json_int_t)c->records_malformed,
		"silences", (json_int_t)c->silences);
}

static int do_counters(char *rest)
{
	json_t *all = counters(mesos_counters(mesos));
	struct rusage used;

	(void)rest;
	getrusage(RUSAGE_SELF, &used);
	json_object_set_new(all, "cpu_seconds",
		json_real((double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
			  (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6));
	say("counters", all);
	return 0;
}

static int do_quit(char *rest)
{
	(void)rest;
	loop_stop(loop);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char *rest);
} commands[] = {
	{"masters", do_masters},
	{"start", do_start},
	{"stop", do_stop},
	{"suppress", do_suppress},
	{"revive", do_revive},
	{"may", do_may},
	{"accept", do_accept},
	{"decline", do_decline},
	{"kill", do_kill},
	{"ack", do_ack},
	{"reconcile", do_reconcile},
	{"on", do_on},
	{"count", do_count},
	{"counters", do_counters},
	{"quit", do_quit},
};

static void obey(char *line)
{
	char *rest = line, *command = word(&rest), none[] = "";
	int r = -ENOSYS;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, command) == 0)
			r = commands[i].run(
				rest != NULL || strcmp(command, "on") == 0 ? rest : none);
	say("result", json_pack("{s:s, s:s}", "command", command, "error",
			      r < 0 ? strerrorname_np(-r) : ""));
}

static void on_line(void *line)
{
	obey(line);
	free(line);
}

static void quit(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void *read_lines(void *arg)
{
	char *line = NULL;
	size_t size = 0;

	(void)arg;
	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		loop_post(loop, on_line, strdup(line));
	}
	free(line);
	loop_post(loop, quit, NULL);
	return NULL;
}

static bool read_option(const char *text)
{
	size_t len = strcspn(text, "=");

	for (size_t i = 0; text[len] == '=' && i < sizeof(options) / sizeof(options[0]); i++) {
		if (strlen(options[i].name) != len || memcmp(options[i].name, text, len) != 0)
			continue;
		if (options[i].text != NULL)
			*options[i].text = text + len + 1;
		else if (options[i].number != NULL)
			*options[i].number = strtoull(text + len + 1, NULL, 10);
		else
			*options[i].real = strtod(text + len + 1, NULL);
		return true;
	}
	return false;
}

static int make(void)
{
	static const struct mesos_handlers handlers = {.subscribed = on_subscribed,
		.failed = on_failed,
		.offers = on_offers,
		.rescinded = on_rescinded,
		.update = on_update,
		.agent_lost = on_agent_lost,
		.disconnected = on_disconnected,
		.ended = on_ended,
		.may = on_may};
	struct mesos_options o = {.principal = principal,
		.secret = secret,
		.ca = ca,
		.name = name,
		.user = user,
		.role = role,
		.hostname = "localhost",
		.failover_timeout = failover_timeout,
		.heartbeat_misses = misses,
		.backoff_ns = backoff_ms * 1000000,
		.backoff_max_ns = backoff_max_ms * 1000000,
		.answer_ns = answer_ms * 1000000};
	int r = loop_new(&loop);

	o.loop = loop;
	return r < 0 ? r : mesos_new(&mesos, &o, &handlers, NULL);
}

int main(int argc, char **argv)
{
	pthread_t reader;

	log_setup("probe", LOG_LEVEL_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++) {
		if (!read_option(argv[i])) {
			log_err("no option: %s", argv[i]);
			return 2;
		}
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (make() < 0 || thread_start(&reader, "lines", read_lines, NULL) < 0)
		return 1;
	loop_run(loop);
	mesos_free(mesos);
	// The reader may stand in read(): it is left where it is, and so is what it uses.
	for (size_t i = 0; i < EVENTS; i++)
		free(on_event[i]);
	return 0;
}
