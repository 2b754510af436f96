// SPDX-License-Identifier: BSD-3-Clause
// millrace log ls.

#include "cli/log_dirs.h"
#include "cli/table.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct segment_row {
	struct wal_segment_file file;
	struct wal_segment_header header;
	int error;         // of the schema page
	const char *state; // "open", "closed", "cut", "damaged"
	bool rows_known;
	uint64_t next_seq;
};

// How the file ends: in an end-of-stream page, behind a block, or with what rotation or a writer at
// work leaves.
static const char *end_state(int fd, const struct segment_row *row, bool newest)
{
	static const uint8_t eos[8] = {0xff, 0xff, 0xff, 0xff};
	uint64_t at = row->file.size - WAL_PAGE;
	struct wal_trailer trailer;
	uint8_t page[WAL_PAGE];

	if (row->file.size == WAL_SCHEMA_BYTES)
		return newest ? "open" : "cut";
	if (row->file.size < WAL_SCHEMA_BYTES ||
		pread(fd, page, sizeof(page), (off_t)at) != (ssize_t)sizeof(page))
		return "damaged";
	if (memcmp(page, eos, sizeof(eos)) == 0)
		return "closed";
	memcpy(&trailer, page + WAL_PAGE - sizeof(trailer), sizeof(trailer));
	if (trailer.magic == WAL_TRAILER_MAGIC &&
		wal_id_equal(&trailer.segment_id, &row->header.segment_id) &&
		trailer.file_offset + trailer.block_len == row->file.size)
		return "cut";
	return newest ? "open" : "closed";
}

static void segment_load(const char *dir, struct segment_row *row, bool newest)
{
	uint8_t page[WAL_SCHEMA_BYTES];
	char path[PATH_MAX];
	int fd;

	row->state = "damaged";
	snprintf(path, sizeof(path), "%s/%s", dir, row->file.name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		row->error = -errno;
		return;
	}
	if (pread(fd, page, sizeof(page), 0) == (ssize_t)sizeof(page))
		row->error = wal_schema_parse(page, &row->header);
	else
		row->error = -ENODATA;
	if (row->error == 0)
		row->state = end_state(fd, row, newest);
	else if (newest && row->error == -ENODATA)
		row->state = "open"; // begun, and not written yet
	close(fd);
}

// All but the newest end where the next begins, or where the gap in front of that does.
static void ends_load(struct segment_row *rows, unsigned count)
{
	for (unsigned i = 0; i + 1 < count; i++) {
		const struct wal_segment_header *next = &rows[i + 1].header;

		if (rows[i].error || rows[i + 1].error)
			continue;
		rows[i].rows_known = next->gap_from >= rows[i].header.first_seq;
		rows[i].next_seq = next->gap_from;
	}
}

static int part_load(const struct log_part *part, struct segment_row **ret, unsigned *ret_count)
{
	struct wal_segment_file *files;
	struct segment_row *rows;
	unsigned count;
	int r;

	r = wal_list_segments(part->dir, &files, &count);
	if (r < 0)
		return r;
	rows = calloc(count + 1, sizeof(*rows));
	for (unsigned i = 0; rows != NULL && i < count; i++) {
		rows[i].file = files[i];
		segment_load(part->dir, &rows[i], i + 1 == count);
	}
	free(files);
	if (rows == NULL)
		return -ENOMEM;
	ends_load(rows, count);
	*ret = rows;
	*ret_count = count;
	return 0;
}

