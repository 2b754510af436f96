// SPDX-License-Identifier: BSD-3-Clause

// A millrace-control without ZooKeeper and Mesos: made-up receivers that obey the commands, behind
// the real API, so that clients can be tried and the schemas checked.
//
//   fake_core SOCKET [name=NAME] [tcp=DIR] [leader=ADDRESS|self] [ill|alarm] [mute]
//
// tcp: also on a port of 127.0.0.1, with crt, key and tokens of that directory. leader: it follows
// that one ("": nobody leads; self: its own port, which never ends). ill: nothing is well; alarm:
// all but that. mute: no command is ever done. Says "ready PORT" on stdout when it serves; ends at
// SIGTERM, or when stdin ends.

#include "common/clock.h"
#include "common/json.h"
#include "control/api.h"
#include "control/spec.h"
#include "http/server.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RECEIVERS_MAX 8
#define MOVE_NS 1500000000u // a receiver's way off a slave, or to its next task

struct receiver {
	unsigned slave, task, left; // the slave that it left last; 0: none
	uint64_t moves_ns; // CLOCK_MONOTONIC: when it is elsewhere, or another task; 0: it stays
	bool drains;
};

static struct conf conf;
static char leader[512];
static bool follows, ill, alarm_only, mute;

// The API's thread's.
static struct receiver receivers[RECEIVERS_MAX];
static unsigned count = 2, version = 7, free_slave = RECEIVERS_MAX + 1;
static json_t *events, *draining;
static unsigned status;
static json_t *outcome_data;
static char outcome_error[256];

static json_t *now_json(void)
{
	char buf[40];

	return json_string(time_text(clock_system_ns(), buf));
}

static void decide(const char *decision, json_t *receiver, const char *slave, const char *reason)
{
	json_array_append_new(events,
		json_pack("{s:I, s:o, s:o, s:s?, s:s, s:s}", "id",
			(json_int_t)json_array_size(events) + 1, "time", now_json(), "receiver",
			receiver, "slave", slave, "decision", decision, "reason", reason));
}

// What time has done.
static void move_on(void)
{
	uint64_t now = clock_monotonic_ns();

	for (unsigned i = 0; i < count; i++) {
		struct receiver *r = &receivers[i];

		if (r->moves_ns == 0 || now < r->moves_ns)
			continue;
		r->moves_ns = 0;
		r->task++;
		if (r->drains) {
			r->left = r->slave;
			r->slave = free_slave++;
		}
		r->drains = false;
	}
}

// One after the other: until its turn comes, it runs.
static bool is_running(const struct receiver *r)
{
	return r->moves_ns == 0 || clock_monotonic_ns() + MOVE_NS < r->moves_ns;
}

static json_t *live_json(unsigned i)
{
	json_t *listeners = json_pack("[{s:s, s:s, s:i, s:[s]}]", "name", "sure", "kind",
		"reliable", "udp_port", 5140, "addresses", "10.0.0.1");
	json_t *partitions = json_pack("[{s:i, s:s, s:s, s:i}]", "partition", 0, "log_id",
		"000102030405060708090a0b0c0d0e0f", "durable_seq", "1000", "log_bytes", 65536);
	json_t *sinks =
		json_pack("[{s:s, s:i, s:i}]", "sink", "out", "lag_batches", 3, "lag_events", 300);

	return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:i, s:o, s:i, s:s, s:n, s:o, s:o, "
			 "s:{s:i, s:i, s:i}, s:o, s:i}",
		"schema", "millrace.live/1", "time", now_json(), "receiver", "r", "task_id", "t",
		"hostname", "h", "socket", "/run/millrace/r.sock", "pid", 4242, "started_at",
		now_json(), "restarts", 0, "health", "ok", "why", "listeners", listeners,
		"partitions", partitions, "load", "packets_per_second", 1000, "events_per_second",
		150000 + (int)i, "bytes_per_second", 90000000, "sinks", sinks, "worst_lag_batches",
		3);
}

