// SPDX-License-Identifier: BSD-3-Clause

#include "common/cpus.h"

#include "common/units.h"

#include <stdio.h>
#include <string.h>

const char *cpus_parse_range(const char **text, uint64_t *first, uint64_t *last)
{
	char part[16];
	size_t len = strcspn(*text, ",");
	char *dash;

	if (len == 0 || len >= sizeof(part))
		return "is no list of numbers such as 0-3,8";
	memcpy(part, *text, len);
	part[len] = '\0';
	*text += len;
	dash = strchr(part, '-');
	if (dash != NULL)
		*dash = '\0';
	if (!units_parse_uint(part, first))
		return "is no list of numbers such as 0-3,8";
	*last = *first;
	if (dash != NULL && !units_parse_uint(dash + 1, last))
		return "is no list of numbers such as 0-3,8";
	return *first > *last ? "has a range that runs backwards" : NULL;
}

static const char *add(uint16_t *list, unsigned *count, uint64_t cpu)
{
	for (unsigned i = 0; i < *count; i++)
		if (list[i] == cpu)
			return "has a CPU twice";
	if (*count == CPUS_MAX)
		return "has more than 128 CPUs";
	list[(*count)++] = (uint16_t)cpu;
	return NULL;
}

const char *cpus_parse(const char *text, uint16_t list[CPUS_MAX], unsigned *count)
{
	uint64_t first = 0, last = 0;
	const char *wrong;

	*count = 0;
	do {
		wrong = cpus_parse_range(&text, &first, &last);
		if (wrong == NULL && last > CPUS_NUMBER_MAX)
			wrong = "has a CPU above 1023";
		for (uint64_t cpu = first; wrong == NULL && cpu <= last; cpu++)
			wrong = add(list, count, cpu);
	} while (wrong == NULL && *text++ == ',');
	if (wrong != NULL)
		*count = 0;
	return wrong;
}

const char *cpus_text(const uint16_t *list, unsigned count, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < count && len < size; i++) {
		unsigned first = i;

		while (i + 1 < count && list[i + 1] == list[i] + 1)
			i++;
		len += (size_t)snprintf(
			buf + len, size - len, "%s%u", first == 0 ? "" : ",", list[first]);
		if (i > first && len < size)
			len += (size_t)snprintf(buf + len, size - len, "-%u", list[i]);
	}
	return buf;
}
