// SPDX-License-Identifier: BSD-3-Clause
// Between the API's thread and the loop's: views one way, commands and their outcomes the other.

#include "control/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct order {
	struct core *core;
	uint64_t ticket;
	char name[16];
	json_t *body;
};

static json_t *newer_events(const json_t *events, uint64_t from)
{
	json_t *ret = json_array(), *event;
	size_t i;

	json_array_foreach(events, i,
		event) if ((uint64_t)json_integer_value(json_object_get(event, "id")) > from)
		json_array_append(ret, event);
	return ret;
}

// The views are replaced, never changed; but jansson's counts of references aren't atomic, so what
// leaves the lock is a copy.
static json_t *show(void *arg, enum api_view view, uint64_t from)
{
	struct core *core = arg;
	json_t *newer, *ret;

	pthread_mutex_lock(&core->lock);
	if (view == API_EVENTS) {
		newer = newer_events(core->views[view], from);
		ret = json_deep_copy(newer);
		json_decref(newer);
	} else {
		ret = json_deep_copy(core->views[view]);
	}
	pthread_mutex_unlock(&core->lock);
	return ret;
}

static bool leads(void *arg, char *ret_name, char *ret_address, size_t size)
{
	struct core *core = arg;
	bool here;

	pthread_mutex_lock(&core->lock);
	snprintf(ret_name, size, "%s", core->leader_known ? core->leader_name : "");
	snprintf(ret_address, size, "%s", core->leader_known ? core->leader_address : "");
	here = core->leader_here && loop_now_ns() < core->lease_ends_ns;
	pthread_mutex_unlock(&core->lock);
	return here;
}

static bool healthy(void *arg, char *why, size_t size)
{
	struct core *core = arg;
	bool well;

	pthread_mutex_lock(&core->lock);
	snprintf(why, size, "%s", core->well_why);
	well = core->well;
	pthread_mutex_unlock(&core->lock);
	return well;
}

static void take_order(void *arg)
{
	struct order order = *(struct order *)arg;

	free(arg);
	core_command(order.core, order.ticket, order.name, order.body);
	json_decref(order.body);
}

static uint64_t submit(void *arg, const char *command, json_t *body)
{
	struct core *core = arg;
	struct core_ticket *ticket = calloc(1, sizeof(*ticket));
	struct order *order = malloc(sizeof(*order));
	uint64_t number;

	if (ticket == NULL || order == NULL)
		goto bad;
	pthread_mutex_lock(&core->lock);
	number = ticket->number = ++core->last_ticket;
	ticket->next = core->tickets;
	core->tickets = ticket;
	pthread_mutex_unlock(&core->lock);
	*order = (struct order){.core = core, .ticket = number, .body = body};
	snprintf(order->name, sizeof(order->name), "%s", command);
	if (loop_post(core->loop, take_order, order) != 0) {
		json_decref(body);
		free(order);
		core_answer(core, number, 503, NULL, "out of memory: try again");
	}
	return number;

bad:
	free(ticket);
	free(order);
	json_decref(body);
	return 0; // a ticket that no outcome has
}

static struct core_ticket **find(struct core *core, uint64_t number)
{
	struct core_ticket **at = &core->tickets;

	while (*at != NULL && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static void ticket_free(struct core_ticket **at)
{
	struct core_ticket *ticket = *at;

	*at = ticket->next;
	json_decref(ticket->data);
	free(ticket);
}

static bool outcome(
	void *arg, uint64_t number, unsigned *ret_status, json_t **ret_data, char *error)
{
	struct core *core = arg;
	struct core_ticket **at;
	bool done;

	pthread_mutex_lock(&core->lock);
	at = find(core, number);
	done = *at == NULL || (*at)->done;
	*ret_status = 503;
	*ret_data = NULL;
	snprintf(error, 256, "out of memory: try again");
	if (*at != NULL && done) {
		*ret_status = (*at)->status;
		*ret_data = json_deep_copy((*at)->data);
		snprintf(error, 256, "%s", (*at)->error);
		ticket_free(at);
	}
	pthread_mutex_unlock(&core->lock);
	return done;
}

static void forget(void *arg, uint64_t number)
{
	struct core *core = arg;
	struct core_ticket **at;

	pthread_mutex_lock(&core->lock);
	at = find(core, number);
	if (*at != NULL && (*at)->done)
		ticket_free(at);
	else if (*at != NULL)
		(*at)->forgotten = true;
	pthread_mutex_unlock(&core->lock);
}

void core_answer(
	struct core *core, uint64_t number, unsigned status, json_t *data, const char *error)
{
	struct core_ticket **at;

	pthread_mutex_lock(&core->lock);
	at = find(core, number);
	if (*at != NULL && !(*at)->done) {
		(*at)->done = true;
		(*at)->status = status;
		(*at)->data = json_incref(data);
		snprintf((*at)->error, sizeof((*at)->error), "%s", error != NULL ? error : "");
		if ((*at)->forgotten)
			ticket_free(at);
	}
	pthread_mutex_unlock(&core->lock);
	json_decref(data);
}

void core_answer_all(struct core *core, unsigned status, const char *error)
{
	uint64_t last;

	pthread_mutex_lock(&core->lock);
	last = core->last_ticket;
	pthread_mutex_unlock(&core->lock);
	for (uint64_t n = last; n > 0 && n + 1000 > last; n--)
		core_answer(core, n, status, NULL, error);
}

void core_tickets_free(struct core *core)
{
	while (core->tickets != NULL)
		ticket_free(&core->tickets);
}

const struct api_core core_api = {
	.show = show,
	.leads = leads,
	.submit = submit,
	.outcome = outcome,
	.forget = forget,
	.healthy = healthy,
};
