// SPDX-License-Identifier: BSD-3-Clause

// A receiver without packets: counters that grow by themselves and the routes of millraced with
// made-up data, so that clients can be tried and the schemas checked.
//
//   fake_receiver SOCKET [still] [degraded|failed]
//
// Says "ready" on stdout when it serves; ends at SIGTERM, or when stdin ends.

#include "common/counters.h"
#include "common/hist.h"
#include "common/json.h"
#include "http/server.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PARTITIONS 2
#define TICK_MS 10
#define EVENTS_A_TICK 1000u
#define START_NS 1767322000000000000

static const struct counter_def port_defs[] = {
	{"below_packets", "packets dropped below", COUNTER_TOTAL, ROLE_PKT_IN},
	{"rx_packets", "packets handed over by the device", COUNTER_TOTAL, ROLE_NONE},
	{"rx_bytes", "bytes of these", COUNTER_TOTAL, ROLE_NONE},
	{"tx_packets", "answers sent", COUNTER_TOTAL, ROLE_NONE},
	{"rx_missed", "dropped below the device's driver", COUNTER_TOTAL, ROLE_PKT_DROP},
};

static const struct counter_def lcore_defs[] = {
	{"rx_packets", "packets taken off the queues", COUNTER_TOTAL, ROLE_PKT_IN},
	{"taken_packets", "packets whose events a partition got", COUNTER_TOTAL, ROLE_PKT_TAKEN},
	{"udp_bad_checksum", "UDP checksum wrong", COUNTER_TOTAL, ROLE_PKT_DROP},
	{"ring_full", "the partition's ring had no room", COUNTER_TOTAL, ROLE_PKT_DROP},
	{"busy_cycles", "cycles with something to do", COUNTER_TOTAL, ROLE_NONE},
	{"idle_cycles", "cycles without", COUNTER_TOTAL, ROLE_NONE},
};

static const struct counter_def ring_defs[] = {
	{"used_packets", "packets in the ring", COUNTER_GAUGE, ROLE_PKT_FLIGHT},
	{"size_packets", "packets that it can hold", COUNTER_GAUGE, ROLE_NONE},
};

