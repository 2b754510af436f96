// SPDX-License-Identifier: BSD-3-Clause

#include "fleet_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct spec scene_spec(unsigned count)
{
	struct spec spec = {.count = count,
		.lcores = 1,
		.mem_bytes = 256u << 20,
		.log_attribute = "log",
		.constraint_count = 1,
		.unreachable_after_ns = 60 * SECOND_NS,
		.backoff_ns = 1 * SECOND_NS,
		.backoff_max_ns = 8 * SECOND_NS,
		.healthy_after_ns = 10 * SECOND_NS,
		.kill_grace_ns = 10 * SECOND_NS,
		.move_after_ns = 5 * SECOND_NS};

	spec.constraints[0] = (struct constraint){.field = "hostname", .op = CONSTRAINT_UNIQUE};
	spec.receiver = strdup("ports:\n  - device: af_packet:eth0\nlisteners:\n  - port: 5140\n");
	return spec;
}

void scene_open(struct scene *scene, unsigned slaves, unsigned count)
{
	struct spec spec = scene_spec(count);

	*scene = (struct scene){.slaves = slaves, .now_ns = 1000 * SECOND_NS};
	assert_int_equal(fleet_new(&scene->fleet), 0);
	scene->fleet.offers_since_ns = scene->now_ns;
	assert_int_equal(fleet_apply(&scene->fleet, &spec, scene->now_ns), 0);
	scene_step(scene);
}

void scene_close(struct scene *scene)
{
	fleet_free(&scene->fleet);
}

static void on_launch(void *arg, struct receiver *receiver, const struct placement *placement)
{
	struct scene *scene = arg;

	assert_non_null(placement->offer);
	assert_string_equal(placement->offer->slave.hostname, receiver->slave);
	scene->launches++;
	snprintf(scene->launched, sizeof(scene->launched), "%s", receiver->name);
}

static bool has_task(const struct scene *scene, const char *slave)
{
	for (const struct receiver *r = scene->fleet.receivers; r != NULL; r = r->next)
		if (r->task_id[0] != '\0' && strcmp(r->slave, slave) == 0)
			return true;
	return false;
}

// Each slave has room for two.
static void offer_all(struct scene *scene)
{
	static char names[SLAVES_MAX][16];
	struct placement_offer offers[SLAVES_MAX] = {0};
	json_t *attributes = json_pack("{s:s}", "log", "/var/log/millrace");
	unsigned count = 0;

	for (unsigned i = 0; i < scene->slaves; i++) {
		snprintf(names[i], sizeof(names[i]), "s%u", i + 1);
		if (scene->silent[i])
			continue;
		offers[count] = (struct placement_offer){.id = names[i],
			.agent_id = names[i],
			.slave = {.hostname = names[i], .attributes = attributes},
			.free = {.cpus = has_task(scene, names[i]) ? 2 : 4,
				.mem = 4096,
				.lcore_count = 2,
				.lcores = {0, 1}}};
		count++;
	}
	fleet_place(&scene->fleet, offers, count, scene->now_ns, on_launch, scene);
	json_decref(attributes);
}

void scene_step(struct scene *scene)
{
	unsigned before;

	do {
		before = scene->launches;
		fleet_plan(&scene->fleet, scene->now_ns);
		offer_all(scene);
	} while (scene->launches != before);
	fleet_plan(&scene->fleet, scene->now_ns);
}

void scene_later(struct scene *scene, double seconds)
{
	scene->now_ns += (int64_t)(seconds * SECOND_NS);
	scene_step(scene);
}

struct receiver *scene_of(struct scene *scene, const char *name)
{
	struct receiver *r = fleet_find(&scene->fleet, name);

	if (r == NULL)
		fail_msg("there is no receiver %s", name);
	return r;
}

bool scene_status(struct scene *scene, const char *name, const char *state)
{
	json_t *status = json_pack("{s:{s:s}, s:s, s:s}", "task_id", "value",
		scene_of(scene, name)->task_id, "state", state, "message", "so said the test");
	bool ret = fleet_update(&scene->fleet, status, scene->now_ns);

	json_decref(status);
	return ret;
}

void scene_live(struct scene *scene, const char *name, const char *health, int lag,
	double events_per_second)
{
	struct receiver *r = scene_of(scene, name);

	json_decref(r->live);
	r->live = json_pack("{s:s, s:s, s:{s:f}, s:[{s:s, s:i, s:i}]}", "task_id", r->task_id,
		"health", health, "load", "events_per_second", events_per_second, "sinks", "sink",
		"out", "lag_batches", lag, "lag_events", lag * 10);
	assert_non_null(r->live);
}

void scene_run_all(struct scene *scene)
{
	for (struct receiver *r = scene->fleet.receivers; r != NULL; r = r->next) {
		if (r->state != RECEIVER_LAUNCHING)
			continue;
		assert_true(scene_status(scene, r->name, "TASK_RUNNING"));
		scene_live(scene, r->name, "ok", 0, 0);
	}
	scene_step(scene);
}

void scene_end(struct scene *scene, const char *name)
{
	expect_state(scene, name, RECEIVER_ENDING);
	scene_status(scene, name, "TASK_KILLED");
	scene_step(scene);
	assert_null(fleet_find(&scene->fleet, name));
}

void scene_give_away(struct scene *scene, const char *name)
{
	expect_state(scene, name, RECEIVER_ENDING);
	scene_status(scene, name, "TASK_KILLED");
	scene_step(scene);
	expect_state(scene, name, RECEIVER_LAUNCHING);
	assert_true(scene_of(scene, name)->closed);
	scene_run_all(scene);
	scene_end(scene, name);
}

void expect_state(struct scene *scene, const char *name, enum receiver_state state)
{
	const struct receiver *r = scene_of(scene, name);

	if (r->state != state)
		fail_msg("%s is %s instead of %s: %s", name, receiver_state_text(r->state),
			receiver_state_text(state), r->why);
}

unsigned scene_count(struct scene *scene, bool retiring)
{
	unsigned count = 0;

	for (const struct receiver *r = scene->fleet.receivers; r != NULL; r = r->next)
		count += r->retiring == retiring;
	return count;
}

bool scene_decided(struct scene *scene, const char *decision, const char *name)
{
	const json_t *event;
	size_t i;

	json_array_foreach(scene->fleet.history.events, i, event)
	{
		const char *receiver = json_string_value(json_object_get(event, "receiver"));

		if (strcmp(json_string_value(json_object_get(event, "decision")), decision) == 0 &&
			receiver != NULL && strcmp(receiver, name) == 0)
			return true;
	}
	return false;
}
