// SPDX-License-Identifier: BSD-3-Clause
// millrace send: the options, and the ways that it can go.

#include "cli/cmd_send.h"

#include "cli/cli.h"
#include "cli/send/key.h"
#include "cli/send/send.h"
#include "common/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum option {
	OPT_RELIABLE,
	OPT_CLUSTER,
	OPT_ZOOKEEPER,
	OPT_LISTENER,
	OPT_KEY,
	OPT_CIPHER,
	OPT_SPOOL,
	OPT_SPOOL_SIZE,
	OPT_WAIT,
	OPT_PORT,
	OPT_TO,
	OPT_FROM,
	OPT_FOLLOW,
	OPT_POSITION,
	OPT_PCAP,
	OPT_DST_MAC,
	OPT_NO_HUGE,
	OPT_RATE,
	OPT_SIZE,
	OPT_COUNT,
	OPT_DURATION,
	OPT_ID,
	OPT_BURST,
	OPT_FLOWS,
	OPT_LINES,
	OPT_END,
};

static const struct cli_option options[] = {
	[OPT_RELIABLE] = {"reliable", 0, "HOST:PORT[,HOST:PORT...]",
		"send so that no event is lost: to the first, or the next while that one fails",
		NULL},
	[OPT_CLUSTER] = {"cluster", 0, "NAME", SEND_CLUSTER_HELP, NULL},
	[OPT_ZOOKEEPER] = {"zookeeper", 0, "HOST:PORT[,HOST:PORT...]", SEND_ZOOKEEPER_HELP, NULL},
	[OPT_LISTENER] = {"listener", 0, "NAME", SEND_LISTENER_HELP, NULL},
	[OPT_KEY] = {"key", 0, "ID:FILE",
		"with --reliable: pre-shared key, 32 bytes or 64 hex digits in a file", NULL},
	[OPT_CIPHER] = {"cipher", 0, "NAME", "of --key (default xchacha20-poly1305)", SEND_CIPHERS},
	[OPT_SPOOL] = {"spool", 0, "DIR",
		"with --reliable: keep what is not acknowledged there, also for the next run",
		NULL},
	[OPT_SPOOL_SIZE] = {"spool-size", 0, "SIZE", "of --spool at most (default 1GiB)", NULL},
	[OPT_WAIT] = {"wait", 0, "TIME",
		"with --reliable: give up when nothing is acknowledged for so long (default 60s)",
		NULL},
	[OPT_PORT] = {"port", 0, "DEVICE",
		"send by this DPDK device: PCI address or vdev,arguments", NULL},
	[OPT_TO] = {"to", 0, "IP:PORT", "with --port: where the frames go (IPv4)", NULL},
	[OPT_FROM] = {"from", 0, "FILE|IP:PORT",
		"with --reliable: its lines are the events, - is stdin; with --port: the frames' "
		"source (default 198.18.0.1:40000)",
		NULL},
	[OPT_FOLLOW] = {"follow", 0, NULL,
		"with --from FILE: go on with lines that are added, also through rotation", NULL},
	[OPT_POSITION] = {"position", 0, "FILE",
		"with --follow: keep there what is acknowledged, and go on there at the next start",
		NULL},
	[OPT_PCAP] = {"pcap", 0, "FILE",
		"with --reliable: the UDP payloads of this capture are the events", NULL},
	[OPT_DST_MAC] = {"dst-mac", 0, "MAC",
		"with --port: the frames' destination (default broadcast)", NULL},
	[OPT_NO_HUGE] = {"no-huge", 0, NULL, "with --port: do without hugepages", NULL},
	[OPT_RATE] = {"rate", 'r', "N", "events per second: 1000, 1.488M, max (default 1000)",
		NULL},
	[OPT_SIZE] = {"size", 's', "BYTES",
		"of an event, 18 and more, or a range: 18-1400 (default 64)", NULL},
	[OPT_COUNT] = {"count", 'n', "N", "stop after so many events", NULL},
	[OPT_DURATION] = {"duration", 'd', "TIME",
		"stop after this time (default 10s without --count)", NULL},
	[OPT_ID] = {"id", 0, "HEX8", "of this run, 8 hex digits (default random)", NULL},
	[OPT_BURST] = {"burst", 0, "N",
		"datagrams handed over at once, 1 to 64 (default: those of 100 us)", NULL},
	[OPT_FLOWS] = {"flows", 0, "N", "source ports, taken in turn (default 1)", NULL},
	[OPT_LINES] = {"batch-lines", 0, "K", "events in a datagram, a line each (default 1)",
		NULL},
	[OPT_END] = {0},
};

