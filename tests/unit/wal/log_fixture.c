// SPDX-License-Identifier: BSD-3-Clause
#include "log_fixture.h"

#include "common/clock.h"
#include "wal/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void log_fixture_init(struct log_fixture *f)
{
	clock_init();
	memset(f, 0, sizeof(*f));
	snprintf(f->data, sizeof(f->data), "/tmp/millrace-log-XXXXXX");
	assert_non_null(mkdtemp(f->data));
	snprintf(f->dir, sizeof(f->dir), "%s/0", f->data);
	f->options = (struct wal_options){
		.dir = f->dir,
		.receiver = "test",
		.listeners = "{}",
		.lock_fd = -1,
		.log = {.segment_bytes = FIXTURE_SEGMENT,
			.block_bytes = FIXTURE_BLOCK,
			.queue_depth = 4,
			.direct = true},
	};
}

void log_fixture_done(struct log_fixture *f)
{
	char command[128];

	wal_close(f->wal);
	snprintf(command, sizeof(command), "rm -rf %s", f->data);
	assert_int_equal(system(command), 0);
}

void log_fixture_open(struct log_fixture *f, bool fake)
{
	int r = wal_open(&f->wal, &f->options, &f->report, f->why);

	if (r < 0)
		print_error("wal_open: %s %s\n", strerror(-r), f->why);
	assert_int_equal(r, 0);
	f->disk = NULL;
	if (fake) {
		f->disk = fake_disk_new();
		wal_set_io(f->wal, &f->disk->io);
	}
}
