// SPDX-License-Identifier: BSD-3-Clause

#include "control/resources.h"

#include "control/resources_entry.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_number(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static int add_scalar(const json_t *entry, double *field)
{
	int64_t have = thousandths(*field), more;

	if (entry_scalar(entry, &more) != 0)
		return -EINVAL;
	*field = (double)(have + more) / 1000;
	return 0;
}

static bool has_lcore(const struct resources *r, uint16_t lcore)
{
	return bsearch(&lcore, r->lcores, r->lcore_count, sizeof(lcore), by_number) != NULL;
}

static int add_lcores(const json_t *entry, struct lcore_set *set)
{
	const json_t *range;
	size_t i;
	int64_t begin, end;

	if (!json_is_array(entry_ranges(entry)))
		return -EINVAL;
	json_array_foreach(entry_ranges(entry), i, range)
	{
		if (!range_read(range, &begin, &end))
			return -EINVAL;
		for (int64_t n = begin; n <= end && n <= CPUS_NUMBER_MAX; n++)
			set->has[n] = true;
	}
	return 0;
}

static void keep_lcores(const struct lcore_set *set, struct resources *ret)
{
	for (unsigned n = 0; n <= CPUS_NUMBER_MAX && ret->lcore_count < RESOURCES_LCORES_MAX; n++)
		if (set->has[n])
			ret->lcores[ret->lcore_count++] = (uint16_t)n;
}

static bool has_nic(const struct resources *r, const char *name)
{
	for (unsigned i = 0; i < r->nic_count; i++)
		if (strcmp(r->nics[i], name) == 0)
			return true;
	return false;
}

// In its place; the last falls out when there is no room.
static void add_nic(struct resources *r, const char *name)
{
	unsigned at = 0, tail;

	if (has_nic(r, name))
		return;
	while (at < r->nic_count && strverscmp(r->nics[at], name) < 0)
		at++;
	if (at == RESOURCES_NICS_MAX)
		return;
	if (r->nic_count < RESOURCES_NICS_MAX)
		r->nic_count++;
	tail = r->nic_count - at - 1;
	memmove(r->nics[at + 1], r->nics[at], (size_t)tail * RESOURCES_NAME_MAX);
	memset(r->nics[at], 0, RESOURCES_NAME_MAX);
	memcpy(r->nics[at], name, strlen(name));
}

static int add_nics(const json_t *entry, struct resources *ret)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(entry_items(entry)))
		return -EINVAL;
	json_array_foreach(entry_items(entry), i, item)
	{
		const char *name = json_string_value(item);

		if (name == NULL || *name == '\0' || strlen(name) >= RESOURCES_NAME_MAX)
			return -EINVAL;
		add_nic(ret, name);
	}
	return 0;
}

static int add_entry(const json_t *entry, struct lcore_set *lcores, struct resources *ret)
{
	const char *name = entry_name(entry);
	double *field = scalar_field(ret, name);

	if (field != NULL)
		return add_scalar(entry, field);
	if (strcmp(name, "lcores") == 0)
		return add_lcores(entry, lcores);
	if (strcmp(name, "nics") == 0)
		return add_nics(entry, ret);
	return 0;
}

int resources_read(const json_t *list, const char *role, struct resources *ret)
{
	struct lcore_set lcores = {0};
	const json_t *entry;
	size_t i;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (!json_is_array(list))
		return -EINVAL;
	json_array_foreach(list, i, entry)
	{
		if (entry_name(entry) == NULL || entry_role(entry) == NULL)
			return -EINVAL;
		if (!entry_usable(entry, role))
			continue;
		rc = add_entry(entry, &lcores, ret);
		if (rc != 0)
			return rc;
	}
	keep_lcores(&lcores, ret);
	return 0;
}

static const char *first_missing(const struct resources *from, const struct resources_need *need)
{
	if (thousandths(from->cpus) < thousandths(need->cpus))
		return "cpus";
	if (thousandths(from->mem) < thousandths(need->mem))
		return "mem";
	if (thousandths(from->disk) < thousandths(need->disk))
		return "disk";
	if (thousandths(from->hugepages) < thousandths(need->hugepages))
		return "hugepages";
	if (from->lcore_count < need->lcores)
		return "lcores";
	return from->nic_count < need->nics ? "nics" : NULL;
}

static void take_scalar(double *from, double need, double *ret)
{
	*ret = (double)thousandths(need) / 1000;
	*from = (double)(thousandths(*from) - thousandths(need)) / 1000;
}

static void take_lcore(struct resources *from, unsigned i, struct resources *ret)
{
	ret->lcores[ret->lcore_count++] = from->lcores[i];
	from->lcore_count--;
	memmove(&from->lcores[i], &from->lcores[i + 1],
		(from->lcore_count - i) * sizeof(from->lcores[0]));
}

static void take_lcores(struct resources *from, unsigned need, const struct resources *wanted,
	struct resources *ret)
{
	bool all = wanted != NULL;

	for (unsigned i = 0; all && i < wanted->lcore_count; i++)
		all = has_lcore(from, wanted->lcores[i]);
	for (unsigned i = 0; all && i < from->lcore_count && ret->lcore_count < need;) {
		if (has_lcore(wanted, from->lcores[i]))
			take_lcore(from, i, ret);
		else
			i++;
	}
	while (ret->lcore_count < need)
		take_lcore(from, 0, ret);
	qsort(ret->lcores, ret->lcore_count, sizeof(ret->lcores[0]), by_number);
}

static void take_nic(struct resources *from, unsigned i, struct resources *ret)
{
	add_nic(ret, from->nics[i]);
	from->nic_count--;
	memmove(from->nics[i], from->nics[i + 1],
		(size_t)(from->nic_count - i) * RESOURCES_NAME_MAX);
}

static void take_nics(struct resources *from, unsigned need, const struct resources *wanted,
	struct resources *ret)
{
	bool all = wanted != NULL;

	for (unsigned i = 0; all && i < wanted->nic_count; i++)
		all = has_nic(from, wanted->nics[i]);
	for (unsigned i = 0; all && i < from->nic_count && ret->nic_count < need;) {
		if (has_nic(wanted, from->nics[i]))
			take_nic(from, i, ret);
		else
			i++;
	}
	while (ret->nic_count < need)
		take_nic(from, 0, ret);
}

bool resources_take(struct resources *from, const struct resources_need *need,
	const struct resources *wanted, struct resources *ret, const char **missing)
{
	memset(ret, 0, sizeof(*ret));
	*missing = first_missing(from, need);
	if (*missing != NULL)
		return false;
	take_scalar(&from->cpus, need->cpus, &ret->cpus);
	take_scalar(&from->mem, need->mem, &ret->mem);
	take_scalar(&from->disk, need->disk, &ret->disk);
	take_scalar(&from->hugepages, need->hugepages, &ret->hugepages);
	take_lcores(from, need->lcores, wanted, ret);
	take_nics(from, need->nics, wanted, ret);
	return true;
}

const char *resources_lcores_text(const struct resources *r, char *buf, size_t size)
{
	return cpus_text(r->lcores, r->lcore_count, buf, size);
}

bool resources_lcores_parse(const char *text, struct resources *ret)
{
	if (cpus_parse(text, ret->lcores, &ret->lcore_count) != NULL)
		return false;
	qsort(ret->lcores, ret->lcore_count, sizeof(ret->lcores[0]), by_number);
	return true;
}
