// SPDX-License-Identifier: BSD-3-Clause

#include "cli/cli.h"

#include <math.h>

#define FIGURE_BYTES 32

// Three significant digits and the prefix of a power of 1000; "-" for what isn't known.
static const char *figure(double value, const char *unit, char *buf)
{
	static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
	const char *sign = value < 0 ? "-" : "";
	unsigned step = 0;
	int digits;

	if (!isfinite(value)) {
		snprintf(buf, FIGURE_BYTES, "-");
		return buf;
	}
	value = fabs(value);
	// 999.5 would be rounded to four digits.
	while (value >= 999.5 && step < 6) {
		value /= 1000;
		step++;
	}
	digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	if (step == 0 && value == floor(value))
		digits = 0;
	snprintf(buf, FIGURE_BYTES, "%s%.*f%s%s%s", sign, digits, value,
		step > 0 || unit[0] != '\0' ? " " : "", prefixes[step], unit);
	return buf;
}

const char *cli_count_text(double value, char *buf)
{
	return figure(value, "", buf);
}

const char *cli_bytes_text(double bytes, char *buf)
{
	return figure(bytes, "B", buf);
}
