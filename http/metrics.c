// SPDX-License-Identifier: BSD-3-Clause

// OpenMetrics 1.0 text. A family's samples must stand together, but the registries are ordered by
// set; so all samples are gathered first and sorted by family.

#include "http/pages.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of histograms every power of two between these is a bucket: 1 µs to 17 s for nanoseconds.
#define LE_FIRST_BIT 10u
#define LE_LAST_BIT 34u

struct sample {
	const char *subsystem;
	const char *name;
	const char *help;
	enum counter_kind kind;
	unsigned order; // of registration
	uint64_t value;
	char labels[COUNTER_LABELS_MAX];
};

struct samples {
	struct sample *list;
	size_t count, room;
	bool failed;
};

static void gather(const struct counter_set *set, void *arg)
{
	struct samples *all = arg;

	if (all->count + set->count > all->room) {
		size_t room = (all->count + set->count) * 2;
		struct sample *list = realloc(all->list, room * sizeof(*list));

		if (list == NULL) {
			all->failed = true;
			return;
		}
		all->list = list;
		all->room = room;
	}
	for (unsigned i = 0; i < set->count; i++) {
		struct sample *s = &all->list[all->count];

		*s = (struct sample){.subsystem = set->subsystem,
			.name = set->defs[i].name,
			.help = set->defs[i].help,
			.kind = set->defs[i].kind,
			.order = (unsigned)all->count++,
			.value = counter_get(&set->values[i])};
		snprintf(s->labels, sizeof(s->labels), "%s", set->labels);
	}
}

static int compare(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	int ret = strcmp(x->subsystem, y->subsystem);

	if (ret == 0)
		ret = strcmp(x->name, y->name);
	return ret != 0 ? ret : x->order < y->order ? -1 : 1;
}

// HELP text and label values share their escapes.
static void put_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			fprintf(out, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
}

// A family may state a unit only when its name ends with it.
static const char *unit_of(const char *name)
{
	static const char *const units[] = {"bytes", "ns", "cycles", "packets", "events"};
	const char *last = strrchr(name, '_');

	for (size_t i = 0; last != NULL && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(last + 1, units[i]) == 0)
			return units[i];
	}
	return NULL;
}

static void put_family(
	FILE *out, const char *subsystem, const char *name, const char *type, const char *help)
{
	const char *unit = unit_of(name);

	fprintf(out, "# TYPE millrace_%s_%s %s\n", subsystem, name, type);
	if (unit != NULL)
		fprintf(out, "# UNIT millrace_%s_%s %s\n", subsystem, name, unit);
	fprintf(out, "# HELP millrace_%s_%s ", subsystem, name);
	put_escaped(out, help);
	fputs(".\n", out);
}

static void put_sample(FILE *out, const struct sample *s)
{
	fprintf(out, "millrace_%s_%s%s", s->subsystem, s->name,
		s->kind == COUNTER_TOTAL ? "_total" : "");
	if (s->labels[0] != '\0')
		fprintf(out, "{%s}", s->labels);
	fprintf(out, " %" PRIu64 "\n", s->value);
}

static bool same_family(const struct sample *a, const struct sample *b)
{
	return strcmp(a->subsystem, b->subsystem) == 0 && strcmp(a->name, b->name) == 0;
}

static bool put_counters(FILE *out)
{
	struct samples all = {0};

	counters_walk(gather, &all);
	if (all.count > 0)
		qsort(all.list, all.count, sizeof(all.list[0]), compare);
	for (size_t i = 0; i < all.count; i++) {
		const struct sample *s = &all.list[i];

		if (i == 0 || !same_family(s - 1, s))
			put_family(out, s->subsystem, s->name,
				s->kind == COUNTER_TOTAL ? "counter" : "gauge", s->help);
		put_sample(out, s);
	}
	free(all.list);
	return !all.failed;
}

// The histograms, sorted like the counters. Entries are few and stay registered for long, but a
// pointer to one may be used under the registry's lock only: hence one pass for each family.
struct family {
	FILE *out;
	const char *after_subsystem, *after_name; // the family done last; NULL before the first
	char subsystem[64], name[64];             // the family to do now
	bool found;
	bool headed;
};

static int family_compare(const struct hist_entry *e, const char *subsystem, const char *name)
{
	int ret = strcmp(e->subsystem, subsystem);

	return ret != 0 ? ret : strcmp(e->name, name);
}

static void find_next(const struct hist_entry *e, void *arg)
{
	struct family *f = arg;

	if (f->after_name != NULL && family_compare(e, f->after_subsystem, f->after_name) <= 0)
		return;
	if (f->found && family_compare(e, f->subsystem, f->name) >= 0)
		return;
	snprintf(f->subsystem, sizeof(f->subsystem), "%s", e->subsystem);
	snprintf(f->name, sizeof(f->name), "%s", e->name);
	f->found = true;
}

static void put_bucket(FILE *out, const struct hist_entry *e, const char *le, uint64_t value)
{
	fprintf(out, "millrace_%s_%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", e->subsystem, e->name,
		e->labels, e->labels[0] != '\0' ? "," : "", le, value);
}

static void put_hist(const struct hist_entry *e, void *arg)
{
	struct family *f = arg;
	uint64_t below = 0;
	unsigned i = 0;
	char le[32];
	const char *open = e->labels[0] != '\0' ? "{" : "", *close = open[0] != '\0' ? "}" : "";

	if (family_compare(e, f->subsystem, f->name) != 0)
		return;
	if (!f->headed)
		put_family(f->out, e->subsystem, e->name, "histogram", e->help);
	f->headed = true;
	for (unsigned bit = LE_FIRST_BIT; bit <= LE_LAST_BIT; bit++) {
		uint64_t limit = (1ull << bit) - 1;

		while (i < HIST_BUCKETS && hist_upper(i) <= limit)
			below += counter_get(&e->hist->bucket[i++]);
		snprintf(le, sizeof(le), "%" PRIu64 ".0", limit);
		put_bucket(f->out, e, le, below);
	}
	while (i < HIST_BUCKETS)
		below += counter_get(&e->hist->bucket[i++]);
	put_bucket(f->out, e, "+Inf", below);
	// Not hist->count, which may be a value ahead of what the buckets showed.
	fprintf(f->out, "millrace_%s_%s_count%s%s%s %" PRIu64 "\n", e->subsystem, e->name, open,
		e->labels, close, below);
	fprintf(f->out, "millrace_%s_%s_sum%s%s%s %" PRIu64 "\n", e->subsystem, e->name, open,
		e->labels, close, counter_get(&e->hist->sum));
}

static void put_hists(FILE *out)
{
	char subsystem[64], name[64];
	struct family f = {.out = out};

	for (;;) {
		f.found = f.headed = false;
		hist_walk(find_next, &f);
		if (!f.found)
			return;
		hist_walk(put_hist, &f);
		memcpy(subsystem, f.subsystem, sizeof(subsystem));
		memcpy(name, f.name, sizeof(name));
		f.after_subsystem = subsystem;
		f.after_name = name;
	}
}

char *metrics_render(const char *receiver, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);
	bool ok;

	if (out == NULL)
		return NULL;
	fputs("# TYPE millrace_build info\n# HELP millrace_build Who answers.\n"
	      "millrace_build_info{version=\"" MILLRACE_VERSION "\",receiver=\"",
		out);
	put_escaped(out, receiver);
	fputs("\"} 1\n", out);
	ok = put_counters(out);
	put_hists(out);
	fputs("# EOF\n", out);
	ok = ok && ferror(out) == 0;
	if (fclose(out) != 0 || !ok) {
		free(text);
		return NULL;
	}
	return text;
}
