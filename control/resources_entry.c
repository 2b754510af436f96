// SPDX-License-Identifier: BSD-3-Clause

#include "control/resources_entry.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SCALAR_MAX 1e12 // no machine has as much

int64_t thousandths(double value)
{
	return llround(value * 1000);
}

const char *entry_name(const json_t *entry)
{
	return json_string_value(json_object_get(entry, "name"));
}

// A stack of reservations, whose last counts, is what masters send to those who can refine; else
// there is a role.
const char *entry_role(const json_t *entry)
{
	const json_t *stack = json_object_get(entry, "reservations");
	const json_t *role = json_object_get(entry, "role");

	if (json_array_size(stack) > 0)
		role = json_object_get(json_array_get(stack, json_array_size(stack) - 1), "role");
	else if (role == NULL)
		return json_is_object(entry) ? "*" : NULL;
	return json_string_value(role);
}

bool entry_usable(const json_t *entry, const char *role)
{
	static const char *const others[] = {"revocable", "shared", "disk"};
	const char *own = entry_role(entry);

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (json_object_get(entry, others[i]) != NULL)
			return false;
	if (strcmp(own, "*") == 0)
		return strcmp(entry_name(entry), "disk") != 0;
	return strcmp(own, role) == 0;
}

int entry_scalar(const json_t *entry, int64_t *ret_thousandths)
{
	const json_t *value = json_object_get(json_object_get(entry, "scalar"), "value");
	double number = json_number_value(value);

	if (!json_is_number(value) || number < 0 || number > SCALAR_MAX)
		return -EINVAL;
	*ret_thousandths = thousandths(number);
	return 0;
}

json_t *entry_ranges(const json_t *entry)
{
	return json_object_get(json_object_get(entry, "ranges"), "range");
}

json_t *entry_items(const json_t *entry)
{
	return json_object_get(json_object_get(entry, "set"), "item");
}

bool range_read(const json_t *range, int64_t *begin, int64_t *end)
{
	const json_t *first = json_object_get(range, "begin"),
		     *last = json_object_get(range, "end");

	*begin = json_integer_value(first);
	*end = json_integer_value(last);
	return json_is_integer(first) && json_is_integer(last) && *begin >= 0 && *begin <= *end;
}

double *scalar_field(struct resources *r, const char *name)
{
	if (strcmp(name, "cpus") == 0)
		return &r->cpus;
	if (strcmp(name, "mem") == 0)
		return &r->mem;
	if (strcmp(name, "disk") == 0)
		return &r->disk;
	return strcmp(name, "hugepages") == 0 ? &r->hugepages : NULL;
}
