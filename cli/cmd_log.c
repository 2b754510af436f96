// SPDX-License-Identifier: BSD-3-Clause
// millrace log: verify, repair.

#include "cli/log_dirs.h"
#include "common/clock.h"
#include "common/json.h"
#include "wal/recover.h"
#include "wal/wal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define QUIET_SECONDS 2.0 // no progress for what is done sooner
#define PROGRESS_SECONDS 0.2

struct progress {
	const char *dir;
	bool tty, shown;
	double begun, told;
};

static double now(void)
{
	return (double)clock_monotonic_ns() / 1e9;
}

static bool show_progress(uint64_t done, uint64_t all, void *arg)
{
	struct progress *progress = arg;
	char done_text[32], all_text[32];
	double t = now();

	if (cli_interrupted || !progress->tty || t - progress->begun < QUIET_SECONDS ||
		t - progress->told < PROGRESS_SECONDS)
		return !cli_interrupted;
	progress->told = t;
	progress->shown = true;
	fprintf(stderr, "\r%s: %s of at most %s\033[K", progress->dir,
		cli_bytes_text((double)done, done_text), cli_bytes_text((double)all, all_text));
	return true;
}

// An exit code for what the wal says.
static int exit_of(int r)
{
	switch (r) {
	case 0:
		return EXIT_CLI_OK;
	case -EBADMSG:
	case -EINVAL:
		return EXIT_CLI_INVALID;
	case -EPROTONOSUPPORT:
		return EXIT_CLI_REFUSED;
	default:
		return EXIT_CLI_DEGRADED;
	}
}

// The worse of two exit codes, damage being worst.
static int worse(int a, int b)
{
	if (a == EXIT_CLI_INVALID || b == EXIT_CLI_INVALID)
		return EXIT_CLI_INVALID;
	return a != EXIT_CLI_OK ? a : b;
}

static void print_verified(const struct log_part *part, const struct wal_verify_report *report)
{
	char bytes[32];

	if (report->segments == 0) {
		printf("%s: empty\n", part->dir);
	} else {
		printf("%s: %s: %" PRIu64 " segments, %" PRIu64 " blocks, %" PRIu64
		       " batches, %" PRIu64 " events",
			part->dir,
			report->damaged ? "DAMAGED"
			: report->torn  ? "torn tail"
					: "ok",
			report->segments, report->blocks, report->batches, report->rows);
		if (report->rows > 0)
			printf(" (seq %" PRIu64 " to %" PRIu64 ")", report->first_seq,
				report->next_seq - 1);
		printf(", %s read\n", cli_bytes_text((double)report->bytes, bytes));
	}
	if (report->damaged)
		printf("  %s\n", report->why);
	else if (report->torn)
		printf("  %s ends at offset %" PRIu64 ", seq %" PRIu64
		       ": %s. The next start cuts it there; nothing beyond was acknowledged.\n",
			report->file, report->offset, report->seq, report->why);
}

static json_t *verified_json(
	const struct log_part *part, const struct wal_verify_report *report, int r)
{
	bool bad = report->damaged || report->torn;

	return json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
		"partition", part->partition < 0 ? json_null() : json_integer(part->partition),
		"path", part->dir, "state",
		r < 0             ? "unreadable"
		: report->damaged ? "damaged"
		: report->torn    ? "torn"
				  : "ok",
		"segments", (json_int_t)report->segments, "blocks", (json_int_t)report->blocks,
		"batches", (json_int_t)report->batches, "rows", (json_int_t)report->rows,
		"read_bytes", (json_int_t)report->bytes, "first_seq", json_id(report->first_seq),
		"next_seq", json_id(report->next_seq), "bad_file",
		bad ? json_string(report->file) : json_null(), "bad_offset_bytes",
		bad ? json_integer((json_int_t)report->offset) : json_null(), "bad_seq",
		bad ? json_id(report->seq) : json_null(), "why",
		report->why[0] ? json_string(report->why) : json_null());
}

static int verify_part(const struct cli *cli, struct log_dirs *dirs, unsigned index, json_t *rows)
{
	const struct log_part *part = &dirs->parts[index];
	struct progress progress = {.dir = part->dir, .tty = isatty(STDERR_FILENO), .begun = now()};
	struct wal_verify_report report;
	int r;

	r = wal_verify(part->dir, part->limit, &report, show_progress, &progress);
	if ((r < 0 || report.torn || report.damaged) && log_dirs_came_alive(cli, dirs))
		r = wal_verify(part->dir, part->limit, &report, show_progress, &progress);
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (r == -ECANCELED)
		return EXIT_CLI_INTERRUPTED;
	if (cli->json)
		json_array_append_new(rows, verified_json(part, &report, r));
	else if (r < 0)
		cli_error("%s", report.why[0] ? report.why : strerror(-r));
	else
		print_verified(part, &report);
	return r < 0 ? exit_of(r) : report.damaged ? EXIT_CLI_INVALID : EXIT_CLI_OK;
}

static int run_verify(const struct cli *cli, const struct cli_args *args)
{
	json_t *rows = json_array();
	struct log_dirs dirs;
	int rc;

	rc = log_dirs_open(cli, args->argc > 0 ? args->argv[0] : NULL, &dirs);
	if (rc != EXIT_CLI_OK)
		goto out;
	for (unsigned i = 0; i < dirs.count && !cli_interrupted; i++)
		rc = worse(rc, verify_part(cli, &dirs, i, rows));
	if (cli_interrupted)
		rc = EXIT_CLI_INTERRUPTED;
	else if (cli->json)
		log_print_json("millrace.log-verify/1", rows);
	log_dirs_free(&dirs);
out:
	json_decref(rows);
	return rc;
}

