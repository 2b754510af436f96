// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdbool.h>

// Whether the disk below the file is less than half busy, by a sample of 40 ms in which the caller
// sleeps. True also where the kernel doesn't say.
bool wal_disk_is_idle(int fd);
