// SPDX-License-Identifier: BSD-3-Clause

#include "cli/rates.h"

#include "common/hist.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX 320
#define NS_PER_SECOND 1e9

// What rows of all kinds add up; each kind shows some of them.
enum field {
	FIELD_NONE = -1,
	FIELD_PACKETS,
	FIELD_BYTES,
	FIELD_TX,
	FIELD_HANDED_OVER, // by the driver; the lcore's own count of them has the role
	FIELD_PKT_DROPS,
	FIELD_EVENTS,
	FIELD_DURABLE,
	FIELD_EV_DROPS,
	FIELD_WRITTEN,
	FIELD_PAYLOAD,
	FIELD_BUSY,
	FIELD_IDLE,
	FIELD_IN_FLIGHT, // gauges from here on: summed as they are
	FIELD_LOG_BYTES,
	FIELD_COUNT,
};

struct row {
	char key[64];
	double sum[FIELD_COUNT];
	double ring_fill; // below zero: none
	struct hist commit;
};

struct rows {
	const char *label;
	struct row *list;
	size_t count;
};

struct rates {
	json_t *before; // by key
	json_t *after;
	double seconds;
	bool restarted;
	struct row total;
	struct rows partitions, ports, lcores;
	json_t *drops; // by unit and name
};

static const char *text(const json_t *entry, const char *key)
{
	const char *ret = json_string_value(json_object_get(entry, key));

	return ret != NULL ? ret : "";
}

static const char *label(const json_t *entry, const char *key)
{
	return json_string_value(json_object_get(json_object_get(entry, "labels"), key));
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void key_of(const json_t *entry, const char *name, char *ret)
{
	char *labels = json_dumps(json_object_get(entry, "labels"), JSON_COMPACT | JSON_SORT_KEYS);

	snprintf(ret, KEY_MAX, "%s/%s/%s", text(entry, "subsystem"), name,
		labels != NULL ? labels : "");
	free(labels);
}

static json_t *index_of(const json_t *stats)
{
	json_t *ret = json_object(), *entry;
	char key[KEY_MAX];
	size_t i;

	json_array_foreach(stats, i, entry)
	{
		key_of(entry, text(entry, "name"), key);
		json_object_set(ret, key, entry);
	}
	return ret;
}

static const json_t *earlier(const struct rates *rates, const json_t *entry)
{
	char key[KEY_MAX];

	key_of(entry, text(entry, "name"), key);
	return json_object_get(rates->before, key);
}

static double delta(double before, double after, bool *restarted)
{
	if (after >= before)
		return after - before;
	*restarted = true;
	return after;
}

static enum field field_of(const json_t *entry)
{
	static const struct {
		const char *key, *value;
		enum field field;
	} known[] = {
		{"role", "pkt_in", FIELD_PACKETS},
		{"role", "pkt_drop", FIELD_PKT_DROPS},
		{"role", "ev_in", FIELD_EVENTS},
		{"role", "ev_durable", FIELD_DURABLE},
		{"role", "ev_drop", FIELD_EV_DROPS},
		{"role", "ev_flight", FIELD_IN_FLIGHT},
		{"name", "rx_packets", FIELD_HANDED_OVER},
		{"name", "rx_bytes", FIELD_BYTES},
		{"name", "tx_packets", FIELD_TX},
		{"name", "written_bytes", FIELD_WRITTEN},
		{"name", "payload_bytes", FIELD_PAYLOAD},
		{"name", "busy_cycles", FIELD_BUSY},
		{"name", "idle_cycles", FIELD_IDLE},
		{"name", "log_bytes", FIELD_LOG_BYTES},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(text(entry, known[i].key), known[i].value) == 0)
			return known[i].field;
	}
	return FIELD_NONE;
}

static struct row *row_of(struct rows *rows, const json_t *entry)
{
	const char *key = label(entry, rows->label);
	struct row *list;

	if (key == NULL)
		return NULL;
	for (size_t i = 0; i < rows->count; i++) {
		if (strcmp(rows->list[i].key, key) == 0)
			return &rows->list[i];
	}
	list = realloc(rows->list, (rows->count + 1) * sizeof(*list));
	if (list == NULL)
		return NULL;
	rows->list = list;
	list += rows->count++;
	*list = (struct row){.ring_fill = -1};
	snprintf(list->key, sizeof(list->key), "%s", key);
	return list;
}

