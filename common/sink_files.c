// SPDX-License-Identifier: BSD-3-Clause
#include "common/sink_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define VALUE_BYTES 72 // of the longest value: a receiver's name, with its zero byte

enum placeholder { DATE, HOUR, RECEIVER, PARTITION, FIRST, LAST, LOG_ID, PLACEHOLDERS };

static const char *const names[PLACEHOLDERS] = {
	[DATE] = "{date}",
	[HOUR] = "{hour}",
	[RECEIVER] = "{receiver}",
	[PARTITION] = "{partition}",
	[FIRST] = "{first}",
	[LAST] = "{last}",
	[LOG_ID] = "{log_id}",
};

// Which placeholder begins there; PLACEHOLDERS: none that is known.
static enum placeholder placeholder_at(const char *at)
{
	unsigned i = 0;

	while (i < PLACEHOLDERS && strncmp(at, names[i], strlen(names[i])) != 0)
		i++;
	return i;
}

static void receiver_text(const char *receiver, char *ret, size_t len)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";
	size_t i = 0;

	for (; receiver[i] != '\0' && i + 1 < len; i++)
		ret[i] = strchr(good, receiver[i]) != NULL ? receiver[i] : '_';
	ret[i] = '\0';
	if (ret[0] == '.')
		ret[0] = '_';
}

static void time_part(int64_t received_at, const char *format, char *ret, size_t len)
{
	time_t seconds = received_at / 1000000000 - (received_at % 1000000000 < 0);
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	strftime(ret, len, format, &tm);
}

static void value_text(
	enum placeholder what, const struct sink_files_values *v, char ret[VALUE_BYTES])
{
	switch (what) {
	case DATE:
		time_part(v->received_at, "%Y-%m-%d", ret, VALUE_BYTES);
		break;
	case HOUR:
		time_part(v->received_at, "%H", ret, VALUE_BYTES);
		break;
	case RECEIVER:
		receiver_text(v->receiver, ret, VALUE_BYTES);
		break;
	case PARTITION:
		snprintf(ret, VALUE_BYTES, "%u", v->partition);
		break;
	case FIRST:
		snprintf(ret, VALUE_BYTES, "%020" PRIu64, v->first);
		break;
	case LAST:
		snprintf(ret, VALUE_BYTES, "%020" PRIu64, v->last);
		break;
	default:
		snprintf(ret, VALUE_BYTES, "%s", v->log_id);
	}
}

int sink_files_name(
	const char *template, const struct sink_files_values *values, char *ret, size_t ret_len)
{
	size_t len = 0;

	while (*template != '\0') {
		enum placeholder what = placeholder_at(template);
		char value[VALUE_BYTES] = {*template};

		if (what < PLACEHOLDERS)
			value_text(what, values, value);
		template += what < PLACEHOLDERS ? strlen(names[what]) : 1;
		if (strlen(value) >= ret_len - len)
			return -ENAMETOOLONG;
		memcpy(ret + len, value, strlen(value));
		len += strlen(value);
	}
	ret[len] = '\0';
	return 0;
}

static bool has_unknown(const char *template)
{
	for (const char *at = strpbrk(template, "{}"); at != NULL; at = strpbrk(at, "{}")) {
		enum placeholder what = placeholder_at(at);

		if (what == PLACEHOLDERS)
			return true;
		at += strlen(names[what]);
	}
	return false;
}

// Of a name made of the longest values: what is wrong with one of its parts.
static const char *parts_judge(const char *name)
{
	for (;;) {
		size_t len = strcspn(name, "/");

		if (len == 0)
			return "must not begin or end with '/', nor have two in a row";
		if (name[0] == '.')
			return "must not have a part that begins with '.'";
		if (len > SINK_FILES_PART_MAX)
			return "makes names that are too long for a file system";
		if (name[len] == '\0')
			return NULL;
		name += len + 1;
	}
}

const char *sink_files_check(const char *template)
{
	static const struct sink_files_values longest = {
		.receiver = "receiver.receiver.receiver.receiver.receiver.receiver.receiver.",
		.partition = 99,
		.log_id = "00000000000000000000000000000000",
	};
	char name[SINK_FILES_NAME_MAX];

	for (const char *at = template; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return "must not have control characters";
	if (has_unknown(template))
		return "may have {date} {hour} {receiver} {partition} {first} {last} {log_id}, and "
		       "no other '{' or '}'";
	for (enum placeholder i = PARTITION; i < PLACEHOLDERS; i++)
		if (i != LAST && strstr(template, names[i]) == NULL)
			return "must have {partition}, {first} and {log_id}, or two files could "
			       "have the same name";
	if (sink_files_name(template, &longest, name, sizeof(name)) < 0)
		return "makes names that are too long for a file system";
	return parts_judge(name);
}
