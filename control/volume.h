// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A persistent volume for a receiver's log, in Mesos' terms: made of reserved disk by the call that
// launches the first task that has it, and found in the offers from then on. It outlives its tasks,
// and ends by the operator's hand alone.

#include <jansson.h>

#define VOLUME_PATH "log" // where a task has it, in its sandbox

// Makes the disk among the resources of a task (as resources_write() gives them) a volume with that
// id. principal: "" when the framework has none. Returns the volume's entry (borrowed); NULL: there
// isn't exactly one entry of disk, or no memory.
json_t *volume_make(json_t *resources, const char *id, const char *principal);

// For one ACCEPT: CREATE of a volume (NULL: there is one already, or none), then LAUNCH. 'task' is
// taken over. NULL on lack of memory.
json_t *volume_operations(json_t *task, json_t *create);
