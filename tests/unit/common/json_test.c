// SPDX-License-Identifier: BSD-3-Clause

#include "common/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void time_is_written_in_utc_with_nanoseconds(void **state)
{
	char buf[40];

	(void)state;
	assert_string_equal(time_text(0, buf), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(time_text(1700000000123456789, buf), "2023-11-14T22:13:20.123456789Z");
	assert_string_equal(time_text(-1, buf), "1969-12-31T23:59:59.999999999Z");
	assert_string_equal(time_text(INT64_MAX, buf), "2262-04-11T23:47:16.854775807Z");
	assert_string_equal(time_text(INT64_MIN, buf), "1677-09-21T00:12:43.145224192Z");
}

static void an_envelope_has_its_five_fields(void **state)
{
	json_t *e = json_envelope("millrace.ports/1", "here", json_pack("[i]", 1), NULL);

	(void)state;
	assert_int_equal(json_object_size(e), 5);
	assert_string_equal(string_of(e, "schema"), "millrace.ports/1");
	assert_string_equal(string_of(e, "receiver"), "here");
	assert_int_equal(strlen(string_of(e, "time")), 30);
	assert_int_equal(json_array_size(json_object_get(e, "data")), 1);
	assert_true(json_is_array(json_object_get(e, "warnings")));
	assert_int_equal(json_array_size(json_object_get(e, "warnings")), 0);
	json_decref(e);
}

static void an_envelope_owns_data_and_warnings(void **state)
{
	json_t *data = json_object(), *warnings = json_array();
	json_t *e;

	(void)state;
	json_incref(data);
	json_incref(warnings);
	e = json_envelope("s/1", NULL, data, warnings);
	assert_true(json_is_null(json_object_get(e, "receiver")));
	json_decref(e);
	assert_int_equal(data->refcount, 1);
	assert_int_equal(warnings->refcount, 1);
	json_decref(data);
	json_decref(warnings);
}

static void without_data_there_is_no_envelope(void **state)
{
	(void)state;
	assert_null(json_envelope("s/1", "here", NULL, NULL));
}

static void an_id_is_a_string_of_all_its_digits(void **state)
{
	json_t *id = json_id(UINT64_MAX);

	(void)state;
	assert_string_equal(json_string_value(id), "18446744073709551615");
	json_decref(id);
}

static void a_warning_without_a_mend_has_null_there(void **state)
{
	json_t *w = json_warning("no-huge", "no hugepages", NULL);

	(void)state;
	assert_string_equal(string_of(w, "code"), "no-huge");
	assert_true(json_is_null(json_object_get(w, "mend")));
	json_decref(w);
	w = json_warning("no-huge", "no hugepages", "setup.sh hugepages 512");
	assert_string_equal(string_of(w, "mend"), "setup.sh hugepages 512");
	json_decref(w);
}

static void text_that_is_no_utf8_does_not_lose_the_warning(void **state)
{
	json_t *w = json_warning("key", "unknown key 'a\xff'", NULL);

	(void)state;
	assert_non_null(w);
	assert_string_equal(string_of(w, "text"), "unknown key 'a?'");
	json_decref(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_is_written_in_utc_with_nanoseconds),
		cmocka_unit_test(an_envelope_has_its_five_fields),
		cmocka_unit_test(an_envelope_owns_data_and_warnings),
		cmocka_unit_test(without_data_there_is_no_envelope),
		cmocka_unit_test(an_id_is_a_string_of_all_its_digits),
		cmocka_unit_test(a_warning_without_a_mend_has_null_there),
		cmocka_unit_test(text_that_is_no_utf8_does_not_lose_the_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
