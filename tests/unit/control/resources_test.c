// SPDX-License-Identifier: BSD-3-Clause

#include "control/resources.h"
#include "tests/unit/control/offers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct resources have, taken;

static json_t *list_of(const char *text)
{
	json_t *list = json_loads(text, 0, NULL);

	assert_non_null(list);
	return list;
}

static int read_text(const char *text, const char *role)
{
	json_t *list = list_of(text);
	int rc = resources_read(list, role, &have);

	json_decref(list);
	return rc;
}

static void assert_lcores(const struct resources *r, const char *text)
{
	char buf[CPUS_TEXT_BYTES];

	assert_string_equal(resources_lcores_text(r, buf, sizeof(buf)), text);
}

// Of all entries of that name: how much there is in those of the role.
static double sum(const json_t *list, const char *name, const char *role)
{
	const json_t *entry;
	double ret = 0;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const json_t *own = json_object_get(entry, "role");

		if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0 &&
			strcmp(own != NULL ? json_string_value(own) : "*", role) == 0)
			ret += json_number_value(
				json_object_get(json_object_get(entry, "scalar"), "value"));
	}
	return ret;
}

static void an_offer_is_read(void **state)
{
	(void)state;
	assert_int_equal(read_text(offer_plain, "*"), 0);
	assert_true(have.cpus == 4 && have.mem == 2048 && have.hugepages == 512);
	assert_lcores(&have, "0-3");
	assert_int_equal(have.nic_count, 2);
	assert_string_equal(have.nics[0], "eth1");
	assert_string_equal(have.nics[1], "eth2");
}

static void what_is_reserved_for_the_role_counts_and_for_others_not(void **state)
{
	static const char *const texts[] = {offer_static, offer_dynamic, offer_refined};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(read_text(texts[i], "millrace"), 0);
		assert_true(have.cpus == 4);
		assert_lcores(&have, "0-3");
		assert_int_equal(have.nic_count, 2);
	}
	assert_int_equal(read_text(offer_static, "other"), 0);
	assert_true(have.cpus == 2 && have.mem == 1048 && have.hugepages == 412);
	assert_lcores(&have, "2-3");
	assert_int_equal(read_text(offer_dynamic, "other"), 0);
	assert_true(have.cpus == 2.5);
	assert_int_equal(read_text(offer_refined, "other"), 0);
	assert_true(have.cpus == 2.5);
	assert_lcores(&have, "0,2");
}

static void disk_counts_only_where_a_volume_can_be_made_of_it(void **state)
{
	(void)state;
	assert_int_equal(read_text(offer_plain, "*"), 0);
	assert_true(have.disk == 0);
	assert_int_equal(read_text(offer_dynamic, "millrace"), 0);
	assert_true(have.disk == 500);
	assert_int_equal(read_text(offer_refined, "millrace"), 0);
	assert_true(have.disk == 500);
}

static void what_is_not_ours_to_take_is_left_out(void **state)
{
	static const char text[] = "[{\"name\":\"cpus\",\"scalar\":{\"value\":1},\"revocable\":{}},"
				   "{\"name\":\"cpus\",\"scalar\":{\"value\":2.25}},"
				   "{\"name\":\"mem\",\"scalar\":{\"value\":64},\"shared\":{}},"
				   "{\"name\":\"disk\",\"role\":\"r\",\"scalar\":{\"value\":8},"
				   "\"disk\":{\"persistence\":{\"id\":\"x\"}}},"
				   "{\"name\":\"disk\",\"role\":\"r\",\"scalar\":{\"value\":8},"
				   "\"disk\":{\"source\":{\"type\":\"MOUNT\"}}},"
				   "{\"name\":\"gpus\",\"scalar\":{\"value\":\"?\"}}]";

	(void)state;
	assert_int_equal(read_text(text, "r"), 0);
	assert_true(have.cpus == 2.25 && have.mem == 0 && have.disk == 0);
}

