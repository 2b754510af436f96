// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/views.h"

#include <math.h>
#include <string.h>

#define DROPS_SHOWN 12

// A cell's figure: how a key's value is written.
enum figure { COUNT, BITS, BYTES, NS, PERCENT, RATIO, TEXT, NUMBER };

struct column {
	const char *title;
	const char *key;
	enum figure figure;
};

static const char *figure_text(const json_t *row, const struct column *column, char *buf)
{
	double value = view_number(row, column->key);

	switch (column->figure) {
	case COUNT:
	case BITS:
		return cli_count_text(value, buf);
	case BYTES:
		return cli_bytes_text(value, buf);
	case NS:
		return view_ns(value, buf);
	case TEXT:
		return view_text(row, column->key);
	case PERCENT:
		value *= 100;
		break;
	case RATIO:
	case NUMBER:
		break;
	}
	if (isnan(value))
		return "-";
	snprintf(buf, VIEW_TEXT_BYTES, column->figure == RATIO ? "%.2f" : "%.0f", value);
	return buf;
}

static void put_rows(const json_t *rows, const char *align, const struct column *columns,
	size_t count, FILE *out)
{
	struct table *table;
	char buf[VIEW_TEXT_BYTES];
	json_t *row;
	size_t i;

	if (json_array_size(rows) == 0)
		return;
	table = table_new(align);
	if (table == NULL)
		return;
	for (size_t c = 0; c < count; c++)
		table_cell(table, "%s", columns[c].title);
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < count; c++)
			table_cell(table, "%s", figure_text(row, &columns[c], buf));
	}
	fputc('\n', out);
	table_print(table, out);
	table_free(table);
}

#define PUT_ROWS(rows, align, columns, out) \
	put_rows(rows, align, columns, sizeof(columns) / sizeof(columns[0]), out)

static void put_partitions(const json_t *top, FILE *out)
{
	static const struct column columns[] = {
		{"PARTITION", "partition", NUMBER},
		{"EVENTS/s", "events_per_second", COUNT},
		{"DURABLE/s", "durable_per_second", COUNT},
		{"DROPS/s", "drops_per_second", COUNT},
		{"DISK/s", "written_bytes_per_second", BYTES},
		{"AMPL", "write_amplification", RATIO},
		{"P50", "commit_p50_ns", NS},
		{"P99", "commit_p99_ns", NS},
		{"MAX", "commit_max_ns", NS},
		{"RING %", "ring_fill", PERCENT},
		{"IN FLIGHT", "in_flight_events", COUNT},
		{"LOG", "log_bytes", BYTES},
	};

	PUT_ROWS(json_object_get(top, "partitions"), "lrrrrrrrrrrr", columns, out);
}

static void put_ports(const json_t *top, FILE *out)
{
	static const struct column columns[] = {
		{"PORT", "port", TEXT},
		{"PACKETS/s", "packets_per_second", COUNT},
		{"BITS/s", "bits_per_second", BITS},
		{"DROPS/s", "drops_per_second", COUNT},
		{"ANSWERS/s", "tx_packets_per_second", COUNT},
	};

	PUT_ROWS(json_object_get(top, "ports"), "lrrrr", columns, out);
}

static void put_lcores(const json_t *top, FILE *out)
{
	char buf[VIEW_TEXT_BYTES];
	static const struct column busy = {NULL, "busy", PERCENT}, number = {NULL, "lcore", NUMBER};
	json_t *row;
	size_t i;

	if (json_array_size(json_object_get(top, "lcores")) == 0)
		return;
	fputs("\nlcores busy:", out);
	json_array_foreach(json_object_get(top, "lcores"), i, row)
	{
		fprintf(out, "%s %s:", i > 0 ? "," : "", figure_text(row, &number, buf));
		fprintf(out, " %s %%", figure_text(row, &busy, buf));
	}
	fputc('\n', out);
}

static void put_drops(const json_t *top, FILE *out)
{
	static const struct column columns[] = {
		{"DROPS/s", "per_second", COUNT},
		{"TOTAL", "total", COUNT},
		{"UNIT", "unit", TEXT},
		{"REASON", "name", TEXT},
		{"HELP", "help", TEXT},
	};
	const json_t *all = json_object_get(top, "drops");
	json_t *shown = json_array(), *row;
	size_t i;

	if (json_array_size(all) == 0)
		fputs("\nno drops since the start\n", out);
	json_array_foreach(all, i, row)
	{
		if (i < DROPS_SHOWN)
			json_array_append(shown, row);
	}
	PUT_ROWS(shown, "rrlll", columns, out);
	if (json_array_size(all) > DROPS_SHOWN)
		fprintf(out, "and %zu reasons more: millrace drops\n",
			json_array_size(all) - DROPS_SHOWN);
	json_decref(shown);
}

static void put_health(const json_t *status, FILE *out)
{
	const char *why = json_string_value(json_array_get(json_object_get(status, "reasons"), 0));
	char buf[VIEW_TEXT_BYTES];

	if (status == NULL)
		return;
	fprintf(out, "health   %s, up %s%s%s\n", view_text(status, "health"),
		view_ns(view_number(status, "uptime_ns"), buf), why != NULL ? ": " : "",
		why != NULL ? why : "");
}

// "1.49 M" + "bit/s", "12" + " bit/s"
static const char *gap(const char *figure)
{
	return strchr(figure, ' ') != NULL ? "" : " ";
}

static const char *total(
	const json_t *top, const char *key, enum figure figure, char buf[VIEW_TEXT_BYTES])
{
	const struct column column = {NULL, key, figure};

	return figure_text(json_object_get(top, "total"), &column, buf);
}

static void put_total(const json_t *top, FILE *out)
{
	char a[VIEW_TEXT_BYTES], b[VIEW_TEXT_BYTES], c[VIEW_TEXT_BYTES], d[VIEW_TEXT_BYTES];

	total(top, "bits_per_second", BITS, b);
	fprintf(out, "in       %s packets/s, %s%sbit/s, %s events/s, %s durable/s\n",
		total(top, "packets_per_second", COUNT, a), b, gap(b),
		total(top, "events_per_second", COUNT, c),
		total(top, "durable_per_second", COUNT, d));
	fprintf(out, "dropped  %s packets/s, %s events/s\n",
		total(top, "packet_drops_per_second", COUNT, a),
		total(top, "event_drops_per_second", COUNT, b));
	fprintf(out, "disk     %s/s, write amplification %s\n",
		total(top, "written_bytes_per_second", BYTES, a),
		total(top, "write_amplification", RATIO, b));
	fprintf(out, "commit   p50 %s, p99 %s, max %s\n", total(top, "commit_p50_ns", NS, a),
		total(top, "commit_p99_ns", NS, b), total(top, "commit_max_ns", NS, c));
}

void view_top(const json_t *top, const json_t *status, FILE *out)
{
	put_health(status, out);
	put_total(top, out);
	if (json_is_true(json_object_get(top, "restarted")))
		fputs("restarted in between: these figures count from its start\n", out);
	put_partitions(top, out);
	put_ports(top, out);
	put_lcores(top, out);
	put_drops(top, out);
}