static json_t *receiver_json(unsigned i)
{
	const struct receiver *r = &receivers[i];
	bool runs = is_running(r);

	return json_pack(
		"{s:o, s:o, s:s, s:b, s:s?, s:o, s:o, s:s, s:s, s:[s], s:i, s:i, s:n, s:o}", "name",
		json_sprintf("r%u", i + 1), "slave", json_sprintf("slave%u", r->slave), "state",
		runs ? "running" : "ending", "retiring", (int)r->drains, "why",
		runs        ? NULL
		: r->drains ? "its slave drains"
			    : "restarted by command",
		"task_id", json_sprintf("r%u.%u", i + 1, r->task), "since", now_json(), "log_path",
		"/var/lib/millrace", "lcores", "2-3", "nics", "eth1", "version", 1, "restarts",
		(int)r->task - 1, "next_launch_at", "live", runs ? live_json(i) : json_null());
}

static json_t *task_json(unsigned i)
{
	const struct receiver *r = &receivers[i];

	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:n, s:n, s:o, s:b}", "task_id",
		json_sprintf("r%u.%u", i + 1, r->task), "receiver", json_sprintf("r%u", i + 1),
		"slave", json_sprintf("slave%u", r->slave), "agent_id", "agent-1", "state",
		"TASK_RUNNING", "reason", "message", "since", now_json(), "current", 1);
}

static json_t *list_json(json_t *(*row)(unsigned i))
{
	json_t *ret = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(ret, row(i));
	return ret;
}

// And whose logs lie on slaves that they left.
static json_t *receivers_json(void)
{
	json_t *ret = list_json(receiver_json);

	for (unsigned i = 0; i < count; i++) {
		json_t *old;

		if (receivers[i].left == 0)
			continue;
		old = receiver_json(i);
		json_object_set_new(old, "name", json_sprintf("r%u.old", i + 1));
		json_object_set_new(old, "slave", json_sprintf("slave%u", receivers[i].left));
		json_object_set_new(old, "state", json_string("retired"));
		json_object_set_new(old, "live", json_null());
		json_array_append_new(ret, old);
	}
	return ret;
}

static json_t *alarms_json(void)
{
	return ill || alarm_only ? json_pack("[{s:s, s:s, s:s}]", "code", "framework_removed",
					   "text", "Mesos has removed the framework", "mend",
					   "millrace cluster reset --yes")
				 : json_array();
}

static json_t *status_json(void)
{
	int ending = 0;

	for (unsigned i = 0; i < count; i++)
		ending += !is_running(&receivers[i]);
	return json_pack("{s:s, s:b, s:s, s:{s:s, s:o}, s:{s:s, s:s?, s:s?, s:s?}, s:{s:s, s:s?}, "
			 "s:{s:i, s:i}, s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:o}",
		"cluster", "test", "leads", 1, "name", conf.name, "zookeeper", "state", "connected",
		"since", now_json(), "mesos", "state", ill ? "removed" : "subscribed", "master",
		ill ? NULL : "127.0.0.1:5050", "framework_id", ill ? NULL : "f-1", "why",
		ill ? "Framework has been removed" : NULL, "placement", "state",
		ill ? "frozen" : "running", "why", ill ? "no framework" : NULL, "desired", "count",
		(int)count, "version", (int)version, "receivers", "running", (int)count - ending,
		"starting", 0, "waiting", 0, "unreachable", 0, "draining", 0, "ending", ending,
		"alarms", alarms_json());
}

static json_t *events_json(uint64_t from)
{
	json_t *ret = json_array();

	for (size_t i = (size_t)from; i < json_array_size(events); i++)
		json_array_append(ret, json_array_get(events, i));
	return ret;
}