static void what_is_malformed_is_refused(void **state)
{
	static const char *const texts[] = {"{}", "[1]", "[{}]", "[{\"name\":1}]",
		"[{\"name\":\"cpus\"}]", "[{\"name\":\"cpus\",\"scalar\":{\"value\":\"4\"}}]",
		"[{\"name\":\"cpus\",\"scalar\":{\"value\":-1}}]",
		"[{\"name\":\"cpus\",\"scalar\":{\"value\":1e300}}]",
		"[{\"name\":\"cpus\",\"role\":7,\"scalar\":{\"value\":1}}]",
		"[{\"name\":\"cpus\",\"reservations\":[{}],\"scalar\":{\"value\":1}}]",
		"[{\"name\":\"lcores\",\"scalar\":{\"value\":1}}]",
		"[{\"name\":\"lcores\",\"ranges\":{\"range\":[{\"begin\":3,\"end\":2}]}}]",
		"[{\"name\":\"lcores\",\"ranges\":{\"range\":[{\"begin\":-1,\"end\":2}]}}]",
		"[{\"name\":\"lcores\",\"ranges\":{\"range\":[{\"begin\":1}]}}]",
		"[{\"name\":\"nics\",\"set\":{\"item\":[\"\"]}}]",
		"[{\"name\":\"nics\",\"set\":{\"item\":[1]}}]", "[{\"name\":\"nics\"}]"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (read_text(texts[i], "*") != -EINVAL)
			fail_msg("not refused: %s", texts[i]);
}

static void more_than_there_is_room_for_is_cut(void **state)
{
	static const char text[] =
		"[{\"name\":\"lcores\",\"ranges\":{\"range\":[{\"begin\":5,\"end\":99999999999}]}},"
		"{\"name\":\"nics\",\"set\":{\"item\":[\"n18\",\"n1\",\"n2\",\"n3\",\"n4\",\"n5\","
		"\"n6\","
		"\"n7\",\"n8\",\"n9\",\"n10\",\"n11\",\"n12\",\"n13\",\"n14\",\"n15\",\"n16\","
		"\"n17\","
		"\"n1\"]}}]";

	(void)state;
	assert_int_equal(read_text(text, "*"), 0);
	assert_lcores(&have, "5-132");
	assert_int_equal(have.nic_count, RESOURCES_NICS_MAX);
	assert_string_equal(have.nics[0], "n1");
	assert_string_equal(have.nics[1], "n2"); // not n10
	assert_string_equal(have.nics[15], "n16");
}

static void each_thing_that_is_too_little_is_named(void **state)
{
	static const struct {
		struct resources_need need;
		const char *missing;
	} rows[] = {
		{{.cpus = 4.001, .lcores = 9}, "cpus"},
		{{.cpus = 4, .mem = 2048.001}, "mem"},
		{{.disk = 500.5}, "disk"},
		{{.hugepages = 513}, "hugepages"},
		{{.lcores = 5}, "lcores"},
		{{.lcores = 4, .nics = 3}, "nics"},
	};
	struct resources before;
	const char *missing;

	(void)state;
	assert_int_equal(read_text(offer_dynamic, "millrace"), 0);
	before = have;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(resources_take(&have, &rows[i].need, NULL, &taken, &missing));
		assert_string_equal(missing, rows[i].missing);
		assert_memory_equal(&before, &have, sizeof(have));
	}
	assert_true(resources_take(
		&have, &(struct resources_need){4, 2048, 500, 512, 4, 2}, NULL, &taken, &missing));
	assert_true(have.cpus == 0 && have.mem == 0 && have.disk == 0 && have.hugepages == 0);
	assert_int_equal(have.lcore_count + have.nic_count, 0);
	assert_lcores(&taken, "0-3");
}

