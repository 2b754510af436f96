// SPDX-License-Identifier: BSD-3-Clause

#include "control/leading.h"

#include "control/watching.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZK_SCHEME "zk://"
#define PREFIX "json.info_"
#define NAME_MAX_BYTES 253 // of DNS
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define LEADER_BYTES 384 // that, an address, and two ports
#define SESSION_TIMEOUT_NS 10000000000u

struct leading {
	struct zk *zk; // NULL: a list
	struct watching *watching;
	bool named;
	void (*found)(void *arg, const char *masters);
	void *arg;
	char leader[LEADER_BYTES]; // as last told
};

struct lowest {
	const char *name;
	const json_t *json;
};

static void take_lowest(void *arg, const char *name, const json_t *json)
{
	struct lowest *lowest = arg;

	if (json == NULL || (lowest->name != NULL && strcmp(name, lowest->name) > 0))
		return;
	*lowest = (struct lowest){name, json};
}

// One that could be taken for something else would spoil the list.
static bool is_name(const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	return len > 0 && len <= NAME_MAX_BYTES && strspn(text, NAME_CHARACTERS) == len;
}

// ret: LEADER_BYTES.
static void put_leader(const struct leading *m, const json_t *address, char *ret)
{
	const char *ip = json_string_value(json_object_get(address, "ip"));
	const char *name = json_string_value(json_object_get(address, "hostname"));
	uint64_t port = (uint64_t)json_integer_value(json_object_get(address, "port"));
	int len = 0;

	*ret = '\0';
	if (ip == NULL)
		return;
	if (m->named && is_name(name) && strcmp(name, ip) != 0)
		len = snprintf(ret, LEADER_BYTES, "%s:%" PRIu64 ",", name, port);
	snprintf(ret + len, LEADER_BYTES - (size_t)len,
		strchr(ip, ':') != NULL ? "[%.64s]:%" PRIu64 : "%.64s:%" PRIu64, ip, port);
}

static void tell(struct leading *m)
{
	struct lowest lowest = {0};
	char leader[LEADER_BYTES];

	watching_each(m->watching, take_lowest, &lowest);
	put_leader(m, json_object_get(lowest.json, "address"), leader);
	if (strcmp(leader, m->leader) == 0)
		return;
	snprintf(m->leader, sizeof(m->leader), "%s", leader);
	m->found(m->arg, leader);
}

static void changed(void *arg, const char *name, const json_t *json)
{
	(void)name, (void)json;
	tell(arg);
}

static void gone(void *arg, const char *name)
{
	(void)name;
	tell(arg);
}

static void session(void *arg, enum zk_state state)
{
	struct leading *m = arg;

	if (m->watching != NULL)
		watching_session(m->watching, state);
}

static int follow(struct leading *m, struct loop *loop, const char *where)
{
	const char *at = where + strlen(ZK_SCHEME), *path = strchr(at, '/');
	char servers[1024];
	struct zk_options zk = {.loop = loop,
		.servers = servers,
		.session_timeout_ns = SESSION_TIMEOUT_NS,
		.state = session,
		.arg = m};
	struct watching_options watching = {.loop = loop,
		.path = path,
		.prefix = PREFIX,
		.changed = changed,
		.gone = gone,
		.arg = m};
	int err;

	if (path == NULL || path - at >= (ptrdiff_t)sizeof(servers))
		return -EINVAL;
	snprintf(servers, sizeof(servers), "%.*s", (int)(path - at), at);
	err = zk_open(&m->zk, &zk);
	watching.zk = m->zk;
	return err != 0 ? err : watching_new(&m->watching, &watching);
}

int leading_new(struct leading **ret, struct loop *loop, const char *where, bool named,
	void (*found)(void *arg, const char *masters), void *arg)
{
	struct leading *m = calloc(1, sizeof(*m));
	int err = 0;

	if (m == NULL)
		return -ENOMEM;
	m->named = named;
	m->found = found;
	m->arg = arg;
	*ret = m;
	if (strncmp(where, ZK_SCHEME, strlen(ZK_SCHEME)) == 0)
		err = follow(m, loop, where);
	else
		found(arg, where);
	if (err == 0)
		return 0;
	leading_close(m);
	leading_free(m);
	return err;
}

void leading_close(struct leading *m)
{
	if (m == NULL)
		return;
	zk_close(m->zk);
}

void leading_free(struct leading *m)
{
	if (m == NULL)
		return;
	watching_free(m->watching);
	zk_free(m->zk);
	free(m);
}
