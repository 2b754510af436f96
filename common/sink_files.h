// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The names of the files that a sink of kind `files` writes, made of a template: placeholders
// {date} {hour} (of the first batch, in UTC), {receiver} {partition} {first} {last} (batch numbers
// of 20 digits, so that names sort as batches do) and {log_id}, and folders.

#include <stddef.h>
#include <stdint.h>

#define SINK_FILES_NAME_MAX 1024 // of a name with its folders, the zero byte included
#define SINK_FILES_PART_MAX 240  // of each part; the file system's limit is 255

struct sink_files_values {
	int64_t received_at; // ns since 1970 UTC
	const char *receiver;
	unsigned partition;
	uint64_t first, last;
	const char *log_id; // 32 hex digits
};

// NULL, or what is wrong with a template: text that goes on after its name, without a full stop.
// With {log_id}, {partition} and {first} in it no two files have the same name.
const char *sink_files_check(const char *template);

// The name by a template that is good. Of the receiver's name what doesn't belong into a file's is
// "_". -ENAMETOOLONG.
int sink_files_name(
	const char *template, const struct sink_files_values *values, char *ret, size_t ret_len);