// 0.1 ten times is 1, as Mesos counts.
static void scalars_are_counted_in_thousandths(void **state)
{
	const struct resources_need tenth = {.cpus = 0.1};
	const char *missing;

	(void)state;
	assert_int_equal(read_text("[{\"name\":\"cpus\",\"scalar\":{\"value\":1.0004}}]", "*"), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_true(resources_take(&have, &tenth, NULL, &taken, &missing));
	assert_true(have.cpus == 0);
	assert_false(resources_take(&have, &tenth, NULL, &taken, &missing));
}

static void lcores_and_nics_it_had_are_preferred(void **state)
{
	struct resources last = {.nic_count = 1, .nics = {"eth2"}}, gone = {0};
	struct resources_need need = {.lcores = 2, .nics = 1};
	const char *missing;

	(void)state;
	assert_true(resources_lcores_parse("3,1", &last));
	assert_int_equal(read_text(offer_plain, "*"), 0);
	assert_true(resources_take(&have, &need, &last, &taken, &missing));
	assert_lcores(&taken, "1,3");
	assert_string_equal(taken.nics[0], "eth2");
	assert_lcores(&have, "0,2");
	assert_string_equal(have.nics[0], "eth1");

	// More are wanted than it had: those and the lowest.
	need.lcores = 3;
	assert_int_equal(read_text(offer_plain, "*"), 0);
	assert_true(resources_take(&have, &need, &last, &taken, &missing));
	assert_lcores(&taken, "0-1,3");

	// One is gone: as if it had none.
	need.lcores = 2;
	assert_true(resources_lcores_parse("3,7", &gone));
	assert_int_equal(read_text(offer_plain, "*"), 0);
	assert_true(resources_take(&have, &need, &gone, &taken, &missing));
	assert_lcores(&taken, "0-1");
	assert_string_equal(taken.nics[0], "eth1");
}

static json_t *take_and_write(
	json_t *offer, const struct resources_need *need, const char *role, struct resources *from)
{
	const char *missing;

	assert_true(resources_take(from, need, NULL, &taken, &missing));
	return resources_write(&taken, offer, role);
}

static void parts_keep_their_reservations_and_allocation(void **state)
{
	const struct resources_need need = {3, 1500.5, 0, 300, 3, 2};
	json_t *offer = list_of(offer_static), *list, *entry;
	size_t i;

	(void)state;
	assert_int_equal(resources_read(offer, "millrace", &have), 0);
	list = take_and_write(offer, &need, "millrace", &have);
	assert_non_null(list);
	assert_true(sum(list, "cpus", "millrace") == 2 && sum(list, "cpus", "*") == 1);
	assert_true(sum(list, "mem", "millrace") == 1000 && sum(list, "mem", "*") == 500.5);
	assert_true(sum(list, "hugepages", "millrace") == 100);
	assert_true(sum(list, "hugepages", "*") == 200);
	json_array_foreach(list, i, entry) assert_string_equal("millrace",
		json_string_value(
			json_object_get(json_object_get(entry, "allocation_info"), "role")));
	// What it says is what was taken.
	assert_int_equal(resources_read(list, "millrace", &have), 0);
	assert_memory_equal(&have, &taken, sizeof(taken));
	json_decref(list);
	json_decref(offer);
}

static void dynamic_reservations_are_written_as_they_came(void **state)
{
	const struct resources_need need = {.cpus = 1, .disk = 100, .lcores = 2};
	json_t *offer = list_of(offer_refined), *list, *stack;

	(void)state;
	assert_int_equal(resources_read(offer, "millrace", &have), 0);
	list = take_and_write(offer, &need, "millrace", &have);
	assert_int_equal(json_array_size(list), 4); // cpus, disk, lcores of two kinds
	stack = json_object_get(json_array_get(list, 0), "reservations");
	assert_string_equal(
		"DYNAMIC", json_string_value(json_object_get(json_array_get(stack, 0), "type")));
	assert_non_null(json_object_get(json_array_get(stack, 0), "labels"));
	json_decref(list);
	json_decref(offer);
}

// Two receivers of one offer: what the first has, the second hasn't.
static void what_is_written_is_taken_out_of_the_offer(void **state)
{
	const struct resources_need need = {2, 1000, 0, 200, 2, 1};
	json_t *offer = list_of(offer_static), *first, *second;

	(void)state;
	assert_int_equal(resources_read(offer, "millrace", &have), 0);
	first = take_and_write(offer, &need, "millrace", &have);
	second = take_and_write(offer, &need, "millrace", &have);
	assert_non_null(first);
	assert_non_null(second);
	assert_true(sum(first, "cpus", "millrace") == 2 && sum(second, "cpus", "*") == 2);
	assert_true(sum(second, "cpus", "millrace") == 0);
	assert_null(resources_write(&taken, offer, "millrace"));
	json_decref(first);
	json_decref(second);
	json_decref(offer);
}

static void more_than_the_offer_has_is_not_written(void **state)
{
	json_t *offer = list_of(offer_plain);
	struct resources lcores = {.lcore_count = 1, .lcores = {9}};
	struct resources nics = {.nic_count = 1, .nics = {"eth9"}};
	struct resources cpus = {.cpus = 4.001};

	(void)state;
	assert_null(resources_write(&lcores, offer, "*"));
	assert_null(resources_write(&nics, offer, "*"));
	assert_null(resources_write(&cpus, offer, "*"));
	json_decref(offer);
}

static void lists_of_lcores_are_written_and_read(void **state)
{
	static const char *const right[][2] = {{"2-3,6", "2-3,6"}, {"6,3,2", "2-3,6"}, {"0", "0"},
		{"1023", "1023"}, {"0-127", "0-127"}};
	static const char *const wrong[] = {"", "a", "1,", "3-1", "1,1", "1024", "0-128", "1 "};
	struct resources r = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_true(resources_lcores_parse(right[i][0], &r));
		assert_lcores(&r, right[i][1]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (resources_lcores_parse(wrong[i], &r))
			fail_msg("taken: '%s'", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_offer_is_read),
		cmocka_unit_test(what_is_reserved_for_the_role_counts_and_for_others_not),
		cmocka_unit_test(disk_counts_only_where_a_volume_can_be_made_of_it),
		cmocka_unit_test(what_is_not_ours_to_take_is_left_out),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(more_than_there_is_room_for_is_cut),
		cmocka_unit_test(each_thing_that_is_too_little_is_named),
		cmocka_unit_test(scalars_are_counted_in_thousandths),
		cmocka_unit_test(lcores_and_nics_it_had_are_preferred),
		cmocka_unit_test(parts_keep_their_reservations_and_allocation),
		cmocka_unit_test(dynamic_reservations_are_written_as_they_came),
		cmocka_unit_test(what_is_written_is_taken_out_of_the_offer),
		cmocka_unit_test(more_than_the_offer_has_is_not_written),
		cmocka_unit_test(lists_of_lcores_are_written_and_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
