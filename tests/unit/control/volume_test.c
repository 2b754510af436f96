// SPDX-License-Identifier: BSD-3-Clause
// A log on a persistent volume: what Mesos is told, and which offer its receiver takes.

#include "control/volume.h"
#include "fleet_fixture.h"

#include <stdio.h>
#include <string.h>

static void assert_json(const json_t *found, const char *wanted)
{
	json_t *json = json_loads(wanted, 0, NULL);

	assert_non_null(json);
	if (!json_equal(found, json))
		fail_msg("%s instead of %s", json_dumps(found, JSON_COMPACT), wanted);
	json_decref(json);
}

static json_t *text_json(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

#define CPUS "{\"name\":\"cpus\",\"role\":\"*\",\"scalar\":{\"value\":2.0}}"
#define MADE \
	"{\"name\":\"disk\",\"role\":\"millrace\",\"scalar\":{\"value\":64.0},\"disk\":" \
	"{\"persistence\":{\"id\":\"v1\"%s},\"volume\":{\"mode\":\"RW\"," \
	"\"container_path\":\"log\"}}}"

static void the_first_launch_makes_it(void **state)
{
	json_t *resources = text_json("[" CPUS ",{\"name\":\"disk\",\"role\":\"millrace\","
				      "\"scalar\":{\"value\":64.0}}]");
	json_t *made = volume_make(resources, "v1", "mill"), *operations;
	char wanted[1024], volume[256];

	(void)state;
	snprintf(volume, sizeof(volume), MADE, ",\"principal\":\"mill\"");
	assert_json(made, volume);
	operations = volume_operations(
		json_pack("{s:s, s:o}", "name", "r1", "resources", resources), made);
	snprintf(wanted, sizeof(wanted),
		"[{\"type\":\"CREATE\",\"create\":{\"volumes\":[%s]}},"
		"{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"r1\","
		"\"resources\":[" CPUS ",%s]}]}}]",
		volume, volume);
	assert_json(operations, wanted);
	json_decref(operations);
}

static void later_ones_only_launch(void **state)
{
	json_t *operations = volume_operations(json_pack("{s:s}", "name", "r1"), NULL);

	(void)state;
	assert_json(operations,
		"[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"r1\"}]}}]");
	json_decref(operations);
}

static void without_a_principal_none_is_named(void **state)
{
	json_t *resources = text_json(
		"[{\"name\":\"disk\",\"role\":\"millrace\",\"scalar\":{\"value\":64.0}}]");
	char wanted[256];

	(void)state;
	snprintf(wanted, sizeof(wanted), MADE, "");
	assert_json(volume_make(resources, "v1", ""), wanted);
	json_decref(resources);
}

static void it_is_of_one_piece(void **state)
{
	json_t *none = text_json("[" CPUS "]");
	json_t *two = text_json("[{\"name\":\"disk\"}," CPUS ",{\"name\":\"disk\"}]");

	(void)state;
	assert_null(volume_make(none, "v1", ""));
	assert_null(volume_make(two, "v1", ""));
	json_decref(none);
	json_decref(two);
}

// A slave that offers, by turns, reserved disk and the volume that was made of it.

static char volume_taken[RECEIVER_TEXT_MAX]; // of the latest launch; "": none
static double disk_taken;
static unsigned launches;

static void on_launch(void *arg, struct receiver *r, const struct placement *p)
{
	const json_t *persistence =
		json_object_get(json_object_get(p->volume, "disk"), "persistence");
	const char *id = json_string_value(json_object_get(persistence, "id"));

	(void)arg, (void)r;
	snprintf(volume_taken, sizeof(volume_taken), "%s", id != NULL ? id : "");
	disk_taken = p->taken.disk;
	launches++;
}

static bool offer(struct scene *s, const char *slave, const char *volume)
{
	json_t *attributes = json_pack("{s:s}", "log", "/srv/log");
	json_t *disk = json_pack(
		"{s:s, s:s, s:{s:f}}", "name", "disk", "role", "millrace", "scalar", "value", 64.0);
	struct placement_offer o = {.id = "o", .agent_id = "a", .free = {.cpus = 4, .mem = 4096}};
	unsigned before = launches;

	if (volume != NULL)
		json_object_set_new(
			disk, "disk", json_pack("{s:{s:s}}", "persistence", "id", volume));
	o.slave = (struct constraint_slave){.hostname = slave, .attributes = attributes};
	o.list = json_pack("[o]", disk);
	o.free.disk = volume == NULL ? 64 : 0;
	o.free.lcore_count = 1;
	fleet_plan(&s->fleet, s->now_ns);
	fleet_place(&s->fleet, &o, 1, s->now_ns, on_launch, NULL);
	json_decref(o.list);
	json_decref(attributes);
	return launches > before;
}

static void apply(struct scene *s, uint64_t volume_bytes)
{
	struct spec spec = scene_spec(1);

	spec.volume_bytes = volume_bytes;
	if (volume_bytes != 0)
		spec.log_attribute[0] = '\0';
	assert_int_equal(fleet_apply(&s->fleet, &spec, s->now_ns), 0);
}

static void open_scene(struct scene *s, uint64_t volume_bytes)
{
	*s = (struct scene){.now_ns = 1000 * SECOND_NS};
	assert_int_equal(fleet_new(&s->fleet), 0);
	s->fleet.offers_since_ns = s->now_ns;
	apply(s, volume_bytes);
}

static void end_task(struct scene *s)
{
	assert_true(scene_status(s, "r1", "TASK_FAILED"));
	scene_of(s, "r1")->next_launch_ns = 0;
}

static void a_receiver_goes_back_to_its_volume(void **state)
{
	struct scene s;
	struct receiver *r;
	char id[RECEIVER_TEXT_MAX];

	(void)state;
	open_scene(&s, 64 * MIB);
	assert_true(offer(&s, "s1", NULL));
	r = scene_of(&s, "r1");
	snprintf(id, sizeof(id), "%s", r->volume);
	assert_true(strncmp(id, "r1.", 3) == 0 && disk_taken == 64 && volume_taken[0] == '\0');
	assert_string_equal(r->log_path, "log/r1");
	assert_true(scene_status(&s, "r1", "TASK_RUNNING"));
	end_task(&s);
	assert_false(offer(&s, "s2", NULL));
	assert_false(offer(&s, "s1", NULL)); // its disk is there anew, the volume isn't
	assert_non_null(strstr(r->why, id));
	assert_true(offer(&s, "s1", id));
	assert_string_equal(volume_taken, id);
	assert_true(disk_taken == 0);
	assert_string_equal(r->log_path, "log/r1");
	scene_close(&s);
}

// The call that was to make it may be lost, or its answer.
static void what_was_never_made_is_made_again(void **state)
{
	struct scene s;
	char id[RECEIVER_TEXT_MAX];

	(void)state;
	open_scene(&s, 64 * MIB);
	assert_true(offer(&s, "s1", NULL));
	snprintf(id, sizeof(id), "%s", scene_of(&s, "r1")->volume);
	end_task(&s);
	assert_true(offer(&s, "s1", NULL));
	assert_true(disk_taken == 64);
	assert_string_equal(scene_of(&s, "r1")->volume, id);
	end_task(&s);
	assert_true(offer(&s, "s1", id)); // it was made, but the task never ran
	assert_string_equal(volume_taken, id);
	scene_close(&s);
}

// 'log' says where logs begin; one that has begun stays where it is.
static void a_log_stays_when_others_begin_elsewhere(void **state)
{
	struct scene s;
	char id[RECEIVER_TEXT_MAX];

	(void)state;
	open_scene(&s, 0);
	assert_true(offer(&s, "s1", NULL));
	assert_true(scene_status(&s, "r1", "TASK_RUNNING"));
	end_task(&s);
	apply(&s, 64 * MIB);
	assert_true(offer(&s, "s1", NULL));
	assert_true(disk_taken == 0);
	assert_string_equal(scene_of(&s, "r1")->log_path, "/srv/log/r1");
	assert_string_equal(scene_of(&s, "r1")->volume, "");
	scene_close(&s);
	open_scene(&s, 64 * MIB);
	assert_true(offer(&s, "s1", NULL));
	snprintf(id, sizeof(id), "%s", scene_of(&s, "r1")->volume);
	assert_true(scene_status(&s, "r1", "TASK_RUNNING"));
	end_task(&s);
	apply(&s, 0);
	assert_false(offer(&s, "s1", NULL));
	assert_true(offer(&s, "s1", id));
	assert_string_equal(volume_taken, id);
	assert_string_equal(scene_of(&s, "r1")->log_path, "log/r1");
	scene_close(&s);
}

// Made never, and then 'log' says another place: it begins there.
static void a_log_that_never_began_begins_where_log_says(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, 64 * MIB);
	assert_true(offer(&s, "s1", NULL));
	end_task(&s);
	apply(&s, 0);
	assert_true(offer(&s, "s1", NULL));
	assert_string_equal(scene_of(&s, "r1")->log_path, "/srv/log/r1");
	assert_string_equal(scene_of(&s, "r1")->volume, "");
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_launch_makes_it),
		cmocka_unit_test(later_ones_only_launch),
		cmocka_unit_test(without_a_principal_none_is_named),
		cmocka_unit_test(it_is_of_one_piece),
		cmocka_unit_test(a_receiver_goes_back_to_its_volume),
		cmocka_unit_test(what_was_never_made_is_made_again),
		cmocka_unit_test(a_log_stays_when_others_begin_elsewhere),
		cmocka_unit_test(a_log_that_never_began_begins_where_log_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
