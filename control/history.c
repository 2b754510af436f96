// SPDX-License-Identifier: BSD-3-Clause

#include "control/history.h"

#include "common/json.h"
#include "common/logmsg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define SCHEMA "millrace.history/1"
#define REASON_BYTES 400

int history_new(struct history *ret)
{
	*ret = (struct history){.events = json_array()};
	return ret->events != NULL ? 0 : -ENOMEM;
}

void history_free(struct history *history)
{
	json_decref(history->events);
	*history = (struct history){0};
}

json_t *history_write(const struct history *history)
{
	return json_pack("{s:s, s:O}", "schema", SCHEMA, "events", history->events);
}

int history_read(struct history *history, const json_t *json)
{
	const json_t *events = json_object_get(json, "events");
	size_t count = json_array_size(events);
	json_t *copy;

	if (!json_is_array(events))
		return -EINVAL;
	copy = json_deep_copy(events);
	if (copy == NULL)
		return -ENOMEM;
	json_decref(history->events);
	history->events = copy;
	history->last = count == 0 ? 0
				   : (uint64_t)json_integer_value(json_object_get(
					     json_array_get(copy, count - 1), "id"));
	return 0;
}

void history_add(struct history *history, int64_t now_ns, const char *decision,
	const char *receiver, const char *slave, const char *fmt, ...)
{
	char reason[REASON_BYTES], time[40];
	va_list args;
	json_t *event;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	log_notice("%s%s%s%s%s: %s", decision, receiver != NULL ? " " : "",
		receiver != NULL ? receiver : "", slave != NULL ? " on " : "",
		slave != NULL ? slave : "", reason);
	event = json_pack("{s:I, s:s, s:s?, s:s?, s:s, s:s}", "id", (json_int_t)++history->last,
		"time", time_text(now_ns, time), "receiver", receiver, "slave", slave, "decision",
		decision, "reason", reason);
	if (event == NULL) // a byte of it is no UTF-8, or no memory
		return;
	json_array_append_new(history->events, event);
	while (json_array_size(history->events) > HISTORY_MAX)
		json_array_remove(history->events, 0);
	history->changed = true;
}
