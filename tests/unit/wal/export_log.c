// SPDX-License-Identifier: BSD-3-Clause
// Exports the log of a directory to the standard output: export_log stream|file DIR [none]. With
// "none" no block of it, so that there is no event.
#include "wal/export.h"
#include "wal/pack.h"
#include "wal/reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int write_out(void *arg, const void *data, size_t len)
{
	(void)arg;
	return fwrite(data, 1, len, stdout) == len ? 0 : -EIO;
}

static int export_blocks(struct wal_export *export, struct wal_reader *reader)
{
	struct wal_unpacked unpacked = {0};
	struct wal_block_view view;
	int r;

	do {
		r = wal_reader_next(reader, &view);
		if (r == 1 && wal_unpack(&unpacked, &view) < 0)
			r = -EBADMSG;
		if (r == 1 && wal_export_block(export, &view, NULL) < 0)
			r = -EIO;
	} while (r == 1);
	wal_unpacked_free(&unpacked);
	return r;
}

static int export_log(const char *dir, enum wal_export_form form, bool none)
{
	struct wal_export_info info = {.receiver = "slave-1",
		.partition = 2,
		.listeners = "{\"0\":{\"name\":\"syslog\",\"port\":514}}",
		.first_batch = 7,
		.last_batch = 9};
	struct wal_reader *reader = NULL;
	struct wal_export *export = NULL;
	int r;

	memset(info.log_id.bytes, 0x11, sizeof(info.log_id.bytes));
	r = wal_reader_open(&reader, dir, 0, (struct wal_limit){.segment_first = UINT64_MAX});
	if (r == 0)
		r = wal_export_new(&export, form, write_out, NULL);
	if (r == 0)
		r = wal_export_begin(export, &info);
	if (r == 0 && !none)
		r = export_blocks(export, reader);
	if (r == 0)
		r = wal_export_end(export);
	wal_export_free(export);
	wal_reader_close(reader);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: export_log stream|file DIR [none]\n");
		return 2;
	}
	r = export_log(argv[2], strcmp(argv[1], "file") == 0 ? WAL_EXPORT_FILE : WAL_EXPORT_STREAM,
		argc == 4);
	if (r < 0)
		fprintf(stderr, "export_log: %s\n", strerror(-r));
	return r < 0 || fflush(stdout) != 0;
}
