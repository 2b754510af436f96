// SPDX-License-Identifier: BSD-3-Clause

#include "control/store_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS 200000000u
#define PUTS_MAX (ZK_OPS_MAX - 1)

struct put {
	char path[ZK_PATH_BYTES];
	char *text; // NULL: to be removed
	enum zk_kind kind;
	bool drop; // removed already
	bool everybody;
};

struct commit {
	struct commit *next;
	void (*done)(void *arg, int err);
	void *arg;
	unsigned count;
	struct put puts[];
};

struct asked {
	struct store *store;
	unsigned lead;
};

static void send_first(struct store *store);

static void commit_free(struct commit *commit)
{
	for (unsigned i = 0; commit != NULL && i < commit->count; i++)
		free(commit->puts[i].text);
	free(commit);
}

static struct commit *commit_new(void)
{
	return calloc(1, sizeof(struct commit) + PUTS_MAX * sizeof(struct put));
}

int store_put(struct store *store, const char *name, const json_t *json)
{
	struct commit *commit = store->gathered;
	struct put *put;

	if (commit == NULL)
		commit = store->gathered = commit_new();
	if (commit == NULL)
		return -ENOMEM;
	if (commit->count == PUTS_MAX)
		return -ENOSPC;
	put = &commit->puts[commit->count];
	snprintf(put->path, sizeof(put->path), "%s/%.200s", store->root, name);
	put->kind = json != NULL ? ZK_SET : ZK_DELETE;
	put->drop = false;
	put->everybody = strcmp(name, STORE_SENDERS) == 0;
	put->text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	if (json != NULL && put->text == NULL)
		return -ENOMEM;
	commit->count++;
	return 0;
}

static void finish_first(struct store *store, int err)
{
	struct commit *commit = store->first;

	store->first = commit->next;
	if (store->first == NULL)
		store->last = NULL;
	if (commit->done != NULL)
		commit->done(commit->arg, err);
	commit_free(commit);
}

// The node is there where we made it, isn't where we set or remove it: it is said the other way.
static bool turn_around(struct put *put, int err)
{
	if (put->kind == ZK_SET && err == -ENOENT)
		put->kind = ZK_CREATE;
	else if (put->kind == ZK_CREATE && err == -EEXIST)
		put->kind = ZK_SET;
	else if (put->kind == ZK_DELETE && err == -ENOENT)
		put->drop = true;
	else
		return false;
	return true;
}

// The put that an operation of the transaction stands for; the first operation is the check.
static struct put *put_of(struct commit *commit, unsigned op)
{
	unsigned at = 0;

	for (unsigned i = 0; i < commit->count; i++)
		if (!commit->puts[i].drop && ++at == op)
			return &commit->puts[i];
	return NULL;
}

static void answered(void *arg, const struct zk_answer *answer)
{
	struct asked asked = *(struct asked *)arg;
	struct store *store = asked.store;
	struct put *put;

	free(arg);
	if (asked.lead != store->lead)
		return;
	store->asking = false;
	put = answer->err != 0 ? put_of(store->first, answer->failed) : NULL;
	if (answer->err == -ECONNRESET) {
		loop_timer_set(store->loop, &store->retry, RETRY_NS);
		return;
	}
	if (put == NULL || !turn_around(put, answer->err))
		finish_first(
			store, put == NULL && answer->err == -ENOENT ? -ECANCELED : answer->err);
	send_first(store);
}

static unsigned fill_ops(const struct store *store, struct zk_op *ops)
{
	unsigned count = 1;

#ifndef MUTANT_STORE_UNCHECKED
	ops[0] = (struct zk_op){.kind = ZK_CHECK, .path = store->check};
#else
	ops[0] = (struct zk_op){.kind = ZK_CHECK, .path = "/"};
#endif
	for (unsigned i = 0; i < store->first->count; i++) {
		const struct put *put = &store->first->puts[i];

		if (!put->drop)
			ops[count++] = (struct zk_op){.kind = put->kind,
				.path = put->path,
				.value = put->text,
				.len = put->text != NULL ? strlen(put->text) : 0,
				.everybody = put->everybody};
	}
	return count;
}

static int ask_first(struct store *store)
{
	struct zk_op ops[ZK_OPS_MAX];
	struct asked *asked = malloc(sizeof(*asked));
	int err = -ENOMEM;

	if (asked != NULL) {
		*asked = (struct asked){.store = store, .lead = store->lead};
		err = zk_multi(store->zk, ops, fill_ops(store, ops), answered, asked);
	}
	if (err != 0)
		free(asked);
	return err;
}

// Sends the first that waits, unless one is under way. What the client can't send at all is
// answered.
static void send_first(struct store *store)
{
	while (store->first != NULL && !store->asking) {
		int err = store->first->count == 0  ? 0
			  : store->check[0] == '\0' ? -ECANCELED
						    : ask_first(store);

		if (store->first->count > 0 && err == 0) {
			store->asking = true;
		} else if (err == -ESHUTDOWN || err == -ENOMEM) {
			loop_timer_set(store->loop, &store->retry, RETRY_NS);
			return;
		} else {
			finish_first(store, err);
		}
	}
}

static void retry(void *arg)
{
	send_first(arg);
}

int store_commit(struct store *store, void (*done)(void *arg, int err), void *arg)
{
	struct commit *commit = store->gathered != NULL ? store->gathered : commit_new();

	if (commit == NULL)
		return -ENOMEM;
	store->gathered = NULL;
	commit->done = done;
	commit->arg = arg;
	if (store->last != NULL)
		store->last->next = commit;
	else
		store->first = commit;
	store->last = commit;
	send_first(store);
	return 0;
}

unsigned store_pending(const struct store *store)
{
	unsigned count = 0;

	for (const struct commit *c = store->first; c != NULL; c = c->next)
		count++;
	return count;
}

void store_lead(struct store *store, const char *election_node)
{
	store->lead++;
	store->asking = false;
	snprintf(store->check, sizeof(store->check), "%s", election_node);
	loop_timer_cancel(store->loop, &store->retry);
	commit_free(store->gathered);
	store->gathered = NULL;
	while (store->first != NULL)
		finish_first(store, -ECANCELED);
}

int store_new(struct store **ret, struct loop *loop, struct zk *zk, const char *root)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return -ENOMEM;
	store->loop = loop;
	store->zk = zk;
	store->retry = (struct loop_timer){.fn = retry, .arg = store};
	snprintf(store->root, sizeof(store->root), "%s", root);
	*ret = store;
	return 0;
}

void store_free(struct store *store)
{
	if (store == NULL)
		return;
	store_lead(store, "");
	free(store);
}
