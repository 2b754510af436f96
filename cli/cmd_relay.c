// SPDX-License-Identifier: BSD-3-Clause
// millrace relay: the options, and the account at the end.

#include "cli/cmd_send.h"
#include "cli/relay/relay.h"
#include "cli/send/key.h"
#include "cli/send/send.h"
#include "common/json.h"
#include "common/units.h"

#include <systemd/sd-daemon.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MAX_NS (7 * 24 * 3600 * 1000000000ull)

enum option {
	OPT_RELIABLE,
	OPT_CLUSTER,
	OPT_ZOOKEEPER,
	OPT_LISTENER,
	OPT_LISTEN,
	OPT_KEY,
	OPT_CIPHER,
	OPT_SPOOL,
	OPT_SPOOL_SIZE,
	OPT_WAIT,
	OPT_END
};

static const struct cli_option options[] = {
	[OPT_RELIABLE] = {"reliable", 0, "HOST:PORT[,HOST:PORT...]",
		"forward to the first, or the next while that one fails", NULL},
	[OPT_CLUSTER] = {"cluster", 0, "NAME", SEND_CLUSTER_HELP, NULL},
	[OPT_ZOOKEEPER] = {"zookeeper", 0, "HOST:PORT[,HOST:PORT...]", SEND_ZOOKEEPER_HELP, NULL},
	[OPT_LISTENER] = {"listener", 0, "NAME", SEND_LISTENER_HELP, NULL},
	[OPT_LISTEN] = {"listen", 0, "udp|tcp:[ADDRESS:]PORT[,...]",
		"take messages there; without an address on all of this host, IPv6 in brackets",
		NULL},
	[OPT_KEY] = {"key", 0, "ID:FILE", "pre-shared key, 32 bytes or 64 hex digits in a file",
		NULL},
	[OPT_CIPHER] = {"cipher", 0, "NAME", "of --key (default xchacha20-poly1305)", SEND_CIPHERS},
	[OPT_SPOOL] = {"spool", 0, "DIR",
		"keep what is not acknowledged there, also for the next relay", NULL},
	[OPT_SPOOL_SIZE] = {"spool-size", 0, "SIZE", "of --spool at most (default 1GiB)", NULL},
	[OPT_WAIT] = {"wait", 0, "TIME",
		"at the end: give up what is not acknowledged after so long (default 60s)", NULL},
	[OPT_END] = {0},
};

static bool parse(const struct cli_args *args, struct relay_options *ret)
{
	const char *const *v = args->value;
	char why[SEND_WHY_BYTES];

	*ret = (struct relay_options){.listen = v[OPT_LISTEN], .wait_ns = 60000000000ull};
	if ((v[OPT_RELIABLE] == NULL && v[OPT_CLUSTER] == NULL) || v[OPT_LISTEN] == NULL) {
		cli_error("relay wants --listen, and --reliable or --cluster");
		return false;
	}
	if (v[OPT_CIPHER] != NULL && v[OPT_KEY] == NULL) {
		cli_error("--cipher is that of a --key");
		return false;
	}
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
		(!units_parse_duration(v[OPT_WAIT], &ret->wait_ns) || ret->wait_ns > WAIT_MAX_NS)) {
		cli_error("--wait '%s': want a time as 60s, 7d at most", v[OPT_WAIT]);
		return false;
	}
	return true;
}

static uint64_t count_dropped(const struct relay_tally *tally)
{
	return tally->dropped.no_room + tally->dropped.socket + tally->dropped.too_large +
	       tally->dropped.too_long + tally->dropped.cut_off;
}

// What `systemctl status` shows, and a terminal.
static void tell(const struct relay_tally *tally, void *arg)
{
	bool *told = arg;

	if (!*told) {
		fputs("millrace relay: ready\n", stderr);
		sd_notify(0, "READY=1");
		*told = true;
	}
	sd_notifyf(0,
		"STATUS=%" PRIu64 " messages by UDP, %" PRIu64 " by TCP, %" PRIu64
		" not acknowledged yet, %" PRIu64 " dropped%s%s",
		tally->udp, tally->tcp, tally->unacknowledged, count_dropped(tally),
		tally->reason[0] != '\0' ? ": " : "", tally->reason);
	if (isatty(STDERR_FILENO))
		fprintf(stderr,
			"\r%" PRIu64 " by UDP, %" PRIu64 " by TCP, %" PRIu64
			" not acknowledged yet, %" PRIu64 " dropped %.60s\033[K",
			tally->udp, tally->tcp, tally->unacknowledged, count_dropped(tally),
			tally->reason);
}

static const char *reason_of(const struct relay_tally *tally)
{
	return tally->reason[0] != '\0' ? tally->reason : "the time was over";
}

static json_t *warnings_of(const struct relay_tally *tally)
{
	json_t *list = json_array();

	if (tally->unacknowledged > 0)
		json_array_append_new(
			list, json_warning("not_acknowledged", reason_of(tally), NULL));
	if (tally->failed != 0)
		json_array_append_new(list, json_warning("spool", strerror(tally->failed), NULL));
	if (tally->dropped.too_large > 0)
		json_array_append_new(list,
			json_warning("too_large", "the receiver takes no events so large", NULL));
	return list;
}