static void add_drop(struct rates *rates, const json_t *entry, bool packet, double n)
{
	const char *unit = packet ? "packet" : "event", *name = text(entry, "name");
	char key[KEY_MAX];
	json_t *drop;

	snprintf(key, sizeof(key), "%s/%s", unit, name);
	drop = json_object_get(rates->drops, key);
	if (drop == NULL) {
		drop = json_pack("{s:s, s:s, s:f, s:I, s:s}", "unit", unit, "name", name,
			"per_second", 0.0, "total", (json_int_t)0, "help", text(entry, "help"));
		json_object_set_new(rates->drops, key, drop);
	}
	json_object_set_new(
		drop, "per_second", json_real(number(drop, "per_second") + n / rates->seconds));
	json_object_set_new(drop, "total",
		json_integer(json_integer_value(json_object_get(drop, "total")) +
			     json_integer_value(json_object_get(entry, "value"))));
}

static void add_count(struct rates *rates, const json_t *entry)
{
	enum field field = field_of(entry);
	struct rows *const kinds[] = {&rates->partitions, &rates->ports, &rates->lcores};
	double n = number(entry, "value");

	if (field == FIELD_NONE)
		return;
	if (strcmp(text(entry, "kind"), "total") == 0)
		n = delta(number(earlier(rates, entry), "value"), n, &rates->restarted);
	if (field == FIELD_PKT_DROPS || field == FIELD_EV_DROPS)
		add_drop(rates, entry, field == FIELD_PKT_DROPS, n);
	rates->total.sum[field] += n;
	for (size_t i = 0; i < 3; i++) {
		struct row *row = row_of(kinds[i], entry);

		if (row != NULL)
			row->sum[field] += n;
	}
}

// A ring's two gauges are one figure; the fullest ring counts for its partition.
static void add_ring(struct rates *rates, const json_t *entry)
{
	double size = number(entry, "value"), fill;
	struct row *row = row_of(&rates->partitions, entry);
	char key[KEY_MAX];

	if (row == NULL || size <= 0)
		return;
	key_of(entry, "used_packets", key);
	fill = number(json_object_get(rates->after, key), "value") / size;
	if (fill > row->ring_fill)
		row->ring_fill = fill < 1 ? fill : 1;
}

static unsigned bucket_at(uint64_t upper)
{
	unsigned low = 0, high = HIST_BUCKETS - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (hist_upper(middle) < upper)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void read_hist(const json_t *entry, struct hist *ret)
{
	json_t *pair;
	size_t i;

	*ret = (struct hist){.max = (uint64_t)number(entry, "max")};
	json_array_foreach(json_object_get(entry, "buckets"), i, pair)
	{
		unsigned at = bucket_at((uint64_t)json_integer_value(json_array_get(pair, 0)));

		ret->bucket[at] += (uint64_t)json_integer_value(json_array_get(pair, 1));
	}
}

static void merge_hist(struct hist *ret, const struct hist *more)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		ret->bucket[i] += more->bucket[i];
	if (more->max > ret->max)
		ret->max = more->max;
}

// The greatest value of the interval is known as its bucket is; the greatest since the start bounds
// it.
static uint64_t highest(const struct hist *h)
{
	for (unsigned i = HIST_BUCKETS; i-- > 0;) {
		if (h->bucket[i] != 0)
			return hist_upper(i) < h->max ? hist_upper(i) : h->max;
	}
	return 0;
}

static void add_hist(struct rates *rates, const json_t *entry)
{
	struct hist before, after;
	struct row *row = row_of(&rates->partitions, entry);
	bool went_back = false;

	read_hist(earlier(rates, entry), &before);
	read_hist(entry, &after);
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		went_back = went_back || after.bucket[i] < before.bucket[i];
	for (unsigned i = 0; i < HIST_BUCKETS && !went_back; i++)
		after.bucket[i] -= before.bucket[i];
	rates->restarted = rates->restarted || went_back;
	after.max = highest(&after);
	merge_hist(&rates->total.commit, &after);
	if (row != NULL)
		merge_hist(&row->commit, &after);
}