static json_t *show(void *arg, enum api_view view, uint64_t from)
{
	(void)arg;
	move_on();
	switch (view) {
	case API_STATUS:
		return status_json();
	case API_RECEIVERS:
		return receivers_json();
	case API_TASKS:
		return list_json(task_json);
	case API_SPEC:
		return json_pack("{s:i, s:{s:i}, s:O}", "version", (int)version, "spec", "count",
			(int)count, "draining", draining);
	default:
		return events_json(from);
	}
}

static bool leads(void *arg, char *ret_name, char *ret_address, size_t size)
{
	(void)arg;
	snprintf(ret_name, size, "%s", leader[0] == '\0' ? "" : follows ? "other" : conf.name);
	snprintf(ret_address, size, "%s", leader);
	return !follows;
}

__attribute__((format(printf, 2, 3))) static void refuse(unsigned how, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(outcome_error, sizeof(outcome_error), fmt, ap);
	va_end(ap);
	status = how;
}

static void apply(const json_t *body)
{
	json_t *changes;
	struct spec spec;
	unsigned wanted;

	if (spec_read(json_object_get(body, "spec"), &spec) < 0) {
		refuse(422, "it is no desired state");
		return;
	}
	wanted = spec.count;
	spec_free(&spec);
	if (wanted > RECEIVERS_MAX) {
		refuse(422, "count: more than there can be");
		return;
	}
	changes = json_array();
	if (wanted != count)
		json_array_append_new(changes,
			json_pack("{s:s, s:o, s:o}", "key", "count", "from",
				json_sprintf("%u", count), "to", json_sprintf("%u", wanted)));
	if (!json_is_true(json_object_get(body, "dry_run")) && wanted != count) {
		count = wanted;
		version++;
		decide("apply", json_null(), NULL, "by command");
	}
	outcome_data = json_pack(
		"{s:i, s:o, s:i}", "version", (int)version, "changes", changes, "restarts", 1);
}

static void scale(const json_t *body)
{
	json_int_t wanted = json_integer_value(json_object_get(body, "count"));

	if (wanted > RECEIVERS_MAX) {
		refuse(409, "placement is frozen: ZooKeeper is out of reach");
		return;
	}
	version++;
	outcome_data = json_pack(
		"{s:i, s:I, s:i}", "version", (int)version, "count", wanted, "from", (int)count);
	count = (unsigned)wanted;
	decide("scale", json_null(), NULL, "by command");
}

// Which receivers are there; 'go': they leave.
static void slave_command(const json_t *body, bool go)
{
	const char *slave = json_string_value(json_object_get(body, "slave"));
	json_t *names = json_array();
	unsigned number = 0;

	if (sscanf(slave, "slave%u", &number) != 1) {
		json_decref(names);
		refuse(404, "no slave is called '%.64s'", slave);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		if (receivers[i].slave != number)
			continue;
		json_array_append_new(names, json_sprintf("r%u", i + 1));
		receivers[i].drains = go;
		receivers[i].moves_ns = go ? clock_monotonic_ns() + MOVE_NS : 0;
	}
	if (go)
		json_array_append_new(draining, json_string(slave));
	decide("drain", json_null(), slave, "by command");
	outcome_data = json_pack("{s:s, s:o}", "slave", slave, "receivers", names);
}

static void restart(const json_t *body)
{
	const char *name = json_string_value(json_object_get(body, "receiver"));
	uint64_t now = clock_monotonic_ns();
	json_t *names = json_array();

	for (unsigned i = 0; i < count; i++) {
		json_t *own = json_sprintf("r%u", i + 1);

		if (name == NULL || strcmp(json_string_value(own), name) == 0) {
			json_array_append(names, own);
			receivers[i].moves_ns = now + MOVE_NS * json_array_size(names);
		}
		json_decref(own);
	}
	if (json_array_size(names) == 0) {
		json_decref(names);
		refuse(404, "no receiver is called '%.64s'", name);
		return;
	}
	decide("restart", json_null(), NULL, "by command");
	outcome_data = json_pack("{s:o}", "receivers", names);
}