static json_t *row_json(const struct log_part *part, const struct segment_row *row)
{
	const struct wal_segment_header *header = &row->header;
	bool known = row->error == 0;
	char log_id[33];

	wal_id_text(&header->log_id, log_id);
	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:s}", "partition",
		part->partition < 0 ? json_null() : json_integer(part->partition), "path",
		part->dir, "file", row->file.name, "log_id",
		known ? json_string(log_id) : json_null(), "generation",
		known ? json_integer(header->generation) : json_null(), "first_seq",
		json_id(row->file.first_seq), "next_seq",
		row->rows_known ? json_id(row->next_seq) : json_null(), "rows",
		row->rows_known ? json_integer((json_int_t)(row->next_seq - row->file.first_seq))
				: json_null(),
		"first_batch", known ? json_id(header->first_batch) : json_null(), "size_bytes",
		(json_int_t)row->file.size, "state", row->state);
}

static void row_cells(struct table *table, const struct segment_row *row)
{
	char bytes[32];

	table_cell(table, "%s", row->file.name);
	if (row->error == 0)
		table_cell(table, "%" PRIu32, row->header.generation);
	else
		table_cell(table, "-");
	table_cell(table, "%" PRIu64, row->file.first_seq);
	if (row->rows_known)
		table_cell(table, "%" PRIu64, row->next_seq - row->file.first_seq);
	else
		table_cell(table, "-");
	if (row->error == 0)
		table_cell(table, "%" PRIu64, row->header.first_batch);
	else
		table_cell(table, "-");
	table_cell(table, "%s", cli_bytes_text((double)row->file.size, bytes));
	table_cell(table, "%s", row->state);
}

static void print_part(const struct log_part *part, const struct segment_row *rows, unsigned count)
{
	static const char *const heads[] = {
		"FILE", "GENERATION", "FIRST SEQ", "EVENTS", "FIRST BATCH", "SIZE", "STATE"};
	struct table *table = table_new("lrrrrrl");
	char id[33] = "no segment";

	for (unsigned i = 0; i < count; i++)
		if (rows[i].error == 0)
			wal_id_text(&rows[i].header.log_id, id);
	printf("%s: log %s\n", part->dir, id);
	if (table == NULL || count == 0) {
		table_free(table);
		return;
	}
	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		table_cell(table, "%s", heads[i]);
	for (unsigned i = 0; i < count; i++)
		row_cells(table, &rows[i]);
	table_print(table, stdout);
	table_free(table);
}

static int list_part(const struct cli *cli, const struct log_part *part, json_t *list)
{
	struct segment_row *rows;
	unsigned count;
	int r;

	r = part_load(part, &rows, &count);
	if (r < 0) {
		cli_error("%s: %s", part->dir, strerror(-r));
		return EXIT_CLI_DEGRADED;
	}
	for (unsigned i = 0; cli->json && i < count; i++)
		json_array_append_new(list, row_json(part, &rows[i]));
	if (!cli->json)
		print_part(part, rows, count);
	free(rows);
	return EXIT_CLI_OK;
}

static int run_ls(const struct cli *cli, const struct cli_args *args)
{
	json_t *list = json_array();
	struct log_dirs dirs;
	int rc;

	rc = log_dirs_find(cli, args->argc > 0 ? args->argv[0] : NULL, &dirs);
	if (rc != EXIT_CLI_OK)
		goto out;
	for (unsigned i = 0; rc == EXIT_CLI_OK && i < dirs.count; i++)
		rc = list_part(cli, &dirs.parts[i], list);
	if (rc == EXIT_CLI_OK && cli->json)
		log_print_json("millrace.log-segments/1", list);
	log_dirs_free(&dirs);
out:
	json_decref(list);
	return rc;
}

const struct cli_command cmd_log_ls = {
	.name = "log ls",
	.args = "[DIR]",
	.max_args = 1,
	.summary = "list a log's segments",
	.details =
		"DIR is a data directory (all its partitions) or that of one partition; default: "
		"the running receiver's, else /var/lib/millrace.\n"
		"State: open, being written or left so by a crash; closed, ends in an "
		"end-of-stream page; cut, ended by recovery behind its last intact block; damaged, "
		"has no valid schema page. Only the schema pages are read: for the blocks, "
		"'millrace log verify'.",
	.run = run_ls,
};