static void add_entry(struct rates *rates, const json_t *entry)
{
	const char *name = text(entry, "name");

	if (strcmp(name, "commit_latency_ns") == 0)
		add_hist(rates, entry);
	else if (strcmp(name, "size_packets") == 0)
		add_ring(rates, entry);
	else
		add_count(rates, entry);
}

static void set_rate(json_t *ret, const char *name, double n, const struct rates *rates)
{
	json_object_set_new(ret, name, json_real(n / rates->seconds));
}

static void set_disk(json_t *ret, const struct row *row, const struct rates *rates)
{
	const struct hist *h = &row->commit;
	double written = row->sum[FIELD_WRITTEN], payload = row->sum[FIELD_PAYLOAD];
	bool any = hist_quantile(h, 1) != 0;
	uint64_t p99 = hist_quantile(h, 0.99), p50 = hist_quantile(h, 0.5);

	// a bucket's upper bound may lie above the greatest value in it
	p50 = p50 < h->max ? p50 : h->max;
	p99 = p99 < h->max ? p99 : h->max;
	set_rate(ret, "written_bytes_per_second", written, rates);
	json_object_set_new(ret, "write_amplification",
		payload > 0 && written > 0 ? json_real(written / payload) : json_null());
	json_object_set_new(
		ret, "commit_p50_ns", any ? json_integer((json_int_t)p50) : json_null());
	json_object_set_new(
		ret, "commit_p99_ns", any ? json_integer((json_int_t)p99) : json_null());
	json_object_set_new(
		ret, "commit_max_ns", any ? json_integer((json_int_t)h->max) : json_null());
}

static json_t *total_json(const struct rates *rates)
{
	const double *sum = rates->total.sum;
	json_t *ret = json_object();

	set_rate(ret, "packets_per_second", sum[FIELD_PACKETS], rates);
	set_rate(ret, "bits_per_second", sum[FIELD_BYTES] * 8, rates);
	set_rate(ret, "events_per_second", sum[FIELD_EVENTS], rates);
	set_rate(ret, "durable_per_second", sum[FIELD_DURABLE], rates);
	set_rate(ret, "packet_drops_per_second", sum[FIELD_PKT_DROPS], rates);
	set_rate(ret, "event_drops_per_second", sum[FIELD_EV_DROPS], rates);
	set_rate(ret, "payload_bytes_per_second", sum[FIELD_PAYLOAD], rates);
	set_disk(ret, &rates->total, rates);
	return ret;
}

static json_t *partition_json(const struct row *row, const struct rates *rates)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "partition", json_integer(strtol(row->key, NULL, 10)));
	set_rate(ret, "events_per_second", row->sum[FIELD_EVENTS], rates);
	set_rate(ret, "durable_per_second", row->sum[FIELD_DURABLE], rates);
	set_rate(ret, "drops_per_second", row->sum[FIELD_EV_DROPS], rates);
	set_disk(ret, row, rates);
	json_object_set_new(
		ret, "ring_fill", row->ring_fill < 0 ? json_null() : json_real(row->ring_fill));
	json_object_set_new(
		ret, "in_flight_events", json_integer((json_int_t)row->sum[FIELD_IN_FLIGHT]));
	json_object_set_new(ret, "log_bytes", json_integer((json_int_t)row->sum[FIELD_LOG_BYTES]));
	return ret;
}

static json_t *port_json(const struct row *row, const struct rates *rates)
{
	json_t *ret = json_pack("{s:s}", "port", row->key);

	set_rate(ret, "packets_per_second", row->sum[FIELD_HANDED_OVER] + row->sum[FIELD_PACKETS],
		rates);
	set_rate(ret, "bits_per_second", row->sum[FIELD_BYTES] * 8, rates);
	set_rate(ret, "tx_packets_per_second", row->sum[FIELD_TX], rates);
	set_rate(ret, "drops_per_second", row->sum[FIELD_PKT_DROPS], rates);
	return ret;
}

static json_t *lcore_json(const struct row *row, const struct rates *rates)
{
	double all = row->sum[FIELD_BUSY] + row->sum[FIELD_IDLE];

	(void)rates;
	return json_pack("{s:I, s:o}", "lcore", (json_int_t)strtol(row->key, NULL, 10), "busy",
		all > 0 ? json_real(row->sum[FIELD_BUSY] / all) : json_null());
}

