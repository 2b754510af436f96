// SPDX-License-Identifier: BSD-3-Clause
// What the fleet decides: placing, ending, replacing, one after the other, and never more than it
// must.

#include "fleet_fixture.h"

#include <stdio.h>
#include <string.h>

static void receivers_are_placed_and_run(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 3, 2);
	assert_int_equal(s.launches, 2);
	expect_state(&s, "r1", RECEIVER_LAUNCHING);
	assert_string_not_equal(scene_of(&s, "r1")->slave, scene_of(&s, "r2")->slave);
	assert_string_equal(scene_of(&s, "r1")->log_path, "/var/log/millrace/r1");
	assert_true(strncmp(scene_of(&s, "r1")->task_id, "r1.", 3) == 0);
	scene_run_all(&s);
	expect_state(&s, "r1", RECEIVER_RUNNING);
	expect_state(&s, "r2", RECEIVER_RUNNING);
	assert_int_equal(fleet_due_count(&s.fleet, s.now_ns), 0);
	scene_later(&s, 1000);
	assert_int_equal(s.launches, 2);
	scene_close(&s);
}

// Each of Mesos' states, out of RUNNING and out of LAUNCHING.
static void each_state_of_a_task(void **state)
{
	static const struct {
		const char *said;
		enum receiver_state launching, running;
		bool task; // it is still the receiver's
	} cases[] = {
		{"TASK_STAGING", RECEIVER_LAUNCHING, RECEIVER_RUNNING, true},
		{"TASK_STARTING", RECEIVER_LAUNCHING, RECEIVER_RUNNING, true},
		{"TASK_RUNNING", RECEIVER_RUNNING, RECEIVER_RUNNING, true},
		{"TASK_KILLING", RECEIVER_LAUNCHING, RECEIVER_RUNNING, true},
		{"TASK_FINISHED", RECEIVER_WAITING, RECEIVER_WAITING, false},
		{"TASK_FAILED", RECEIVER_WAITING, RECEIVER_WAITING, false},
		{"TASK_KILLED", RECEIVER_WAITING, RECEIVER_WAITING, false},
		{"TASK_ERROR", RECEIVER_WAITING, RECEIVER_WAITING, false},
		{"TASK_LOST", RECEIVER_WAITING, RECEIVER_WAITING, false},
		{"TASK_DROPPED", RECEIVER_WAITING, RECEIVER_WAITING, false},
		{"TASK_GONE", RECEIVER_WAITING, RECEIVER_WAITING, false},
		{"TASK_UNREACHABLE", RECEIVER_UNREACHABLE, RECEIVER_UNREACHABLE, true},
		{"TASK_UNKNOWN", RECEIVER_UNREACHABLE, RECEIVER_UNREACHABLE, true},
		{"TASK_OF_A_LATER_MESOS", RECEIVER_LAUNCHING, RECEIVER_RUNNING, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;

		scene_open(&s, 1, 1);
		assert_true(scene_status(&s, "r1", cases[i].said));
		expect_state(&s, "r1", cases[i].launching);
		scene_close(&s);
		scene_open(&s, 1, 1);
		scene_run_all(&s);
		assert_true(scene_status(&s, "r1", cases[i].said));
		expect_state(&s, "r1", cases[i].running);
		assert_int_equal(scene_of(&s, "r1")->task_id[0] != '\0', cases[i].task);
		scene_close(&s);
	}
}

static void a_slave_gone_for_good_takes_its_receiver_along(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 2, 1);
	scene_run_all(&s);
	assert_true(scene_status(&s, "r1", "TASK_GONE_BY_OPERATOR"));
	assert_null(fleet_find(&s.fleet, "r1"));
	assert_int_equal(json_array_size(s.fleet.removed), 1);
	scene_step(&s);
	expect_state(&s, "r2", RECEIVER_LAUNCHING);
	scene_close(&s);
}

static void a_strange_task_is_to_be_ended(void **state)
{
	json_t *status = json_pack("{s:{s:s}, s:s}", "task_id", "value", "r1.0123456789abcdef",
		"state", "TASK_RUNNING");
	struct scene s;

	(void)state;
	scene_open(&s, 1, 1);
	assert_false(fleet_update(&s.fleet, status, s.now_ns));
	json_object_set_new(status, "state", json_string("TASK_FAILED"));
	assert_true(fleet_update(&s.fleet, status, s.now_ns));
	expect_state(&s, "r1", RECEIVER_LAUNCHING);
	json_decref(status);
	scene_close(&s);
}

