// SPDX-License-Identifier: BSD-3-Clause
// millrace sinks verify

#include "cli/log_dirs.h"
#include "cli/table.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/units.h"
#include "sinks/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/millrace/millraced.yaml"
#define QUIET_NS 2000000000u // no progress for what is done sooner
#define PROGRESS_NS 200000000u

enum { OPT_CONFIG, OPT_PARTITION, OPT_DIR };

static const struct cli_option options[] = {
	[OPT_CONFIG] = {"config", 'c', "FILE",
		"the receiver's configuration, which says what the sink is (default " DEFAULT_CONFIG
		")",
		NULL},
	[OPT_PARTITION] = {"partition", 'p', "N", "of this partition only (default: all)", NULL},
	[OPT_DIR] = {"dir", 0, "DIR",
		"data directory, or that of one partition (default: as the configuration says)",
		NULL},
	{0},
};

// These are large for a stack.
static struct config loaded;
static struct config_problems problems;
static struct sink_verify found;

// Of one partition.
struct verified {
	const struct log_part *part;
	const struct config_sink *sink;
	bool has_cursor;
	struct wal_cursor cursor;
	int error;
	char why[SINK_WHY_BYTES];
};

struct progress {
	const char *dir;
	_Atomic bool stop;
	bool tty, shown;
	uint64_t begun, told;
};

static void show_progress(void *arg, const char *what, uint64_t done, uint64_t all)
{
	struct progress *progress = arg;
	uint64_t now = clock_monotonic_ns();
	char done_text[32], all_text[32];

	if (cli_interrupted)
		atomic_store(&progress->stop, true);
	if (!progress->tty || now - progress->begun < QUIET_NS ||
		now - progress->told < PROGRESS_NS)
		return;
	progress->told = now;
	progress->shown = true;
	fprintf(stderr, "\r%s: %s of at most %s %s\033[K", progress->dir,
		cli_count_text((double)done, done_text), cli_count_text((double)all, all_text),
		what);
}

// --- one partition

// The batch delivered last, where the log still has it, must be the one that the cursor names.
static int check_last(struct wal_batches *log, struct verified *v)
{
	struct wal_batch batch;

	wal_batches_seek(log, v->cursor.batch - 1);
	if (wal_batches_next(log, &batch) != 1 || batch.number != v->cursor.batch - 1 ||
		!wal_id_equal(&batch.log_id, &v->cursor.log_id) || // that is told below
		(batch.crc == v->cursor.crc && batch.end_seq == v->cursor.seq))
		return 0;
	snprintf(v->why, sizeof(v->why),
		"batch %" PRIu64
		" of the log is not the one that was delivered: the log was put back from a copy",
		batch.number);
	return -EBADMSG;
}

static int read_back(struct wal_batches *log, struct verified *v)
{
	struct progress progress = {
		.dir = v->part->dir, .tty = isatty(STDERR_FILENO), .begun = clock_monotonic_ns()};
	struct sink_target target = {.config = v->sink,
		.receiver = loaded.receiver,
		.dir = v->part->dir,
		.partition = v->part->partition >= 0 ? (unsigned)v->part->partition : 0,
		.log_id = v->cursor.log_id,
		.cursor = v->cursor,
		.has_cursor = true,
		.stop = &progress.stop};
	int r;

	found.progress = show_progress;
	found.arg = &progress;
	wal_batches_seek(log, 0);
	r = sink_driver_of(v->sink->kind)->verify(&target, log, &v->cursor, &found);
	if (progress.shown)
		fputs("\r\033[K", stderr);
	memcpy(v->why, target.why, sizeof(v->why));
	return r;
}

static void verify_part(struct verified *v)
{
	struct wal_batches *log;

	memset(&found, 0, sizeof(found));
	v->error = wal_cursor_load(v->part->dir, v->sink->name, &v->cursor);
	v->has_cursor = v->error == 0;
	if (v->error == -ENOENT)
		v->error = 0;
	else if (v->error < 0)
		snprintf(v->why, sizeof(v->why), "cursor.%s.json: %s", v->sink->name,
			v->error == -EBADMSG ? "is damaged" : strerror(-v->error));
	if (v->error < 0 || !v->has_cursor || v->cursor.batch == 0)
		return;
	v->error = wal_batches_open(&log, v->part->dir, NULL, 0);
	if (v->error < 0) {
		snprintf(v->why, sizeof(v->why), "%s: %s", v->part->dir, strerror(-v->error));
		return;
	}
	v->error = check_last(log, v);
	if (v->error == 0)
		v->error = read_back(log, v);
	if (v->error < 0 && v->why[0] == '\0')
		snprintf(v->why, sizeof(v->why), "%s", strerror(-v->error));
	wal_batches_close(log);
}

static bool differs(void)
{
	return found.missing > 0 || found.twice > 0 || found.changed > 0;
}

static int exit_of(const struct verified *v)
{
	switch (v->error) {
	case 0:
		return differs() ? EXIT_CLI_INVALID : EXIT_CLI_OK;
	case -ECANCELED:
		return EXIT_CLI_INTERRUPTED;
	case -EAGAIN:
		return EXIT_CLI_UNREACHABLE;
	case -EBADMSG:
	case -EINVAL:
		return EXIT_CLI_INVALID;
	default:
		return EXIT_CLI_DEGRADED;
	}
}

