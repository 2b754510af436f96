// SPDX-License-Identifier: BSD-3-Clause
#include "wal/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BUSY_SAMPLE_MS 40

// Milliseconds that the disk below fd was busy, as the kernel counts them; -1: not known.
static long disk_busy_ms(int fd)
{
	struct stat st;
	char path[80], line[512];
	char *at = line, *end = line;
	FILE *f;

	if (fstat(fd, &st) < 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(st.st_dev),
		minor(st.st_dev));
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);

	// The tenth number (Documentation/block/stat.rst: io_ticks).
	for (int i = 0; i < 9; i++)
		strtoull(at, &at, 10);
	long ms = (long)strtoull(at, &end, 10);

	return end == at ? -1 : ms;
}

bool wal_disk_is_idle(int fd)
{
	long before = disk_busy_ms(fd);

	if (before < 0)
		return true;
	usleep(BUSY_SAMPLE_MS * 1000);

	return disk_busy_ms(fd) - before < BUSY_SAMPLE_MS / 2;
}
