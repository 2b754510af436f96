// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"
#include "cli/table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void figures_have_three_digits(void **state)
{
	static const struct {
		double value;
		const char *text;
	} rows[] = {{0, "0"}, {7, "7"}, {999, "999"}, {0.5, "0.50"}, {12.34, "12.3"},
		{99.96, "100"}, {999.6, "1.00 k"}, {1000, "1.00 k"}, {1488095, "1.49 M"},
		{9995, "10.0 k"}, {99949, "99.9 k"}, {999499, "999 k"}, {999500, "1.00 M"},
		{2.5e9, "2.50 G"}, {1.8446744073709552e19, "18.4 E"}, {1e25, "10000000 E"},
		{-1500, "-1.50 k"}};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(cli_count_text(rows[i].value, buf), rows[i].text);
}

static void bytes_carry_their_unit(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(cli_bytes_text(0, buf), "0 B");
	assert_string_equal(cli_bytes_text(893.2e6, buf), "893 MB");
	assert_string_equal(cli_bytes_text(1500, buf), "1.50 kB");
}

static void what_is_not_known_is_a_dash(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(cli_count_text(NAN, buf), "-");
	assert_string_equal(cli_bytes_text(INFINITY, buf), "-");
	assert_string_equal(cli_count_text(-INFINITY, buf), "-");
}

static void the_largest_figures_fit(void **state)
{
	char buf[33];

	(void)state;
	buf[32] = 'x';
	cli_bytes_text(-1.7e308, buf);
	assert_int_equal(buf[32], 'x');
	cli_count_text(1e300, buf);
	assert_int_equal(buf[32], 'x');
}

static const char *printed(const struct table *table)
{
	static char text[1024];
	FILE *out = fmemopen(text, sizeof(text), "w");

	table_print(table, out);
	fclose(out);
	return text;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct table *table = table_new("lrl");

	(void)state;
	table_cell(table, "NAME");
	table_cell(table, "RX");
	table_cell(table, "STATE");
	table_cell(table, "%s", "a long name");
	table_cell(table, "%d", 12345);
	table_cell(table, "up");
	assert_string_equal(printed(table), "NAME            RX  STATE\n"
					    "a long name  12345  up\n");
	table_free(table);
}

static void letters_of_several_bytes_are_one_wide(void **state)
{
	struct table *table = table_new("lr");

	(void)state;
	table_cell(table, "\xc3\xa4");
	table_cell(table, "1");
	table_cell(table, "b");
	table_cell(table, "22");
	assert_string_equal(printed(table), "\xc3\xa4   1\nb  22\n");
	table_free(table);
}

static void a_cell_cannot_command_the_terminal(void **state)
{
	struct table *table = table_new("l");

	(void)state;
	table_cell(table, "a\x1b[2Jb\nc");
	assert_string_equal(printed(table), "a?[2Jb?c\n");
	table_free(table);
}

static void a_table_grows_and_a_row_may_be_short(void **state)
{
	struct table *table = table_new("rr");

	(void)state;
	for (int i = 0; i < 201; i++)
		table_cell(table, "%d", i % 10);
	assert_int_equal(printed(table)[0], '0');
	table_free(table);
	table = table_new("ll");
	assert_string_equal((printed(table), ""), "");
	table_cell(table, "x");
	assert_string_equal(printed(table), "x\n");
	table_free(table);
	table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_have_three_digits),
		cmocka_unit_test(bytes_carry_their_unit),
		cmocka_unit_test(what_is_not_known_is_a_dash),
		cmocka_unit_test(the_largest_figures_fit),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(letters_of_several_bytes_are_one_wide),
		cmocka_unit_test(a_cell_cannot_command_the_terminal),
		cmocka_unit_test(a_table_grows_and_a_row_may_be_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
