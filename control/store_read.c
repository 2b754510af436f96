// SPDX-License-Identifier: BSD-3-Clause
// All of the state, once, when the leadership begins.

#include "control/store_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"desired", "framework", "history"};
#define NAMES (sizeof(names) / sizeof(names[0]))

// One reading; freed when nothing of it is under way any more.
struct reading {
	struct store *store;
	unsigned lead;
	struct store_reader reader;
	unsigned asked; // answers that are still to come
	int err;        // the first that was wrong, and where
	char wrong[ZK_PATH_BYTES];
};

struct one {
	struct reading *reading;
	char name[ZK_PATH_BYTES / 2];
};

static void fail(struct reading *r, int err, const char *name)
{
	if (r->err != 0)
		return;
	r->err = err;
	snprintf(r->wrong, sizeof(r->wrong), "%s/%s", r->store->root, name);
}

static void finish(struct reading *r)
{
	if (--r->asked > 0)
		return;
	if (r->lead == r->store->lead)
		r->reader.done(r->reader.arg, r->err, r->wrong);
	free(r);
}

static void take(struct reading *r, const char *name, const struct zk_answer *answer)
{
	json_t *json = json_loadb(answer->value, answer->len, JSON_REJECT_DUPLICATES, NULL);

	if (json == NULL)
		fail(r, -EBADMSG, name);
	else if (r->lead == r->store->lead)
		r->reader.node(r->reader.arg, name, json);
	json_decref(json);
}

static void got(void *arg, const struct zk_answer *answer)
{
	struct one *one = arg;

	if (answer->err == 0)
		take(one->reading, one->name, answer);
	else if (answer->err != -ENOENT)
		fail(one->reading, answer->err, one->name);
	finish(one->reading);
	free(one);
}

static void ask(struct reading *r, const char *name)
{
	struct one *one = calloc(1, sizeof(*one));
	char path[ZK_PATH_BYTES];
	int err = -ENOMEM;

	if (one != NULL) {
		one->reading = r;
		snprintf(one->name, sizeof(one->name), "%s", name);
		snprintf(path, sizeof(path), "%s/%s", r->store->root, one->name);
		err = zk_get(r->store->zk, path, NULL, got, one);
	}
	if (err == 0) {
		r->asked++;
		return;
	}
	fail(r, err, name);
	free(one);
}

static void listed(void *arg, const struct zk_answer *answer)
{
	struct reading *r = arg;

	if (answer->err != 0)
		fail(r, answer->err, "receivers");
	for (unsigned i = 0; i < answer->count; i++) {
		char name[ZK_PATH_BYTES / 2];

		snprintf(name, sizeof(name), "receivers/%.200s", answer->names[i]);
		ask(r, name);
	}
	for (unsigned i = 0; i < NAMES; i++)
		ask(r, names[i]);
	finish(r);
}

static void made(void *arg, const struct zk_answer *answer)
{
	struct reading *r = arg;
	char path[ZK_PATH_BYTES];
	int err = answer->err;

	snprintf(path, sizeof(path), "%s/receivers", r->store->root);
	if (err == 0)
		err = zk_children(r->store->zk, path, NULL, listed, r);
	if (err == 0)
		return;
	fail(r, err, "receivers");
	finish(r);
}

int store_read(struct store *store, const struct store_reader *reader)
{
	struct reading *r = calloc(1, sizeof(*r));
	char path[ZK_PATH_BYTES];
	int err;

	if (r == NULL)
		return -ENOMEM;
	*r = (struct reading){.store = store, .lead = store->lead, .reader = *reader, .asked = 1};
	snprintf(path, sizeof(path), "%s/receivers", store->root);
	err = zk_make_path(store->zk, path, made, r);
	if (err != 0)
		free(r);
	return err;
}
