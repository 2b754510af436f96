// SPDX-License-Identifier: BSD-3-Clause

// file_replace(): after a crash at any call the file has its old or its new content.

#include "common/file.h"
#include "fs.h"
#include "sim.h"
#include "story.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME "map"
#define LEN_MAX 3000u
#define BOOTS 4u
#define VERSIONS 64u

static struct {
	unsigned last;           // version, from 1 on
	bool possible[VERSIONS]; // contents that the file may have; 0: none at all
} file;

static uint32_t make(unsigned version, uint8_t *ret)
{
	uint32_t len = (uint32_t)(sim_hash(version, 1) % LEN_MAX);

	for (uint32_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(sim_hash(version, 2) >> (i % 8 * 8)) ^ (uint8_t)(i / 8);
	return len;
}

static void only(unsigned version)
{
	memset(file.possible, 0, sizeof(file.possible));
	file.possible[version] = true;
}

static void replace_some(void *arg)
{
	uint8_t data[LEN_MAX];

	(void)arg;
	for (unsigned i = sim_between(1, 3); i > 0; i--) {
		uint32_t len = make(++file.last, data);
		int r;

		file.possible[file.last] = true;
		sim_trace("version %u, %u bytes", file.last, len);
		r = file_replace(SIM_LOG, NAME, data, len);
		if (r == 0)
			only(file.last);
		else if (sim_faults() == 0)
			sim_violated("file_replace: %s", strerror(-r));
		if (calls_open() > 0)
			sim_violated("file_replace leaves a descriptor");
	}
}

// Which version it is; VERSIONS: a mixture.
static unsigned found(void)
{
	uint8_t data[LEN_MAX];
	unsigned version = 1;
	char *text;
	size_t len;
	int r = file_read(SIM_LOG "/" NAME, LEN_MAX, &text, &len);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		sim_violated("the file can't be read: %s", strerror(-r));
	while (version <= file.last && (make(version, data) != len || memcmp(data, text, len) != 0))
		version++;
	free(text);
	return version <= file.last ? version : VERSIONS;
}

static void check(bool power_cut)
{
	unsigned version = found();

	if (version == VERSIONS)
		sim_violated("the file is neither its old nor its new content");
	if (!file.possible[version])
		sim_violated(version ? "the file has version %u, which was replaced"
				     : "the file is gone",
			version);
	if (power_cut)
		only(version);
}

void replace_story(void)
{
	int dir;

	file.last = 0;
	only(0);
	fs_reset(8);
	calls_reset(true);
	dir = fs_create(0, "0", true);
	fs_flush_end(0, fs_flush_begin(), dir > 0);
	for (unsigned i = 0; i < BOOTS; i++) {
		bool cut = sim_chance(800);

		sim_pace = (struct sim_pace){.faults = sim_chance(300) ? 50 : 0};
		sim_boot(replace_some, NULL, sim_chance(800) ? sim_between(1, 40) : 0);
		fs_kill();
		if (cut)
			fs_power_cut();
		calls_reset(true);
		sim_memory_drop();
		check(cut);
	}
}
