// SPDX-License-Identifier: BSD-3-Clause
// millrace log cat.

#include "cli/log_dirs.h"
#include "cli/log_rows.h"
#include "common/units.h"
#include "wal/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLLOW_PAUSE_MS 200

enum format { FORMAT_TEXT, FORMAT_NDJSON, FORMAT_ARROW };

struct cat {
	const struct cli *cli;
	struct log_dirs dirs;
	struct wal_reader **readers; // one a partition; NULL while it has no segment
	enum format format;
	uint64_t from;
	uint64_t left; // rows still to be printed
	bool schema_printed;
};

// The pipe's reader has what it wanted.
static void check_pipe(void)
{
	if (ferror(stdout) && errno == EPIPE)
		_exit(EXIT_CLI_OK);
}

// Ends early, and with it the command, when the other end of the pipe is closed.
static void pause_reading(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	if (poll(&out, 1, FOLLOW_PAUSE_MS) > 0 && out.revents & POLLERR)
		_exit(EXIT_CLI_OK);
}

static void print_rows(struct cat *cat, const struct wal_block_view *view)
{
	for (uint32_t i = 0; i < view->trailer->rows && cat->left > 0; i++) {
		struct wal_row row;

		wal_row_get(view, i, &row);
		if (row.seq < cat->from || row.listener == WAL_LISTENER_PROTOCOL)
			continue;
		if (cat->format == FORMAT_TEXT)
			log_row_text(&row, stdout);
		else
			log_row_json(&row, stdout);
		cat->left--;
	}
}

// The schema page as it lies in the segment, so with its metadata; a plain one when there is none.
static void print_schema(struct cat *cat, const char *dir, const struct wal_reader *reader)
{
	struct wal_segment_info info = {.receiver = "", .listeners = "{}", .compression = "none"};
	uint8_t page[WAL_SCHEMA_BYTES];
	char path[PATH_MAX];
	int fd = -1;

	if (cat->schema_printed)
		return;
	cat->schema_printed = true;
	if (reader != NULL) {
		info.header = *wal_reader_segment(reader);
		snprintf(path, sizeof(path), "%s/%s", dir, wal_reader_segment_name(reader));
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0 || pread(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page) ||
		wal_schema_parse(page, &info.header) < 0)
		wal_schema_compose(page, &info);
	if (fd >= 0)
		close(fd);
	fwrite(page, 1, sizeof(page), stdout);
}

static void print_block(struct cat *cat, const struct log_part *part,
	const struct wal_reader *reader, const struct wal_block_view *view)
{
	if (cat->format != FORMAT_ARROW) {
		print_rows(cat, view);
		return;
	}
	print_schema(cat, part->dir, reader);
	fwrite(view->block, 1, view->len, stdout);
	cat->left -= cat->left < view->trailer->rows ? cat->left : view->trailer->rows;
}

static void print_end(struct cat *cat)
{
	uint8_t page[WAL_PAGE];

	if (cat->format != FORMAT_ARROW)
		return;
	print_schema(cat, NULL, NULL);
	wal_eos_compose(page);
	fwrite(page, 1, sizeof(page), stdout);
}

// A bad block: the torn tail that a crash left is the log's end and no error.
static int bad_block(struct cat *cat, const struct log_part *part, const char *why)
{
	struct wal_verify_report report;

	if (!cat->dirs.live && wal_inspect(part->dir, &report) == 0 && report.torn) {
		cli_error("warning: %s ends in a torn tail, which the next start cuts: %s",
			part->dir, report.why);
		return EXIT_CLI_OK;
	}
	cli_error("%s; see 'millrace log verify %s'", why, part->dir);
	return EXIT_CLI_INVALID;
}

static int reader_open(struct cat *cat, unsigned index)
{
	struct log_part *part = &cat->dirs.parts[index];
	int r = wal_reader_open(&cat->readers[index], part->dir, cat->from, part->limit);

	if (r == 0 || r == -ENOENT)
		return EXIT_CLI_OK;
	cli_error("%s: %s", part->dir,
		r == -EPROTONOSUPPORT ? "made by a newer Millrace"
		: r == -EBADMSG       ? "damaged: see 'millrace log verify'"
				      : strerror(-r));
	return r == -EPROTONOSUPPORT ? EXIT_CLI_REFUSED
	       : r == -EBADMSG       ? EXIT_CLI_INVALID
				     : EXIT_CLI_DEGRADED;
}

