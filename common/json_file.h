// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// State kept as JSON in a file: replaced in one step, with a CRC that finds what rots.
//   {"schema": "millrace.cursor/1", "crc32c": …, KEY: CONTENT}
// The CRC-32C is of the content's compact text with its keys sorted.

#include <jansson.h>

#include <stddef.h>

// 'content' is borrowed. -ENOMEM, also for NULL; else as file_replace().
int json_file_save(
	const char *dir, const char *name, const char *schema, const char *key, json_t *content);

// *ret is the caller's to json_decref(). -ENOENT: no such file; -EBADMSG: damaged, larger than
// 'max', or by no hand of ours; -EPROTONOSUPPORT: of another version of the schema.
int json_file_load(const char *dir, const char *name, size_t max, const char *schema,
	const char *key, json_t **ret);
