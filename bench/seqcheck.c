// SPDX-License-Identifier: BSD-3-Clause
// Proves what is missing of a run of `millrace send`, or that nothing is.
//
//   seqcheck [--size BYTES] [--allow-missing N] --id HEX8 --count N DIR
//   seqcheck [--size BYTES] [--allow-missing N] --id HEX8 --count N --lines FILE...
//
// DIR is a data directory, of which all partitions are read; a FILE holds an event in each line.
// With
// --size (a number, or a range as 'millrace send' takes it) an event cut short is damaged.
//
// Prints one JSON object. Exit code 0: each event is there exactly once and whole; 1: not so; 3:
// can't read; 2: usage.

#include "bench/seqset.h"
#include "wal/reader.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
	struct seqset set;
	struct send_plan plan;
	uint64_t allow_missing;
	bool has_id, lines;
	char **paths;
	int path_count;
};

static uint64_t flow_key(const struct wal_row *row)
{
	uint64_t key;

	// Events of one flow all lie in one partition, and the order starts anew with each.
	memcpy(&key, row->src_addr + 8, sizeof(key));
	return key * 0x9e3779b97f4a7c15ull ^ row->src_port ^ (uint64_t)row->listener << 16;
}

static int check_partition(struct job *job, const char *dir)
{
	const struct wal_limit all = {.segment_first = UINT64_MAX};
	struct wal_block_view view;
	struct wal_reader *reader;
	struct wal_row row;
	int r = wal_reader_open(&reader, dir, 0, all);

	if (r == -ENOENT)
		return 0;
	if (r != 0) {
		fprintf(stderr, "seqcheck: %s: %s\n", dir, strerror(-r));
		return r;
	}
	seqset_new_log(&job->set);
	while ((r = wal_reader_next(reader, &view)) > 0) {
		for (uint32_t i = 0; i < view.trailer->rows; i++) {
			wal_row_get(&view, i, &row);
			seqset_add(&job->set, row.payload, row.payload_len, flow_key(&row));
		}
	}
	if (r < 0)
		fprintf(stderr, "seqcheck: %s: %s\n", dir, wal_reader_why(reader));
	wal_reader_close(reader);
	return r;
}

static bool is_number(const char *name)
{
	return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

static int check_data(struct job *job, const char *data)
{
	struct dirent *entry;
	DIR *dir = opendir(data);
	char path[4096];
	unsigned partitions = 0;
	int r = 0;

	if (dir == NULL) {
		fprintf(stderr, "seqcheck: %s: %s\n", data, strerror(errno));
		return -errno;
	}
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (!is_number(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", data, entry->d_name);
		r = check_partition(job, path);
		partitions++;
	}
	closedir(dir);
	if (r == 0 && partitions == 0) {
		fprintf(stderr, "seqcheck: %s holds no partition\n", data);
		return -ENOENT;
	}
	return r;
}

static int check_lines(struct job *job, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (file == NULL) {
		fprintf(stderr, "seqcheck: %s: %s\n", path, strerror(errno));
		return -errno;
	}
	seqset_new_log(&job->set);
	while ((len = getline(&line, &size, file)) > 0) {
		if (line[len - 1] == '\n')
			len--;
		seqset_add(&job->set, (const uint8_t *)line, (uint32_t)len, 0);
	}
	free(line);
	fclose(file);
	return 0;
}

static void print(const struct job *job)
{
	const struct seqset *set = &job->set;

	printf("{\"expected\": %" PRIu64 ", \"found\": %" PRIu64 ", \"missing\": %" PRIu64
	       ", \"twice\": %" PRIu64 ", \"out_of_order\": %" PRIu64 ", \"foreign\": %" PRIu64
	       ", \"damaged\": %" PRIu64 ", \"beyond\": %" PRIu64 ", \"first_missing\": ",
		set->plan.count, set->found, seqset_missing(set), set->twice, set->out_of_order,
		set->foreign, set->damaged, set->beyond);
	if (seqset_missing(set) > 0)
		printf("\"%" PRIu64 "\"}\n", seqset_first_missing(set));
	else
		printf("null}\n");
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return is_number(text) && errno == 0;
}

static bool parse_sizes(const char *text, struct send_plan *plan)
{
	char *end;

	plan->size_min = plan->size_max = (uint32_t)strtoul(text, &end, 10);
	if (*end == '-')
		plan->size_max = (uint32_t)strtoul(end + 1, &end, 10);
	return *end == '\0' && plan->size_min >= SEND_HEADER_BYTES &&
	       plan->size_max >= plan->size_min;
}

static bool parse(struct job *job, int argc, char **argv)
{
	static const struct option options[] = {
		{"id", required_argument, NULL, 'i'},
		{"count", required_argument, NULL, 'n'},
		{"size", required_argument, NULL, 's'},
		{"allow-missing", required_argument, NULL, 'm'},
		{"lines", no_argument, NULL, 'l'},
		{0},
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool good = c != '?';

		if (c == 'i') {
			job->plan.id = (uint32_t)strtoul(optarg, &end, 16);
			job->has_id = strlen(optarg) == 8 && *end == '\0';
		} else if (c == 'n') {
			good = parse_number(optarg, &job->plan.count);
		} else if (c == 's') {
			good = parse_sizes(optarg, &job->plan);
		} else if (c == 'm') {
			good = parse_number(optarg, &job->allow_missing);
		} else if (c == 'l') {
			job->lines = true;
		}
		if (!good)
			return false;
	}
	job->paths = argv + optind;
	job->path_count = argc - optind;
	return job->has_id && job->plan.count > 0 && job->plan.count <= SEND_COUNT_MAX &&
	       job->path_count > 0;
}

int main(int argc, char **argv)
{
	struct job job = {0};
	int r = 0;

	if (!parse(&job, argc, argv)) {
		fprintf(stderr,
			"usage: seqcheck [--size BYTES] [--allow-missing N] --id HEX8 --count N "
			"DIR | --lines FILE...\n");
		return 2;
	}
	if (seqset_init(&job.set, &job.plan) != 0) {
		fprintf(stderr, "seqcheck: no memory for %" PRIu64 " bits\n", job.plan.count);
		return 3;
	}
	for (int i = 0; r == 0 && i < job.path_count; i++)
		r = job.lines ? check_lines(&job, job.paths[i]) : check_data(&job, job.paths[i]);
	if (r == 0)
		print(&job);
	seqset_free(&job.set);
	if (r != 0)
		return 3;
	return seqset_missing(&job.set) <= job.allow_missing && job.set.twice == 0 &&
			       job.set.damaged == 0 && job.set.beyond == 0
		       ? 0
		       : 1;
}
