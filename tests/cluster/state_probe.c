// SPDX-License-Identifier: BSD-3-Clause
// Session, election and store by lines on stdin, for state_test.py. It stands for election by
// itself
// ("won NODE", "lost WHY"); what its writes check is said apart:
//
//   state_probe SERVERS ROOT NAME SESSION_MS
//
//   lead PATH        writes check that node from now on
//   put NAME JSON    | remove NAME
//   commit TAG       "committed TAG ERR" when it is answered
//   read             "node NAME JSON" for each, "read ERR"
//   leads            "leads 0" or "leads 1", by the clock
//   quit             also at the end of stdin

#include "common/thread.h"
#include "control/election.h"
#include "control/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct probe {
	struct loop *loop;
	struct zk *zk;
	struct election *election;
	struct store *store;
};

struct line {
	struct probe *probe;
	char *text;
};

static void on_state(void *arg, enum zk_state state)
{
	static const char *const names[] = {"connecting", "connected", "expired", "denied"};
	struct probe *probe = arg;

	printf("session %s\n", names[state]);
	if (probe->election != NULL)
		election_session(probe->election, state);
}

static void on_won(void *arg)
{
	struct probe *probe = arg;

	printf("won %s\n", election_node(probe->election));
}

static void on_lost(void *arg, const char *why)
{
	(void)arg;
	printf("lost %s\n", why);
}

static void on_committed(void *arg, int err)
{
	printf("committed %s %d\n", (char *)arg, err);
	free(arg);
}

static void on_node(void *arg, const char *name, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	(void)arg;
	printf("node %s %s\n", name, text);
	free(text);
}

static void on_read(void *arg, int err, const char *path)
{
	(void)arg;
	printf("read %d %s\n", err, path);
}

static void put(struct probe *probe, char *text)
{
	char *json_text = strchr(text, ' ');
	json_t *json;

	if (json_text == NULL)
		return;
	*json_text++ = '\0';
	json = json_loads(json_text, 0, NULL);
	printf("put %d\n", store_put(probe->store, text, json));
	json_decref(json);
}

static void run(struct probe *probe, char *text)
{
	struct store_reader reader = {.node = on_node, .done = on_read, .arg = probe};

	if (strncmp(text, "lead ", 5) == 0)
		store_lead(probe->store, text + 5);
	else if (strncmp(text, "put ", 4) == 0)
		put(probe, text + 4);
	else if (strncmp(text, "remove ", 7) == 0)
		store_put(probe->store, text + 7, NULL);
	else if (strncmp(text, "commit ", 7) == 0)
		store_commit(probe->store, on_committed, strdup(text + 7));
	else if (strcmp(text, "read") == 0)
		printf("reading %d\n", store_read(probe->store, &reader));
	else if (strcmp(text, "leads") == 0)
		printf("leads %d\n", election_leads(probe->election));
	else
		loop_stop(probe->loop);
}

static void on_line(void *arg)
{
	struct line *line = arg;

	run(line->probe, line->text);
	free(line->text);
	free(line);
}

static void *read_lines(void *arg)
{
	struct probe *probe = arg;
	char buf[4096];

	while (fgets(buf, sizeof(buf), stdin) != NULL) {
		struct line *line = malloc(sizeof(*line));

		buf[strcspn(buf, "\n")] = '\0';
		*line = (struct line){.probe = probe, .text = strdup(buf)};
		loop_post(probe->loop, on_line, line);
	}
	loop_stop(probe->loop);
	return NULL;
}

static void last_turn(void *arg)
{
	loop_stop(arg);
}

int main(int argc, char **argv)
{
	struct probe probe = {0};
	struct zk_options zk = {.state = on_state, .arg = &probe};
	struct election_options election = {
		.address = "unix:/none", .won = on_won, .lost = on_lost, .arg = &probe};
	pthread_t reader;

	if (argc != 5 || loop_new(&probe.loop) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	zk.loop = election.loop = probe.loop;
	zk.servers = argv[1];
	zk.session_timeout_ns = strtoull(argv[4], NULL, 10) * 1000000;
	if (zk_open(&probe.zk, &zk) != 0)
		return 1;
	election.zk = probe.zk;
	election.root = argv[2];
	election.name = argv[3];
	if (election_new(&probe.election, &election) != 0 ||
		store_new(&probe.store, probe.loop, probe.zk, argv[2]) != 0 ||
		thread_start(&reader, "lines", read_lines, &probe) != 0)
		return 1;
	loop_run(probe.loop);
	zk_close(probe.zk);
	loop_post(probe.loop, last_turn, probe.loop);
	loop_run(probe.loop);
	store_free(probe.store);
	election_free(probe.election);
	zk_free(probe.zk);
	loop_free(probe.loop);
	return 0; // the thread of lines ends with the process
}
