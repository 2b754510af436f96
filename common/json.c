// SPDX-License-Identifier: BSD-3-Clause

#include "common/json.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define NS_PER_SECOND 1000000000
#define TIME_TEXT_BYTES 40

const char *time_text(int64_t real_ns, char *buf)
{
	int64_t seconds = real_ns / NS_PER_SECOND, ns = real_ns % NS_PER_SECOND;
	time_t t;
	struct tm tm;

	if (ns < 0) { // before 1970: the fraction still counts upwards
		ns += NS_PER_SECOND;
		seconds--;
	}
	t = (time_t)seconds;
	gmtime_r(&t, &tm);
	snprintf(buf, TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%09" PRId64 "Z",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ns);
	return buf;
}

json_t *json_id(uint64_t id)
{
	return json_sprintf("%" PRIu64, id);
}

// Text that came from outside need not be UTF-8, which jansson refuses; "?" stands for each byte
// above ASCII then, so that a message is never lost by its content.
static json_t *text_json(const char *text)
{
	json_t *ret = json_string(text);
	char plain[512];
	size_t i;

	if (ret != NULL)
		return ret;
	for (i = 0; text[i] != '\0' && i < sizeof(plain) - 1; i++)
		plain[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	plain[i] = '\0';
	return json_string(plain);
}

json_t *json_warning(const char *code, const char *text, const char *mend)
{
	return json_pack("{s:o, s:o, s:o}", "code", text_json(code), "text", text_json(text),
		"mend", mend == NULL ? json_null() : text_json(mend));
}

json_t *json_envelope(const char *schema, const char *receiver, json_t *data, json_t *warnings)
{
	char buf[TIME_TEXT_BYTES];

	time_text(clock_system_ns(), buf);
	if (warnings == NULL)
		warnings = json_array();
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "schema", schema, "time", buf, "receiver",
		receiver == NULL ? json_null() : text_json(receiver), "data", data, "warnings",
		warnings);
}
