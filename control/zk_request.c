// SPDX-License-Identifier: BSD-3-Clause
// One request: made in the loop's thread, answered in the client's, delivered in the loop's again.

#include "control/shown_acl.h"
#include "control/zk_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct request {
	struct zk *zk;
	uint64_t sent_ns;
	zk_done done;
	void *arg;
	struct zk_answer answer;
	char *value;              // the answer's own
	char **names;             // the answer's own
	unsigned op_count;        // of a multi, as the two below
	zoo_op_result_t *results; // the client writes them
	char *made;               // room for the path of each node that it makes
};

static int error_of(int rc)
{
	static const struct {
		int rc, err;
	} errors[] = {
		{ZOK, 0},
		{ZNONODE, -ENOENT},
		{ZNODEEXISTS, -EEXIST},
		{ZNOTEMPTY, -ENOTEMPTY},
		{ZBADVERSION, -ESTALE},
		{ZNOAUTH, -EACCES},
		{ZAUTHFAILED, -EACCES},
		{ZINVALIDACL, -EACCES},
		{ZCONNECTIONLOSS, -ECONNRESET},
		{ZOPERATIONTIMEOUT, -ECONNRESET},
		{ZSESSIONMOVED, -ECONNRESET},
		{ZSESSIONEXPIRED, -ESHUTDOWN},
		{ZINVALIDSTATE, -ESHUTDOWN},
		{ZCLOSING, -ESHUTDOWN},
	};

	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].rc == rc)
			return errors[i].err;
	return -EIO;
}

static void request_free(struct request *request)
{
	for (unsigned i = 0; i < request->answer.count; i++)
		free(request->names[i]);
	free(request->names);
	free(request->value);
	free(request->results);
	free(request->made);
	zk_unref(request->zk);
	free(request);
}

static int begin(struct zk *zk, zk_done done, void *arg, struct request **ret)
{
	struct request *request;

	if (zk->handle == NULL)
		return -ESHUTDOWN;
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return -ENOMEM;
	zk_ref(zk);
	request->zk = zk;
	request->sent_ns = loop_now_ns();
	request->done = done;
	request->arg = arg;
	*ret = request;
	return 0;
}

static void deliver(void *arg)
{
	struct request *request = arg;

	request->answer.value = request->value;
	request->answer.names = (const char *const *)request->names;
	request->done(request->arg, &request->answer);
	request_free(request);
}

// Codes of the server's own; a lost connection has none.
static bool server_said(int rc)
{
	return rc == ZOK ||
	       (rc < ZAPIERROR && rc != ZSESSIONEXPIRED && rc != ZCLOSING && rc != ZAUTHFAILED);
}

// In the client's thread, as all that follow up to the requests.
static void answered(struct request *request, int rc)
{
	uint64_t last = atomic_load(&request->zk->last_reply_ns);

	request->answer.err = error_of(rc);
	while (server_said(rc) && last < request->sent_ns &&
		!atomic_compare_exchange_weak(
			&request->zk->last_reply_ns, &last, request->sent_ns)) {}
	if (loop_post(request->zk->loop, deliver, request) != 0)
		request_free(request); // nothing better can be done without memory
}

static void keep_value(struct request *request, const char *value, int len)
{
	size_t size = len > 0 ? (size_t)len : 0;

	request->value = malloc(size + 1);
	if (request->value == NULL) {
		request->answer.err = -ENOMEM;
		return;
	}
	if (size > 0)
		memcpy(request->value, value, size);
	request->value[size] = '\0';
	request->answer.len = size;
}

static void on_data(int rc, const char *value, int len, const struct Stat *stat, const void *data)
{
	struct request *request = (struct request *)data;

	(void)stat;
	if (rc == ZOK)
		keep_value(request, value, len);
	answered(request, rc == ZOK && request->value == NULL ? ZSYSTEMERROR : rc);
}

static void on_text(int rc, const char *text, const void *data)
{
	on_data(rc, text, text != NULL ? (int)strlen(text) : 0, NULL, data);
}

static void on_stat(int rc, const struct Stat *stat, const void *data)
{
	(void)stat;
	answered((struct request *)data, rc);
}

static void on_void(int rc, const void *data)
{
	struct request *request = (struct request *)data;

	for (unsigned i = 0; rc != ZOK && i < request->op_count; i++) {
		// The others of a multi that failed say "inconsistency".
		if (request->results[i].err == rc)
			request->answer.failed = i;
	}
	answered(request, rc);
}

static void on_names(int rc, const struct String_vector *strings, const void *data)
{
	struct request *request = (struct request *)data;
	int count = rc == ZOK && strings != NULL ? strings->count : 0;

	request->names = count > 0 ? calloc((size_t)count, sizeof(*request->names)) : NULL;
	for (int i = 0; request->names != NULL && i < count; i++) {
		request->names[i] = strdup(strings->data[i]);
		if (request->names[i] == NULL)
			break;
		request->answer.count++;
	}
	answered(request, (int)request->answer.count == count ? rc : ZSYSTEMERROR);
}

// What the client said to a request: it answers none that it didn't take.
static int asked(struct request *request, int rc)
{
	if (rc == ZOK)
		return 0;
	request_free(request);
	return error_of(rc);
}

// The client's function for a watch that may be none.
static watcher_fn watcher_of(struct zk *zk, struct zk_watch *watch)
{
	if (watch == NULL)
		return NULL;
	watch->zk = zk;
	return zk_on_watch;
}