// It goes back to its log, at once the first time, then later and later.
static void flapping_is_damped(void **state)
{
	static const double delays[] = {0, 1, 2, 4, 8, 8};
	char slave[RECEIVER_TEXT_MAX];
	struct scene s;

	(void)state;
	scene_open(&s, 3, 1);
	snprintf(slave, sizeof(slave), "%s", scene_of(&s, "r1")->slave);
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		scene_run_all(&s);
		assert_true(scene_status(&s, "r1", "TASK_FAILED"));
		scene_step(&s);
		if (delays[i] > 0) {
			expect_state(&s, "r1", RECEIVER_WAITING);
			scene_later(&s, delays[i] - 0.01);
			expect_state(&s, "r1", RECEIVER_WAITING);
			scene_later(&s, 0.02);
		}
		expect_state(&s, "r1", RECEIVER_LAUNCHING);
		assert_string_equal(scene_of(&s, "r1")->slave, slave);
	}
	assert_true(scene_decided(&s, "damp", "r1"));
	scene_close(&s);
}

static void good_health_ends_the_back_off(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 1, 1);
	for (unsigned i = 0; i < 3; i++) {
		scene_run_all(&s);
		scene_status(&s, "r1", "TASK_FAILED");
		scene_later(&s, 8);
	}
	scene_run_all(&s);
	scene_later(&s, 9.9);
	assert_int_equal(scene_of(&s, "r1")->failures, 3);
	scene_live(&s, "r1", "degraded", 0, 0);
	scene_later(&s, 5);
	assert_int_equal(scene_of(&s, "r1")->failures, 3);
	scene_live(&s, "r1", "ok", 0, 0);
	scene_later(&s, 0.1);
	assert_int_equal(scene_of(&s, "r1")->failures, 0);
	scene_close(&s);
}

static void a_receiver_waits_for_its_slave(void **state)
{
	unsigned at;
	struct scene s;

	(void)state;
	scene_open(&s, 3, 1);
	scene_run_all(&s);
	at = (unsigned)(scene_of(&s, "r1")->slave[1] - '1');
	s.silent[at] = true;
	scene_status(&s, "r1", "TASK_LOST");
	scene_later(&s, 59);
	expect_state(&s, "r1", RECEIVER_WAITING);
	assert_int_equal(s.launches, 1);
	s.silent[at] = false;
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_LAUNCHING);
	assert_int_equal(scene_count(&s, false), 1);
	scene_close(&s);
}

// Another takes its place; when it comes back its log is given away, and then it is no more.
static void unreachable_for_too_long_is_replaced(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 3, 2);
	scene_run_all(&s);
	scene_status(&s, "r1", "TASK_UNREACHABLE");
	scene_later(&s, 59.9);
	assert_int_equal(s.launches, 2);
	scene_later(&s, 0.2);
	assert_int_equal(s.launches, 3);
	assert_true(scene_of(&s, "r1")->retiring);
	scene_run_all(&s);
	expect_state(&s, "r3", RECEIVER_RUNNING);
	scene_later(&s, 1000);
	expect_state(&s, "r1", RECEIVER_UNREACHABLE);

	scene_status(&s, "r1", "TASK_RUNNING");
	scene_live(&s, "r1", "ok", 7, 0);
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_RUNNING);
	scene_live(&s, "r1", "ok", 0, 0);
	scene_step(&s);
	scene_give_away(&s, "r1");
	assert_int_equal(s.launches, 4);
	scene_close(&s);
}

// Its task is gone but its log isn't: it is launched there once more, to give it away.
static void a_log_that_comes_back_is_given_away(void **state)
{
	struct scene s;
	char slave[RECEIVER_TEXT_MAX];

	(void)state;
	scene_open(&s, 3, 1);
	scene_run_all(&s);
	snprintf(slave, sizeof(slave), "%s", scene_of(&s, "r1")->slave);
	s.silent[slave[1] - '1'] = true;
	scene_status(&s, "r1", "TASK_UNREACHABLE");
	scene_later(&s, 61);
	scene_run_all(&s);
	scene_status(&s, "r1", "TASK_GONE");
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_WAITING);
	s.silent[slave[1] - '1'] = false;
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_LAUNCHING);
	assert_string_equal(scene_of(&s, "r1")->slave, slave);
	assert_true(scene_of(&s, "r1")->closed);
	scene_run_all(&s);
	scene_end(&s, "r1"); // no batch was left
	scene_close(&s);
}

