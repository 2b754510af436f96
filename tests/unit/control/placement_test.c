// SPDX-License-Identifier: BSD-3-Clause

#include "tests/unit/control/placement_test.h"

static struct cluster cluster;
static struct constraint_slave placed[SLAVES_MAX];
static unsigned placed_count;
static struct placement got;

static int setup(void **state)
{
	(void)state;
	make_cluster(&cluster, 4, 2);
	placed_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_cluster(&cluster);
	return 0;
}

static void choose(const struct spec *spec, const struct placement_receiver *receiver)
{
	placement_choose(spec, receiver, cluster.offers, cluster.count, placed, placed_count, &got);
}

static void choose_name(const struct spec *spec, const char *name)
{
	choose(spec, &(struct placement_receiver){.name = name});
}

static void place(const struct spec *spec, const char *name)
{
	choose_name(spec, name);
	if (got.offer == NULL)
		fail_msg("%s: %s", name, got.why);
	placed[placed_count++] = got.offer->slave;
}

static void assert_why(const char *part)
{
	if (strstr(got.why, part) == NULL)
		fail_msg("'%s' is not in '%s'", part, got.why);
}

static void what_is_chosen_is_taken_out_of_the_offer(void **state)
{
	const struct spec spec = small_spec();

	(void)state;
	choose_name(&spec, "receiver0");
	assert_non_null(got.offer);
	assert_true(got.taken.cpus == 2 && got.taken.mem == 1024);
	assert_int_equal(got.taken.lcore_count, 1);
	assert_int_equal(got.taken.lcores[0], 0);
	assert_string_equal(got.taken.nics[0], "eth1");
	assert_string_equal(got.log_path, "/srv/log");
	assert_null(got.volume);
	assert_true(got.offer->free.cpus == 2 && got.offer->free.mem == 3072);
	assert_int_equal(got.offer->free.lcores[0], 1);
	assert_string_equal(got.offer->free.nics[0], "eth2");
	assert_why("has the fewest receivers, 0, of the slaves");
}

static void receivers_are_spread_over_the_slaves(void **state)
{
	const struct spec spec = small_spec();
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "receiver%u", i);
		place(&spec, name);
		for (unsigned n = 0; i == 3 && n < 4; n++)
			assert_int_equal(cluster.offers[n].free.nic_count, 1);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(cluster.offers[i].free.nic_count, 0); // two on each
		assert_true(cluster.offers[i].free.cpus == 0);
	}
	choose_name(&spec, "receiver8");
	assert_null(got.offer);
	assert_why("slave0: cpus: 2 wanted, 0 free");
	assert_why("slave3: cpus: 2 wanted, 0 free");
}

static void swap_offers(unsigned i, unsigned j)
{
	struct placement_offer o = cluster.offers[i];

	cluster.offers[i] = cluster.offers[j];
	cluster.offers[j] = o;
}

static void the_offers_order_decides_nothing(void **state)
{
	const struct spec spec = small_spec();
	char first[8][16], name[16];

	(void)state;
	for (unsigned round = 0; round < 24; round++) {
		teardown(NULL);
		setup(NULL);
		for (unsigned i = 0; i < 4; i++)
			swap_offers(i, (i * 7 + round * 5 + round / 4) % 4);
		for (unsigned i = 0; i < 8; i++) {
			snprintf(name, sizeof(name), "receiver%u", i);
			place(&spec, name);
			if (round == 0)
				snprintf(first[i], sizeof(first[i]), "%s",
					got.offer->slave.hostname);
			else
				assert_string_equal(got.offer->slave.hostname, first[i]);
		}
	}
}

