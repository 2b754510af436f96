// SPDX-License-Identifier: BSD-3-Clause
#include "control/mesos/masters.h"

#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// What a URL may have between "//" and "/" with us: no user, no query, no blanks.
static bool host_fine(const char *host, size_t len)
{
	bool brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';

	if (len == 0 || len >= MASTER_BYTES - 8)
		return false;
	for (size_t i = brackets ? 1 : 0; i < len - (brackets ? 1 : 0); i++)
		if (!isalnum((unsigned char)host[i]) && host[i] != '.' && host[i] != '-' &&
			host[i] != '_' && !(brackets && host[i] == ':'))
			return false;
	return true;
}

static bool read_master(const char *text, size_t len, char ret[MASTER_BYTES])
{
	const char *colon = memrchr(text, ':', len);
	char port[8];
	uint64_t number;

	if (colon == NULL || !host_fine(text, (size_t)(colon - text)))
		return false;
	len -= (size_t)(colon + 1 - text);
	if (len == 0 || len >= sizeof(port))
		return false;
	memcpy(port, colon + 1, len);
	port[len] = '\0';
	if (!units_parse_uint(port, &number) || number == 0 || number > UINT16_MAX)
		return false;
	snprintf(ret, MASTER_BYTES, "%.*s:%u", (int)(colon - text), text, (unsigned)number);
	return true;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

int masters_parse(const char *text, struct masters *ret)
{
	struct masters masters = {0};

	text = skip_blanks(text);
	while (*text != '\0') {
		size_t len = strcspn(text, " \t,");

		if (masters.count == MASTERS_MAX)
			return -E2BIG;
		if (!read_master(text, len, masters.list[masters.count]))
			return -EINVAL;
		masters.count++;
		text = skip_blanks(text + len);
		if (*text == '\0')
			break;
		if (*text != ',' || *skip_blanks(text + 1) == '\0')
			return -EINVAL;
		text = skip_blanks(text + 1);
	}
	*ret = masters;
	return 0;
}

bool masters_have(const struct masters *masters, const char *master)
{
	for (unsigned i = 0; i < masters->count; i++)
		if (strcmp(masters->list[i], master) == 0)
			return true;
	return false;
}

bool masters_same(const struct masters *a, const struct masters *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	return true;
}

bool masters_location(const char *location, char ret[MASTER_BYTES])
{
	if (strncasecmp(location, "https:", 6) == 0)
		location += 6;
	else if (strncasecmp(location, "http:", 5) == 0)
		location += 5;
	if (strncmp(location, "//", 2) != 0)
		return false;
	location += 2;
	return read_master(location, strcspn(location, "/?#"), ret);
}
