// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What became of a file that others rotate: NAME is renamed, or copied and truncated, to NAME.1,
// NAME-20260102 or the like in the same directory.

#include "cli/send/position.h"

// All return a descriptor open for reading, or a negative errno; -ENOENT: there is none.
// 'dir' and 'name' are NAME's.

// NAME itself. -EINVAL: it is no regular file.
int rotated_open(const char *dir, const char *name);

// The file of that place, under NAME or a name that begins so.
int rotated_find(const char *dir, const char *name, const struct place *place);

// The newest copy, made before NAME was truncated, of the file of that place.
int rotated_copy(const char *dir, const char *name, const struct place *place);

// The file that was made next after 'fd', NAME being the last of them. -ENOENT also while 'fd' is
// NAME.
int rotated_next(const char *dir, const char *name, int fd);
