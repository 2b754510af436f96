// SPDX-License-Identifier: BSD-3-Clause

#include "cli/views.h"

#include "cli/cli.h"
#include "cli/rates.h"
#include "cli/table.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *view_text(const json_t *object, const char *key)
{
	const char *ret = json_string_value(json_object_get(object, key));

	return ret != NULL && ret[0] != '\0' ? ret : "-";
}

double view_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

double view_seconds(const char *text)
{
	struct tm tm = {0};

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) != NULL ? (double)timegm(&tm) : NAN;
}

const char *view_ns(double ns, char *buf)
{
	static const struct {
		double ns;
		const char *unit;
	} units[] = {{86400e9, "d"}, {3600e9, "h"}, {60e9, "min"}, {1e9, "s"}, {1e6, "ms"},
		{1e3, "us"}, {1, "ns"}};
	size_t i = 0;

	if (!isfinite(ns)) {
		snprintf(buf, VIEW_TEXT_BYTES, "-");
		return buf;
	}
	while (i < 6 && fabs(ns) < units[i].ns)
		i++;
	ns /= units[i].ns;
	snprintf(buf, VIEW_TEXT_BYTES, "%.*f %s", fabs(ns) < 9.95 && ns != floor(ns) ? 1 : 0, ns,
		units[i].unit);
	return buf;
}

const char *view_labels(const json_t *labels, char *buf, size_t room)
{
	const char *key, *open = "{";
	json_t *value;
	size_t len = 0;

	buf[0] = '\0';
	json_object_foreach((json_t *)labels, key, value)
	{
		int n = snprintf(buf + len, room - len, "%s%s=\"%s\"", open, key,
			json_string_length(value) > 0 ? json_string_value(value) : "");

		if (n < 0 || (size_t)n >= room - len)
			break;
		len += (size_t)n;
		open = ",";
	}
	if (len > 0)
		snprintf(buf + len, room - len, "}");
	return buf;
}

static const char *count(const json_t *object, const char *key, char *buf)
{
	return cli_count_text(view_number(object, key), buf);
}

static const char *bytes(const json_t *object, const char *key, char *buf)
{
	return cli_bytes_text(view_number(object, key), buf);
}

static const char *span(const json_t *object, const char *key, char *buf)
{
	return view_ns(view_number(object, key), buf);
}

// "-" or all digits of a number, for what people compare and copy.
static const char *digits(const json_t *object, const char *key, char *buf)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_integer(value))
		snprintf(buf, VIEW_TEXT_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(buf, VIEW_TEXT_BYTES, "-");
	return buf;
}

static void status_health(const json_t *status, FILE *out)
{
	char buf[VIEW_TEXT_BYTES];
	const json_t *reasons = json_object_get(status, "reasons");
	const char *why = json_string_value(json_array_get(reasons, 0));
	size_t more = json_array_size(reasons);

	fprintf(out, "health  %s, up %s", view_text(status, "health"),
		span(status, "uptime_ns", buf));
	if (why != NULL)
		fprintf(out, ": %s", why);
	if (more > 1)
		fprintf(out, " (and %zu more)", more - 1);
	fputc('\n', out);
}

static void status_drops(const json_t *top, FILE *out)
{
	const json_t *worst = json_array_get(json_object_get(top, "drops"), 0);
	char rate[VIEW_TEXT_BYTES], total[VIEW_TEXT_BYTES];

	if (worst == NULL) {
		fputs("drops   none since the start\n", out);
		return;
	}
	fprintf(out, "drops   %s: %s %ss/s, %s since the start (%s)\n", view_text(worst, "name"),
		count(worst, "per_second", rate), view_text(worst, "unit"),
		count(worst, "total", total), view_text(worst, "help"));
}

static void status_durable(const json_t *partitions, FILE *out)
{
	const char *comma = "";
	json_t *p;
	size_t i;
	char buf[VIEW_TEXT_BYTES];

	fputs(", durable below seq ", out);
	json_array_foreach(partitions, i, p)
	{
		if (i >= 4) {
			fprintf(out, " and %zu partitions more", json_array_size(partitions) - i);
			break;
		}
		if (json_array_size(partitions) == 1)
			fputs(view_text(p, "durable_seq"), out);
		else
			fprintf(out, "%s%s:%s", comma, digits(p, "partition", buf),
				view_text(p, "durable_seq"));
		comma = " ";
	}
}