// A number with an optional k, M or G, decimal. false: none, or above 'max'.
static bool parse_count(const char *text, double max, uint64_t *ret)
{
	char *end;
	double v = strtod(text, &end), unit = 1;

	if (end == text)
		return false;
	if (*end == 'k')
		unit = 1e3;
	else if (*end == 'M')
		unit = 1e6;
	else if (*end == 'G')
		unit = 1e9;
	if (unit != 1)
		end++;
	v *= unit;
	if (*end != '\0' || !(v >= 1 && v <= max))
		return false;
	*ret = (uint64_t)(v + 0.5);
	return true;
}

static bool parse_u32(const struct cli_args *args, enum option option, uint64_t max, uint32_t *ret)
{
	const char *text = args->value[option];
	uint64_t v;

	if (text == NULL)
		return true;
	if (!parse_count(text, (double)max, &v)) {
		cli_error("--%s '%s': want a number from 1 to %" PRIu64, options[option].name, text,
			max);
		return false;
	}
	*ret = (uint32_t)v;
	return true;
}

static bool parse_sizes(const char *text, struct send_plan *plan)
{
	char first[16];
	size_t len = strcspn(text, "-");
	uint64_t min, max;

	if (len >= sizeof(first))
		return false;
	memcpy(first, text, len);
	first[len] = '\0';
	if (!parse_count(first, SEND_UDP_MAX, &min))
		return false;
	max = min;
	if (text[len] == '-' && !parse_count(text + len + 1, SEND_UDP_MAX, &max))
		return false;
	plan->size_min = (uint32_t)min;
	plan->size_max = (uint32_t)max;
	return min <= max;
}

static bool parse_id(const char *text, uint32_t *ret)
{
	char *end;

	if (text == NULL)
		return getrandom(ret, sizeof(*ret), 0) == sizeof(*ret);
	if (strlen(text) != 8 || strspn(text, "0123456789abcdefABCDEF") != 8)
		return false;
	*ret = (uint32_t)strtoul(text, &end, 16);
	return true;
}

static bool complain(const char *option, const char *value, const char *want)
{
	cli_error("--%s '%s': want %s", option, value, want);
	return false;
}

static bool is_reliable(const struct cli_args *args)
{
	return args->value[OPT_RELIABLE] != NULL || args->value[OPT_CLUSTER] != NULL;
}

// Not the generator's events.
static bool sends_input(const struct cli_args *args)
{
	return is_reliable(args) &&
	       (args->value[OPT_FROM] != NULL || args->value[OPT_PCAP] != NULL);
}