// Of many receivers each slave is the first choice of some; one more slave draws only to itself.
static void a_slave_more_moves_nobody_between_the_others(void **state)
{
	const struct spec spec = small_spec();
	const char *before[200];
	unsigned first[5] = {0}, moved = 0;
	char name[24];

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "receiver%u", i % 200);
		if (i == 200)
			add_slave(&cluster, 0, 4);
		choose_name(&spec, name);
		assert_non_null(got.offer);
		resources_read(got.offer->list, "*", &got.offer->free);
		if (i < 200) {
			before[i] = got.offer->slave.hostname;
		} else if (strcmp(before[i - 200], got.offer->slave.hostname) != 0) {
			assert_string_equal(got.offer->slave.hostname, "slave4");
			moved++;
		}
		first[got.offer - cluster.offers] += i >= 200;
	}
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(first[i], 20, 65); // 40, but for chance
	assert_int_equal(moved, first[4]);
}

static void a_bound_receiver_waits_for_its_slave(void **state)
{
	struct spec spec = small_spec();
	struct placement_receiver bound = {.name = "receiver0", .slave = "slave2"};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		placed[placed_count++] = cluster.offers[2].slave; // not the emptiest
	choose(&spec, &bound);
	assert_string_equal(got.offer->slave.hostname, "slave2");
	assert_why("its log is on slave2");
	bound.slave = "slave9";
	choose(&spec, &bound);
	assert_null(got.offer);
	assert_null(got.log_path);
	assert_string_equal(got.why, "its log is on slave9, of which there is no offer");
	bound.slave = "slave2";
	cluster.offers[2].free.lcore_count = 0;
	choose(&spec, &bound);
	assert_null(got.offer);
	assert_string_equal(got.why, "slave2: lcores: 1 wanted, 0 free");
}

// A constraint says where a log begins. A slave that drains keeps even its own away.
static void a_bound_receiver_is_asked_for_no_constraint(void **state)
{
	struct spec spec = small_spec();
	struct placement_receiver bound = {.name = "receiver0", .slave = "slave2"};

	(void)state;
	constrain(&spec, "hostname", "UNLIKE", "slave2");
	choose(&spec, &bound);
	assert_non_null(got.offer);
	cluster.offers[2].excluded = true;
	cluster.offers[2].excluded_why = "it drains";
	choose(&spec, &bound);
	assert_null(got.offer);
	assert_string_equal(got.why, "slave2: it drains");
}

static void lcores_and_nics_stick(void **state)
{
	const struct spec spec = small_spec();
	struct resources last = {.lcore_count = 1, .lcores = {2}, .nic_count = 1, .nics = {"eth2"}};
	struct placement_receiver receiver = {
		.name = "receiver0", .slave = "slave1", .last = &last};

	(void)state;
	choose(&spec, &receiver);
	assert_int_equal(got.taken.lcores[0], 2);
	assert_string_equal(got.taken.nics[0], "eth2");
	choose(&spec, &receiver); // they are taken now
	assert_int_equal(got.taken.lcores[0], 0);
	assert_string_equal(got.taken.nics[0], "eth1");
}

static void why_none_fits_is_said_of_each_slave(void **state)
{
	struct spec spec = small_spec();

	(void)state;
	constrain(&spec, "hostname", "UNIQUE", NULL);
	cluster.offers[0].excluded = true;
	cluster.offers[0].excluded_why = "it drains";
	placed[placed_count++] = cluster.offers[1].slave;
	json_object_del(cluster.attributes[2], "log");
	cluster.offers[3].free.mem = 1000.5;
	choose_name(&spec, "receiver0");
	assert_null(got.offer);
	assert_why("slave0: it drains");
	assert_why("slave1: hostname UNIQUE: 'slave1' has one");
	assert_why("slave2: it has no attribute log, which says where the log is");
	assert_why("slave3: mem: 1024 wanted, 1000.5 free");
	placement_choose(&spec, &(struct placement_receiver){.name = "a"}, NULL, 0, NULL, 0, &got);
	assert_string_equal(got.why, "there is no offer");
}

static void what_has_no_room_in_the_reasons_is_counted(void **state)
{
	struct spec spec = small_spec();
	unsigned said = 0, more = 0;

	(void)state;
	for (unsigned i = 4; i < SLAVES_MAX; i++)
		add_slave(&cluster, 0, 0.5);
	spec.lcores = 5;
	choose_name(&spec, "receiver0");
	assert_null(got.offer);
	for (const char *c = got.why; (c = strstr(c, "wanted")) != NULL; c++)
		said++;
	assert_int_equal(sscanf(strchr(got.why, '(') + 1, "and %u more)", &more), 1);
	assert_true(said >= 3);
	assert_int_equal(said + more, SLAVES_MAX);
}

