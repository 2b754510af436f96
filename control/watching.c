// SPDX-License-Identifier: BSD-3-Clause

#include "control/watching.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS 1000000000u
#define NAME_BYTES 256

struct child {
	struct child *next;
	struct watching *watching;
	struct zk_watch watch;
	char name[NAME_BYTES];
	json_t *json;
	bool there;  // in the latest list
	bool asking; // its content is under way
};

struct watching {
	struct watching_options options;
	char path[ZK_PATH_BYTES], prefix[NAME_BYTES];
	struct zk_watch watch;
	struct loop_timer retry;
	struct child *children; // those gone stay: a watch of theirs may still come
	bool asking, again;
	unsigned session;
};

struct asked {
	struct watching *watching;
	struct child *child; // NULL: the list
	unsigned session;
};

static void list(struct watching *w);

static struct asked *asked_new(struct watching *w, struct child *child)
{
	struct asked *asked = malloc(sizeof(*asked));

	if (asked == NULL)
		return NULL;
	*asked = (struct asked){.watching = w, .child = child, .session = w->session};
	return asked;
}

static bool current(const struct asked *asked)
{
	return asked->session == asked->watching->session;
}

static void again(struct watching *w)
{
	loop_timer_set(w->options.loop, &w->retry, RETRY_NS);
}

static void set_content(struct child *c, json_t *json)
{
	json_decref(c->json);
	c->json = json;
	c->watching->options.changed(c->watching->options.arg, c->name, c->json);
}

static void got(void *arg, const struct zk_answer *answer)
{
	struct asked *asked = arg;
	struct watching *w = asked->watching;

	if (current(asked)) {
		asked->child->asking = false;
		if (answer->err == 0 && asked->child->there)
			set_content(asked->child, json_loadb(answer->value, answer->len,
							  JSON_REJECT_DUPLICATES, NULL));
		else if (answer->err != -ENOENT)
			again(w);
	}
	free(asked);
}

static void get(struct child *c)
{
	struct watching *w = c->watching;
	char path[ZK_PATH_BYTES];
	struct asked *asked;

	if (c->asking)
		return;
	snprintf(path, sizeof(path), "%.250s/%.250s", w->path, c->name);
	asked = asked_new(w, c);
	if (asked == NULL || zk_get(w->options.zk, path, &c->watch, got, asked) != 0) {
		free(asked);
		again(w);
		return;
	}
	c->asking = true;
}

static void child_changed(void *arg)
{
	struct child *c = arg;

	if (c->there)
		get(c);
}

static struct child *child_of(struct watching *w, const char *name)
{
	struct child *c = w->children;

	while (c != NULL && strcmp(c->name, name) != 0)
		c = c->next;
	if (c != NULL)
		return c;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->watching = w;
	c->watch = (struct zk_watch){.fn = child_changed, .arg = c};
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->next = w->children;
	w->children = c;
	return c;
}

static bool is_listed(const struct zk_answer *answer, const char *name)
{
	for (unsigned i = 0; i < answer->count; i++)
		if (strcmp(answer->names[i], name) == 0)
			return true;
	return false;
}

static void take_list(struct watching *w, const struct zk_answer *answer)
{
	for (struct child *c = w->children; c != NULL; c = c->next) {
		if (!c->there || is_listed(answer, c->name))
			continue;
		c->there = false;
		json_decref(c->json);
		c->json = NULL;
		w->options.gone(w->options.arg, c->name);
	}
	for (unsigned i = 0; i < answer->count; i++) {
		const char *name = answer->names[i];
		struct child *c;

		if (strncmp(name, w->prefix, strlen(w->prefix)) != 0 || strlen(name) >= NAME_BYTES)
			continue;
		c = child_of(w, name);
		if (c == NULL)
			continue;
		c->there = true;
		get(c);
	}
}

static void listed(void *arg, const struct zk_answer *answer)
{
	struct asked *asked = arg;
	struct watching *w = asked->watching;

	if (current(asked)) {
		w->asking = false;
		if (answer->err == 0)
			take_list(w, answer);
		else
			again(w);
		if (w->again)
			list(w);
	}
	free(asked);
}

static void list(struct watching *w)
{
	struct asked *asked;

	w->again = w->asking;
	if (w->asking)
		return;
	asked = asked_new(w, NULL);
	if (asked == NULL || zk_children(w->options.zk, w->path, &w->watch, listed, asked) != 0) {
		free(asked);
		again(w);
		return;
	}
	w->asking = true;
}

static void list_changed(void *arg)
{
	list(arg);
}

static void retry(void *arg)
{
	list(arg);
}

int watching_new(struct watching **ret, const struct watching_options *options)
{
	struct watching *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->options = *options;
	snprintf(w->path, sizeof(w->path), "%s", options->path);
	snprintf(w->prefix, sizeof(w->prefix), "%s", options->prefix);
	w->watch = (struct zk_watch){.fn = list_changed, .arg = w};
	w->retry = (struct loop_timer){.fn = retry, .arg = w};
	*ret = w;
	list(w);
	return 0;
}

void watching_free(struct watching *w)
{
	if (w == NULL)
		return;
	loop_timer_cancel(w->options.loop, &w->retry);
	for (struct child *c = w->children, *after; c != NULL; c = after) {
		after = c->next;
		json_decref(c->json);
		free(c);
	}
	free(w);
}

void watching_session(struct watching *w, enum zk_state state)
{
	if (state == ZK_EXPIRED || state == ZK_DENIED) {
		w->session++;
		w->asking = false;
		for (struct child *c = w->children; c != NULL; c = c->next)
			c->asking = false;
	} else if (state == ZK_CONNECTED) {
		list(w);
	}
}

void watching_each(const struct watching *w,
	void (*fn)(void *arg, const char *name, const json_t *json), void *arg)
{
	for (const struct child *c = w->children; c != NULL; c = c->next)
		if (c->there)
			fn(arg, c->name, c->json);
}