static void status_sink(const json_t *sink, FILE *out)
{
	char behind[VIEW_TEXT_BYTES];

	if (!json_is_object(sink))
		return;
	fprintf(out, ", slowest sink %s %s: %s events behind", view_text(sink, "sink"),
		view_text(sink, "state"), count(sink, "lag_events", behind));
}

static void status_log(const json_t *status, const json_t *top, const json_t *partitions, FILE *out)
{
	double written = view_number(json_object_get(top, "total"), "written_bytes_per_second");
	char held[VIEW_TEXT_BYTES], rest[VIEW_TEXT_BYTES];
	uint64_t left;
	bool retained;

	fprintf(out, "log     %s, ", bytes(status, "log_bytes", held));
	if (!rates_log_left(status, written, &left, &retained))
		fprintf(out, "nothing being written, %s free",
			bytes(status, "disk_free_bytes", rest));
	else if (retained)
		fprintf(out, "holds the last %.1f h", (double)left / 3600e9);
	else
		fprintf(out, "%.1f h left until the disk is full", (double)left / 3600e9);
	if (json_array_size(partitions) > 0)
		status_durable(partitions, out);
	status_sink(json_object_get(status, "slowest_sink"), out);
	fputc('\n', out);
}

void view_status(const json_t *status, const json_t *top, const json_t *partitions, FILE *out)
{
	const json_t *total = json_object_get(top, "total");
	char packets[VIEW_TEXT_BYTES], events[VIEW_TEXT_BYTES], bits[VIEW_TEXT_BYTES];

	status_health(status, out);
	count(total, "bits_per_second", bits);
	fprintf(out, "rate    %s packets/s, %s events/s, %s%sbit/s\n",
		count(total, "packets_per_second", packets),
		count(total, "events_per_second", events), bits, strchr(bits, ' ') ? "" : " ");
	status_drops(top, out);
	status_log(status, top, partitions, out);
}

bool view_stats_match(const json_t *row, const char *glob, bool nonzero)
{
	const char *name = view_text(row, "name");
	char labels[256], full[512];

	if (nonzero && json_number_value(json_object_get(row, "value")) == 0)
		return false;
	if (glob == NULL)
		return true;
	snprintf(full, sizeof(full), "%s.%s", view_text(row, "subsystem"), name);
	if (fnmatch(glob, name, 0) == 0 || fnmatch(glob, full, 0) == 0)
		return true;
	view_labels(json_object_get(row, "labels"), labels, sizeof(labels));
	snprintf(full, sizeof(full), "%s.%s%s", view_text(row, "subsystem"), name, labels);
	return fnmatch(glob, full, 0) == 0;
}

static void stats_figures(const json_t *row, char *ret, size_t room)
{
	char p50[VIEW_TEXT_BYTES], p99[VIEW_TEXT_BYTES], max[VIEW_TEXT_BYTES];
	const char *name = view_text(row, "name"), *last = strrchr(name, '_');
	bool ns = last != NULL && strcmp(last, "_ns") == 0;
	const char *(*figure)(const json_t *, const char *, char *) = ns ? span : count;

	ret[0] = '\0';
	if (json_object_get(row, "buckets") != NULL)
		snprintf(ret, room, "p50 %s  p99 %s  max %s", figure(row, "p50", p50),
			figure(row, "p99", p99), figure(row, "max", max));
}

void view_stats(const json_t *rows, bool rates, FILE *out)
{
	struct table *table = table_new(rates ? "lrrl" : "lrl");
	char labels[256], value[VIEW_TEXT_BYTES], rate[VIEW_TEXT_BYTES], figures[128];
	json_t *row;
	size_t i;

	if (table == NULL)
		return;
	table_cell(table, "COUNTER");
	table_cell(table, "VALUE");
	if (rates)
		table_cell(table, "PER SECOND");
	table_cell(table, "HELP");
	json_array_foreach(rows, i, row)
	{
		view_labels(json_object_get(row, "labels"), labels, sizeof(labels));
		stats_figures(row, figures, sizeof(figures));
		table_cell(table, "%s.%s%s", view_text(row, "subsystem"), view_text(row, "name"),
			labels);
		table_cell(table, "%s", digits(row, "value", value));
		if (rates)
			table_cell(table, "%s", count(row, "per_second", rate));
		table_cell(table, "%s", figures[0] != '\0' ? figures : view_text(row, "help"));
	}
	table_print(table, out);
	table_free(table);
}