// While Mesos itself is away nobody's time runs, nor before the task was asked for.
static void nobody_is_replaced_while_mesos_is_away(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 3, 1);
	scene_run_all(&s);
	scene_status(&s, "r1", "TASK_UNREACHABLE");
	s.fleet.offers_since_ns = 0;
	scene_later(&s, 600);
	assert_false(scene_of(&s, "r1")->retiring);
	s.fleet.offers_since_ns = s.now_ns;
	scene_of(&s, "r1")->reconciled = false;
	scene_later(&s, 1);
	assert_false(scene_of(&s, "r1")->retiring);
	scene_status(&s, "r1", "TASK_RUNNING");
	scene_later(&s, 600);
	assert_false(scene_of(&s, "r1")->retiring);
	scene_close(&s);
}

static void a_drained_slave_is_left_when_another_runs(void **state)
{
	json_t *names = json_array();
	char slave[RECEIVER_TEXT_MAX];
	struct scene s;

	(void)state;
	scene_open(&s, 2, 1);
	scene_run_all(&s);
	snprintf(slave, sizeof(slave), "%s", scene_of(&s, "r1")->slave);
	fleet_drain(&s.fleet, slave, false, s.now_ns, names);
	assert_int_equal(json_array_size(names), 1);
	scene_step(&s);
	expect_state(&s, "r2", RECEIVER_LAUNCHING);
	assert_string_not_equal(scene_of(&s, "r2")->slave, slave);
	scene_later(&s, 5);
	expect_state(&s, "r1", RECEIVER_RUNNING); // r2 isn't there yet
	scene_live(&s, "r1", "ok", 0, 100);
	scene_run_all(&s);
	expect_state(&s, "r1", RECEIVER_RUNNING); // its senders are still there
	scene_live(&s, "r1", "ok", 1, 0);
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_RUNNING); // a batch isn't given yet
	scene_live(&s, "r1", "ok", 0, 0);
	scene_step(&s);
	scene_give_away(&s, "r1");
	scene_later(&s, 100);
	assert_int_equal(scene_count(&s, true), 0);
	assert_int_equal(s.launches, 3);
	json_decref(names);
	scene_close(&s);
}

// It doesn't run, but its log has something to give: it is launched where it is, drained or not.
static void a_drained_log_is_given_away_first(void **state)
{
	char slave[RECEIVER_TEXT_MAX];
	struct scene s;

	(void)state;
	scene_open(&s, 3, 1);
	scene_run_all(&s);
	snprintf(slave, sizeof(slave), "%s", scene_of(&s, "r1")->slave);
	scene_status(&s, "r1", "TASK_FAILED");
	fleet_drain(&s.fleet, slave, false, s.now_ns, NULL);
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_LAUNCHING);
	assert_string_equal(scene_of(&s, "r1")->slave, slave);
	assert_true(scene_of(&s, "r1")->retiring);
	assert_false(scene_of(&s, "r1")->closed); // its senders have nobody else yet
	expect_state(&s, "r2", RECEIVER_LAUNCHING);
	assert_string_not_equal(scene_of(&s, "r2")->slave, slave);
	scene_close(&s);
}

// Its registration is there before its millraced has answered; what sinks it has isn't in it yet.
static void a_log_is_not_given_away_before_its_sinks_are_known(void **state)
{
	struct receiver *r;
	struct scene s;

	(void)state;
	scene_open(&s, 2, 1);
	scene_run_all(&s);
	r = scene_of(&s, "r1");
	scene_status(&s, "r1", "TASK_UNREACHABLE");
	scene_later(&s, 61);
	assert_true(r->retiring);
	scene_status(&s, "r1", "TASK_FAILED");
	scene_step(&s);
	scene_status(&s, "r1", "TASK_RUNNING");
	scene_live(&s, "r1", "starting", 0, 0);
	json_array_clear(json_object_get(r->live, "sinks"));
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_RUNNING);
	scene_live(&s, "r1", "ok", 1, 0);
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_RUNNING);
	scene_live(&s, "r1", "ok", 0, 0);
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_ENDING);
	scene_close(&s);
}

// Nothing could be given to anybody: no launch for that.
static void without_sinks_a_log_is_left_at_once(void **state)
{
	struct spec spec = scene_spec(1);
	struct scene s;

	(void)state;
	scene_open(&s, 2, 2);
	scene_run_all(&s);
	json_array_clear(json_object_get(scene_of(&s, "r2")->live, "sinks"));
	fleet_apply(&s.fleet, &spec, s.now_ns);
	scene_step(&s);
	scene_end(&s, "r2");
	assert_int_equal(s.launches, 2);
	scene_close(&s);
}