static bool parse_plan(const struct cli_args *args, struct send_plan *plan)
{
	const char *const *v = args->value;

	*plan = (struct send_plan){
		.rate = 1000, .size_min = 64, .size_max = 64, .flows = 1, .lines = 1};
	if (v[OPT_RATE] != NULL && strcmp(v[OPT_RATE], "max") == 0)
		plan->rate = 0;
	else if (v[OPT_RATE] != NULL && !parse_count(v[OPT_RATE], 1e9, &plan->rate))
		return complain("rate", v[OPT_RATE], "events per second up to 1G, or max");
	if (v[OPT_SIZE] != NULL && !parse_sizes(v[OPT_SIZE], plan))
		return complain("size", v[OPT_SIZE], "bytes, or a range as 18-1400");
	if (v[OPT_COUNT] != NULL &&
		!parse_count(v[OPT_COUNT], (double)SEND_COUNT_MAX, &plan->count))
		return complain("count", v[OPT_COUNT], "a number up to 10G");
	if (v[OPT_DURATION] != NULL &&
		(!units_parse_duration(v[OPT_DURATION], &plan->duration_ns) ||
			plan->duration_ns == 0))
		return complain("duration", v[OPT_DURATION], "a time as 10s");
	if (sends_input(args) && v[OPT_RATE] == NULL)
		plan->rate = 0;
	if (plan->count == 0 && plan->duration_ns == 0 && sends_input(args))
		plan->count = SEND_COUNT_MAX;
	if (plan->count == 0 && plan->duration_ns == 0)
		plan->duration_ns = 10000000000ull;
	if (!parse_id(v[OPT_ID], &plan->id))
		return complain("id", v[OPT_ID], "8 hex digits");
	return parse_u32(args, OPT_BURST, SEND_BURST_MAX, &plan->burst) &&
	       parse_u32(args, OPT_FLOWS, SEND_FLOWS_MAX, &plan->flows) &&
	       parse_u32(args, OPT_LINES, SEND_UDP_MAX, &plan->lines);
}

// "--NAME is only for OF" when one of the options is given.
static bool none_given(
	const struct cli_args *args, const enum option *list, size_t count, const char *of)
{
	for (size_t i = 0; i < count; i++) {
		if (args->value[list[i]] != NULL) {
			cli_error("--%s is only for %s", options[list[i]].name, of);
			return false;
		}
	}
	return true;
}

#define NONE_GIVEN(args, list, of) none_given(args, list, sizeof(list) / sizeof((list)[0]), of)

// One input, and what belongs to it.
static bool check_input(const struct cli_args *args)
{
	const char *const *v = args->value;

	if (v[OPT_PCAP] != NULL && v[OPT_FROM] != NULL)
		cli_error("--from and --pcap are two inputs: give one of them");
	else if (v[OPT_FOLLOW] != NULL && v[OPT_FROM] == NULL)
		cli_error("--follow wants --from FILE");
	else if (v[OPT_FOLLOW] != NULL && strcmp(v[OPT_FROM], "-") == 0)
		cli_error("--follow wants --from FILE: stdin is sent as it comes without it");
	else if (v[OPT_POSITION] != NULL && v[OPT_FOLLOW] == NULL)
		cli_error("--position is only for --follow");
	else
		return true;
	return false;
}

// One way, and nothing of another.
static bool check_way(const struct cli_args *args)
{
	static const enum option port_only[] = {OPT_TO, OPT_DST_MAC, OPT_NO_HUGE};
	static const enum option reliable_only[] = {OPT_KEY, OPT_CIPHER, OPT_SPOOL, OPT_SPOOL_SIZE,
		OPT_WAIT, OPT_FOLLOW, OPT_POSITION, OPT_PCAP};
	static const enum option datagrams[] = {OPT_FLOWS, OPT_LINES};
	static const enum option generated[] = {OPT_SIZE, OPT_ID};
	static const enum option from[] = {OPT_FROM};
	static const enum option cluster_only[] = {OPT_ZOOKEEPER, OPT_LISTENER};
	bool port = args->value[OPT_PORT] != NULL, reliable = is_reliable(args);
	bool cluster = args->value[OPT_CLUSTER] != NULL;

	if (port + (args->value[OPT_RELIABLE] != NULL) + cluster + args->argc != 1) {
		cli_error("send wants one of HOST:PORT, --reliable, --cluster and --port");
		return false;
	}
	if (port && args->value[OPT_TO] == NULL) {
		cli_error("--port needs --to IP:PORT");
		return false;
	}
	if (args->value[OPT_CIPHER] != NULL && args->value[OPT_KEY] == NULL) {
		cli_error("--cipher is that of a --key");
		return false;
	}
	return (port || NONE_GIVEN(args, port_only, "--port")) &&
	       (port || reliable || NONE_GIVEN(args, from, "--reliable and --port")) &&
	       (reliable || NONE_GIVEN(args, reliable_only, "--reliable")) &&
	       (cluster || NONE_GIVEN(args, cluster_only, "--cluster")) &&
	       (!reliable || NONE_GIVEN(args, datagrams, "plain datagrams")) &&
	       (!sends_input(args) || NONE_GIVEN(args, generated, "generated events")) &&
	       check_input(args);
}

