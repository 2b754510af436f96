// SPDX-License-Identifier: BSD-3-Clause
// What a leader stores of the fleet is what the next one reads.

#include "fleet_fixture.h"

#include <errno.h>
#include <string.h>

// The next leader goes on with what the last one stored.
static void it_is_read_back_as_it_was_written(void **state)
{
	json_t *desired, *one, *history;
	struct fleet again;
	struct scene s;

	(void)state;
	scene_open(&s, 3, 2);
	scene_run_all(&s);
	scene_status(&s, "r2", "TASK_FAILED");
	fleet_drain(&s.fleet, "s9", false, s.now_ns, NULL);
	desired = fleet_write(&s.fleet);
	history = history_write(&s.fleet.history);
	assert_int_equal(fleet_new(&again), 0);
	assert_int_equal(fleet_read(&again, desired), 0);
	assert_int_equal(history_read(&again.history, history), 0);
	for (const struct receiver *r = s.fleet.receivers; r != NULL; r = r->next) {
		json_t *first = receiver_write(r), *second;

		assert_int_equal(fleet_add(&again, first), 0);
		second = receiver_write(fleet_find(&again, r->name));
		assert_true(json_equal(first, second));
		json_decref(first);
		json_decref(second);
	}
	one = fleet_write(&again);
	assert_true(json_equal(desired, one));
	assert_int_equal(again.history.last, s.fleet.history.last);
	assert_true(fleet_drains(&again, "s9"));
	json_decref(one);
	json_decref(desired);
	json_decref(history);
	fleet_free(&again);
	scene_close(&s);
}

// One for which no slave was found yet has no lcores; and the longest text of them has room.
static void what_was_never_launched_is_read_again(void **state)
{
	struct receiver *r = receiver_new("r7"), *again;
	json_t *json = receiver_write(r);

	(void)state;
	assert_int_equal(receiver_read(json, &again), 0);
	assert_int_equal(again->taken.lcore_count, 0);
	receiver_free(again);
	json_decref(json);
	for (unsigned i = 0; i < RESOURCES_LCORES_MAX; i++)
		r->taken.lcores[r->taken.lcore_count++] = (uint16_t)(769 + 2 * i);
	json = receiver_write(r);
	assert_int_equal(receiver_read(json, &again), 0);
	assert_memory_equal(&again->taken, &r->taken, sizeof(r->taken));
	receiver_free(again);
	json_decref(json);
	receiver_free(r);
}

// Each field of a receiver taken away, or of another type.
static void what_no_leader_stored_is_refused(void **state)
{
	json_t *good, *bad;
	const char *key;
	json_t *value;
	struct scene s;
	struct receiver *r;

	(void)state;
	scene_open(&s, 1, 1);
	good = receiver_write(s.fleet.receivers);
	json_object_foreach(good, key, value)
	{
		if (strcmp(key, "attributes") == 0)
			continue;
		bad = json_copy(good);
		json_object_del(bad, key);
		assert_int_equal(receiver_read(bad, &r), -EINVAL);
		json_object_set_new(bad, key, json_pack("[]"));
		if (strcmp(key, "nics") != 0)
			assert_int_equal(receiver_read(bad, &r), -EINVAL);
		json_decref(bad);
	}
	json_decref(good);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_read_back_as_it_was_written),
		cmocka_unit_test(what_was_never_launched_is_read_again),
		cmocka_unit_test(what_no_leader_stored_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