static const char *state_of(const struct verified *v)
{
	if (v->error < 0)
		return "failed";
	if (!v->has_cursor || v->cursor.batch == 0)
		return "empty";
	return differs() ? "differs" : "same";
}

// --- what is told

static json_t *cursor_json(const struct verified *v)
{
	char log_id[33];

	if (!v->has_cursor)
		return json_null();
	wal_id_text(&v->cursor.log_id, log_id);
	return json_pack("{s:s, s:o, s:o}", "log_id", log_id, "batch", json_id(v->cursor.batch),
		"seq", json_id(v->cursor.seq));
}

static json_t *findings_json(void)
{
	json_t *ret = json_array();

	for (unsigned i = 0; i < found.found && i < SINK_FINDINGS; i++) {
		json_t *warning = json_warning("", found.findings[i], NULL); // takes any bytes

		json_array_append(ret, json_object_get(warning, "text"));
		json_decref(warning);
	}
	return ret;
}

static json_t *verified_json(const struct verified *v)
{
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:b, s:o, s:I}",
		"sink", v->sink->name, "kind", sink_driver_of(v->sink->kind)->kind, "partition",
		v->part->partition < 0 ? json_null() : json_integer(v->part->partition), "path",
		v->part->dir, "state", state_of(v), "why",
		v->why[0] != '\0' && v->error < 0 ? json_string(v->why) : json_null(), "cursor",
		cursor_json(v), "batches", (json_int_t)found.batches, "events",
		(json_int_t)found.events, "missing_events", (json_int_t)found.missing,
		"twice_events", (json_int_t)found.twice, "changed_events",
		(json_int_t)found.changed, "set_aside_events", (json_int_t)found.set_aside, "ahead",
		(json_int_t)found.ahead, "foreign", (json_int_t)found.foreign, "unreadable",
		(json_int_t)found.unreadable, "uncompared_batches", (json_int_t)found.uncompared,
		"cut", found.cut, "findings", findings_json(), "findings_total",
		(json_int_t)found.found);
}

static void add_row(struct table *table, const struct verified *v)
{
	const uint64_t counts[] = {found.batches, found.events, found.missing, found.twice,
		found.changed, found.set_aside, found.ahead};

	if (v->part->partition >= 0)
		table_cell(table, "%ld", v->part->partition);
	else
		table_cell(table, "%s", v->part->dir);
	table_cell(table, "%s", state_of(v));
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		table_cell(table, "%" PRIu64, counts[i]);
}

static void tell_others(FILE *notes, const char *dir)
{
	if (found.foreign > 0)
		fprintf(notes,
			"%s: %" PRIu64
			" more say that they are of this log, which has no such events: a repair "
			"took them out of it, or they are by another hand\n",
			dir, found.foreign);
	if (found.unreadable > 0)
		fprintf(notes,
			"%s: %" PRIu64 " more are of this log by their names and can't be read\n",
			dir, found.unreadable);
	if (found.uncompared > 0)
		fprintf(notes,
			"%s: %" PRIu64
			" batches are there and were not compared: the log no longer has all that "
			"is in their file\n",
			dir, found.uncompared);
	if (found.cut && found.missing > 0)
		fprintf(notes,
			"%s: the topics no longer reach back to the oldest of these batches: what "
			"is missing may have been there\n",
			dir);
}

// What stands below the table.
static void tell_findings(FILE *notes, const struct verified *v)
{
	const char *dir = v->part->dir;

	if (v->error < 0)
		fprintf(notes, "%s: %s\n", dir, v->why);
	for (unsigned i = 0; i < found.found && i < SINK_FINDINGS; i++)
		fprintf(notes, "%s: %s\n", dir, found.findings[i]);
	if (found.found > SINK_FINDINGS)
		fprintf(notes, "%s: and %u more of that kind\n", dir, found.found - SINK_FINDINGS);
	tell_others(notes, dir);
}

// --- all of them

static int worse(int a, int b)
{
	static const int worst[] = {
		EXIT_CLI_INTERRUPTED, EXIT_CLI_INVALID, EXIT_CLI_UNREACHABLE, EXIT_CLI_DEGRADED};

	for (unsigned i = 0; i < sizeof(worst) / sizeof(worst[0]); i++)
		if (a == worst[i] || b == worst[i])
			return worst[i];
	return EXIT_CLI_OK;
}

// What is gathered of the partitions, for either form of telling.
struct account {
	json_t *rows;
	struct table *table;
	FILE *notes;
	char *text; // of the notes
	size_t len;
	unsigned count;
};

static bool account_open(struct account *account)
{
	static const char *const heads[] = {"PARTITION", "STATE", "BATCHES", "EVENTS", "MISSING",
		"TWICE", "CHANGED", "SET ASIDE", "AHEAD"};

	*account = (struct account){.rows = json_array(), .table = table_new("llrrrrrrr")};
	account->notes = open_memstream(&account->text, &account->len);
	if (account->table == NULL || account->notes == NULL)
		return false;
	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		table_cell(account->table, "%s", heads[i]);
	return true;
}

