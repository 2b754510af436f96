// SPDX-License-Identifier: BSD-3-Clause

#include "scripted_core.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct scripted_core core;

static void require(bool what)
{
	if (!what)
		abort();
}

void core_begin(void)
{
	memset(&core, 0, sizeof(core));
	core.healthy = true;
}

void core_add_event(void)
{
	pthread_mutex_lock(&lock);
	core.events++;
	pthread_mutex_unlock(&lock);
}

static json_t *show(void *arg, enum api_view view, uint64_t from)
{
	json_t *ret = json_array();

	(void)arg;
	pthread_mutex_lock(&lock);
	core.shown++;
	if (core.no_memory) {
		json_decref(ret);
		ret = NULL;
	} else if (view == API_EVENTS) {
		for (uint64_t id = from + 1; id <= core.events; id++)
			json_array_append_new(ret, json_pack("{s:I}", "id", (json_int_t)id));
	} else {
		json_array_append_new(ret, json_integer(view));
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

static bool leads(void *arg, char *ret_name, char *ret_address, size_t size)
{
	bool ret;

	(void)arg;
	pthread_mutex_lock(&lock);
	snprintf(ret_name, size, "%s", core.address[0] != '\0' ? "one" : "");
	snprintf(ret_address, size, "%s", core.address);
	ret = core.leads;
	pthread_mutex_unlock(&lock);
	return ret;
}

static uint64_t submit(void *arg, const char *command, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);

	(void)arg;
	pthread_mutex_lock(&lock);
	snprintf(core.command, sizeof(core.command), "%s", command);
	snprintf(core.body, sizeof(core.body), "%s", text);
	core.body_bytes = strlen(text);
	core.submitted++;
	pthread_mutex_unlock(&lock);
	free(text);
	json_decref(body);
	return CORE_TICKET;
}

static bool outcome(
	void *arg, uint64_t ticket, unsigned *ret_status, json_t **ret_data, char *error)
{
	bool ret;

	(void)arg;
	require(ticket == CORE_TICKET);
	pthread_mutex_lock(&lock);
	core.asked++;
	ret = core.done;
	*ret_status = core.status;
	if (ret && core.status == 200)
		*ret_data = json_pack("{s:s}", "done", core.command);
	else if (ret)
		snprintf(error, 256, "no, since it is a test");
	pthread_mutex_unlock(&lock);
	return ret;
}

static void forget(void *arg, uint64_t ticket)
{
	(void)arg;
	require(ticket == CORE_TICKET);
	pthread_mutex_lock(&lock);
	core.forgotten++;
	pthread_mutex_unlock(&lock);
}

static bool healthy(void *arg, char *text, size_t size)
{
	bool ret;

	(void)arg;
	pthread_mutex_lock(&lock);
	ret = core.healthy;
	pthread_mutex_unlock(&lock);
	if (!ret)
		snprintf(text, size, "ZooKeeper is lost");
	return ret;
}

const struct api_core core_calls = {.show = show,
	.leads = leads,
	.submit = submit,
	.outcome = outcome,
	.forget = forget,
	.healthy = healthy};

void core_set(bool is_leader, const char *address, bool done, unsigned status)
{
	pthread_mutex_lock(&lock);
	core.leads = is_leader;
	snprintf(core.address, sizeof(core.address), "%s", address);
	core.done = done;
	core.status = status;
	pthread_mutex_unlock(&lock);
}

unsigned core_count(const unsigned *count)
{
	unsigned ret;

	pthread_mutex_lock(&lock);
	ret = *count;
	pthread_mutex_unlock(&lock);
	return ret;
}

void core_wait(const unsigned *count, unsigned wanted)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	for (int i = 0; i < 10000 && core_count(count) < wanted; i++)
		nanosleep(&moment, NULL);
	require(core_count(count) >= wanted);
}