static uint64_t submit(void *arg, const char *command, json_t *body)
{
	(void)arg;
	status = 200;
	if (strcmp(command, "apply") == 0)
		apply(body);
	else if (strcmp(command, "scale") == 0)
		scale(body);
	else if (strcmp(command, "restart") == 0)
		restart(body);
	else if (strcmp(command, "reset") == 0)
		outcome_data = json_pack("{s:n}", "framework_id");
	else
		slave_command(body, strcmp(command, "drain") == 0 &&
					    !json_is_true(json_object_get(body, "off")));
	json_decref(body);
	return 1;
}

static bool outcome(
	void *arg, uint64_t ticket, unsigned *ret_status, json_t **ret_data, char *error)
{
	(void)arg, (void)ticket;
	*ret_status = status;
	snprintf(error, sizeof(outcome_error), "%s", outcome_error);
	if (mute)
		return false;
	*ret_data = outcome_data;
	outcome_data = NULL;
	return true;
}

static void forget(void *arg, uint64_t ticket)
{
	(void)arg, (void)ticket;
	json_decref(outcome_data);
	outcome_data = NULL;
}

static bool healthy(void *arg, char *why, size_t size)
{
	(void)arg;
	if (ill)
		snprintf(why, size, "ZooKeeper is lost");
	return !ill;
}

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void set_tcp(const char *dir)
{
	snprintf(conf.api.listen, sizeof(conf.api.listen), "127.0.0.1:0");
	snprintf(conf.api.certificate, sizeof(conf.api.certificate), "%s/crt", dir);
	snprintf(conf.api.key, sizeof(conf.api.key), "%s/key", dir);
	snprintf(conf.api.tokens, sizeof(conf.api.tokens), "%s/tokens", dir);
}

static void take_word(const char *word)
{
	if (strncmp(word, "name=", 5) == 0)
		snprintf(conf.name, sizeof(conf.name), "%s", word + 5);
	else if (strncmp(word, "tcp=", 4) == 0)
		set_tcp(word + 4);
	else if (strncmp(word, "leader=", 7) == 0)
		follows = snprintf(leader, sizeof(leader), "%s", word + 7) >= 0;
	else if (strcmp(word, "ill") == 0)
		ill = true;
	else if (strcmp(word, "alarm") == 0)
		alarm_only = true;
	else if (strcmp(word, "mute") == 0)
		mute = true;
}

static const struct api_core core = {.show = show,
	.leads = leads,
	.submit = submit,
	.outcome = outcome,
	.forget = forget,
	.healthy = healthy};

int main(int argc, char **argv)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	char why[HTTP_WHY_BYTES], byte;
	struct api *api;

	if (argc < 2)
		return 2;
	snprintf(conf.name, sizeof(conf.name), "fake");
	snprintf(conf.socket, sizeof(conf.socket), "%s", argv[1]);
	snprintf(leader, sizeof(leader), "unix:%s", argv[1]);
	for (int i = 2; i < argc; i++)
		take_word(argv[i]);
	events = json_array();
	draining = json_array();
	for (unsigned i = 0; i < RECEIVERS_MAX; i++)
		receivers[i] = (struct receiver){.slave = i + 1, .task = 1};
	decide("lead", json_null(), NULL, "elected");
	signal(SIGTERM, on_signal);
	if (api_start(&api, &conf, &core, why) < 0) {
		fprintf(stderr, "fake_core: %s\n", why);
		return 1;
	}
	if (strcmp(leader, "self") == 0)
		snprintf(leader, sizeof(leader), "https://127.0.0.1:%u", api_tcp_port(api));
	printf("ready %u\n", api_tcp_port(api));
	fflush(stdout);
	while (!stop && (poll(&in, 1, 1000) <= 0 || read(0, &byte, 1) > 0))
		;
	api_stop(api);
	json_decref(events);
	json_decref(draining);
	return 0;
}
