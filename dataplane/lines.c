// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/lines.h"

#include <string.h>

bool lines_next(struct lines *lines, const uint8_t **ret, uint32_t *ret_len)
{
	while (lines->at < lines->end) {
		const uint8_t *start = lines->at;
		const uint8_t *end = memchr(start, '\n', (size_t)(lines->end - start));

		lines->at = end == NULL ? lines->end : end + 1;
		if (end == NULL)
			end = lines->end;
		else if (end > start && end[-1] == '\r')
			end--;
		if (end == start)
			continue;
		*ret = start;
		*ret_len = (uint32_t)(end - start);
		return true;
	}
	return false;
}
