// SPDX-License-Identifier: BSD-3-Clause

#include "cli/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct table {
	char align[TABLE_COLUMNS_MAX + 1];
	unsigned columns;
	unsigned count;
	unsigned room;
	char **cells;
};

struct table *table_new(const char *align)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	snprintf(table->align, sizeof(table->align), "%s", align);
	table->columns = (unsigned)strlen(table->align);
	return table;
}

void table_free(struct table *table)
{
	if (table == NULL)
		return;
	for (unsigned i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

// A terminal obeys what it is sent, and names come from outside.
static void disarm(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void table_cell(struct table *table, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	if (table->count == table->room) {
		unsigned room = table->room == 0 ? 64 : 2 * table->room;
		char **cells = realloc(table->cells, room * sizeof(*cells));

		if (cells == NULL)
			return;
		table->cells = cells;
		table->room = room;
	}
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	disarm(text);
	table->cells[table->count++] = text;
}

// Columns on a terminal: bytes that begin a UTF-8 character.
static unsigned width_of(const char *text)
{
	unsigned width = 0;

	for (; *text != '\0'; text++)
		if (((unsigned char)*text & 0xc0) != 0x80)
			width++;
	return width;
}

static void print_cell(const struct table *table, unsigned i, unsigned width, FILE *out)
{
	unsigned column = i % table->columns;
	int pad = (int)(width - width_of(table->cells[i]));
	bool last = column + 1 == table->columns;

	if (column > 0)
		fputs("  ", out);
	if (table->align[column] == 'r')
		fprintf(out, "%*s%s", pad, "", table->cells[i]);
	else
		fprintf(out, "%s%*s", table->cells[i], last ? 0 : pad, "");
	if (last || i + 1 == table->count)
		fputc('\n', out);
}

void table_print(const struct table *table, FILE *out)
{
	unsigned width[TABLE_COLUMNS_MAX] = {0};

	if (table->columns == 0)
		return;
	for (unsigned i = 0; i < table->count; i++) {
		unsigned w = width_of(table->cells[i]);

		if (w > width[i % table->columns])
			width[i % table->columns] = w;
	}
	for (unsigned i = 0; i < table->count; i++)
		print_cell(table, i, width[i % table->columns], out);
}
