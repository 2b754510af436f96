// SPDX-License-Identifier: BSD-3-Clause
#include "names.h"

#include "sim.h"

#include <stdio.h>
#include <string.h>

struct name *name_find(struct names *names, int dir, const char *text)
{
	for (unsigned i = 0; i < names->count; i++)
		if (names->list[i].dir == dir && strcmp(names->list[i].text, text) == 0)
			return &names->list[i];
	return NULL;
}

static void name_set(struct names *names, int dir, const char *text, int inode)
{
	struct name *name = name_find(names, dir, text);

	if (!name) {
		if (names->count == FS_NAMES)
			sim_violated("the simulation has no room for another name");
		name = &names->list[names->count++];
		name->dir = dir;
		snprintf(name->text, sizeof(name->text), "%s", text);
	}
	name->inode = inode;
}

static void name_drop(struct names *names, int dir, const char *text, int inode)
{
	struct name *name = name_find(names, dir, text);

	if (name && name->inode == inode)
		*name = names->list[--names->count];
}

void name_apply(struct names *names, const struct fs_op *op)
{
	if (op->kind != OP_UNLINK)
		name_set(names, op->dir, op->to, op->inode);
	if (op->kind != OP_LINK)
		name_drop(names, op->dir, op->from, op->inode);
}

static bool is_named(const struct names *names, int inode)
{
	for (unsigned i = 0; i < names->count; i++)
		if (names->list[i].inode == inode)
			return true;
	return inode == 0;
}

void names_drop_lost(struct names *names)
{
	for (unsigned i = names->count; i > 0; i--)
		if (!is_named(names, names->list[i - 1].dir))
			names->list[i - 1] = names->list[--names->count];
}