// Reasons summed over labels, as {"ring_full": {...}}.
static json_t *sum_reasons(const json_t *reasons)
{
	json_t *ret = json_object(), *row;
	char key[128];
	size_t i;

	json_array_foreach(reasons, i, row)
	{
		json_t *sum;

		snprintf(key, sizeof(key), "%s/%s", view_text(row, "unit"), view_text(row, "name"));
		sum = json_object_get(ret, key);
		if (sum == NULL) {
			json_object_set_new(ret, key, json_copy(row));
			continue;
		}
		json_object_set_new(sum, "value",
			json_integer(json_integer_value(json_object_get(sum, "value")) +
				     json_integer_value(json_object_get(row, "value"))));
	}
	return ret;
}

static int compare_value(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	json_int_t m = json_integer_value(json_object_get(x, "value"));
	json_int_t n = json_integer_value(json_object_get(y, "value"));

	if (m != n)
		return m > n ? -1 : 1;
	return strcmp(view_text(x, "name"), view_text(y, "name"));
}

static void drops_table(const json_t *reasons, FILE *out)
{
	json_t *sums = sum_reasons(reasons), *sum;
	json_t **list = calloc(json_object_size(sums) + 1, sizeof(json_t *));
	struct table *table = table_new("rlll");
	char value[VIEW_TEXT_BYTES];
	const char *key;
	size_t n = 0;

	if (list == NULL || table == NULL)
		goto out;
	json_object_foreach(sums, key, sum) list[n++] = sum;
	qsort(list, n, sizeof(json_t *), compare_value);
	table_cell(table, "DROPPED");
	table_cell(table, "UNIT");
	table_cell(table, "REASON");
	table_cell(table, "HELP");
	for (size_t i = 0; i < n; i++) {
		table_cell(table, "%s", digits(list[i], "value", value));
		table_cell(table, "%s", view_text(list[i], "unit"));
		table_cell(table, "%s", view_text(list[i], "name"));
		table_cell(table, "%s", view_text(list[i], "help"));
	}
	table_print(table, out);
out:
	table_free(table);
	free(list);
	json_decref(sums);
}

static void identity(
	const json_t *drops, const char *what, const char *taken, const char *verb, FILE *out)
{
	const json_t *sums = json_object_get(drops, what);
	char in[VIEW_TEXT_BYTES], got[VIEW_TEXT_BYTES], lost[VIEW_TEXT_BYTES],
		flight[VIEW_TEXT_BYTES], balance[VIEW_TEXT_BYTES];

	fprintf(out, "%s: %s in = %s %s + %s dropped + %s in flight; balance %s\n", what,
		digits(sums, "in", in), digits(sums, taken, got), verb,
		digits(sums, "dropped", lost), digits(sums, "in_flight", flight),
		digits(sums, "balance", balance));
}

void view_drops(const json_t *drops, FILE *out)
{
	drops_table(json_object_get(drops, "reasons"), out);
	fputc('\n', out);
	identity(drops, "packets", "taken", "taken", out);
	identity(drops, "events", "durable", "durable", out);
}

static void port_cells(struct table *table, const json_t *port)
{
	static const char *const counts[] = {"rx_packets_total", "rx_missed_total",
		"rx_errors_total", "rx_nombuf_total", "tx_packets_total"};
	const json_t *up = json_object_get(port, "link_up");
	const json_t *mode = json_object_get(port, "driver_mode");
	char buf[VIEW_TEXT_BYTES], used[VIEW_TEXT_BYTES];
	bool fast = json_is_number(json_object_get(port, "link_bits_per_second"));

	table_cell(table, "%s", view_text(port, "name"));
	table_cell(table, "%s", view_text(port, "device"));
	table_cell(table, "%s%s%s", view_text(port, "driver"), json_is_string(mode) ? " " : "",
		json_is_string(mode) ? json_string_value(mode) : "");
	table_cell(table, "%s%s%s",
		json_is_true(up)    ? "up"
		: json_is_false(up) ? "down"
				    : "-",
		fast ? " " : "", fast ? count(port, "link_bits_per_second", buf) : "");
	table_cell(table, "%s", digits(port, "rx_queues", buf));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		table_cell(table, "%s", digits(port, counts[i], buf));
	table_cell(table, "%s", bytes(port, "rx_bytes_total", buf));
	table_cell(table, "%s/%s", digits(port, "mbufs_in_use", used), digits(port, "mbufs", buf));
}