const struct cli_command cmd_log_verify = {
	.name = "log verify",
	.args = "[DIR]",
	.max_args = 1,
	.summary = "check every block of a log",
	.details =
		"DIR is a data directory (all its partitions) or that of one partition; default: "
		"the running receiver's, else /var/lib/millrace. The log of a running receiver is "
		"checked up to its durable position.\n"
		"A torn tail is what a crash leaves: it is told, and no error. Exit code 4: "
		"damaged.",
	.run = run_verify,
};

enum { REPAIR_YES, REPAIR_END };

static const struct cli_option repair_options[] = {
	[REPAIR_YES] = {"yes", 0, NULL, "really do it", NULL},
	[REPAIR_END] = {0},
};

static void print_repaired(const struct log_part *part, const struct wal_repair_report *report)
{
	char bytes[32];

	printf("%s/%s: cut at offset %" PRIu64 ": %s moved to %s\n", part->dir, report->file,
		report->offset, cli_bytes_text((double)report->quarantined_bytes, bytes),
		report->quarantine);
	if (report->lost_to > report->lost_from)
		printf("  seq %" PRIu64 " to %" PRIu64 " are no longer in the log; %" PRIu64
		       " of these events, in intact blocks, lie in quarantine as Arrow\n",
			report->lost_from, report->lost_to - 1, report->intact_rows);
}

static json_t *repaired_json(const struct log_part *part, const struct wal_repair_report *report)
{
	return json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:s}", "partition",
		part->partition < 0 ? json_null() : json_integer(part->partition), "path",
		part->dir, "file", report->file, "offset_bytes", (json_int_t)report->offset,
		"quarantined_bytes", (json_int_t)report->quarantined_bytes, "intact_blocks",
		(json_int_t)report->intact_blocks, "intact_rows", (json_int_t)report->intact_rows,
		"lost_from_seq", json_id(report->lost_from), "lost_to_seq",
		json_id(report->lost_to), "quarantine", report->quarantine);
}

// Mends one place after the other, until there is none.
static int repair_part(const struct cli *cli, const struct log_part *part, json_t *rows)
{
	struct wal_repair_report report;
	unsigned places = 0;
	char why[512];

	while (!cli_interrupted) {
		int r = wal_repair(part->dir, &report, why);

		if (r < 0) {
			cli_error("%s", why);
			return exit_of(r);
		}
		if (report.file[0] == '\0')
			break;
		places++;
		if (cli->json)
			json_array_append_new(rows, repaired_json(part, &report));
		else
			print_repaired(part, &report);
	}
	if (places == 0 && !cli->json && !cli_interrupted)
		printf("%s: no damage\n", part->dir);
	return cli_interrupted ? EXIT_CLI_INTERRUPTED : EXIT_CLI_OK;
}

static int lock_told(const char *data, int *ret_fd)
{
	int r = wal_lock_dir(data, ret_fd);

	if (r == 0)
		return EXIT_CLI_OK;
	if (r == -EWOULDBLOCK) {
		cli_error("a receiver runs on %s: stop it first", data);
		return EXIT_CLI_REFUSED;
	}
	cli_error("%s/lock: %s", data, strerror(-r));
	return EXIT_CLI_DEGRADED;
}

static int repair_dirs(const struct cli *cli, const struct log_dirs *dirs)
{
	json_t *rows = json_array();
	int rc, lock_fd;

	rc = lock_told(dirs->data, &lock_fd);
	if (rc != EXIT_CLI_OK)
		goto out;
	for (unsigned i = 0; i < dirs->count; i++)
		rc = worse(rc, repair_part(cli, &dirs->parts[i], rows));
	if (cli->json)
		log_print_json("millrace.log-repair/1", rows);
	close(lock_fd);
out:
	json_decref(rows);
	return rc;
}

static int run_repair(const struct cli *cli, const struct cli_args *args)
{
	struct log_dirs dirs;
	int rc;

	if (args->value[REPAIR_YES] == NULL) {
		cli_error("this takes damaged blocks out of the log: look at 'millrace log verify' "
			  "first, then say --yes");
		return EXIT_CLI_REFUSED;
	}
	rc = log_dirs_find(cli, args->argv[0], &dirs);
	if (rc != EXIT_CLI_OK)
		return rc;
	rc = repair_dirs(cli, &dirs);
	log_dirs_free(&dirs);
	return rc;
}

const struct cli_command cmd_log_repair = {
	.name = "log repair",
	.args = "DIR",
	.min_args = 1,
	.max_args = 1,
	.summary = "take damage out of a log, so that it starts again",
	.details = "From each damaged place to the end of its segment everything moves into the "
		   "directory 'quarantine': as it lies (.raw), and its intact blocks as Arrow "
		   "(.arrows). Nothing is deleted. The missing seqs are declared in the log and "
		   "never given out again.\n"
		   "DIR is a data directory or that of one partition. No receiver may run on it. "
		   "Exit code 5: refused, for want of --yes or because one runs.",
	.options = repair_options,
	.run = run_repair,
};