static void account_close(struct account *account)
{
	if (account->notes != NULL)
		fclose(account->notes);
	free(account->text);
	table_free(account->table);
	json_decref(account->rows);
}

static void account_print(const struct cli *cli, struct account *account)
{
	if (cli->json) {
		log_print_json("millrace.sinks-verify/1", account->rows);
		return;
	}
	table_print(account->table, stdout);
	fflush(account->notes);
	if (account->len > 0)
		printf("\n%s", account->text);
}

static int verify_parts(const struct config_sink *sink, const struct log_dirs *dirs,
	uint64_t partition, struct account *account)
{
	int rc = EXIT_CLI_OK;

	for (unsigned i = 0; i < dirs->count && rc != EXIT_CLI_INTERRUPTED; i++) {
		struct verified v = {.part = &dirs->parts[i], .sink = sink};

		if (partition != UINT64_MAX && v.part->partition != (long)partition)
			continue;
		account->count++;
		verify_part(&v);
		rc = worse(rc, exit_of(&v));
		json_array_append_new(account->rows, verified_json(&v));
		add_row(account->table, &v);
		tell_findings(account->notes, &v);
	}
	return rc;
}

static int verify_dirs(const struct cli *cli, const struct config_sink *sink,
	const struct log_dirs *dirs, uint64_t partition)
{
	struct account account;
	int rc = EXIT_CLI_DEGRADED;

	if (!account_open(&account)) {
		cli_error("%s", strerror(ENOMEM));
	} else {
		rc = verify_parts(sink, dirs, partition, &account);
		if (account.count == 0) {
			cli_error("%s has no partition %" PRIu64, dirs->data, partition);
			rc = EXIT_CLI_USAGE;
		} else if (rc != EXIT_CLI_INTERRUPTED) {
			account_print(cli, &account);
		}
	}
	account_close(&account);
	return rc;
}

static const struct config_sink *find_sink(const char *name, const char *path)
{
	for (unsigned i = 0; i < loaded.sink_count; i++)
		if (strcmp(loaded.sinks[i].name, name) == 0)
			return &loaded.sinks[i];
	cli_error("%s has no sink %s%s", path, name, loaded.sink_count > 0 ? "; it has:" : "");
	for (unsigned i = 0; i < loaded.sink_count; i++)
		cli_error("  %s", loaded.sinks[i].name);
	return NULL;
}

static int load(const char *path)
{
	int r = config_load(path, &loaded, &problems);

	if (r == 0)
		return EXIT_CLI_OK;
	if (problems.errors == 0) {
		cli_error("%s: %s: name the receiver's configuration with --config", path,
			strerror(-r));
		return EXIT_CLI_DEGRADED;
	}
	cli_error("%s can't be taken: 'millrace config check %s' says why", path, path);
	return EXIT_CLI_INVALID;
}

static int run_sinks_verify(const struct cli *cli, const struct cli_args *args)
{
	const char *path =
		args->value[OPT_CONFIG] != NULL ? args->value[OPT_CONFIG] : DEFAULT_CONFIG;
	const char *dir = args->value[OPT_DIR];
	const struct config_sink *sink;
	uint64_t partition = UINT64_MAX;
	struct log_dirs dirs;
	int rc;

	if (args->value[OPT_PARTITION] != NULL &&
		!units_parse_uint(args->value[OPT_PARTITION], &partition)) {
		cli_error("--partition %s: is no number", args->value[OPT_PARTITION]);
		return EXIT_CLI_USAGE;
	}
	rc = load(path);
	if (rc != EXIT_CLI_OK)
		return rc;
	sink = find_sink(args->argv[0], path);
	if (sink == NULL)
		return EXIT_CLI_USAGE;
	rc = log_dirs_find(cli, dir != NULL ? dir : loaded.data, &dirs);
	if (rc != EXIT_CLI_OK)
		return rc;
	rc = verify_dirs(cli, sink, &dirs, partition);
	log_dirs_free(&dirs);
	return rc;
}

const struct cli_command cmd_sinks_verify = {
	.name = "sinks verify",
	.args = "SINK",
	.min_args = 1,
	.max_args = 1,
	.summary = "read back all that a sink holds and compare it with the log",
	.details =
		"Compared is from the oldest batch that the log still has to the sink's cursor; it "
		"changes nothing, and the receiver may run or not. Of Kafka each message is read, "
		"as a reader in read_committed sees it: its bytes, the names in its headers and "
		"its topic. Of a directory of files each is made again out of the log, and "
		"compared byte by byte; what was taken away from there is missing.\n"
		"SET ASIDE are events too large for Kafka, which lie in the partition's "
		"quarantine. AHEAD is what is there of batches at the cursor and beyond.\n"
		"Exit code 0: all is there, once, as the log has it; 4: something is missing, "
		"there twice, or changed, and below the table stands what; 3: the sink can't be "
		"reached.",
	.options = options,
	.run = run_sinks_verify,
};
