// SPDX-License-Identifier: BSD-3-Clause
// millrace sinks reset

#include "cli/log_dirs.h"
#include "common/units.h"
#include "sinks/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { OPT_TO, OPT_PARTITION, OPT_DIR, OPT_YES };

static const struct cli_option options[] = {
	[OPT_TO] = {"to", 0, "PLACE",
		"oldest, cursor (where its own file says it is), or a batch's number", NULL},
	[OPT_PARTITION] = {"partition", 'p', "N", "of this partition only (default: all)", NULL},
	[OPT_DIR] = {"dir", 0, "DIR", "data directory (default: /var/lib/millrace)", NULL},
	[OPT_YES] = {"yes", 0, NULL, "do it; without, it is only said", NULL},
	{0},
};

struct reset {
	const char *sink;
	const char *to;
	uint64_t batch;
	uint64_t partition; // UINT64_MAX: all
	bool yes;
};

// The cursor in front of the first batch at or behind 'number'. 1; 0: the log has none.
static int place_of(const char *dir, uint64_t number, struct wal_cursor *ret)
{
	struct wal_batches *batches;
	struct wal_batch batch;
	uint32_t crc = 0;
	int r = wal_batches_open(&batches, dir, NULL, number > 0 ? number - 1 : 0);

	if (r < 0)
		return r;
	r = wal_batches_next(batches, &batch);
	if (r == -ESTALE) // from the oldest there is
		r = wal_batches_next(batches, &batch);
	if (r > 0 && number > 0 && batch.number == number - 1) {
		crc = batch.crc;
		r = wal_batches_next(batches, &batch);
	}
	if (r > 0)
		*ret = (struct wal_cursor){.log_id = batch.log_id,
			.batch = batch.number,
			.seq = batch.first_seq,
			.crc = crc};
	else if (r < 0 && r != -ENOENT)
		cli_error("%s: %s", dir, wal_batches_why(batches));
	wal_batches_close(batches);
	return r == -ENOENT ? 0 : r;
}

static int find_place(
	const struct reset *reset, const struct log_part *part, struct wal_cursor *ret)
{
	int r;

	if (strcmp(reset->to, "cursor") == 0) {
		r = wal_cursor_load(part->dir, reset->sink, ret);
		if (r == 0)
			return EXIT_CLI_OK;
		cli_error("%s/cursor.%s.json: %s", part->dir, reset->sink, strerror(-r));
		return EXIT_CLI_INVALID;
	}
	r = place_of(part->dir, reset->batch, ret);
	if (r > 0 && (reset->batch == 0 || ret->batch == reset->batch))
		return EXIT_CLI_OK;
	if (r > 0)
		cli_error("%s: has no batch %" PRIu64 "; the next one there is: %" PRIu64,
			part->dir, reset->batch, ret->batch);
	else if (r == 0)
		cli_error("%s: has no batch at or behind %" PRIu64, part->dir, reset->batch);
	return EXIT_CLI_INVALID;
}

static int reset_part(const struct reset *reset, const struct log_part *part)
{
	char name[CONFIG_NAME_MAX + 8];
	struct wal_cursor place;
	int rc = find_place(reset, part, &place), err;

	if (rc != EXIT_CLI_OK)
		return rc;
	printf("%s: sink %s %s batch %" PRIu64 ", seq %" PRIu64 "\n", part->dir, reset->sink,
		reset->yes ? "goes on at" : "would go on at", place.batch, place.seq);
	if (!reset->yes)
		return EXIT_CLI_OK;
	// In this order: a reset whose cursor isn't there counts as done.
	snprintf(name, sizeof(name), SINK_RESET_NAME, reset->sink);
	err = wal_cursor_save(part->dir, name, &place);
	if (err == 0)
		err = wal_cursor_save(part->dir, reset->sink, &place);
	if (err == 0)
		return EXIT_CLI_OK;
	cli_error("%s: can't store the cursor: %s", part->dir, strerror(-err));
	return EXIT_CLI_DEGRADED;
}

static int reset_parts(const struct reset *reset, const struct log_dirs *dirs)
{
	int rc = EXIT_CLI_OK;

	if (dirs->live) {
		cli_error("a receiver runs on %s: stop it first, since it keeps the cursors",
			dirs->data);
		return EXIT_CLI_REFUSED;
	}
	for (unsigned i = 0; rc == EXIT_CLI_OK && i < dirs->count; i++)
		if (reset->partition == UINT64_MAX ||
			dirs->parts[i].partition == (long)reset->partition)
			rc = reset_part(reset, &dirs->parts[i]);
	if (rc == EXIT_CLI_OK && !reset->yes)
		puts("Nothing was changed; --yes does it.");
	return rc;
}

static bool parse(const struct cli_args *args, struct reset *ret)
{
	*ret = (struct reset){.sink = args->argv[0],
		.to = args->value[OPT_TO],
		.partition = UINT64_MAX,
		.yes = args->value[OPT_YES] != NULL};
	if (ret->to == NULL)
		cli_error("--to is missing: oldest, cursor, or a batch's number");
	else if (strcmp(ret->to, "oldest") != 0 && strcmp(ret->to, "cursor") != 0 &&
		 !units_parse_uint(ret->to, &ret->batch))
		cli_error("--to %s: is neither oldest, cursor nor a batch's number", ret->to);
	else if (args->value[OPT_PARTITION] != NULL &&
		 !units_parse_uint(args->value[OPT_PARTITION], &ret->partition))
		cli_error("--partition %s: is no number", args->value[OPT_PARTITION]);
	else
		return true;
	return false;
}

static int run_sinks_reset(const struct cli *cli, const struct cli_args *args)
{
	struct log_dirs dirs;
	struct reset reset;
	int rc;

	if (!parse(args, &reset))
		return EXIT_CLI_USAGE;
	rc = log_dirs_find(cli, args->value[OPT_DIR], &dirs);
	if (rc != EXIT_CLI_OK)
		return rc;
	rc = reset_parts(&reset, &dirs);
	log_dirs_free(&dirs);
	return rc;
}

const struct cli_command cmd_sinks_reset = {
	.name = "sinks reset",
	.args = "SINK",
	.min_args = 1,
	.max_args = 1,
	.summary = "say where a sink is to go on, while the receiver is stopped",
	.details =
		"For a sink that has stopped because its cursor, the other side and the log don't "
		"fit together: a group whose offsets are gone, a topic that was set back, a log "
		"that was replaced. At the next start it goes on there, whatever the other side "
		"says. What was delivered before and is still there may be delivered twice; what "
		"lies between is not delivered.",
	.options = options,
	.run = run_sinks_reset,
};
