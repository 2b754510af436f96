// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// From the data of an answer (docs/api.md) to text. Pure functions: nothing is fetched here, and
// data that lacks what it should have comes out as "-".

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define VIEW_TEXT_BYTES 32

// Value of a key as text, "-" when it is null or missing.
const char *view_text(const json_t *object, const char *key);

// Value of a key as a number, NAN when it is null or missing: figures print that as "-".
double view_number(const json_t *object, const char *key);

// A time of RFC 3339 in UTC, in seconds; NAN when it is none.
double view_seconds(const char *text);

// "1.5 ms", "17 s", "3.2 h", "12 d". buf: VIEW_TEXT_BYTES.
const char *view_ns(double ns, char *buf);

// {a="b",c="d"}, or nothing without labels. buf of 'room' bytes.
const char *view_labels(const json_t *labels, char *buf, size_t room);

// status: data of millrace.status/1, of millrace.top/1 and of millrace.partitions/1 (may be NULL).
void view_status(const json_t *status, const json_t *top, const json_t *partitions, FILE *out);

// stats: rows that match the glob (NULL: all) and are not zero (nonzero).
bool view_stats_match(const json_t *row, const char *glob, bool nonzero);
void view_stats(const json_t *rows, bool rates, FILE *out);

void view_drops(const json_t *drops, FILE *out);
void view_ports(const json_t *ports, FILE *out);

// heading: false when the list goes on (batches --follow).
void view_batches(const json_t *batches, bool heading, FILE *out);

// top: one frame. status may be NULL; its line is left out then.
void view_top(const json_t *top, const json_t *status, FILE *out);