static int open_wire(const struct cli *cli, const struct cli_args *args,
	const struct send_plan *plan, struct send_wire **ret)
{
	const struct send_port_options port = {
		.device = args->value[OPT_PORT],
		.to = args->value[OPT_TO],
		.from = args->value[OPT_FROM] != NULL ? args->value[OPT_FROM] : "198.18.0.1:40000",
		.dst_mac = args->value[OPT_DST_MAC],
		.no_huge = args->value[OPT_NO_HUGE] != NULL,
		.link_timeout_ns = cli->timeout_ns,
	};
	char why[SEND_WHY_BYTES] = "";
	int r;

	if (port.device != NULL)
		r = send_port_open(ret, plan, &port, &cli_interrupted, why);
	else
		r = send_udp_open(ret, plan, args->argv[0], why);
	if (r == 0)
		return EXIT_CLI_OK;
	if (r == -EINTR)
		return EXIT_CLI_INTERRUPTED;
	cli_error("%s", why[0] != '\0' ? why : strerror(-r));
	if (r == -EINVAL)
		return EXIT_CLI_USAGE;
	return r == -ETIMEDOUT ? EXIT_CLI_TIMEOUT : EXIT_CLI_UNREACHABLE;
}

static bool parse_reliable(const struct cli_args *args, struct reliable_options *ret)
{
	const char *const *v = args->value;
	char why[SEND_WHY_BYTES];

	*ret = (struct reliable_options){.patience_ns = 60000000000ull};
	if (send_target_read(&ret->to, v[OPT_RELIABLE], v[OPT_KEY], v[OPT_CIPHER], why) != 0) {
		cli_error("--key: %s", why);
		return false;
	}
	if (send_target_find(&ret->to, v[OPT_CLUSTER], v[OPT_ZOOKEEPER], v[OPT_LISTENER], why) !=
		0) {
		cli_error("%s", why);
		return false;
	}
	if (send_spool_read(&ret->to, v[OPT_SPOOL], v[OPT_SPOOL_SIZE], why) != 0) {
		cli_error("%s", why);
		return false;
	}
	if (v[OPT_WAIT] != NULL &&
		(!units_parse_duration(v[OPT_WAIT], &ret->patience_ns) || ret->patience_ns == 0))
		return complain("wait", v[OPT_WAIT], "a time as 60s");
	return true;
}

static int reliable_command(
	const struct cli *cli, const struct cli_args *args, const struct send_plan *plan)
{
	const char *const *v = args->value;
	const struct send_from from = {.lines = v[OPT_FROM],
		.follow = v[OPT_FOLLOW] != NULL,
		.position = v[OPT_POSITION],
		.pcap = v[OPT_PCAP]};
	struct reliable_options reliable;
	int r = EXIT_CLI_USAGE;

	if (parse_reliable(args, &reliable))
		r = send_reliable(cli, plan, &reliable, &from);
	explicit_bzero(reliable.to.key, sizeof(reliable.to.key));
	return r;
}

