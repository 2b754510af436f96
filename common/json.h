// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The envelope of all JSON that Millrace prints or serves:
//   {"schema":"millrace.ports/1","time":"…Z","receiver":"…","data":…,"warnings":[…]}
// 64-bit ids are strings, counts are numbers, unknown is null, units stand in the names.

#include <jansson.h>

#include <stdint.h>

// Takes ownership of data and of warnings (NULL: none). NULL on lack of memory.
json_t *json_envelope(const char *schema, const char *receiver, json_t *data, json_t *warnings);

// {"code","text","mend"}; mend may be NULL.
json_t *json_warning(const char *code, const char *text, const char *mend);

// A 64-bit id or seq as a string.
json_t *json_id(uint64_t id);

// RFC 3339 in UTC with nanoseconds. buf: at least 40 bytes.
const char *time_text(int64_t real_ns, char *buf);