static json_t *rows_json(struct rows *rows, const struct rates *rates,
	json_t *(*fn)(const struct row *row, const struct rates *rates))
{
	json_t *ret = json_array();

	for (size_t i = 0; i < rows->count; i++)
		json_array_append_new(ret, fn(&rows->list[i], rates));
	free(rows->list);
	rows->list = NULL;
	return ret;
}

static int compare_drops(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	double rate = number(y, "per_second") - number(x, "per_second");
	double all = number(y, "total") - number(x, "total");

	if (rate != 0)
		return rate > 0 ? 1 : -1;
	if (all != 0)
		return all > 0 ? 1 : -1;
	return strcmp(text(x, "name"), text(y, "name"));
}

static json_t *drops_json(json_t *by_name)
{
	json_t *ret = json_array(), *drop;
	json_t **list = calloc(json_object_size(by_name) + 1, sizeof(json_t *));
	size_t count = 0;
	const char *key;

	if (list == NULL)
		return ret;
	json_object_foreach(by_name, key, drop)
	{
		if (number(drop, "total") > 0)
			list[count++] = drop;
	}
	qsort(list, count, sizeof(json_t *), compare_drops);
	for (size_t i = 0; i < count; i++)
		json_array_append(ret, list[i]);
	free(list);
	return ret;
}

json_t *rates_compute(const json_t *before, const json_t *after, uint64_t interval_ns)
{
	struct rates rates = {.before = index_of(before),
		.after = index_of(after),
		.seconds = interval_ns > 0 ? (double)interval_ns / NS_PER_SECOND : 1e-9,
		.partitions.label = "partition",
		.ports.label = "port",
		.lcores.label = "lcore",
		.drops = json_object()};
	json_t *entry, *ret;
	size_t i;

	json_array_foreach(after, i, entry) add_entry(&rates, entry);
	ret = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:b}", "interval_ns",
		(json_int_t)interval_ns, "total", total_json(&rates), "partitions",
		rows_json(&rates.partitions, &rates, partition_json), "ports",
		rows_json(&rates.ports, &rates, port_json), "lcores",
		rows_json(&rates.lcores, &rates, lcore_json), "drops", drops_json(rates.drops),
		"restarted", rates.restarted);
	json_decref(rates.before);
	json_decref(rates.after);
	json_decref(rates.drops);
	return ret;
}

void rates_add(const json_t *before, json_t *after, uint64_t interval_ns)
{
	struct rates rates = {.before = index_of(before), .restarted = false};
	double seconds = interval_ns > 0 ? (double)interval_ns / NS_PER_SECOND : 1e-9;
	json_t *entry;
	size_t i;

	json_array_foreach(after, i, entry)
	{
		double n;

		if (strcmp(text(entry, "kind"), "total") != 0)
			continue;
		n = delta(number(earlier(&rates, entry), "value"), number(entry, "value"),
			&rates.restarted);
		json_object_set_new(entry, "per_second", json_real(n / seconds));
	}
	json_decref(rates.before);
}

bool rates_log_left(
	const json_t *status, double written_bytes_per_second, uint64_t *ret_ns, bool *ret_retained)
{
	const json_t *age = json_object_get(status, "retain_age_ns");
	const json_t *bytes = json_object_get(status, "retain_bytes");
	double seconds, w = written_bytes_per_second;

	if (w <= 0 || !json_is_number(json_object_get(status, "disk_free_bytes")))
		return false;
	seconds = number(status, "disk_free_bytes") / w;
	*ret_retained = false;
	// Retention keeps the disk from filling when its bound is reached before that.
	if (json_is_number(bytes) &&
		(json_number_value(bytes) - number(status, "log_bytes")) / w < seconds) {
		seconds = json_number_value(bytes) / w;
		*ret_retained = true;
	}
	if (json_is_number(age) && json_number_value(age) / NS_PER_SECOND < seconds) {
		seconds = json_number_value(age) / NS_PER_SECOND;
		*ret_retained = true;
	}
	*ret_ns = seconds < 1e9 ? (uint64_t)(seconds * NS_PER_SECOND) : (uint64_t)1e18;
	return true;
}
