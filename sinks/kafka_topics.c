// SPDX-License-Identifier: BSD-3-Clause
// Which topic the events of a listener go to.

#include "sinks/kafka_internal.h"

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Index of the topic, added when it is new; negative errno.
static int topic_index(struct kafka_sink *k, uint16_t port, const char *listener)
{
	struct kafka_topics *t = &k->topics;
	struct sink_topic_values values = {
		.port = port,
		.listener = listener,
		.receiver = k->target->receiver,
		.partition = k->target->partition,
	};
	char name[SINK_TOPIC_MAX + 1];
	struct kafka_topic *list;

	sink_topic_name(k->config->topic, &values, name);
	for (unsigned i = 0; i < t->count; i++)
		if (strcmp(t->list[i].name, name) == 0)
			return (int)i;
	list = realloc(t->list, (t->count + 1) * sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	t->list = list;
	list[t->count] = (struct kafka_topic){0};
	memcpy(list[t->count].name, name, sizeof(name));
	return (int)t->count++;
}

static int load_listener(struct kafka_sink *k, const char *key, const json_t *listener)
{
	const char *name = json_string_value(json_object_get(listener, "name"));
	json_int_t port = json_integer_value(json_object_get(listener, "port"));
	char *end;
	unsigned long number = strtoul(key, &end, 10);
	int r;

	if (*end != '\0' || number >= CONFIG_LISTENERS_MAX)
		return 0;
	r = topic_index(k, (uint16_t)port, name != NULL ? name : "unknown");
	if (r >= 0)
		k->topics.of[number] = (unsigned)r;
	return r;
}

static int load(struct kafka_sink *k, const char *listeners)
{
	json_t *root = json_loads(listeners, 0, NULL), *listener;
	const char *key;
	int r = topic_index(k, 0, "unknown");

	if (r >= 0) {
		k->topics.unknown = (unsigned)r;
		for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
			k->topics.of[i] = (unsigned)r;
	}
	json_object_foreach(root, key, listener) if (r >= 0) r = load_listener(k, key, listener);
	json_decref(root);
	return r < 0 ? r : 0;
}

int kafka_topics_load(struct kafka_sink *k, const char *listeners)
{
	char *copy;
	int r;

	if (listeners == NULL)
		listeners = "{}";
	if (k->topics.listeners != NULL && strcmp(k->topics.listeners, listeners) == 0)
		return 0;
	copy = strdup(listeners);
	if (copy == NULL)
		return -ENOMEM;
	free(k->topics.listeners);
	k->topics.listeners = copy;
	r = load(k, copy);
	if (r < 0)
		copy[0] = '\0'; // to be made anew
	return r;
}

unsigned kafka_topic_of(const struct kafka_sink *k, uint16_t listener)
{
	return listener < CONFIG_LISTENERS_MAX ? k->topics.of[listener] : k->topics.unknown;
}

rd_kafka_topic_t *kafka_topic_handle(struct kafka_sink *k, unsigned topic)
{
	struct kafka_topic *t = &k->topics.list[topic];

	if (t->handle == NULL)
		t->handle = rd_kafka_topic_new(k->producer, t->name, NULL);
	return t->handle;
}

void kafka_topics_drop_handles(struct kafka_sink *k)
{
	for (unsigned i = 0; i < k->topics.count; i++) {
		if (k->topics.list[i].handle != NULL)
			rd_kafka_topic_destroy(k->topics.list[i].handle);
		k->topics.list[i].handle = NULL;
	}
}

void kafka_topics_free(struct kafka_sink *k)
{
	free(k->topics.list);
	free(k->topics.listeners);
}
