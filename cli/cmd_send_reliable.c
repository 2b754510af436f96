// SPDX-License-Identifier: BSD-3-Clause
// millrace send --reliable: progress, and the account at the end.

#include "cli/cmd_send.h"
#include "cli/send/capture.h"
#include "cli/send/follow.h"
#include "common/json.h"
#include "wal/format.h"

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
	return tally->uncertain + tally->failed + tally->spooled;
}

// What is sent, and what there is to say of that.
struct source {
	struct send_input *input;
	bool follows, captured;
	struct follow_tally follow;
	struct capture_tally capture;
};

static const char *input_error(const struct source *source, const struct reliable_tally *tally)
{
	return source->input->why[0] != '\0' ? source->input->why : strerror(tally->error);
}

static void warn_of_follow(json_t *list, const struct follow_tally *follow)
{
	if (follow->unfinished_bytes > 0)
		json_array_append_new(
			list, json_warning("unfinished",
				      "the last line has no newline and was not sent", NULL));
	if (follow->position_error != 0)
		json_array_append_new(
			list, json_warning("position", strerror(follow->position_error), NULL));
}

static json_t *warnings_of(const struct source *source, const struct reliable_tally *tally)
{
	json_t *list = json_array();

	if (unacknowledged(tally) > 0)
		json_array_append_new(list,
			json_warning("not_acknowledged",
				tally->reason[0] != '\0' ? tally->reason : "interrupted", NULL));
	if (tally->failure != 0)
		json_array_append_new(list, json_warning("spool", strerror(tally->failure), NULL));
	if (tally->refused > 0)
		json_array_append_new(list,
			json_warning("too_large", "the receiver takes no events so large", NULL));
	if (tally->error != 0)
		json_array_append_new(
			list, json_warning("input", input_error(source, tally), NULL));
	if (source->follows)
		warn_of_follow(list, &source->follow);
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

static json_t *follow_of(const struct source *source)
{
	const struct follow_tally *f = &source->follow;

	if (!source->follows)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "files", (json_int_t)f->files, "truncations",
		(json_int_t)f->truncations, "unfinished_bytes", (json_int_t)f->unfinished_bytes);
}

// Of enum payload_skip; the first of them is none.
static const struct {
	const char *name, *text;
} skips[PAYLOAD_SKIP_COUNT] = {
#define X(symbol, name, text) [PAYLOAD_##symbol] = {#name, text},
	PAYLOAD_SKIPS(X)
#undef X
};

static json_t *capture_of(const struct source *source)
{
	json_t *skipped;

	if (!source->captured)
		return json_null();
	skipped = json_object();
	for (int i = 1; i < PAYLOAD_SKIP_COUNT; i++)
		json_object_set_new(skipped, skips[i].name,
			json_integer((json_int_t)source->capture.skipped[i]));
	return json_pack(
		"{s:I, s:o}", "packets", (json_int_t)source->capture.packets, "skipped", skipped);
}

static json_t *log_id_json(const uint8_t id[16])
{
	struct wal_id log;
	char text[33];

	memcpy(&log, id, sizeof(log));
	wal_id_text(&log, text);
	return json_string(text);
}

// What one log of the source has, and what the one before may have of the same.
static json_t *log_json(const struct millrace_log *log)
{
	json_t *from = json_null();

	if (log->prev_epoch != 0)
		from = json_pack("{s:I, s:o, s:o, s:o}", "epoch", (json_int_t)log->prev_epoch,
			"log_id", log_id_json(log->prev_log_id), "first_seq",
			json_id(log->prev_seq), "end_seq", json_id(log->prev_end));
	return json_pack("{s:s, s:o, s:I, s:o, s:b, s:I, s:o}", "receiver", log->receiver, "log_id",
		log_id_json(log->log_id), "epoch", (json_int_t)log->epoch, "first_seq",
		json_id(log->first_seq), "planned", log->planned, "overlap",
		(json_int_t)(log->prev_end - log->prev_seq), "from", from);
}

