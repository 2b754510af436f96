// SPDX-License-Identifier: BSD-3-Clause
// millrace send --reliable: progress, and the account at the end.

#include "cli/cmd_send.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double rate_of(uint64_t count, uint64_t ns)
{
	return ns > 0 ? (double)count * 1e9 / (double)ns : 0;
}

// Called by the thread that takes the reports; the other one prints nothing meanwhile.
static void print_progress(const struct reliable_tally *tally, void *arg)
{
	char rate[32], events[32], acknowledged[32], again[32];

	(void)arg;
	fprintf(stderr, "\r%s/s, %s sent, %s acknowledged, %s again, rtt %.2f ms%s%.60s \033[K",
		cli_count_text(rate_of(tally->acknowledged, tally->elapsed_ns), rate),
		cli_count_text((double)tally->events, events),
		cli_count_text((double)tally->acknowledged, acknowledged),
		cli_count_text((double)tally->stats.again, again),
		(double)tally->stats.rtt_ns / 1e6, tally->reason[0] != '\0' ? ", " : "",
		tally->reason);
}

static uint64_t unacknowledged(const struct reliable_tally *tally)
{
	return tally->uncertain + tally->failed;
}

static json_t *warnings_of(const struct reliable_tally *tally)
{
	json_t *list = json_array();

	if (unacknowledged(tally) > 0)
		json_array_append_new(list,
			json_warning("not_acknowledged",
				tally->reason[0] != '\0' ? tally->reason : "interrupted", NULL));
	if (tally->refused > 0)
		json_array_append_new(list,
			json_warning("too_large", "the receiver takes no events so large", NULL));
	if (tally->error != 0)
		json_array_append_new(list, json_warning("input", strerror(tally->error), NULL));
	return list;
}

static json_t *latency_of(const struct reliable_tally *tally)
{
	const struct hist *h = &tally->latency;

	if (h->count == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "p50", (json_int_t)hist_quantile(h, 0.5), "p99",
		(json_int_t)hist_quantile(h, 0.99), "max", (json_int_t)h->max);
}

static json_t *data_of(const struct send_plan *plan, const struct reliable_options *options,
	const struct reliable_tally *tally)
{
	const struct millrace_stats *stats = &tally->stats;
	uint64_t events = tally->events;
	char id[9];

	snprintf(id, sizeof(id), "%08x", plan->id);
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
			 " s:I, s:f, s:o, s:o, s:o, s:o}",
		"source", json_id(tally->source), "id",
		options->lines < 0 ? json_string(id) : json_null(), "sent", (json_int_t)events,
		"bytes", (json_int_t)tally->bytes, "refused", (json_int_t)tally->refused,
		"acknowledged", (json_int_t)tally->acknowledged, "uncertain",
		(json_int_t)tally->uncertain, "failed", (json_int_t)tally->failed, "retransmitted",
		(json_int_t)stats->again, "datagrams", (json_int_t)stats->datagrams,
		"datagram_bytes", (json_int_t)stats->datagram_bytes, "datagrams_lost",
		(json_int_t)stats->lost, "moves", (json_int_t)stats->moves, "epochs",
		(json_int_t)stats->epochs, "elapsed_ns", (json_int_t)tally->elapsed_ns,
		"events_per_second", rate_of(tally->acknowledged, tally->elapsed_ns), "rtt_ns",
		stats->answers > 0 ? json_integer((json_int_t)stats->rtt_ns) : json_null(),
		"ack_latency_ns", latency_of(tally), "first_seq",
		events > 0 ? json_id(0) : json_null(), "last_seq",
		events > 0 ? json_id(events - 1) : json_null());
}

static void print_text(const struct reliable_tally *tally)
{
	const struct hist *h = &tally->latency;

	fprintf(stderr,
		"source %016" PRIx64 ": %" PRIu64 " events sent, %" PRIu64 " acknowledged, %" PRIu64
		" sent again, in %.3f s (%.0f/s)\n",
		tally->source, tally->events, tally->acknowledged, tally->stats.again,
		(double)tally->elapsed_ns / 1e9, rate_of(tally->acknowledged, tally->elapsed_ns));
	if (h->count > 0)
		fprintf(stderr,
			"acknowledged after %.3f ms (p50), %.3f ms (p99), %.3f ms at most; round "
			"trip %.3f ms\n",
			(double)hist_quantile(h, 0.5) / 1e6, (double)hist_quantile(h, 0.99) / 1e6,
			(double)h->max / 1e6, (double)tally->stats.rtt_ns / 1e6);
	if (unacknowledged(tally) > 0)
		fprintf(stderr,
			"not acknowledged: %" PRIu64 " may have arrived, %" PRIu64
			" never left%s%s\n",
			tally->uncertain, tally->failed, tally->reason[0] != '\0' ? ": " : "",
			tally->reason);
	if (tally->refused > 0)
		fprintf(stderr, "refused: %" PRIu64 " events too large\n", tally->refused);
	if (tally->error != 0)
		fprintf(stderr, "reading the events: %s\n", strerror(tally->error));
}

static int open_lines(const char *from)
{
	int fd;

	if (strcmp(from, "-") == 0)
		return dup(STDIN_FILENO);
	fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		cli_error("%s: %s", from, strerror(errno));
	return fd;
}

static int run(const struct cli *cli, const struct send_plan *plan,
	const struct reliable_options *options, struct reliable_tally *tally)
{
	bool tty = !cli->json && isatty(STDERR_FILENO) != 0;
	char why[SEND_WHY_BYTES];
	int err = reliable_run(
		plan, options, &cli_interrupted, tty ? print_progress : NULL, NULL, tally, why);

	if (tty)
		fputs("\r\033[K", stderr);
	if (err != 0) {
		cli_error("%s", why);
		return err == -EINVAL || err == -ENOTSUP ? EXIT_CLI_USAGE : EXIT_CLI_DEGRADED;
	}
	if (!cli->json)
		print_text(tally);
	else if (cli_print_account("millrace.send-reliable/1", data_of(plan, options, tally),
			 warnings_of(tally)) != 0)
		return EXIT_CLI_DEGRADED;
	if (tally->interrupted)
		return EXIT_CLI_INTERRUPTED;
	return unacknowledged(tally) > 0 || tally->refused > 0 || tally->error != 0
		       ? EXIT_CLI_DEGRADED
		       : EXIT_CLI_OK;
}

int send_reliable(const struct cli *cli, const struct send_plan *plan,
	struct reliable_options *options, const char *from)
{
	struct reliable_tally *tally = malloc(sizeof(*tally));
	int r = EXIT_CLI_DEGRADED;

	if (from != NULL) {
		options->lines = open_lines(from);
		if (options->lines < 0) {
			free(tally);
			return EXIT_CLI_USAGE;
		}
	}
	if (tally != NULL)
		r = run(cli, plan, options, tally);
	else
		cli_error("no memory");
	if (options->lines >= 0)
		close(options->lines);
	free(tally);
	return r;
}
