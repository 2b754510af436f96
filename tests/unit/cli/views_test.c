// SPDX-License-Identifier: BSD-3-Clause

#include "cli/client.h"
#include "cli/views.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *text;
static FILE *out;
static size_t len;

static FILE *begin(void)
{
	free(text);
	text = NULL;
	out = open_memstream(&text, &len);
	assert_non_null(out);
	return out;
}

static void assert_shows(const char *want)
{
	fflush(out);
	if (strstr(text, want) == NULL)
		fail_msg("no '%s' in:\n%s", want, text);
}

static void end(void)
{
	fclose(out);
	free(text);
	text = NULL;
}

static json_t *parse(const char *json)
{
	json_t *ret = json_loads(json, JSON_DECODE_ANY, NULL);

	assert_non_null(ret);
	return ret;
}

static void spans_have_the_unit_that_fits(void **state)
{
	static const struct {
		double ns;
		const char *want;
	} cases[] = {{0, "0 ns"}, {999, "999 ns"}, {1500, "1.5 us"}, {2.04e6, "2.0 ms"},
		{17e9, "17 s"}, {90e9, "1.5 min"}, {3 * 3600e9, "3 h"}, {12.3 * 86400e9, "12 d"},
		{-1e6, "-1 ms"}, {NAN, "-"}, {INFINITY, "-"}};
	char buf[VIEW_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(view_ns(cases[i].ns, buf), cases[i].want);
}

static const char status_json[] =
	"{\"health\":\"degraded\",\"reasons\":[\"port a: link down\",\"b\"],"
	"\"uptime_ns\":7200000000000,\"log_bytes\":5000,\"disk_free_bytes\":7200000,"
	"\"retain_bytes\":null,\"retain_age_ns\":null,\"slowest_sink\":{\"sink\":\"out\","
	"\"partition\":1,\"state\":\"retrying\",\"lag_events\":12000}}";
static const char top_json[] =
	"{\"total\":{\"packets_per_second\":1490000.0,\"events_per_second\":1490000.0,"
	"\"bits_per_second\":12,\"written_bytes_per_second\":1000.0,\"write_amplification\":1.1,"
	"\"commit_p50_ns\":1500000,\"commit_p99_ns\":null},"
	"\"partitions\":[{\"partition\":0,\"ring_fill\":0.5}],\"ports\":[{\"port\":\"a\"}],"
	"\"lcores\":[{\"lcore\":3,\"busy\":0.42},{\"lcore\":4,\"busy\":null}],\"drops\":[{"
	"\"unit\":\"packet\",\"name\":\"ring_full\",\"per_second\":0.0,\"total\":34000,"
	"\"help\":\"no room\"}],\"restarted\":true}";

static unsigned lines(void)
{
	unsigned ret = 0;

	for (const char *p = text; *p != '\0'; p++)
		ret += *p == '\n';
	return ret;
}

static void status_is_four_lines_with_health_and_why_first(void **state)
{
	json_t *status = parse(status_json), *top = parse(top_json);
	json_t *partitions = parse("[{\"partition\":0,\"durable_seq\":\"77\"}]");

	(void)state;
	view_status(status, top, partitions, begin());
	assert_shows("health  degraded, up 2 h: port a: link down (and 1 more)\n");
	assert_shows("rate    1.49 M packets/s, 1.49 M events/s, 12 bit/s\n");
	assert_shows("drops   ring_full: 0 packets/s, 34.0 k since the start (no room)\n");
	assert_shows("log     5.00 kB, 2.0 h left until the disk is full, durable below seq 77, "
		     "slowest sink out retrying: 12.0 k events behind\n");
	assert_int_equal(lines(), 4);
	end();
	json_decref(status);
	json_decref(top);
	json_decref(partitions);
}

static void status_of_many_partitions_stays_one_line(void **state)
{
	json_t *list = json_array(), *empty = json_object();

	(void)state;
	for (int p = 0; p < 6; p++)
		json_array_append_new(
			list, json_pack("{s:i, s:s}", "partition", p, "durable_seq", "9"));
	view_status(empty, empty, list, begin());
	assert_shows("durable below seq 0:9 1:9 2:9 3:9 and 2 partitions more\n");
	assert_shows("drops   none since the start\n");
	assert_int_equal(lines(), 4);
	end();
	json_decref(list);
	json_decref(empty);
}

static void top_shows_what_is_unknown_as_a_dash(void **state)
{
	json_t *status = parse(status_json), *top = parse(top_json);

	(void)state;
	view_top(top, status, begin());
	assert_shows("in       1.49 M packets/s, 12 bit/s, 1.49 M events/s, - durable/s\n");
	assert_shows("write amplification 1.10\n");
	assert_shows("commit   p50 1.5 ms, p99 -, max -\n");
	assert_shows("restarted in between");
	assert_shows("lcores busy: 3: 42 %, 4: - %\n");
	assert_shows("ring_full");
	end();
	json_decref(status);
	json_decref(top);
}

static void top_bounds_the_list_of_drops(void **state)
{
	json_t *top = parse(top_json);
	json_t *drop = json_array_get(json_object_get(top, "drops"), 0);

	(void)state;
	for (int i = 0; i < 20; i++)
		json_array_append(json_object_get(top, "drops"), drop);
	view_top(top, NULL, begin());
	assert_shows("and 9 reasons more: millrace drops\n");
	end();
	json_decref(top);
}

static const char stats_json[] =
	"[{\"subsystem\":\"port\",\"name\":\"rx_packets\",\"labels\":{\"port\":\"a\"},"
	"\"kind\":\"total\",\"value\":12345678901,\"per_second\":2.5,\"help\":\"came in\"},"
	"{\"subsystem\":\"partition\",\"name\":\"commit_latency_ns\",\"labels\":{},"
	"\"kind\":\"histogram\",\"value\":0,\"p50\":1500,\"p99\":2000,\"max\":3000000,"
	"\"buckets\":[]}]";

static void stats_match_by_name_subsystem_and_labels(void **state)
{
	json_t *rows = parse(stats_json), *row = json_array_get(rows, 0);

	(void)state;
	assert_true(view_stats_match(row, NULL, false));
	assert_true(view_stats_match(row, "rx_*", true));
	assert_true(view_stats_match(row, "port.*", false));
	assert_true(view_stats_match(row, "*{port=\"a\"}", false));
	assert_false(view_stats_match(row, "rx", false));
	assert_false(view_stats_match(row, "*{port=\"b\"}", false));
	assert_false(view_stats_match(json_array_get(rows, 1), NULL, true)); // zero
	json_decref(rows);
}

static void stats_show_all_digits_and_a_histogram_in_its_unit(void **state)
{
	json_t *rows = parse(stats_json);

	(void)state;
	view_stats(rows, true, begin());
	assert_shows("port.rx_packets{port=\"a\"}    12345678901        2.50  came in\n");
	assert_shows("p50 1.5 us  p99 2 us  max 3 ms\n");
	end();
	json_decref(rows);
}

static void drops_come_with_the_largest_first_summed_over_labels(void **state)
{
	json_t *drops = parse("{\"packets\":{\"in\":10,\"taken\":4,\"dropped\":5,\"in_flight\":0,"
			      "\"balance\":1},\"events\":{},\"reasons\":["
			      "{\"unit\":\"packet\",\"name\":\"aa\",\"value\":0,\"help\":\"h\"},"
			      "{\"unit\":\"packet\",\"name\":\"bb\",\"value\":2,\"help\":\"h\"},"
			      "{\"unit\":\"event\",\"name\":\"cc\",\"value\":4,\"help\":\"h\"},"
			      "{\"unit\":\"packet\",\"name\":\"bb\",\"value\":3,\"help\":\"h\"}]}");

	(void)state;
	view_drops(drops, begin());
	assert_shows("packets: 10 in = 4 taken + 5 dropped + 0 in flight; balance 1\n");
	assert_shows("events: - in = - durable");
	assert_shows("      5  packet  bb");
	assert_true(strstr(text, "bb") < strstr(text, "cc"));
	assert_true(strstr(text, "cc") < strstr(text, "aa"));
	end();
	json_decref(drops);
}

static void batches_show_how_long_durability_took(void **state)
{
	json_t *batches =
		parse("{\"batches\":[{\"batch\":\"7\",\"first_seq\":\"18446744073709551615\","
		      "\"rows\":3,\"blocks\":1,\"log_bytes\":4096,"
		      "\"received_min\":\"2026-01-02T03:04:05.000000000Z\","
		      "\"received_max\":\"2026-01-02T03:04:05.199000000Z\","
		      "\"durable_at\":\"2026-01-02T03:04:06.200000000Z\"},"
		      "{\"batch\":\"8\",\"received_min\":null,\"durable_at\":\"junk\"}]}");

	(void)state;
	view_batches(batches, true, begin());
	assert_shows("18446744073709551615");
	assert_shows("199 ms          1.0 s\n");
	assert_shows("4.10 kB");
	end();
	view_batches(batches, false, begin());
	fflush(out);
	assert_null(strstr(text, "BATCH"));
	end();
	json_decref(batches);
}

static void data_of_another_shape_is_no_crash(void **state)
{
	static const char *const odd[] = {"null", "[]", "{}", "7", "[7,null,{},[]]",
		"{\"reasons\":7,\"batches\":[7],\"packets\":[],\"drops\":{},\"lcores\":[1]}",
		"[{\"name\":7,\"labels\":7,\"value\":{},\"xstats\":[7],\"addresses\":{}}]"};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		json_t *data = parse(odd[i]);

		begin();
		view_status(data, data, data, out);
		view_stats(data, true, out);
		view_drops(data, out);
		view_ports(data, out);
		view_batches(data, true, out);
		view_top(data, data, out);
		end();
		json_decref(data);
	}
}