static json_t *logs_json(const struct reliable_tally *tally)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < tally->log_count && i < RELIABLE_LOGS; i++)
		json_array_append_new(list, log_json(&tally->logs[i]));
	return list;
}

static json_t *data_of(const struct send_plan *plan, const struct source *source,
	const struct reliable_tally *tally)
{
	const struct millrace_stats *stats = &tally->stats;
	uint64_t events = tally->events;
	char id[9];

	snprintf(id, sizeof(id), "%08x", plan->id);
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
			 " s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}",
		"source", json_id(tally->source), "id",
		source->input->generated ? json_string(id) : json_null(), "sent",
		(json_int_t)events, "bytes", (json_int_t)tally->bytes, "refused",
		(json_int_t)tally->refused, "acknowledged", (json_int_t)tally->acknowledged,
		"uncertain", (json_int_t)tally->uncertain, "failed", (json_int_t)tally->failed,
		"retransmitted", (json_int_t)stats->again, "datagrams",
		(json_int_t)stats->datagrams, "datagram_bytes", (json_int_t)stats->datagram_bytes,
		"datagrams_lost", (json_int_t)stats->lost, "moves", (json_int_t)stats->moves,
		"epochs", (json_int_t)stats->epochs, "elapsed_ns", (json_int_t)tally->elapsed_ns,
		"events_per_second", rate_of(tally->acknowledged, tally->elapsed_ns), "rtt_ns",
		stats->answers > 0 ? json_integer((json_int_t)stats->rtt_ns) : json_null(),
		"ack_latency_ns", latency_of(tally), "first_seq",
		events > 0 ? json_id(tally->first_seq) : json_null(), "last_seq",
		events > 0 ? json_id(tally->first_seq + events - 1) : json_null(), "follow",
		follow_of(source), "capture", capture_of(source), "found", (json_int_t)tally->found,
		"spooled", (json_int_t)tally->spooled, "overlap", (json_int_t)stats->overlap,
		"logs", logs_json(tally));
}

static void print_follow(const struct follow_tally *f)
{
	fprintf(stderr, "%" PRIu64 " files followed, %" PRIu64 " times truncated\n", f->files,
		f->truncations);
	if (f->unfinished_bytes > 0)
		fprintf(stderr, "not sent: a last line without a newline, %" PRIu64 " bytes\n",
			f->unfinished_bytes);
}

static void print_capture(const struct capture_tally *capture)
{
	fprintf(stderr, "%" PRIu64 " packets in the capture\n", capture->packets);
	for (int i = 1; i < PAYLOAD_SKIP_COUNT; i++)
		if (capture->skipped[i] > 0)
			fprintf(stderr, "skipped: %" PRIu64 " %s (%s)\n", capture->skipped[i],
				skips[i].name, skips[i].text);
}

static void print_text(const struct source *source, const struct reliable_tally *tally)
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
	if (tally->found > 0)
		fprintf(stderr, "found in the spool: %" PRIu64 "\n", tally->found);
	if (unacknowledged(tally) > 0)
		fprintf(stderr,
			"not acknowledged: %" PRIu64 " may have arrived, %" PRIu64
			" never left, %" PRIu64 " wait in the spool%s%s\n",
			tally->uncertain, tally->failed, tally->spooled,
			tally->reason[0] != '\0' ? ": " : "", tally->reason);
	if (tally->stats.moves > 0)
		fprintf(stderr, "moved %" PRIu64 " times; %" PRIu64 " events may be in two logs\n",
			tally->stats.moves, tally->stats.overlap);
	if (tally->refused > 0)
		fprintf(stderr, "refused: %" PRIu64 " events too large\n", tally->refused);
	if (source->follows)
		print_follow(&source->follow);
	if (source->captured)
		print_capture(&source->capture);
	if (tally->error != 0)
		fprintf(stderr, "reading the events: %s\n", input_error(source, tally));
}

