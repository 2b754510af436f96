// SPDX-License-Identifier: BSD-3-Clause
// Keys in words: what they take and what stands for their default.

#include "common/config_table.h"
#include "common/units.h"

#include <inttypes.h>
#include <string.h>

static const char *number_text(const struct config_key *key, uint64_t value, char *buf)
{
	if (key->type == TYPE_SIZE)
		return units_size_text(value, buf);
	if (key->type == TYPE_DURATION)
		return units_duration_text(value, buf);
	snprintf(buf, UNITS_TEXT_BYTES, "%" PRIu64, value);
	return buf;
}

static const char *choices_text(const char *choices, char *buf, size_t room)
{
	size_t len = 0;

	for (const char *c = choices; *c != '\0' && len + 5 < room; c++) {
		if (*c == '|') {
			memcpy(buf + len, " or ", 4);
			len += 4;
		} else {
			buf[len++] = *c;
		}
	}
	buf[len] = '\0';
	return buf;
}

const char *config_range_text(const struct config_key *key, char *buf)
{
	char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];

	switch (key->type) {
	case TYPE_UINT:
	case TYPE_SIZE:
	case TYPE_DURATION:
		snprintf(buf, 128, "%s to %s%s", number_text(key, key->min, min),
			number_text(key, key->max, max),
			key->power_of_two ? ", a power of two" : "");
		return buf;
	case TYPE_CHOICE:
		return choices_text(key->choices, buf, 128);
	case TYPE_BOOL:
		return "true or false";
	case TYPE_NAME:
		return "letters, digits, '.', '_' and '-', at most 63";
	case TYPE_PATH:
		return "an absolute path";
	case TYPE_CPUS:
		return "numbers and ranges, such as 0-3,8";
	case TYPE_PARTITIONS:
		return "all, or numbers and ranges, such as 0-3,8";
	case TYPE_ADDRESSES:
		snprintf(buf, 128, "at most %" PRIu64 " addresses with their prefix", key->max);
		return buf;
	case TYPE_GATEWAYS:
		snprintf(buf, 128, "at most %" PRIu64 " addresses", key->max);
		return buf;
	case TYPE_PREFIXES:
		snprintf(buf, 128, "at most %" PRIu64 " prefixes, such as 10.0.0.0/8", key->max);
		return buf;
	case TYPE_PROPERTIES:
		snprintf(buf, 128, "at most %" PRIu64 " names and values", key->max);
		return buf;
	case TYPE_LISTEN_ADDRESS:
		return "an IPv4 or IPv6 address";
	case TYPE_OWN:
		return key->range;
	case TYPE_LIST:
		snprintf(buf, 128, "at most %" PRIu64 " elements", key->max);
		return buf;
	default:
		return "text";
	}
}

const char *config_default_text(const struct config_key *key)
{
	if (key->required)
		return "required";
	if (key->standard != NULL)
		return key->standard;
	return key->standard_help != NULL ? key->standard_help : "";
}
