// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/session.h"

#include "common/file.h"
#include "common/logmsg.h"
#include "control/shown_acl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CREDENTIALS_MAX 1024

static void told(const char *message)
{
	log_debug("%s", message);
}

static void changed(zhandle_t *handle, int type, int state, const char *path, void *arg)
{
	struct session *session = arg;

	(void)handle, (void)path;
	if (type != ZOO_SESSION_EVENT)
		return;
	pthread_mutex_lock(session->lock);
	if (state == ZOO_CONNECTED_STATE)
		session->state = SESSION_CONNECTED;
	else if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE)
		session->state = SESSION_OVER;
	else
		session->state = SESSION_CONNECTING;
	session->refused = state == ZOO_AUTH_FAILED_STATE;
	pthread_cond_broadcast(session->changed);
	pthread_mutex_unlock(session->lock);
}

void session_watch(zhandle_t *handle, int type, int state, const char *path, void *arg)
{
	struct session *session = arg;

	(void)handle, (void)state, (void)path;
	if (type == ZOO_SESSION_EVENT) // comes to each watch; the session's own function has it
		return;
	pthread_mutex_lock(session->lock);
	session->watch_fired = true;
	pthread_cond_broadcast(session->changed);
	pthread_mutex_unlock(session->lock);
}

// Read anew for each session, so that a changed password needs no restart.
static int add_credentials(struct session *session, const char *path, char *why)
{
	char *text;
	size_t len;
	int err = file_read(path, CREDENTIALS_MAX, &text, &len);

	if (err != 0) {
		snprintf(why, TASK_WHY_BYTES, TASK_ZOOKEEPER_AUTH " %s: %s", path, strerror(-err));
		return err;
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (memchr(text, ':', len) == NULL) {
		snprintf(why, TASK_WHY_BYTES, TASK_ZOOKEEPER_AUTH " %s: must hold user:password",
			path);
		err = -EINVAL;
	} else if (zoo_add_auth(session->handle, "digest", text, (int)len, NULL, NULL) != ZOK) {
		snprintf(why, TASK_WHY_BYTES, "ZooKeeper's client takes no credentials");
		err = -EIO;
	}
	explicit_bzero(text, len);
	free(text);
	return err;
}

int session_open(struct session *session, const struct task *task, char *why)
{
	int err = 0;

	session->state = SESSION_CONNECTING;
	session->refused = session->watch_fired = false;
	session->acl = session->shown_acl = &ZOO_OPEN_ACL_UNSAFE;
	if (task->zookeeper_auth[0] != '\0') {
		session->acl = &ZOO_CREATOR_ALL_ACL;
		session->shown_acl = shown_acl();
	}
	zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
	errno = 0;
	session->handle = zookeeper_init2(task->zookeeper, changed, (int)task->session_timeout_ms,
		NULL, session, ZOO_NO_LOG_CLIENTENV, told);
	if (session->handle == NULL) {
		err = errno != 0 ? -errno : -EINVAL;
		snprintf(why, TASK_WHY_BYTES, TASK_ZOOKEEPER " %.200s: %s", task->zookeeper,
			strerror(-err));
		return err;
	}
	if (task->zookeeper_auth[0] != '\0')
		err = add_credentials(session, task->zookeeper_auth, why);
	if (err != 0)
		session_close(session);
	return err;
}

void session_close(struct session *session)
{
	if (session->handle != NULL)
		zookeeper_close(session->handle);
	session->handle = NULL;
}

enum session_state session_state(struct session *session)
{
	enum session_state state;

	pthread_mutex_lock(session->lock);
	state = session->state;
	pthread_mutex_unlock(session->lock);
	return state;
}

int session_make_parents(struct session *session, const char *path)
{
	char part[CONFIG_PATH_MAX + CONFIG_NAME_MAX + 16];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		bool last = strchr(slash + 1, '/') == NULL;
		int rc;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		rc = zoo_create(session->handle, part, NULL, -1,
			last ? session->shown_acl : session->acl, 0, NULL, 0);
		if (rc != ZOK && rc != ZNODEEXISTS)
			return rc;
	}
	return ZOK;
}
