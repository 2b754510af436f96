// SPDX-License-Identifier: BSD-3-Clause
// What is taken, in the terms of the entries that it comes out of.

#include "control/resources_entry.h"

#include <string.h>

struct writing {
	const struct resources *taken;
	struct lcore_set lcores; // not yet written
	bool nics[RESOURCES_NICS_MAX];
	json_t *ret;
};

// The entry with another value.
static int append(json_t *list, const json_t *entry, const char *kind, json_t *value)
{
	json_t *copy = json_deep_copy(entry);

	if (json_object_set_new(copy, kind, value) != 0) {
		json_decref(copy);
		return -1;
	}
	return json_array_append_new(list, copy);
}

static json_t *scalar_value(int64_t amount)
{
	return json_pack("{s:f}", "value", (double)amount / 1000);
}

static int part_of_scalar(struct writing *w, json_t *entry, int64_t *left)
{
	int64_t have, part;

	if (entry_scalar(entry, &have) != 0)
		return -1;
	part = have < *left ? have : *left;
	if (part == 0)
		return 0;
	*left -= part;
	if (append(w->ret, entry, "scalar", scalar_value(part)) != 0)
		return -1;
	return json_object_set_new(entry, "scalar", scalar_value(have - part));
}

// Appends n to the last range, or a new one.
static int add_number(json_t *ranges, int64_t n)
{
	json_t *last = json_array_get(ranges, json_array_size(ranges) - 1);

	if (last != NULL && json_integer_value(json_object_get(last, "end")) == n - 1)
		return json_object_set_new(last, "end", json_integer(n));
	return json_array_append_new(ranges, json_pack("{s:I,s:I}", "begin", n, "end", n));
}

// The numbers of a range to the part where we want them, else to the rest.
static int split_range(struct writing *w, const json_t *range, json_t *part, json_t *rest)
{
	int64_t begin, end;
	int rc = range_read(range, &begin, &end) ? 0 : -1;

	for (int64_t n = begin; rc == 0 && n <= end; n++) {
		bool ours = n <= CPUS_NUMBER_MAX && w->lcores.has[n];

		if (n > CPUS_NUMBER_MAX) // none of ours: as a whole
			return json_array_append_new(
				rest, json_pack("{s:I,s:I}", "begin", n, "end", end));
		if (ours)
			w->lcores.has[n] = false;
		rc = add_number(ours ? part : rest, n);
	}
	return rc;
}

static int put_parts(struct writing *w, json_t *entry, const char *kind, const char *list,
	json_t *part, json_t *rest)
{
	int rc = 0;

	if (json_array_size(part) > 0) {
		rc = append(w->ret, entry, kind, json_pack("{s:O}", list, part));
		if (rc == 0)
			rc = json_object_set_new(entry, kind, json_pack("{s:O}", list, rest));
	}
	json_decref(part);
	json_decref(rest);
	return rc;
}

static int part_of_lcores(struct writing *w, json_t *entry)
{
	json_t *part = json_array(), *rest = json_array();
	const json_t *range;
	size_t i;
	int rc = 0;

	json_array_foreach(entry_ranges(entry), i, range) if (rc == 0) rc =
		split_range(w, range, part, rest);
	return put_parts(w, entry, "ranges", "range", part, rest) != 0 ? -1 : rc;
}

static bool take_nic(struct writing *w, const char *name)
{
	for (unsigned i = 0; name != NULL && i < w->taken->nic_count; i++) {
		if (w->nics[i] && strcmp(w->taken->nics[i], name) == 0) {
			w->nics[i] = false;
			return true;
		}
	}
	return false;
}

static int part_of_nics(struct writing *w, json_t *entry)
{
	json_t *part = json_array(), *rest = json_array();
	json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach(entry_items(entry), i, item) rc |=
		json_array_append(take_nic(w, json_string_value(item)) ? part : rest, item);
	return put_parts(w, entry, "set", "item", part, rest) != 0 ? -1 : rc;
}

static int part_of_entry(struct writing *w, json_t *entry, int64_t *left)
{
	if (strcmp(entry_name(entry), "lcores") == 0)
		return part_of_lcores(w, entry);
	if (strcmp(entry_name(entry), "nics") == 0)
		return part_of_nics(w, entry);
	return part_of_scalar(w, entry, left);
}

// Of one name, out of what is reserved and then out of what isn't.
static int write_name(
	struct writing *w, json_t *offer, const char *role, const char *name, int64_t *left)
{
	json_t *entry;
	size_t i;

	for (unsigned pass = 0; pass < 2; pass++) {
		json_array_foreach(offer, i, entry)
		{
			if (entry_name(entry) == NULL || entry_role(entry) == NULL)
				return -1;
			if (strcmp(entry_name(entry), name) != 0 || !entry_usable(entry, role) ||
				(strcmp(entry_role(entry), "*") == 0) != (pass == 1))
				continue;
			if (part_of_entry(w, entry, left) != 0)
				return -1;
		}
	}
	return 0;
}

static int write_scalars(struct writing *w, json_t *offer, const char *role)
{
	static const char *const names[] = {"cpus", "mem", "disk", "hugepages"};
	struct resources taken = *w->taken;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int64_t left = thousandths(*scalar_field(&taken, names[i]));

		if (write_name(w, offer, role, names[i], &left) != 0 || left != 0)
			return -1;
	}
	return 0;
}

static int write_sets(struct writing *w, json_t *offer, const char *role)
{
	int64_t none = 0;

	for (unsigned i = 0; i < w->taken->lcore_count; i++)
		w->lcores.has[w->taken->lcores[i]] = true;
	for (unsigned i = 0; i < w->taken->nic_count; i++)
		w->nics[i] = true;
	if (write_name(w, offer, role, "lcores", &none) != 0 ||
		write_name(w, offer, role, "nics", &none) != 0)
		return -1;
	for (unsigned i = 0; i < w->taken->lcore_count; i++)
		if (w->lcores.has[w->taken->lcores[i]])
			return -1;
	for (unsigned i = 0; i < w->taken->nic_count; i++)
		if (w->nics[i])
			return -1;
	return 0;
}

json_t *resources_write(const struct resources *taken, json_t *offer, const char *role)
{
	struct writing w = {.taken = taken, .ret = json_array()};

	if (write_scalars(&w, offer, role) != 0 || write_sets(&w, offer, role) != 0) {
		json_decref(w.ret);
		return NULL;
	}
	return w.ret;
}
