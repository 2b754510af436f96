// SPDX-License-Identifier: BSD-3-Clause
// millrace cluster plan

#include "cli/cli.h"
#include "cli/sizing.h"
#include "cli/table.h"
#include "common/json.h"
#include "common/units.h"

#include <inttypes.h>
#include <string.h>

#define NUMBER_BYTES 64

enum { OPT_RATE, OPT_EVENT_BYTES, OPT_NIC, OPT_DISK, OPT_CORES, OPT_COMPRESSION, OPT_SPARE };

static const struct cli_option options[] = {
	[OPT_RATE] = {"rate", 0, "N", "events per second over all slaves, as 1000000 or 1M", NULL},
	[OPT_EVENT_BYTES] = {"event-bytes", 0, "N", "mean payload of an event, bytes", NULL},
	[OPT_NIC] = {"nic", 0, "RATE", "of a slave's NIC, as 1Gbps", NULL},
	[OPT_DISK] = {"disk", 0, "RATE",
		"what a slave's disk writes beside its other work, as 100MB/s", NULL},
	[OPT_CORES] = {"cores", 0, "N", "of a slave, one of which is no lcore", NULL},
	[OPT_COMPRESSION] = {"compression", 0, "R",
		"by which log.compression makes blocks smaller (default 1: none)", NULL},
	[OPT_SPARE] = {"spare", 0, "N", "slaves more than the load needs (default 0)", NULL},
	{0},
};

static const char *const limits[] = {
	[SIZING_DISK] = "disk", [SIZING_NIC] = "nic", [SIZING_CPU] = "cpu"};

// The text without the first of these ends that it has. False: too long for a number.
static bool without(const char *text, const char *const *ends, char ret[NUMBER_BYTES])
{
	size_t len = strlen(text);

	for (; *ends != NULL; ends++) {
		size_t cut = strlen(*ends);

		if (len > cut && strcmp(text + len - cut, *ends) == 0) {
			len -= cut;
			break;
		}
	}
	if (len >= NUMBER_BYTES)
		return false;
	memcpy(ret, text, len);
	ret[len] = '\0';
	return true;
}

static bool parse_nic(const char *text, uint64_t *ret)
{
	static const char *const ends[] = {"bit/s", "bps", NULL};
	char number[NUMBER_BYTES];

	return without(text, ends, number) && units_parse_count(number, ret);
}

static bool parse_disk(const char *text, uint64_t *ret)
{
	static const char *const ends[] = {"/s", NULL};
	char number[NUMBER_BYTES];

	return without(text, ends, number) && units_parse_size(number, ret);
}

static bool parse_ratio(const char *text, uint64_t *ret)
{
	return units_parse_decimal(text, 1000, ret);
}

// Of the option at the same place.
struct number {
	bool (*parse)(const char *text, uint64_t *ret);
	uint64_t min, max;
	const char *wants;
	bool optional;
};

static const struct number numbers[] = {
	[OPT_RATE] = {units_parse_count, 1, SIZING_RATE_MAX, "events per second, from 1 to 100G",
		false},
	[OPT_EVENT_BYTES] = {units_parse_uint, 0, SIZING_EVENT_MAX, "bytes, from 0 to 65507",
		false},
	[OPT_NIC] = {parse_nic, 1, SIZING_NIC_MAX, "bits per second up to 10T, as 1Gbps or 25G",
		false},
	[OPT_DISK] = {parse_disk, 1, SIZING_DISK_MAX, "bytes per second up to 10TB, as 100MB/s",
		false},
	[OPT_CORES] = {units_parse_uint, SIZING_CORES_MIN, SIZING_CORES_MAX,
		"a number from 2 to 1024", false},
	[OPT_COMPRESSION] = {parse_ratio, 1000, SIZING_COMPRESSION_MAX,
		"a ratio from 1 to 100, as 1.1, of three digits behind the point at most", true},
	[OPT_SPARE] = {units_parse_uint, 0, SIZING_SPARE_MAX, "a number from 0 to 1000", true},
};