static void put_xstats(const json_t *port, FILE *out)
{
	const json_t *xstats = json_object_get(port, "xstats");
	struct table *table;
	char buf[VIEW_TEXT_BYTES];
	json_t *row;
	size_t i;

	if (!json_is_array(xstats))
		return;
	table = table_new("llr");
	if (table == NULL)
		return;
	fputc('\n', out);
	table_cell(table, "PORT");
	table_cell(table, "XSTAT");
	table_cell(table, "VALUE");
	json_array_foreach(xstats, i, row)
	{
		table_cell(table, "%s", view_text(port, "name"));
		table_cell(table, "%s", view_text(row, "name"));
		table_cell(table, "%s", digits(row, "value", buf));
	}
	table_print(table, out);
	table_free(table);
}

static void gateway_rows(struct table *table, const json_t *port, unsigned *count)
{
	const json_t *gateway;
	size_t i;

	json_array_foreach(json_object_get(port, "gateways"), i, gateway)
	{
		table_cell(table, "%s", view_text(port, "name"));
		table_cell(table, "%s", view_text(gateway, "address"));
		table_cell(table, "%s", view_text(gateway, "mac"));
		table_cell(table, "%s", view_text(gateway, "state"));
		++*count;
	}
}

static void put_gateways(const json_t *ports, FILE *out)
{
	static const char *const titles[] = {"PORT", "GATEWAY", "MAC", "STATE"};
	struct table *table = table_new("llll");
	const json_t *port;
	unsigned count = 0;
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		table_cell(table, "%s", titles[i]);
	json_array_foreach(ports, i, port) gateway_rows(table, port, &count);
	if (count > 0) {
		fputc('\n', out);
		table_print(table, out);
	}
	table_free(table);
}

void view_ports(const json_t *ports, FILE *out)
{
	static const char *const titles[] = {"PORT", "DEVICE", "DRIVER", "LINK", "QUEUES",
		"RX PACKETS", "MISSED", "ERRORS", "NO MBUF", "TX PACKETS", "RX BYTES", "MBUFS"};
	struct table *table = table_new("llllrrrrrrrr");
	json_t *port;
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		table_cell(table, "%s", titles[i]);
	json_array_foreach(ports, i, port) port_cells(table, port);
	table_print(table, out);
	table_free(table);
	put_gateways(ports, out);
	json_array_foreach(ports, i, port) put_xstats(port, out);
}

// Nanoseconds since 1970 of our own times, NAN of anything else.
static double time_ns(const json_t *object, const char *key)
{
	struct tm tm = {0};
	const char *rest = strptime(view_text(object, key), "%Y-%m-%dT%H:%M:%S", &tm);
	double fraction = 0;

	if (rest == NULL)
		return NAN;
	if (*rest == '.')
		fraction = strtod(rest, NULL) * 1e9;
	return (double)timegm(&tm) * 1e9 + fraction;
}

static const char *between(const json_t *batch, const char *from, const char *to, char *buf)
{
	double ns = time_ns(batch, to) - time_ns(batch, from);

	return view_ns(ns > 0 || isnan(ns) ? ns : 0, buf);
}

// Fixed widths, so that what --follow adds stays in its column.
void view_batches(const json_t *batches, bool heading, FILE *out)
{
	char rows[VIEW_TEXT_BYTES], blocks[VIEW_TEXT_BYTES], size[VIEW_TEXT_BYTES],
		length[VIEW_TEXT_BYTES], after[VIEW_TEXT_BYTES];
	json_t *b;
	size_t i;

	if (heading)
		fprintf(out, "%10s  %20s  %10s  %6s  %8s  %-30s  %8s  %13s\n", "BATCH", "FIRST SEQ",
			"ROWS", "BLOCKS", "BYTES", "RECEIVED FROM", "SPAN", "DURABLE AFTER");
	json_array_foreach(json_object_get(batches, "batches"), i, b) fprintf(out,
		"%10.20s  %20.20s  %10s  %6s  %8s  %-30.40s  %8s  %13s\n", view_text(b, "batch"),
		view_text(b, "first_seq"), digits(b, "rows", rows), digits(b, "blocks", blocks),
		bytes(b, "log_bytes", size), view_text(b, "received_min"),
		between(b, "received_min", "received_max", length),
		between(b, "received_max", "durable_at", after));
}