int zk_get(struct zk *zk, const char *path, struct zk_watch *watch, zk_done done, void *arg)
{
	struct request *request;
	int err = begin(zk, done, arg, &request);

	if (err != 0)
		return err;
	return asked(request,
		zoo_awget(zk->handle, path, watcher_of(zk, watch), watch, on_data, request));
}

int zk_children(struct zk *zk, const char *path, struct zk_watch *watch, zk_done done, void *arg)
{
	struct request *request;
	int err = begin(zk, done, arg, &request);

	if (err != 0)
		return err;
	return asked(request, zoo_awget_children(zk->handle, path, watcher_of(zk, watch), watch,
				      on_names, request));
}

int zk_exists(struct zk *zk, const char *path, struct zk_watch *watch, zk_done done, void *arg)
{
	struct request *request;
	int err = begin(zk, done, arg, &request);

	if (err != 0)
		return err;
	return asked(request,
		zoo_awexists(zk->handle, path, watcher_of(zk, watch), watch, on_stat, request));
}

// Nodes right below the root may be shared with others; all below those are the creator's, when it
// has said who it is.
static const struct ACL_vector *acl_of(const struct zk *zk, const char *path, bool everybody)
{
	if (zk->auth != NULL && everybody)
		return shown_acl();
	return zk->auth != NULL && strchr(path + 1, '/') != NULL ? &ZOO_CREATOR_ALL_ACL
								 : &ZOO_OPEN_ACL_UNSAFE;
}

int zk_create(struct zk *zk, const char *path, const char *value, size_t len, unsigned flags,
	zk_done done, void *arg)
{
	struct request *request;
	int mode = (flags & ZK_EPHEMERAL ? ZOO_EPHEMERAL : 0) |
		   (flags & ZK_SEQUENCE ? ZOO_SEQUENCE : 0);
	int err = begin(zk, done, arg, &request);

	if (err != 0)
		return err;
	return asked(request, zoo_acreate(zk->handle, path, value, (int)len,
				      acl_of(zk, path, false), mode, on_text, request));
}

static void fill_op(
	const struct zk *zk, const struct zk_op *op, zoo_op_t *ret, char *made, size_t made_size)
{
	if (op->kind == ZK_CREATE)
		zoo_create_op_init(ret, op->path, op->value, (int)op->len,
			acl_of(zk, op->path, op->everybody), 0, made, (int)made_size);
	else if (op->kind == ZK_SET)
		zoo_set_op_init(ret, op->path, op->value, (int)op->len, -1, NULL);
	else if (op->kind == ZK_DELETE)
		zoo_delete_op_init(ret, op->path, -1);
	else
		zoo_check_op_init(ret, op->path, -1);
}

// The client would refuse any other, too, but lose memory.
static bool paths_good(const struct zk_op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const char *path = ops[i].path;
		size_t len = strlen(path);

		if (path[0] != '/' || len >= ZK_PATH_BYTES || strstr(path, "//") != NULL ||
			(len > 1 && path[len - 1] == '/'))
			return false;
	}
	return true;
}

int zk_multi(struct zk *zk, const struct zk_op *ops, unsigned count, zk_done done, void *arg)
{
	zoo_op_t list[ZK_OPS_MAX];
	struct request *request;
	int err;

	if (count == 0 || count > ZK_OPS_MAX || !paths_good(ops, count))
		return -EINVAL;
	err = begin(zk, done, arg, &request);
	if (err != 0)
		return err;
	request->op_count = count;
	request->results = calloc(count, sizeof(*request->results));
	request->made = calloc(count, ZK_PATH_BYTES);
	if (request->results == NULL || request->made == NULL) {
		request_free(request);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < count; i++)
		fill_op(zk, &ops[i], &list[i], request->made + i * ZK_PATH_BYTES, ZK_PATH_BYTES);
	return asked(request,
		zoo_amulti(zk->handle, (int)count, list, request->results, on_void, request));
}

struct making {
	struct zk *zk;
	zk_done done;
	void *arg;
	size_t at; // how much of the path is asked for
	char path[ZK_PATH_BYTES];
};

static int make_next(struct making *making);

static void made(void *arg, const struct zk_answer *answer)
{
	struct making *making = arg;
	bool failed = answer->err != 0 && answer->err != -EEXIST;
	struct zk_answer own = {.err = failed ? answer->err : 0};

	if (!failed && making->path[making->at] != '\0') {
		own.err = make_next(making);
		if (own.err == 0)
			return;
	}
	making->done(making->arg, &own);
	free(making);
}

static int make_next(struct making *making)
{
	char part[ZK_PATH_BYTES];

	making->at++;
	making->at += strcspn(making->path + making->at, "/");
	snprintf(part, sizeof(part), "%.*s", (int)making->at, making->path);
	return zk_create(making->zk, part, "", 0, 0, made, making);
}

int zk_make_path(struct zk *zk, const char *path, zk_done done, void *arg)
{
	struct making *making = calloc(1, sizeof(*making));
	int err;

	if (making == NULL)
		return -ENOMEM;
	*making = (struct making){.zk = zk, .done = done, .arg = arg};
	snprintf(making->path, sizeof(making->path), "%s", path);
	err = make_next(making);
	if (err != 0)
		free(making);
	return err;
}