static void tell(const char *text)
{
	// It may stand behind the line of the progress.
	if (isatty(STDERR_FILENO) != 0)
		fputs("\r\033[K", stderr);
	cli_error("%s", text);
}

static int open_lines(struct send_input **ret, const char *from, char *why)
{
	int fd = strcmp(from, "-") == 0 ? dup(STDIN_FILENO) : open(from, O_RDONLY | O_CLOEXEC);
	int err = errno;

	if (fd >= 0)
		return send_input_lines(ret, fd);
	snprintf(why, SEND_INPUT_WHY_BYTES, "%s: %s", from, strerror(err));
	return -err;
}

static int open_source(struct source *source, const struct send_plan *plan,
	const struct send_from *from, char *why)
{
	const struct follow_options follow = {.path = from->lines,
		.position = from->position,
		.quiet_ns = FOLLOW_QUIET_NS,
		.tell = tell};

	*source = (struct source){.follows = from->follow, .captured = from->pcap != NULL};
	if (from->pcap != NULL)
		return capture_open(&source->input, from->pcap, why);
	if (from->follow)
		return follow_open(&source->input, &follow, why);
	if (from->lines != NULL)
		return open_lines(&source->input, from->lines, why);
	return send_input_generator(&source->input, plan);
}

static int exit_code(const struct source *source, const struct reliable_tally *tally)
{
	bool whole = unacknowledged(tally) == 0 && tally->refused == 0 && tally->error == 0 &&
		     tally->failure == 0 && source->follow.position_error == 0;

	// What follows a file has no other end.
	if (tally->interrupted && !source->follows)
		return EXIT_CLI_INTERRUPTED;
	return whole ? EXIT_CLI_OK : EXIT_CLI_DEGRADED;
}

enum cli_exit send_exit_of_open(int err)
{
	switch (err) {
	case -EINVAL:
	case -ENOTSUP:
		return EXIT_CLI_USAGE;
	case -EBADMSG:
		return EXIT_CLI_INVALID;
	case -EBUSY:
		return EXIT_CLI_REFUSED;
	default:
		return EXIT_CLI_DEGRADED;
	}
}

static int run(const struct cli *cli, const struct send_plan *plan,
	const struct reliable_options *options, struct source *source, struct reliable_tally *tally)
{
	bool tty = !cli->json && isatty(STDERR_FILENO) != 0;
	char why[SEND_WHY_BYTES];
	int err = reliable_run(
		plan, options, &cli_interrupted, tty ? print_progress : NULL, NULL, tally, why);

	if (tty)
		fputs("\r\033[K", stderr);
	if (err != 0) {
		cli_error("%s", why);
		return send_exit_of_open(err);
	}
	if (source->follows)
		follow_get_tally(source->input, &source->follow);
	if (source->captured)
		capture_get_tally(source->input, &source->capture);
	if (!cli->json)
		print_text(source, tally);
	else if (cli_print_account("millrace.send-reliable/1", data_of(plan, source, tally),
			 warnings_of(source, tally)) != 0)
		return EXIT_CLI_DEGRADED;
	return exit_code(source, tally);
}

int send_reliable(const struct cli *cli, const struct send_plan *plan,
	struct reliable_options *options, const struct send_from *from)
{
	struct reliable_tally *tally = malloc(sizeof(*tally));
	char why[SEND_INPUT_WHY_BYTES] = "";
	struct source source = {0};
	int r = EXIT_CLI_DEGRADED, err = tally != NULL ? 0 : -ENOMEM;

	if (err == 0)
		err = open_source(&source, plan, from, why);
	if (source.input != NULL) {
		options->input = source.input;
		r = run(cli, plan, options, &source, tally);
		source.input->close(source.input);
	} else {
		cli_error("%s", why[0] != '\0' ? why : strerror(-err));
		r = err == -ENOMEM ? EXIT_CLI_DEGRADED : EXIT_CLI_USAGE;
	}
	free(tally);
	return r;
}
