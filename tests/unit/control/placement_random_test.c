// SPDX-License-Identifier: BSD-3-Clause
// Random clusters and desired states, of a seed: whatever is chosen, no resource is there twice, no
// constraint is broken, and nobody is refused for whom there is a place.

#include "tests/unit/control/placement_test.h"

#include <stdlib.h>

#define ROUNDS 400
#define SEED 20240607u

static unsigned seed;

static unsigned pick(unsigned below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 16) % below;
}

struct round {
	struct cluster cluster;
	json_t *lists[SLAVES_MAX]; // as they were offered
	struct spec spec;
	struct constraint_slave placed[SLAVES_MAX * 4];
	unsigned placed_count;
	struct resources used[SLAVES_MAX];
};

static void random_spec(struct round *r)
{
	static const char *const likes[] = {"r[01]", "r.*", "slave1|slave2", "slave[0-5]"};
	char number[8];

	r->spec = small_spec();
	r->spec.lcores = 1 + pick(3);
	r->spec.nics = pick(3);
	r->spec.hugepages = pick(3) * 100;
	snprintf(number, sizeof(number), "%u", 1 + pick(3));
	if (pick(3) == 0)
		constrain(&r->spec, "hostname", "UNIQUE", NULL);
	if (pick(4) == 0)
		constrain(&r->spec, "rack", "CLUSTER", pick(2) == 0 ? "r0" : NULL);
	if (pick(3) == 0)
		constrain(&r->spec, "rack", "GROUP_BY", pick(2) == 0 ? number : NULL);
	if (pick(3) == 0)
		constrain(&r->spec, "rack", "MAX_PER", number);
	if (pick(4) == 0)
		constrain(&r->spec, pick(2) == 0 ? "hostname" : "rack",
			pick(2) == 0 ? "LIKE" : "UNLIKE", likes[pick(4)]);
}

static void random_cluster(struct round *r)
{
	unsigned slaves = 1 + pick(SLAVES_MAX), racks = 1 + pick(4);

	memset(&r->cluster, 0, sizeof(r->cluster));
	for (unsigned i = 0; i < slaves; i++) {
		add_slave(&r->cluster, pick(racks), 1.5 + pick(6));
		r->cluster.offers[i].excluded = pick(8) == 0;
		if (pick(8) == 0)
			json_object_del(r->cluster.attributes[i], "log");
		r->lists[i] = json_deep_copy(r->cluster.offers[i].list);
	}
}

// What a slave gives is there once: lcores and NICs by name, scalars by their sum.
static void check_taken(struct round *r, unsigned slave, const struct resources *taken)
{
	struct resources *used = &r->used[slave], had;

	assert_int_equal(resources_read(r->lists[slave], "*", &had), 0);
	assert_int_equal(taken->lcore_count, r->spec.lcores);
	assert_int_equal(taken->nic_count, r->spec.nics);
	for (unsigned i = 0; i < taken->lcore_count; i++) {
		for (unsigned j = 0; j < used->lcore_count; j++)
			assert_int_not_equal(taken->lcores[i], used->lcores[j]);
		assert_in_range(taken->lcores[i], 0, 3);
	}
	for (unsigned i = 0; i < taken->lcore_count; i++)
		used->lcores[used->lcore_count++] = taken->lcores[i];
	for (unsigned i = 0; i < taken->nic_count; i++) {
		for (unsigned j = 0; j < used->nic_count; j++)
			assert_string_not_equal(taken->nics[i], used->nics[j]);
		memcpy(used->nics[used->nic_count++], taken->nics[i], sizeof(used->nics[0]));
	}
	used->cpus += taken->cpus;
	used->mem += taken->mem;
	used->hugepages += taken->hugepages;
	assert_true(used->cpus <= had.cpus && used->mem <= had.mem);
	assert_true(used->hugepages <= had.hugepages);
}

// The master would take it: the offers' own lists hold what is written, too.
static void check_written(struct placement *got)
{
	json_t *list = resources_write(&got->taken, got->offer->list, "*");
	struct resources again;

	assert_non_null(list);
	assert_int_equal(resources_read(list, "*", &again), 0);
	assert_memory_equal(&again, &got->taken, sizeof(again));
	assert_int_equal(resources_read(got->offer->list, "*", &again), 0);
	assert_true(again.cpus == got->offer->free.cpus);
	assert_int_equal(again.lcore_count, got->offer->free.lcore_count);
	json_decref(list);
}

static bool allows(const struct round *r, unsigned slave)
{
	const struct placement_offer *o = &r->cluster.offers[slave];
	struct resources free_now = o->free, taken;
	const struct resources_need need = spec_need(&r->spec);
	const char *missing;
	char why[256];

	return !o->excluded && json_object_get(o->slave.attributes, "log") != NULL &&
	       constraints_allow(r->spec.constraints, r->spec.constraint_count, &o->slave,
		       r->placed, r->placed_count, why, sizeof(why)) &&
	       resources_take(&free_now, &need, NULL, &taken, &missing);
}

static bool place_one(struct round *r, unsigned number)
{
	char name[24];
	struct placement got;
	bool could[SLAVES_MAX], any = false;
	unsigned slave;

	snprintf(name, sizeof(name), "receiver%u", number);
	for (unsigned i = 0; i < r->cluster.count; i++)
		any |= could[i] = allows(r, i);
	placement_choose(&r->spec, &(struct placement_receiver){.name = name}, r->cluster.offers,
		r->cluster.count, r->placed, r->placed_count, &got);
	assert_true(got.why[0] != '\0');
	assert_int_equal(got.offer != NULL, any);
	if (got.offer == NULL)
		return false;
	slave = (unsigned)(got.offer - r->cluster.offers);
	assert_true(could[slave]);
	check_taken(r, slave, &got.taken);
	check_written(&got);
	r->placed[r->placed_count++] = got.offer->slave;
	return true;
}

static void whatever_is_chosen_is_right(void **state)
{
	unsigned placed = 0, full = 0;

	(void)state;
	seed = SEED;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct round *r = calloc(1, sizeof(*r));

		random_spec(r);
		random_cluster(r);
		while (r->placed_count < SLAVES_MAX * 3 && place_one(r, r->placed_count))
			placed++;
		full += r->placed_count > 0;
		for (unsigned n = 0; n < r->cluster.count; n++)
			json_decref(r->lists[n]);
		free_cluster(&r->cluster);
		free(r);
	}
	print_message("%u receivers in %u of %u clusters\n", placed, full, ROUNDS);
	assert_true(placed > ROUNDS && full > ROUNDS / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_chosen_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
