// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A table of text whose columns are as wide as their widest cell.

#include <stdio.h>

#define TABLE_COLUMNS_MAX 16

struct table;

// 'align' has a letter for each column: 'l' left, 'r' right. NULL on lack of memory.
struct table *table_new(const char *align);
void table_free(struct table *table); // NULL is allowed

// The next cell, row by row; the first row is the heading. What doesn't fit into memory is left
// out.
void table_cell(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void table_print(const struct table *table, FILE *out);
