// SPDX-License-Identifier: BSD-3-Clause
// Which receivers want an offer, and which offer each takes.

#include "control/fleet.h"
#include "control/volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool fleet_due(const struct fleet *fleet, const struct receiver *r, int64_t now_ns)
{
	return fleet->applied && r->state == RECEIVER_WAITING && r->next_launch_ns <= now_ns &&
	       !(r->retiring && (r->drained || r->slave[0] == '\0'));
}

unsigned fleet_due_count(const struct fleet *fleet, int64_t now_ns)
{
	unsigned count = 0;

	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		count += fleet_due(fleet, r, now_ns);
	return count;
}

// Where the others are, for the constraints: those that stay. One that retires keeps its slave's
// place until it is gone, as it still runs there. Attributes are known of those with an offer only,
// so they are kept with the receiver's registration.
static unsigned placed(const struct fleet *fleet, const struct receiver *except,
	struct constraint_slave *ret, unsigned room)
{
	unsigned count = 0;

	for (const struct receiver *r = fleet->receivers; r != NULL && count < room; r = r->next) {
		if (r == except || r->slave[0] == '\0' || r->state == RECEIVER_UNREACHABLE)
			continue;
		if (r->retiring && r->state == RECEIVER_WAITING)
			continue;
		ret[count++] = (struct constraint_slave){
			.hostname = r->slave, .attributes = r->attributes};
	}
	return count;
}

static void new_task(const struct receiver *r, char *ret, size_t size)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort(); // can't be for so few bytes, once the kernel is up
	snprintf(ret, size, "%s.%016" PRIx64, r->name, random);
}

// Where it is bound to be. A volume counts when a task has run with it: the call that was to make
// it may have got lost.
static bool has_log(const struct receiver *r)
{
	return r->slave[0] != '\0' && (r->volume[0] == '\0' || r->volume_made);
}

// path: on the slave; NULL: in a volume.
static void begin_log(struct receiver *r, const char *path)
{
	if (path == NULL && r->volume[0] == '\0')
		snprintf(r->volume, sizeof(r->volume), "%s", r->task_id); // never given twice
	else if (path != NULL)
		r->volume[0] = '\0';
	snprintf(r->log_path, sizeof(r->log_path), "%s/%s", path != NULL ? path : VOLUME_PATH,
		r->name);
}

static void take(struct fleet *fleet, struct receiver *r, const struct placement *p, int64_t now_ns)
{
	new_task(r, r->task_id, sizeof(r->task_id));
	snprintf(r->agent_id, sizeof(r->agent_id), "%s", p->offer->agent_id);
	if (!has_log(r)) {
		snprintf(r->slave, sizeof(r->slave), "%s", p->offer->slave.hostname);
		begin_log(r, p->log_path);
	}
	json_decref(r->attributes);
	r->attributes = json_deep_copy(p->offer->slave.attributes);
	r->taken = p->taken;
	r->version = fleet->version;
	r->launches++;
	// Not while its senders have nobody else.
	r->closed = r->retiring && (!r->moving || fleet_replaced(fleet));
	r->drained = false;
	r->sent = false;
	r->reconciled = true; // what is known of it is known from us
	snprintf(r->task_state, sizeof(r->task_state), "TASK_STAGING");
	r->reason[0] = r->message[0] = '\0';
	history_add(&fleet->history, now_ns, "launch", r->name, r->slave, "%s", p->why);
	fleet_state(r, RECEIVER_LAUNCHING, now_ns, "%s", p->why);
}

static bool retires_on(const struct fleet *fleet, const char *slave)
{
	for (const struct receiver *r = fleet->receivers; r != NULL; r = r->next)
		if (r->retiring && strcmp(r->slave, slave) == 0)
			return true;
	return false;
}

// What is wrong with an offer's slave, whoever asks for it.
struct kept_off {
	bool drained, retiring;
};

static struct kept_off *look_at_slaves(
	const struct fleet *fleet, const struct placement_offer *offers, unsigned count)
{
	struct kept_off *ret = calloc(count + 1, sizeof(*ret));

	for (unsigned i = 0; ret != NULL && i < count; i++) {
		const char *slave = offers[i].slave.hostname;

		ret[i] = (struct kept_off){.drained = fleet_drains(fleet, slave),
			.retiring = retires_on(fleet, slave)};
	}
	return ret;
}

// NULL: the receiver may take the offer. One that retires goes back to give its log away, whatever
// else may not be there.
static const char *why_not(
	const struct receiver *r, const struct placement_offer *offer, struct kept_off slave)
{
	if (offer->taken)
		return "its offer is taken already"; // what is left of it comes back as another
	if (r->retiring)
		return NULL;
	if (slave.drained)
		return "it is drained";
	if (r->slave[0] == '\0' && slave.retiring)
		return "a receiver retires there";
	return NULL;
}

static void place_one(struct fleet *fleet, struct receiver *r, struct placement_offer *offers,
	const struct kept_off *kept_off, unsigned count, struct placement *ret)
{
	struct placement_receiver wanted = {.name = r->name,
		.slave = r->slave[0] != '\0' ? r->slave : NULL,
		.volume = r->volume[0] != '\0' ? r->volume : NULL,
		.has_path = r->slave[0] != '\0' && r->volume[0] == '\0',
		.last = r->launches > 0 ? &r->taken : NULL};
	struct constraint_slave *others = calloc(SPEC_COUNT_MAX * 2, sizeof(*others));
	unsigned others_count;

	*ret = (struct placement){0};
	if (others == NULL)
		return;
	for (unsigned i = 0; i < count; i++) {
		offers[i].excluded_why = why_not(r, &offers[i], kept_off[i]);
		offers[i].excluded = offers[i].excluded_why != NULL;
	}
	others_count = placed(fleet, r, others, SPEC_COUNT_MAX * 2);
	placement_choose(&fleet->spec, &wanted, offers, count, others, others_count, ret);
	if (ret->offer == NULL && wanted.volume != NULL && !r->volume_made) {
		wanted.volume = NULL; // the call that was to make it got lost: once more
		placement_choose(&fleet->spec, &wanted, offers, count, others, others_count, ret);
	}
	free(others);
}

void fleet_place(struct fleet *fleet, struct placement_offer *offers, unsigned count,
	int64_t now_ns,
	void (*launch)(void *arg, struct receiver *receiver, const struct placement *placement),
	void *arg)
{
	struct kept_off *kept_off = look_at_slaves(fleet, offers, count);

	for (struct receiver *r = fleet->receivers; kept_off != NULL && r != NULL; r = r->next) {
		struct placement p;

		if (!fleet_due(fleet, r, now_ns))
			continue;
		place_one(fleet, r, offers, kept_off, count, &p);
		if (p.offer != NULL) {
			take(fleet, r, &p, now_ns);
			launch(arg, r, &p);
			p.offer->taken = true;
		} else if (strcmp(r->why, p.why) != 0) {
			snprintf(r->why, sizeof(r->why), "%s", p.why);
			r->changed = true;
		}
	}
	free(kept_off);
}
