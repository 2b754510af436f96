// SPDX-License-Identifier: BSD-3-Clause

#include "http/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {[COUNTER_TOTAL] = "total", [COUNTER_GAUGE] = "gauge"};

static const char *const role_names[] = {
	[ROLE_NONE] = NULL,
	[ROLE_PKT_IN] = "pkt_in",
	[ROLE_PKT_TAKEN] = "pkt_taken",
	[ROLE_PKT_DROP] = "pkt_drop",
	[ROLE_PKT_FLIGHT] = "pkt_flight",
	[ROLE_EV_IN] = "ev_in",
	[ROLE_EV_DURABLE] = "ev_durable",
	[ROLE_EV_DROP] = "ev_drop",
	[ROLE_EV_FLIGHT] = "ev_flight",
};

// Reads a quoted value behind its first quote; *value gets it without escapes. Returns what follows
// the closing quote, or NULL.
static const char *read_value(const char *p, char *value, size_t room)
{
	size_t len = 0;

	for (; *p != '\0' && *p != '"'; p++) {
		char c = *p;

		if (c == '\\' && p[1] != '\0')
			c = *++p == 'n' ? '\n' : *p;
		if (len + 1 < room)
			value[len++] = c;
	}
	value[len] = '\0';
	return *p == '"' ? p + 1 : NULL;
}

json_t *labels_json(const char *labels)
{
	json_t *ret = json_object();
	char key[COUNTER_LABELS_MAX], value[COUNTER_LABELS_MAX];

	for (const char *p = labels; p != NULL && *p != '\0';) {
		const char *eq = strstr(p, "=\"");

		if (eq == NULL || (size_t)(eq - p) >= sizeof(key))
			break;
		memcpy(key, p, (size_t)(eq - p));
		key[eq - p] = '\0';
		p = read_value(eq + 2, value, sizeof(value));
		if (p != NULL)
			json_object_set_new(ret, key, json_string(value));
		if (p != NULL && *p == ',')
			p++;
	}
	return ret;
}

static json_t *entry_json(const char *subsystem, const char *name, const char *labels,
	const char *kind, const char *role, uint64_t value, const char *help)
{
	return json_pack("{s:s, s:s, s:o, s:s, s:s?, s:I, s:s}", "subsystem", subsystem, "name",
		name, "labels", labels_json(labels), "kind", kind, "role", role, "value",
		(json_int_t)value, "help", help);
}

static void add_counters(const struct counter_set *set, void *arg)
{
	json_t *list = arg;

	for (unsigned i = 0; i < set->count; i++) {
		const struct counter_def *def = &set->defs[i];

		json_array_append_new(list,
			entry_json(set->subsystem, def->name, set->labels, kind_names[def->kind],
				role_names[def->role], counter_get(&set->values[i]), def->help));
	}
}

static void copy_hist(struct hist *ret, const struct hist *hist)
{
	ret->count = 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		ret->bucket[i] = counter_get(&hist->bucket[i]);
		ret->count += ret->bucket[i]; // so that count and buckets agree
	}
	ret->sum = counter_get(&hist->sum);
	ret->max = counter_get(&hist->max);
}

static json_t *buckets_json(const struct hist *hist)
{
	json_t *ret = json_array();

	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		uint64_t upper = hist_upper(i) < INT64_MAX ? hist_upper(i) : INT64_MAX;

		if (hist->bucket[i] != 0)
			json_array_append_new(ret, json_pack("[I, I]", (json_int_t)upper,
							   (json_int_t)hist->bucket[i]));
	}
	return ret;
}

static void add_hist(const struct hist_entry *entry, void *arg)
{
	json_t *list = arg, *row;
	struct hist hist;

	copy_hist(&hist, entry->hist);
	row = entry_json(entry->subsystem, entry->name, entry->labels, "histogram", NULL,
		hist.count, entry->help);
	json_object_set_new(row, "sum", json_integer((json_int_t)hist.sum));
	json_object_set_new(row, "max", json_integer((json_int_t)hist.max));
	json_object_set_new(row, "p50", json_integer((json_int_t)hist_quantile(&hist, 0.5)));
	json_object_set_new(row, "p99", json_integer((json_int_t)hist_quantile(&hist, 0.99)));
	json_object_set_new(row, "buckets", buckets_json(&hist));
	json_array_append_new(list, row);
}

json_t *stats_json(void)
{
	json_t *ret = json_array();

	if (ret == NULL)
		return NULL;
	counters_walk(add_counters, ret);
	hist_walk(add_hist, ret);
	return ret;
}

// One walk for all sums: counters_sum() of role after role would spread the reads further apart.
struct drops {
	uint64_t sum[ROLE_EV_FLIGHT + 1];
	json_t *reasons;
};

static void add_drops(const struct counter_set *set, void *arg)
{
	struct drops *drops = arg;

	for (unsigned i = 0; i < set->count; i++) {
		const struct counter_def *def = &set->defs[i];
		uint64_t value = counter_get(&set->values[i]);

		drops->sum[def->role] += value;
		if (def->role != ROLE_PKT_DROP && def->role != ROLE_EV_DROP)
			continue;
		json_array_append_new(
			drops->reasons, json_pack("{s:s, s:s, s:s, s:o, s:I, s:s}", "unit",
						def->role == ROLE_PKT_DROP ? "packet" : "event",
						"subsystem", set->subsystem, "name", def->name,
						"labels", labels_json(set->labels), "value",
						(json_int_t)value, "help", def->help));
	}
}

// in, out, dropped and in flight are four consecutive roles.
static json_t *identity_json(const uint64_t *sum, const char *out)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "in", (json_int_t)sum[0], out,
		(json_int_t)sum[1], "dropped", (json_int_t)sum[2], "in_flight", (json_int_t)sum[3],
		"balance", (json_int_t)(sum[0] - sum[1] - sum[2] - sum[3]));
}

json_t *drops_json(void)
{
	struct drops drops = {.reasons = json_array()};

	if (drops.reasons == NULL)
		return NULL;
	counters_walk(add_drops, &drops);
	return json_pack("{s:o, s:o, s:o}", "packets",
		identity_json(&drops.sum[ROLE_PKT_IN], "taken"), "events",
		identity_json(&drops.sum[ROLE_EV_IN], "durable"), "reasons", drops.reasons);
}