static int read_number(const struct cli_args *args, size_t option, uint64_t *ret)
{
	const char *text = args->value[option], *name = options[option].name;
	const struct number *n = &numbers[option];

	if (text == NULL && n->optional)
		return EXIT_CLI_OK;
	if (text == NULL) {
		cli_error("--%s is missing: %s", name, options[option].help);
		return EXIT_CLI_USAGE;
	}
	if (n->parse(text, ret) && *ret >= n->min && *ret <= n->max)
		return EXIT_CLI_OK;
	cli_error("--%s %s: wants %s", name, text, n->wants);
	return EXIT_CLI_USAGE;
}

static int read_input(const struct cli_args *args, struct sizing_input *ret)
{
	uint64_t *const places[] = {[OPT_RATE] = &ret->rate,
		[OPT_EVENT_BYTES] = &ret->event_bytes,
		[OPT_NIC] = &ret->nic,
		[OPT_DISK] = &ret->disk,
		[OPT_CORES] = &ret->cores,
		[OPT_COMPRESSION] = &ret->compression,
		[OPT_SPARE] = &ret->spare};
	int err = EXIT_CLI_OK;

	*ret = (struct sizing_input){.compression = 1000};
	for (size_t i = 0; err == EXIT_CLI_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		err = read_number(args, i, places[i]);
	return err;
}

static void print_json(const struct sizing *sizing, const struct sizing_input *input)
{
	json_t *parts = json_array(), *envelope;

	for (unsigned i = 0; i < SIZING_LIMITS; i++)
		json_array_append_new(
			parts, json_pack("{s:s, s:I, s:f}", "limit", limits[i], "events_per_second",
				       (json_int_t)sizing_events(&sizing->parts[i], input->rate),
				       "slaves", sizing_slaves(&sizing->parts[i])));
	envelope = json_envelope("millrace.plan/1", NULL,
		json_pack("{s:I, s:I, s:I, s:s, s:o}", "slaves", (json_int_t)sizing->all, "by_load",
			(json_int_t)sizing->by_load, "spare", (json_int_t)input->spare, "decides",
			limits[sizing->decides], "limits", parts),
		NULL);
	cli_print_json(envelope);
	json_decref(envelope);
}

static void print_text(const struct sizing *sizing, const struct sizing_input *input)
{
	struct table *table = table_new("lrr");

	if (table == NULL)
		return;
	table_cell(table, "LIMIT");
	table_cell(table, "A SLAVE TAKES");
	table_cell(table, "SLAVES WANTED");
	for (unsigned i = 0; i < SIZING_LIMITS; i++) {
		table_cell(table, "%s", limits[i]);
		table_cell(table, "%" PRIu64 "/s", sizing_events(&sizing->parts[i], input->rate));
		table_cell(table, "%.2f", sizing_slaves(&sizing->parts[i]));
	}
	table_print(table, stdout);
	table_free(table);
	printf("\n%" PRIu64 " slave%s: %" PRIu64 " by the %s", sizing->all,
		sizing->all == 1 ? "" : "s", sizing->by_load, limits[sizing->decides]);
	if (input->spare > 0)
		printf(", %" PRIu64 " to spare", input->spare);
	printf("\n");
}

static int run_plan(const struct cli *cli, const struct cli_args *args)
{
	struct sizing_input input;
	struct sizing sizing;
	int err = read_input(args, &input);

	if (err != EXIT_CLI_OK)
		return err;
	sizing = sizing_make(&input);
	if (cli->json)
		print_json(&sizing, &input);
	else
		print_text(&sizing, &input);
	return EXIT_CLI_OK;
}

const struct cli_command cmd_cluster_plan = {
	.name = "cluster plan",
	.args = "",
	.summary = "how many slaves a load needs, and what decides it",
	.details =
		"Asks nobody: it computes from what is given. The log takes 60 bytes an event "
		"beside the payload, less by the compression; the wire 66 (Ethernet, IPv4, UDP; "
		"more when a datagram goes in fragments); an lcore 100 cycles an event and one a "
		"byte, of 2.5 GHz, which is more than was measured. A slave has one lcore less "
		"than cores. What needs the most slaves decides; docs/cluster.md has worked "
		"examples. Give what is left for Millrace: a disk that also feeds sinks that lag, "
		"or a NIC that also sends to them, has less.",
	.options = options,
	.run = run_plan,
};