// Without a constraint that says so: what was replaced doesn't begin anew beside itself.
static void a_replacement_goes_elsewhere(void **state)
{
	struct spec spec = scene_spec(1);
	json_t *names = json_array();
	char slave[RECEIVER_TEXT_MAX];
	struct scene s;

	(void)state;
	scene_open(&s, 2, 1);
	spec.constraint_count = 0;
	fleet_apply(&s.fleet, &spec, s.now_ns);
	scene_run_all(&s);
	snprintf(slave, sizeof(slave), "%s", scene_of(&s, "r1")->slave);
	fleet_replace(&s.fleet, slave, s.now_ns, names);
	assert_int_equal(json_array_size(names), 1);
	s.silent[slave[1] == '1' ? 1 : 0] = true;
	scene_later(&s, 5);
	expect_state(&s, "r2", RECEIVER_WAITING);
	s.silent[slave[1] == '1' ? 1 : 0] = false;
	scene_later(&s, 5);
	expect_state(&s, "r2", RECEIVER_LAUNCHING);
	assert_string_not_equal(scene_of(&s, "r2")->slave, slave);
	json_decref(names);
	scene_close(&s);
}

static void fewer_are_wanted(void **state)
{
	struct spec spec = scene_spec(1);
	struct scene s;

	(void)state;
	scene_open(&s, 3, 3);
	scene_run_all(&s);
	fleet_apply(&s.fleet, &spec, s.now_ns);
	scene_step(&s);
	expect_state(&s, "r1", RECEIVER_RUNNING);
	scene_give_away(&s, "r2");
	scene_give_away(&s, "r3");
	assert_int_equal(s.launches, 5);
	spec = scene_spec(2);
	fleet_apply(&s.fleet, &spec, s.now_ns);
	scene_step(&s);
	expect_state(&s, "r4", RECEIVER_LAUNCHING); // no name comes back
	scene_close(&s);
}

static unsigned ending(struct scene *s)
{
	unsigned count = 0;

	for (const struct receiver *r = s->fleet.receivers; r != NULL; r = r->next)
		count += r->state == RECEIVER_ENDING;
	return count;
}

// One at a time, and the next only when all others are well and not behind.
static void a_restart_goes_round(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 3, 3);
	scene_run_all(&s);
	fleet_restart(&s.fleet, NULL, s.now_ns, NULL);
	scene_live(&s, "r2", "ok", 50, 0);
	scene_live(&s, "r3", "ok", 50, 0);
	scene_step(&s);
	assert_int_equal(ending(&s), 0); // two are behind
	scene_live(&s, "r2", "ok", 0, 0);
	scene_live(&s, "r3", "ok", 0, 0);
	for (const char *name = "r1\0r2\0r3\0"; *name != '\0'; name += 3) {
		scene_step(&s);
		assert_int_equal(ending(&s), 1);
		expect_state(&s, name, RECEIVER_ENDING);
		scene_status(&s, name, "TASK_KILLED");
		scene_step(&s);
		expect_state(&s, name, RECEIVER_LAUNCHING); // at once: it didn't fail
		assert_int_equal(ending(&s), 0);
		scene_status(&s, name, "TASK_RUNNING");
		scene_step(&s);
		assert_int_equal(ending(&s), 0); // it isn't registered yet
		scene_live(&s, name, "ok", 0, 0);
	}
	scene_step(&s);
	assert_int_equal(ending(&s), 0);
	assert_int_equal(s.launches, 6);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receivers_are_placed_and_run),
		cmocka_unit_test(each_state_of_a_task),
		cmocka_unit_test(a_slave_gone_for_good_takes_its_receiver_along),
		cmocka_unit_test(a_strange_task_is_to_be_ended),
		cmocka_unit_test(flapping_is_damped),
		cmocka_unit_test(good_health_ends_the_back_off),
		cmocka_unit_test(a_receiver_waits_for_its_slave),
		cmocka_unit_test(unreachable_for_too_long_is_replaced),
		cmocka_unit_test(a_log_that_comes_back_is_given_away),
		cmocka_unit_test(nobody_is_replaced_while_mesos_is_away),
		cmocka_unit_test(a_drained_slave_is_left_when_another_runs),
		cmocka_unit_test(a_drained_log_is_given_away_first),
		cmocka_unit_test(a_log_is_not_given_away_before_its_sinks_are_known),
		cmocka_unit_test(without_sinks_a_log_is_left_at_once),
		cmocka_unit_test(a_replacement_goes_elsewhere),
		cmocka_unit_test(fewer_are_wanted),
		cmocka_unit_test(a_restart_goes_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