static void a_relative_path_is_no_place_for_a_log(void **state)
{
	const struct spec spec = small_spec();

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		json_object_set_new(cluster.attributes[i], "log", json_string("srv/log"));
	choose_name(&spec, "receiver0");
	assert_null(got.offer);
	assert_why("its attribute log is no absolute path");
}

static void give_disk(unsigned slave, double mib, const char *volume)
{
	struct placement_offer *o = &cluster.offers[slave];
	json_t *entry = json_pack(
		"{s:s,s:s,s:{s:f}}", "name", "disk", "role", "millrace", "scalar", "value", mib);

	if (volume != NULL)
		json_object_set_new(
			entry, "disk", json_pack("{s:{s:s}}", "persistence", "id", volume));
	json_array_append_new(o->list, entry);
	assert_int_equal(resources_read(o->list, "millrace", &o->free), 0);
}

static void a_new_volume_takes_reserved_disk_and_an_old_one_is_found(void **state)
{
	struct spec spec = small_spec();
	struct placement_receiver receiver = {.name = "receiver0"};

	(void)state;
	spec.log_attribute[0] = '\0';
	spec.volume_bytes = 1000ull << 20;
	give_disk(1, 999, NULL);
	give_disk(2, 1000, NULL);
	give_disk(3, 1000, "vol7"); // somebody's
	choose(&spec, &receiver);
	assert_string_equal(got.offer->slave.hostname, "slave2");
	assert_true(got.taken.disk == 1000 && got.offer->free.disk == 0);
	assert_null(got.volume);
	assert_null(got.log_path);
	receiver.slave = "slave3";
	receiver.volume = "vol7";
	choose(&spec, &receiver);
	assert_non_null(got.offer);
	assert_true(got.taken.disk == 0);
	assert_ptr_equal(got.volume, json_array_get(cluster.offers[3].list, 5));
	receiver.volume = "vol8";
	choose(&spec, &receiver);
	assert_null(got.offer);
	assert_string_equal(got.why, "slave3: the volume vol8 is not in this offer");
}

// Whatever the order in which they came: all of a slave's are counted.
static void all_receivers_of_a_slave_count(void **state)
{
	const struct spec spec = small_spec();
	struct constraint_slave many[12];
	char why[80];

	(void)state;
	for (unsigned fewest = 0; fewest < 4; fewest++) {
		for (unsigned i = 0; i < 12; i++) {
			unsigned slave = i % 4;

			if (slave == fewest && i >= 8) // two there, three or four elsewhere
				slave = (slave + 1) % 4;
			many[i] = cluster.offers[slave].slave;
		}
		placement_choose(&spec, &(struct placement_receiver){.name = "receiver0"},
			cluster.offers, cluster.count, many, 12, &got);
		assert_ptr_equal(got.offer, &cluster.offers[fewest]);
		snprintf(why, sizeof(why), "slave%u has the fewest receivers, 2, of", fewest);
		assert_why(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_chosen_is_taken_out_of_the_offer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			receivers_are_spread_over_the_slaves, setup, teardown),
		cmocka_unit_test_setup_teardown(all_receivers_of_a_slave_count, setup, teardown),
		cmocka_unit_test_setup_teardown(the_offers_order_decides_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_slave_more_moves_nobody_between_the_others, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_bound_receiver_waits_for_its_slave, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_bound_receiver_is_asked_for_no_constraint, setup, teardown),
		cmocka_unit_test_setup_teardown(lcores_and_nics_stick, setup, teardown),
		cmocka_unit_test_setup_teardown(
			why_none_fits_is_said_of_each_slave, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_has_no_room_in_the_reasons_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_relative_path_is_no_place_for_a_log, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_new_volume_takes_reserved_disk_and_an_old_one_is_found, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
