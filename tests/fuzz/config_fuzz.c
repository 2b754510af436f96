// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer: any text is refused with a reason, or taken, printed and read back to the same values.

#include "common/config.h"
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct config config, back;
static struct config_problems problems;

static void check_round_trip(void)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	config_print(&config, out);
	fclose(out);
	expect(config_parse(text, len, &back, &problems) == 0);
	// Both were zeroed whole by config_parse(), so their padding compares, too.
	// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
	expect(memcmp(&back, &config, sizeof(config)) == 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int rc = config_parse((const char *)data, size, &config, &problems);

	expect(rc == 0 || rc == -EINVAL);
	expect((rc == 0) == (problems.errors == 0));
	if (rc == 0)
		check_round_trip();
	return 0;
}