static json_t *dropped_of(const struct relay_tally *tally)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "no_room",
		(json_int_t)tally->dropped.no_room, "socket", (json_int_t)tally->dropped.socket,
		"too_large", (json_int_t)tally->dropped.too_large, "too_long",
		(json_int_t)tally->dropped.too_long, "cut_off", (json_int_t)tally->dropped.cut_off,
		"left", (json_int_t)tally->dropped.left);
}

static int print_json(const struct relay_tally *tally)
{
	json_t *data = json_pack("{s:o, s:I, s:{s:I, s:I}, s:I, s:I, s:I, s:I, s:o, s:I, s:I, "
				 "s:I, s:I, s:I}",
		"source", json_id(tally->source), "found", (json_int_t)tally->found, "messages",
		"udp", (json_int_t)tally->udp, "tcp", (json_int_t)tally->tcp, "bytes",
		(json_int_t)tally->bytes, "acknowledged", (json_int_t)tally->acknowledged,
		"unacknowledged", (json_int_t)tally->unacknowledged, "spooled",
		(json_int_t)tally->spooled, "dropped", dropped_of(tally), "connections",
		(json_int_t)tally->connections, "connections_refused",
		(json_int_t)tally->connections_refused, "retransmitted",
		(json_int_t)tally->stats.again, "moves", (json_int_t)tally->stats.moves, "epochs",
		(json_int_t)tally->stats.epochs);

	return cli_print_account("millrace.relay/1", data, warnings_of(tally));
}

static void print_text(const struct relay_tally *tally)
{
	const struct {
		const char *what;
		uint64_t count;
	} rows[] = {
		{"datagrams dropped, no room (the receiver is away or slow)",
			tally->dropped.no_room},
		{"datagrams dropped by the socket", tally->dropped.socket},
		{"messages dropped, larger than the receiver takes", tally->dropped.too_large},
		{"connections ended, message too long", tally->dropped.too_long},
		{"messages cut off by the end of their connection", tally->dropped.cut_off},
		{"messages left at the end, no room", tally->dropped.left},
		{"connections refused, too many", tally->connections_refused},
	};

	fprintf(stderr,
		"source %016" PRIx64 ": %" PRIu64 " messages by UDP, %" PRIu64
		" by TCP over %" PRIu64 " connections; %" PRIu64 " acknowledged\n",
		tally->source, tally->udp, tally->tcp, tally->connections, tally->acknowledged);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].count > 0)
			fprintf(stderr, "%s: %" PRIu64 "\n", rows[i].what, rows[i].count);
	if (tally->found > 0)
		fprintf(stderr, "found in the spool: %" PRIu64 "\n", tally->found);
	if (tally->unacknowledged > 0)
		fprintf(stderr,
			"not acknowledged: %" PRIu64 ", %" PRIu64 " of them in the spool: %s\n",
			tally->unacknowledged, tally->spooled, reason_of(tally));
}

static int run(const struct cli *cli, const struct relay_options *relay)
{
	struct relay_tally tally;
	char why[RELAY_WHY_BYTES];
	bool told = false;
	int err = relay_run(relay, &cli_interrupted, tell, &told, &tally, why);

	if (told && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (err != 0) {
		cli_error("%s", why);
		return send_exit_of_open(err);
	}
	if (!cli->json)
		print_text(&tally);
	else if (print_json(&tally) != 0)
		return EXIT_CLI_DEGRADED;
	return tally.unacknowledged > tally.spooled || tally.dropped.left > 0 || tally.failed != 0
		       ? EXIT_CLI_DEGRADED
		       : EXIT_CLI_OK;
}

static int relay_command(const struct cli *cli, const struct cli_args *args)
{
	struct relay_options relay;
	int r = EXIT_CLI_USAGE;

	if (parse(args, &relay))
		r = run(cli, &relay);
	explicit_bzero(relay.to.key, sizeof(relay.to.key));
	return r;
}

const struct cli_command cmd_relay = {
	.name = "relay",
	.args = "",
	.summary = "take syslog and lines on this host and forward them reliably",
	.details =
		"Takes messages by UDP, a datagram each, and by TCP, and forwards each as one "
		"event, "
		"byte for byte, to a listener that takes the reliable protocol. So rsyslog, "
		"syslog-ng and whatever else writes syslog (RFC 5424, RFC 3164) or lines joins "
		"without "
		"a change. For example: millrace relay --reliable log.example:5140 --listen "
		"udp:127.0.0.1:514,tcp:127.0.0.1:514\n"
		"On TCP a message ends with a newline, which is left out with a carriage return "
		"before it, as are empty lines; or it is octet counted (RFC 6587), that is, begins "
		"with its length, a space and \"<\". What lies unfinished when a connection ends "
		"is "
		"a message, unless it was octet counted. One above 64 KiB ends its connection. "
		"1024 connections are served at a time.\n"
		"Events are kept until the receiver has them on disk: in memory, 64 MiB at most, "
		"or in --spool, where each is synced before it is sent, and where the next relay "
		"finds what this one left, whatever ended it. When there is no room, connections "
		"are not read, so that their senders wait; datagrams are dropped and counted. "
		"Without --spool, what was taken and not acknowledged when the relay is killed is "
		"lost; with it, what came in the last few milliseconds.\n"
		"SIGINT or SIGTERM ends it: it takes what has arrived already, waits for the "
		"acknowledgements, and prints an account. Exit code 0: all that was taken is "
		"acknowledged, or in the spool; 1: some is not. It says READY=1 and its counts to "
		"systemd; packaging has a unit.",
	.options = options,
	.run = relay_command,
};
