// SPDX-License-Identifier: BSD-3-Clause

#include "control/placement.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MORE_BYTES 24 // " (and 1000 more)"

struct candidate {
	struct placement_offer *offer;
	unsigned receivers; // already on its slave
	uint64_t weight;
};

struct choosing {
	const struct spec *spec;
	const struct placement_receiver *receiver;
	const struct constraint_slave *placed;
	unsigned placed_count;
	struct placement *ret;
	unsigned unsaid; // refusals that found no room in ret->why
};

static uint64_t hash_text(uint64_t hash, const char *text)
{
	// FNV-1a, the end of the text included: "a","bc" is not "ab","c".
	do {
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
	} while (*text++ != '\0');
	return hash;
}

// Highest wins. A slave that comes or goes changes nothing between the others.
static uint64_t weight(const char *receiver, const char *hostname)
{
	uint64_t hash = hash_text(hash_text(0xcbf29ce484222325ull, receiver), hostname);

	// FNV's high bits hardly know of the last bytes.
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
	return hash ^ hash >> 33;
}

static int better_first(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->receivers != b->receivers)
		return a->receivers < b->receivers ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	return strcmp(a->offer->id, b->offer->id); // of one slave
}

static void refuse(struct choosing *c, const struct placement_offer *offer, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct choosing *c, const struct placement_offer *offer, const char *fmt, ...)
{
	char reason[PLACEMENT_WHY_BYTES], text[PLACEMENT_WHY_BYTES + 80];
	size_t len = strlen(c->ret->why), room = sizeof(c->ret->why) - MORE_BYTES - len;
	va_list ap;
	int more;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	more = snprintf(text, sizeof(text), "%s%.64s: %s", len > 0 ? "; " : "",
		offer->slave.hostname, reason);
	// The first is cut rather than left out.
	if (c->unsaid > 0 || ((size_t)more >= room && len > 0))
		c->unsaid++;
	else
		snprintf(c->ret->why + len, room, "%s", text);
}

static void refuse_missing(struct choosing *c, const struct placement_offer *offer,
	const struct resources_need *need, const char *missing)
{
	const struct resources *have = &offer->free;
	const struct {
		const char *name;
		double wanted, free;
	} amounts[] = {
		{"cpus", need->cpus, have->cpus},
		{"mem", need->mem, have->mem},
		{"disk", need->disk, have->disk},
		{"hugepages", need->hugepages, have->hugepages},
		{"lcores", need->lcores, have->lcore_count},
		{"nics", need->nics, have->nic_count},
	};

	for (unsigned i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++)
		if (strcmp(missing, amounts[i].name) == 0)
			refuse(c, offer, "%s: %.12g wanted, %.12g free", missing, amounts[i].wanted,
				amounts[i].free);
}

static const json_t *find_volume(const json_t *list, const char *id)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const json_t *persistence =
			json_object_get(json_object_get(entry, "disk"), "persistence");
		const char *own = json_string_value(json_object_get(persistence, "id"));

		if (own != NULL && strcmp(own, id) == 0)
			return entry;
	}
	return NULL;
}

// Where the log is, or will be.
static bool find_log(struct choosing *c, const struct placement_offer *offer)
{
	const char *attribute = c->spec->log_attribute;
	const char *volume = c->receiver->volume, *path;

	c->ret->volume = NULL;
	c->ret->log_path = NULL;
	if (c->spec->volume_bytes != 0 || volume != NULL) {
		if (volume == NULL) // one is made; or the log has a path from when 'log' said so
			return true;
		c->ret->volume = find_volume(offer->list, volume);
		if (c->ret->volume == NULL)
			refuse(c, offer, "the volume %.64s is not in this offer", volume);
		return c->ret->volume != NULL;
	}
	path = json_string_value(json_object_get(offer->slave.attributes, attribute));
	if (path == NULL)
		refuse(c, offer, "it has no attribute %s, which says where the log is", attribute);
	else if (*path != '/')
		refuse(c, offer, "its attribute %s is no absolute path", attribute);
	else
		c->ret->log_path = path;
	return c->ret->log_path != NULL;
}

static bool allowed(struct choosing *c, const struct placement_offer *offer)
{
	char why[PLACEMENT_WHY_BYTES];

	if (offer->excluded) {
		refuse(c, offer, "%s",
			offer->excluded_why != NULL ? offer->excluded_why : "it is excluded");
		return false;
	}
	if (!find_log(c, offer))
		return false;
	if (c->receiver->slave != NULL ||
		constraints_allow(c->spec->constraints, c->spec->constraint_count, &offer->slave,
			c->placed, c->placed_count, why, sizeof(why)))
		return true;
	refuse(c, offer, "%s", why);
	return false;
}