static void an_answer_cannot_drive_the_terminal(void **state)
{
	json_t *envelope =
		parse("{\"data\":{\"reasons\":[\"\\u001b[2Jgone\\nx\"],\"a\":\"\\u007f\","
		      "\"b\":\"\\u00e4\"}}");
	json_t *data = client_data(envelope);

	(void)state;
	assert_string_equal(json_string_value(json_array_get(json_object_get(data, "reasons"), 0)),
		"?[2Jgone?x");
	assert_string_equal(view_text(data, "a"), "?");
	assert_string_equal(view_text(data, "b"), "\xc3\xa4");
	json_decref(envelope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_have_the_unit_that_fits),
		cmocka_unit_test(status_is_four_lines_with_health_and_why_first),
		cmocka_unit_test(status_of_many_partitions_stays_one_line),
		cmocka_unit_test(top_shows_what_is_unknown_as_a_dash),
		cmocka_unit_test(top_bounds_the_list_of_drops),
		cmocka_unit_test(stats_match_by_name_subsystem_and_labels),
		cmocka_unit_test(stats_show_all_digits_and_a_histogram_in_its_unit),
		cmocka_unit_test(drops_come_with_the_largest_first_summed_over_labels),
		cmocka_unit_test(batches_show_how_long_durability_took),
		cmocka_unit_test(data_of_another_shape_is_no_crash),
		cmocka_unit_test(an_answer_cannot_drive_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