static int send_command(const struct cli *cli, const struct cli_args *args)
{
	bool tty = !cli->json && isatty(STDERR_FILENO) != 0;
	char why[SEND_WHY_BYTES] = "";
	struct send_wire *wire;
	struct send_tally tally;
	struct send_plan plan;
	uint64_t last = 0;
	int r;

	if (!check_way(args) || !parse_plan(args, &plan))
		return EXIT_CLI_USAGE;
	if (send_plan_settle(&plan, args->value[OPT_PORT] == NULL ? SEND_UDP_MAX : SEND_PORT_MAX,
		    why) != 0) {
		cli_error("%s", why);
		return EXIT_CLI_USAGE;
	}
	if (is_reliable(args))
		return reliable_command(cli, args, &plan);
	r = open_wire(cli, args, &plan, &wire);
	if (r != EXIT_CLI_OK)
		return r;
	send_run(&plan, wire, &cli_interrupted, tty ? send_print_progress : NULL, &last, &tally);
	wire->close(wire);
	if (tty)
		fputs("\r\033[K", stderr);
	if (!cli->json)
		send_print_text(&plan, &tally);
	else if (send_print_json(&plan, &tally) != 0)
		return EXIT_CLI_DEGRADED;
	if (tally.interrupted)
		return EXIT_CLI_INTERRUPTED;
	return tally.refused > 0 ? EXIT_CLI_DEGRADED : EXIT_CLI_OK;
}

const struct cli_command cmd_send = {
	.name = "send",
	.args = "[HOST:PORT]",
	.min_args = 0,
	.max_args = 1,
	.summary = "send numbered events at a steady rate",
	.details =
		"Sends events that carry an id of the run and a sequence number, so that a "
		"receiver's "
		"log shows what is missing. The schedule is fixed at the start: event number i "
		"is due "
		"i / rate later. What the wire refuses is counted as loss and never sent again; "
		"what "
		"is late is counted and sent at once.\n"
		"By UDP socket to HOST:PORT, or with --port by a DPDK device of its own, for "
		"example "
		"--port net_memif0,role=client,id=0,socket=/run/m.sock,socket-abstract=no, or "
		"net_pcap0,tx_pcap=out.pcap to make a capture file.\n"
		"With --reliable HOST:PORT to a listener that takes the reliable protocol: every "
		"event is kept until the receiver has it on disk, and sent again where needed, "
		"also to the next receiver of the list when one was silent for 10 s. The events "
		"are the generator's, or with --from the lines of a file, or with --pcap the UDP "
		"payloads of a capture, as fast as they come unless --rate says otherwise. With "
		"--spool each is synced in that directory before it is sent, and the next run with "
		"it first sends what this one could not, under the same source.\n"
		"With --cluster instead of --reliable to the receivers that ZooKeeper knows: each "
		"run, or spool, has one of them that is its own, evenly spread. It goes to another "
		"when that one has acknowledged nothing for the cluster's move_after, or retires, "
		"and comes back when it is well again. --json tells the logs that the events went "
		"to, and which of them may be in two.\n"
		"With --follow as tail -F has them: from the first line of the file on, until it "
		"is interrupted or --duration is over. A file that is renamed is read to its end, "
		"and until nothing was added for a second, before the one that took its place; of "
		"one that is copied and truncated the rest is taken from the copy, if that is "
		"there. A last line is sent when its newline is there, or its file was rotated "
		"away. Rotated files are found by their names, as FILE.1 or FILE-20260102, and "
		"while they are not packed. With --position, a start goes on behind the last line "
		"that was acknowledged, also after a kill -9: at least once, for lines that were "
		"sent and not acknowledged are sent again, under another source. An interrupt is "
		"its ordinary end (exit code 0 when all is acknowledged); where a receiver may be "
		"away for long, give a longer --wait.\n"
		"Of a capture, pcap or pcapng, what is no whole UDP datagram is counted by a name "
		"and skipped: not_ip, not_udp, fragment, cut (by its snaplen), malformed. It may "
		"be of Ethernet with VLAN tags, raw IP or Linux cooked; checksums are not looked "
		"at.\n"
		"A payload is the id in 8 hex digits, the sequence number in 10 decimal digits, "
		"and "
		"printable filler. Exit code 0: all was accepted, with --reliable acknowledged; "
		"1: some was not, or an input ended in an error.",
	.options = options,
	.run = send_command,
};