static bool take(struct choosing *c, const struct candidate *candidate)
{
	struct resources_need need = spec_need(c->spec);
	struct placement_offer *offer = candidate->offer;
	const char *missing;

	if (!allowed(c, offer))
		return false;
	if (c->ret->volume != NULL || c->receiver->has_path)
		need.disk = 0;
	if (!resources_take(&offer->free, &need, c->receiver->last, &c->ret->taken, &missing)) {
		refuse_missing(c, offer, &need, missing);
		return false;
	}
	c->ret->offer = offer;
	return true;
}

static void say_chosen(struct choosing *c, const struct candidate *candidate)
{
	if (c->receiver->slave != NULL)
		snprintf(c->ret->why, sizeof(c->ret->why), "its log is on %.64s",
			c->receiver->slave);
	else
		snprintf(c->ret->why, sizeof(c->ret->why),
			"%.64s has the fewest receivers, %u, of the slaves that it may be on",
			candidate->offer->slave.hostname, candidate->receivers);
}

static void say_none(struct choosing *c, unsigned candidates)
{
	size_t len = strlen(c->ret->why);

	c->ret->log_path = NULL;
	c->ret->volume = NULL;
	if (candidates == 0 && c->receiver->slave != NULL)
		snprintf(c->ret->why, sizeof(c->ret->why),
			"its log is on %.64s, of which there is no offer", c->receiver->slave);
	else if (candidates == 0)
		snprintf(c->ret->why, sizeof(c->ret->why), "there is no offer");
	else if (c->unsaid > 0)
		snprintf(c->ret->why + len, sizeof(c->ret->why) - len, " (and %u more)", c->unsaid);
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

// The hostnames of those that are placed, sorted: each offer asks how many are on its slave.
static const char **list_placed(const struct choosing *c)
{
	const char **ret = calloc(c->placed_count + 1, sizeof(*ret));

	if (ret == NULL)
		return NULL;
	for (unsigned i = 0; i < c->placed_count; i++)
		ret[i] = c->placed[i].hostname;
	qsort(ret, c->placed_count, sizeof(*ret), by_text);
	return ret;
}

static unsigned receivers_on(const struct choosing *c, const char **placed, const char *hostname)
{
	const char **found = bsearch(&hostname, placed, c->placed_count, sizeof(*placed), by_text);
	const char **from = found, **end = placed + c->placed_count;

	if (found == NULL)
		return 0;
	while (from > placed && strcmp(from[-1], hostname) == 0)
		from--;
	while (found < end && strcmp(*found, hostname) == 0)
		found++;
	return (unsigned)(found - from);
}

// Those that it may be on at all, best first.
static unsigned list_candidates(const struct choosing *c, struct placement_offer *offers,
	unsigned offer_count, const char **placed, struct candidate *ret)
{
	unsigned count = 0;

	for (unsigned i = 0; i < offer_count; i++) {
		const char *hostname = offers[i].slave.hostname;

#ifndef MUTANT_PLACEMENT_UNBOUND
		if (c->receiver->slave != NULL && strcmp(c->receiver->slave, hostname) != 0)
			continue;
#endif
		ret[count++] = (struct candidate){.offer = &offers[i],
			.receivers = receivers_on(c, placed, hostname),
			.weight = weight(c->receiver->name, hostname)};
	}
	qsort(ret, count, sizeof(*ret), better_first);
	return count;
}

void placement_choose(const struct spec *spec, const struct placement_receiver *receiver,
	struct placement_offer *offers, unsigned offer_count, const struct constraint_slave *placed,
	unsigned placed_count, struct placement *ret)
{
	struct choosing c = {.spec = spec,
		.receiver = receiver,
		.placed = placed,
		.placed_count = placed_count,
		.ret = ret};
	struct candidate *list = calloc(offer_count + 1, sizeof(*list));
	const char **on = list_placed(&c);
	unsigned count, i = 0;

	memset(ret, 0, sizeof(*ret));
	if (list == NULL || on == NULL) {
		snprintf(ret->why, sizeof(ret->why), "no memory to compare %u offers", offer_count);
		goto end;
	}
	count = list_candidates(&c, offers, offer_count, on, list);
	while (i < count && !take(&c, &list[i]))
		i++;
	if (i < count)
		say_chosen(&c, &list[i]);
	else
		say_none(&c, count);

end:
	free(on);
	free(list);
}