// Prints what a partition has now.
static int cat_part(struct cat *cat, unsigned index)
{
	struct log_part *part = &cat->dirs.parts[index];
	struct wal_block_view view;
	struct wal_reader *reader;
	int rc;

	if (cat->readers[index] == NULL) {
		rc = reader_open(cat, index);
		if (cat->readers[index] == NULL)
			return rc;
	}
	reader = cat->readers[index];
	wal_reader_set_limit(reader, part->limit);
	while (cat->left > 0 && !cli_interrupted) {
		int r = wal_reader_next(reader, &view);

		if (r == 0)
			break;
		if (r == -ESTALE) {
			cli_error("warning: %s", wal_reader_why(reader));
			continue;
		}
		if (r == -EBADMSG)
			return bad_block(cat, part, wal_reader_why(reader));
		if (r < 0) {
			cli_error("%s: %s", part->dir,
				wal_reader_why(reader)[0] ? wal_reader_why(reader) : strerror(-r));
			return EXIT_CLI_DEGRADED;
		}
		print_block(cat, part, reader, &view);
		check_pipe();
	}
	return EXIT_CLI_OK;
}

static int cat_all(struct cat *cat, bool follow)
{
	int rc = EXIT_CLI_OK;

	for (;;) {
		for (unsigned i = 0; rc == EXIT_CLI_OK && i < cat->dirs.count; i++)
			rc = cat_part(cat, i);
		if (rc != EXIT_CLI_OK || !follow || cat->left == 0 || cli_interrupted)
			break;
		fflush(stdout);
		check_pipe();
		pause_reading();
		rc = log_dirs_refresh(cat->cli, &cat->dirs);
	}
	print_end(cat);
	fflush(stdout);
	check_pipe();
	// Who follows ends it so.
	return rc == EXIT_CLI_OK && cli_interrupted && !follow ? EXIT_CLI_INTERRUPTED : rc;
}

enum { CAT_FROM, CAT_COUNT, CAT_FOLLOW, CAT_FORMAT, CAT_END };

static const struct cli_option cat_options[] = {
	[CAT_FROM] = {"from", 0, "SEQ", "begin with this seq (default: the oldest)", NULL},
	[CAT_COUNT] = {"count", 'n', "N", "stop after so many events (default: all)", NULL},
	[CAT_FOLLOW] = {"follow", 'f', NULL, "wait for more at the end", NULL},
	[CAT_FORMAT] = {"format", 0, "FORMAT", "of the output (default text)", "text|ndjson|arrow"},
	[CAT_END] = {0},
};

static bool parse(const struct cli_args *args, struct cat *ret)
{
	const char *format = args->value[CAT_FORMAT];
	const char *from = args->value[CAT_FROM], *count = args->value[CAT_COUNT];

	ret->left = UINT64_MAX;
	if (format != NULL && strcmp(format, "ndjson") == 0)
		ret->format = FORMAT_NDJSON;
	if (format != NULL && strcmp(format, "arrow") == 0)
		ret->format = FORMAT_ARROW;
	if (from != NULL && !units_parse_uint(from, &ret->from))
		cli_error("--from: '%s' is no seq", from);
	else if (count != NULL && !units_parse_uint(count, &ret->left))
		cli_error("--count: '%s' is no number", count);
	else if (ret->format == FORMAT_ARROW && isatty(STDOUT_FILENO))
		cli_error("--format arrow is binary: send it into a file or a pipe");
	else
		return true;
	return false;
}

static int run_cat(const struct cli *cli, const struct cli_args *args)
{
	struct cat cat = {.cli = cli};
	int rc;

	if (!parse(args, &cat))
		return EXIT_CLI_USAGE;
	signal(SIGPIPE, SIG_IGN); // so that it is seen, and no error
	rc = log_dirs_open(cli, args->argc > 0 ? args->argv[0] : NULL, &cat.dirs);
	if (rc != EXIT_CLI_OK)
		return rc;
	cat.readers = calloc(cat.dirs.count, sizeof(struct wal_reader *));
	rc = cat.readers == NULL ? EXIT_CLI_DEGRADED
				 : cat_all(&cat, args->value[CAT_FOLLOW] != NULL);
	for (unsigned i = 0; cat.readers != NULL && i < cat.dirs.count; i++)
		wal_reader_close(cat.readers[i]);
	free(cat.readers);
	log_dirs_free(&cat.dirs);
	return rc;
}

const struct cli_command cmd_log_cat = {
	.name = "log cat",
	.args = "[DIR]",
	.max_args = 1,
	.summary = "print the events of a log",
	.details =
		"DIR is a data directory (all its partitions, one after the other) or that of one "
		"partition; default: the running receiver's, else /var/lib/millrace. The log of a "
		"running receiver is read up to its durable position.\n"
		"Formats: text, one payload a line; ndjson, one object with all columns a line; "
		"arrow, an Arrow IPC stream of whole blocks, so it begins with the block that "
		"holds "
		"--from and ends with the one that reaches --count.",
	.options = cat_options,
	.run = run_cat,
};
