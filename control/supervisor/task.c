// SPDX-License-Identifier: BSD-3-Clause
#include "control/supervisor/task.h"

#include "common/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SESSION_TIMEOUT_MS 10000
#define GRACE_MS 30000
#define TIME_MAX_MS 3600000

static const char *variable(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? text : "";
}

static bool read_text(const char *name, bool required, char *ret, size_t size, char *why)
{
	const char *text = variable(name);

	if (required && text[0] == '\0') {
		snprintf(why, TASK_WHY_BYTES,
			"%s is not set: millrace-supervisor is started by millrace-control as a "
			"task "
			"of Mesos; by hand, start millraced",
			name);
		return false;
	}
	if (strlen(text) >= size) {
		snprintf(why, TASK_WHY_BYTES, "%s has more than %zu bytes", name, size - 1);
		return false;
	}
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

static bool read_path(const char *name, bool required, char *ret, char *why)
{
	if (!read_text(name, required, ret, CONFIG_PATH_MAX, why))
		return false;
	if (ret[0] == '\0' || ret[0] == '/')
		return true;
	snprintf(why, TASK_WHY_BYTES, "%s: '%.100s' is no absolute path", name, ret);
	return false;
}

// Without its volume it would be in the sandbox, which Mesos removes some day with all in it. A
// link as Mesos makes it is followed: the path is seen by people, and locked by millraced.
static bool read_log(char *ret, char *why)
{
	char text[CONFIG_PATH_MAX], *volume, *name;
	int len;

	if (!read_text(TASK_LOG, true, text, sizeof(text), why))
		return false;
	name = strchr(text, '/');
	if (name == text)
		return read_path(TASK_LOG, true, ret, why);
	if (name == NULL || name[1] == '\0' || strstr(text, "..") != NULL) {
		snprintf(why, TASK_WHY_BYTES,
			TASK_LOG ": '%.100s' is neither an absolute path nor VOLUME/NAME", text);
		return false;
	}
	*name++ = '\0';
	volume = realpath(text, NULL);
	if (volume == NULL) {
		snprintf(why, TASK_WHY_BYTES,
			TASK_LOG ": there is no volume '%.100s' in the task's sandbox: %s", text,
			strerror(errno));
		return false;
	}
	len = snprintf(ret, CONFIG_PATH_MAX, "%s/%s", volume, name);
	free(volume);
	if (len >= CONFIG_PATH_MAX)
		snprintf(why, TASK_WHY_BYTES, TASK_LOG ": its path is too long");
	return len < CONFIG_PATH_MAX;
}

static bool read_closed(bool *ret, char *why)
{
	const char *text = variable(TASK_CLOSED);

	*ret = strcmp(text, "1") == 0;
	if (*ret || text[0] == '\0')
		return true;
	snprintf(why, TASK_WHY_BYTES, TASK_CLOSED ": '%.40s' is neither 1 nor empty", text);
	return false;
}

static bool read_ms(const char *name, uint64_t def, uint64_t *ret, char *why)
{
	const char *text = variable(name);

	*ret = def;
	if (text[0] == '\0' || (units_parse_uint(text, ret) && *ret > 0 && *ret <= TIME_MAX_MS))
		return true;
	snprintf(why, TASK_WHY_BYTES, "%s: '%.40s' is not from 1 to %d, in ms", name, text,
		TIME_MAX_MS);
	return false;
}

// A path of ZooKeeper: "/millrace/first", no empty part, nothing behind the last.
static bool check_root(const struct task *task, char *why)
{
	size_t len = strlen(task->root);

	if (len > 1 && task->root[len - 1] != '/' && strstr(task->root, "//") == NULL)
		return true;
	snprintf(why, TASK_WHY_BYTES, TASK_ROOT ": '%.100s' is no node, such as /millrace/first",
		task->root);
	return false;
}

// The receiver's name is also a node's and a file's; the configuration checks its letters.
static bool check_receiver(const struct task *task, char *why)
{
	if (strchr(task->receiver, '/') == NULL && strcmp(task->receiver, ".") != 0 &&
		strcmp(task->receiver, "..") != 0)
		return true;
	snprintf(why, TASK_WHY_BYTES, TASK_RECEIVER ": '%s' is no receiver's name", task->receiver);
	return false;
}

static void find_millraced(struct task *task)
{
	static const char name[] = "millraced";
	ssize_t len = readlink("/proc/self/exe", task->millraced, sizeof(task->millraced) - 1);
	char *slash;

	if (len > 0) {
		task->millraced[len] = '\0';
		slash = strrchr(task->millraced, '/');
		if (slash != NULL && (size_t)(slash + 1 - task->millraced) + sizeof(name) <=
					     sizeof(task->millraced)) {
			memcpy(slash + 1, name, sizeof(name));
			if (access(task->millraced, X_OK) == 0)
				return;
		}
	}
	memcpy(task->millraced, name, sizeof(name));
}

static bool read_texts(struct task *ret, char *why)
{
	return read_text(TASK_RECEIVER, true, ret->receiver, sizeof(ret->receiver), why) &&
	       read_text(TASK_ID, true, ret->id, sizeof(ret->id), why) && read_log(ret->log, why) &&
	       read_text(TASK_HOSTNAME, true, ret->hostname, sizeof(ret->hostname), why) &&
	       read_text(TASK_ZOOKEEPER, true, ret->zookeeper, sizeof(ret->zookeeper), why) &&
	       read_path(TASK_ROOT, true, ret->root, why) &&
	       read_path(TASK_ZOOKEEPER_AUTH, false, ret->zookeeper_auth, why) &&
	       read_path(TASK_MILLRACED, false, ret->millraced, why);
}

int task_read(struct task *ret, char *why)
{
	uint64_t session_ms, grace_ms;

	memset(ret, 0, sizeof(*ret));
	ret->config = variable(TASK_CONFIG);
	ret->lcores = variable(TASK_LCORES);
	ret->nics = variable(TASK_NICS);
	ret->addresses = variable(TASK_ADDRESSES);
	if (!read_texts(ret, why) || !check_receiver(ret, why) || !check_root(ret, why) ||
		!read_closed(&ret->closed, why) ||
		!read_ms(TASK_SESSION_TIMEOUT_MS, SESSION_TIMEOUT_MS, &session_ms, why) ||
		!read_ms(TASK_GRACE_MS, GRACE_MS, &grace_ms, why))
		return -EINVAL;
	ret->session_timeout_ms = (unsigned)session_ms;
	ret->grace_ns = grace_ms * 1000000;
	if (ret->millraced[0] == '\0')
		find_millraced(ret);
	return 0;
}