static const struct counter_def partition_defs[] = {
	{"events_in", "events offered", COUNTER_TOTAL, ROLE_EV_IN},
	{"rows_durable", "events made durable", COUNTER_TOTAL, ROLE_EV_DURABLE},
	{"log_full", "no room in the log", COUNTER_TOTAL, ROLE_EV_DROP},
	{"events_open", "events in the open block", COUNTER_GAUGE, ROLE_EV_FLIGHT},
	{"payload_bytes", "payload bytes submitted", COUNTER_TOTAL, ROLE_NONE},
	{"written_bytes", "bytes written", COUNTER_TOTAL, ROLE_NONE},
	{"log_bytes", "bytes of all segments", COUNTER_GAUGE, ROLE_NONE},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t port_values[COUNT(port_defs)];
static uint64_t lcore_values[COUNT(lcore_defs)];
static uint64_t ring_values[PARTITIONS][COUNT(ring_defs)];
static uint64_t partition_values[PARTITIONS][COUNT(partition_defs)];
static struct hist commit[PARTITIONS];
static const char *health = "ok";

static struct counter_set sets[2 + 2 * PARTITIONS];
static struct hist_entry hists[PARTITIONS];
static unsigned set_count;

static struct counter_set *add_set(const char *subsystem, const struct counter_def *defs,
	unsigned count, const uint64_t *values)
{
	struct counter_set *set = &sets[set_count++];

	*set = (struct counter_set){
		.subsystem = subsystem, .defs = defs, .values = values, .count = count};
	return set;
}

static void register_all(void)
{
	struct counter_set *port, *set;

	port = add_set("port", port_defs, COUNT(port_defs), port_values);
	snprintf(port->labels, sizeof(port->labels), "port=\"uplink \\\"a\\\"\"");
	set = add_set("lcore", lcore_defs, COUNT(lcore_defs), lcore_values);
	snprintf(set->labels, sizeof(set->labels), "lcore=\"1\"");
	for (unsigned p = 0; p < PARTITIONS; p++) {
		set = add_set("ring", ring_defs, COUNT(ring_defs), ring_values[p]);
		snprintf(set->labels, sizeof(set->labels), "lcore=\"1\",partition=\"%u\"", p);
		set = add_set(
			"partition", partition_defs, COUNT(partition_defs), partition_values[p]);
		snprintf(set->labels, sizeof(set->labels), "partition=\"%u\"", p);
		hists[p] = (struct hist_entry){.subsystem = "partition",
			.name = "commit_latency_ns",
			.help = "from a block's first event until it is durable",
			.hist = &commit[p]};
		snprintf(hists[p].labels, sizeof(hists[p].labels), "partition=\"%u\"", p);
		hist_register(&hists[p]);
		counter_set(&ring_values[p][1], 1024);
	}
	for (unsigned i = 0; i < set_count; i++)
		counters_register(&sets[i]);
}

static void add_partition(unsigned p, uint64_t events)
{
	uint64_t *v = partition_values[p];

	counter_add(&v[0], events);
	counter_add(&v[1], events - 1);
	counter_add(&v[2], 1);
	counter_add(&v[4], events * 600);
	counter_add(&v[5], events * 659);
	counter_add(&v[6], events * 659);
	counter_set(&ring_values[p][0], 0);
	hist_add(&commit[p], 1500000 + 1000 * (v[0] % 97));
}

// Both identities hold at every moment that nothing is in between.
static void tick(void)
{
	uint64_t packets = (uint64_t)EVENTS_A_TICK * PARTITIONS;

	counter_add(&port_values[0], 2);
	counter_add(&port_values[1], packets + 5);
	counter_add(&port_values[2], (packets + 5) * 642);
	counter_add(&port_values[4], 2);
	counter_add(&lcore_values[0], packets + 5);
	counter_add(&lcore_values[1], packets);
	counter_add(&lcore_values[2], 1);
	counter_add(&lcore_values[3], 4);
	counter_add(&lcore_values[4], 700);
	counter_add(&lcore_values[5], 300);
	for (unsigned p = 0; p < PARTITIONS; p++)
		add_partition(p, EVENTS_A_TICK);
}

static json_t *time_json(int64_t ns)
{
	char buf[40];

	return json_string(time_text(ns, buf));
}

static json_t *reasons_json(void)
{
	if (strcmp(health, "ok") == 0)
		return json_array();
	return json_pack("[s]", "partition 1: no room in the log, events are dropped");
}

static void serve_health(const struct http_request *req, struct http_reply *reply, void *arg)
{
	(void)req;
	(void)arg;
	reply->status = strcmp(health, "failed") == 0 ? 503 : 200;
	reply->schema = "millrace.health/1";
	reply->data = json_pack("{s:s, s:o}", "health", health, "reasons", reasons_json());
}

static void serve_status(const struct http_request *req, struct http_reply *reply, void *arg)
{
	(void)req;
	(void)arg;
	reply->schema = "millrace.status/1";
	reply->data = json_pack("{s:s, s:o, s:s, s:i, s:o, s:I, s:s, s:n, s:s, s:I, s:I, s:n, s:n, "
				"s:I, s:i, s:i, s:i, s:b, s:n}",
		"health", health, "reasons", reasons_json(), "version", MILLRACE_VERSION, "pid",
		(int)getpid(), "started_at", time_json(START_NS), "uptime_ns",
		(json_int_t)93784000000000, "mode", "pipeline", "config_path", "data_path",
		"/var/lib/millrace", "disk_free_bytes", (json_int_t)1 << 40, "disk_size_bytes",
		(json_int_t)1 << 41, "retain_bytes", "retain_age_ns", "log_bytes",
		(json_int_t)(counter_get(&partition_values[0][6]) +
			     counter_get(&partition_values[1][6])),
		"port_count", 1, "partition_count", PARTITIONS, "lcore_count", 2, "hugepages", 1,
		"slowest_sink");
}

static void serve_ports(const struct http_request *req, struct http_reply *reply, void *arg)
{
	uint64_t xstats = 0;
	json_t *row;

	(void)arg;
	if (!http_query_u64(req, "xstats", 1, &xstats, reply))
		return;
	row = json_pack(
		"{s:i, s:s, s:s, s:s, s:s, s:s, s:[s], s:b, s:[], s:n, s:b, s:n, s:i, s:n, s:i, "
		"s:i, "
		"s:i, s:i, s:i, s:i}",
		"port", 0, "name", "uplink \"a\"", "device", "veth1", "driver", "net_af_xdp",
		"driver_mode", "copy", "mac", "02:00:00:00:00:01", "addresses", "10.0.0.1/24",
		"promiscuous", 0, "gateways", "exception", "link_up", 1, "link_bits_per_second",
		"mtu_bytes", 1500, "numa_node", "rx_queues", 1, "tx_queues", 1, "rx_descriptors",
		1024, "tx_descriptors", 512, "mbufs", 8191, "mbufs_in_use", 1100);
	json_object_update_new(
		row, json_pack("{s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:n}", "rx_packets_total",
			     (json_int_t)counter_get(&port_values[1]), "rx_bytes_total",
			     (json_int_t)counter_get(&port_values[2]), "rx_missed_total",
			     (json_int_t)counter_get(&port_values[4]), "rx_errors_total", 0,
			     "rx_nombuf_total", 0, "tx_packets_total", 0, "tx_bytes_total", 0,
			     "tx_errors_total"));
	json_object_set_new(row, "xstats",
		xstats ? json_pack("[{s:s, s:i}, {s:s, s:i}]", "name", "rx_good_packets", "value",
				 12, "name", "rx_q0_errors", "value", 0)
		       : json_null());
	reply->schema = "millrace.ports/1";
	reply->data = json_pack("[o]", row);
	if (xstats)
		reply->warnings = json_pack("[o]",
			json_warning("af_xdp_copy",
				"port uplink \"a\": AF_XDP copies each packet on this device",
				NULL));
}

static json_t *partition_json(unsigned p)
{
	uint64_t durable = counter_get(&partition_values[p][1]);

	return json_pack(
		"{s:i, s:s, s:n, s:i, s:s, s:i, s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:I, s:i, "
		"s:{s:b, s:i, s:i, s:i, s:i, s:n}}",
		"partition", (int)p, "state", "ok", "error", "lcore", 1, "log_id",
		"000102030405060708090a0b0c0d0e0f", "generation", 1, "io", "io_uring", "next_seq",
		json_id(durable + 10), "durable_seq", json_id(durable), "durable_batch",
		json_id(durable / 100000), "segment_first_seq", json_id(0), "durable_offset_bytes",
		8192, "in_flight_blocks", 1, "log_bytes",
		(json_int_t)counter_get(&partition_values[p][6]), "log_segments", 1, "recovery",
		"created", 1, "verified_bytes", 0, "cut_bytes", 0, "cut_intact_blocks", 0,
		"cut_intact_rows", 0, "cut_file");
}

static void serve_partitions(const struct http_request *req, struct http_reply *reply, void *arg)
{
	(void)req;
	(void)arg;
	reply->schema = "millrace.partitions/1";
	reply->data = json_pack("[o, o]", partition_json(0), partition_json(1));
}

static json_t *batch_json(uint64_t number)
{
	return json_pack("{s:o, s:o, s:i, s:i, s:i, s:o, s:o, s:o}", "batch", json_id(number),
		"first_seq", json_id(number * 100000), "rows", 100000, "blocks", 66, "log_bytes",
		65900000, "received_min", time_json(START_NS + (int64_t)number * 200000000),
		"received_max", time_json(START_NS + (int64_t)number * 200000000 + 199000000),
		"durable_at", time_json(START_NS + (int64_t)number * 200000000 + 201500000));
}

static void serve_batches(const struct http_request *req, struct http_reply *reply, void *arg)
{
	uint64_t partition = 0, from = UINT64_MAX, limit = 100, next;
	json_t *list = json_array();

	(void)arg;
	if (!http_query_u64(req, "partition", PARTITIONS - 1, &partition, reply) ||
		!http_query_u64(req, "from", UINT64_MAX, &from, reply) ||
		!http_query_u64(req, "limit", 1000, &limit, reply)) {
		json_decref(list);
		return;
	}
	next = counter_get(&partition_values[partition][1]) / 100000;
	if (from == UINT64_MAX)
		from = next > limit ? next - limit : 0;
	for (uint64_t b = from; b < next && b < from + limit; b++)
		json_array_append_new(list, batch_json(b));
	reply->schema = "millrace.batches/1";
	reply->data = json_pack("{s:I, s:o, s:o}", "partition", (json_int_t)partition, "next_batch",
		json_id(next), "batches", list);
}

static void serve_log(const struct http_request *req, struct http_reply *reply, void *arg)
{
	(void)req;
	(void)arg;
	reply->schema = "millrace.log/1";
	reply->data = json_pack("[{s:i, s:s, s:s, s:i, s:o, s:i, s:o, s:o}]", "partition", 0,
		"path", "/var/lib/millrace/0", "log_id", "000102030405060708090a0b0c0d0e0f",
		"generation", 1, "segment_first_seq", json_id(0), "durable_offset_bytes", 8192,
		"durable_seq", json_id(0), "next_seq", json_id(0));
}

static void serve_config(const struct http_request *req, struct http_reply *reply, void *arg)
{
	(void)req;
	(void)arg;
	reply->schema = "millrace.config/1";
	reply->data = json_pack("{s:n, s:s}", "path", "yaml", "receiver: fake\n");
}

static const struct http_route routes[] = {
	{"/healthz", serve_health, NULL},
	{"/api/v1/status", serve_status, NULL},
	{"/api/v1/ports", serve_ports, NULL},
	{"/api/v1/partitions", serve_partitions, NULL},
	{"/api/v1/batches", serve_batches, NULL},
	{"/api/v1/log", serve_log, NULL},
	{"/api/v1/config", serve_config, NULL},
	{0},
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void run(bool still)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	char byte;

	while (!stop) {
		if (poll(&in, 1, TICK_MS) > 0 && read(0, &byte, 1) <= 0)
			return;
		if (!still)
			tick();
	}
}

int main(int argc, char **argv)
{
	struct http *http;
	bool still = false;
	int err;

	if (argc < 2)
		return 2;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "still") == 0)
			still = true;
		else
			health = argv[i];
	}
	signal(SIGTERM, on_signal);
	register_all();
	tick();
	err = http_start(&http, argv[1], "fake", routes);
	if (err < 0) {
		fprintf(stderr, "fake_receiver: %s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	run(still);
	http_stop(http);
	return 0;
}
