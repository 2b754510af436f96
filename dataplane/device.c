// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// Takes one hexadecimal number that ends with 'end'; returns the place behind it, or NULL.
static const char *take_hex(const char *text, unsigned digits_max, char end, unsigned *ret)
{
	unsigned digits = 0;

	*ret = 0;
	for (; isxdigit((unsigned char)*text); text++, digits++) {
		int c = tolower((unsigned char)*text);
		*ret = *ret * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (digits == 0 || digits > digits_max || *text != end)
		return NULL;
	return end == '\0' ? text : text + 1;
}

static bool parse_pci(const char *text, char *ret, size_t len)
{
	unsigned domain = 0, bus, slot, function;
	const char *rest = take_hex(text, 8, ':', &domain);
	const char *colon = strchr(text, ':');

	if (rest == NULL)
		return false;
	if (strchr(colon + 1, ':') == NULL) {
		// The domain left out: "03:00.0".
		domain = 0;
		rest = text;
	}
	rest = take_hex(rest, 2, ':', &bus);
	if (rest != NULL)
		rest = take_hex(rest, 2, '.', &slot);
	if (rest != NULL)
		rest = take_hex(rest, 1, '\0', &function);
	if (rest == NULL || slot > 31 || function > 7)
		return false;
	snprintf(ret, len, "%04x:%02x:%02x.%x", domain, bus, slot, function);
	return true;
}

static bool is_netdev_name(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len >= IFNAMSIZ || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text != '\0'; text++)
		if (*text == '/' || *text == ':' || isspace((unsigned char)*text))
			return false;
	return true;
}

// Takes the prefix that forces a driver, if there is one.
static const char *take_driver(const char *text, enum device_driver *ret)
{
	static const struct {
		const char *prefix;
		enum device_driver driver;
	} known[] = {{"af_xdp:", DRIVER_AF_XDP}, {"af_packet:", DRIVER_AF_PACKET}};

	*ret = DRIVER_ANY;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t len = strlen(known[i].prefix);
		if (strncmp(text, known[i].prefix, len) == 0) {
			*ret = known[i].driver;
			return text + len;
		}
	}
	return text;
}

int device_parse(const char *text, struct device *ret)
{
	char head[CONFIG_DEVICE_MAX];
	const char *comma = strchrnul(text, ',');
	const char *name;

	memset(ret, 0, sizeof(*ret));
	if (strlen(text) >= sizeof(head))
		return -EINVAL;
	snprintf(head, sizeof(head), "%.*s", (int)(comma - text), text);
	snprintf(ret->args, sizeof(ret->args), "%s", *comma == ',' ? comma + 1 : "");

	name = take_driver(head, &ret->forced);
	if (ret->forced == DRIVER_ANY && parse_pci(head, ret->name, sizeof(ret->name))) {
		ret->kind = DEVICE_PCI;
		return 0;
	}
	if (ret->forced == DRIVER_ANY && strncmp(head, "net_", 4) == 0 && head[4] != '\0') {
		ret->kind = DEVICE_VDEV;
	} else {
		if (!is_netdev_name(name) || ret->args[0] != '\0')
			return -EINVAL;
		ret->kind = DEVICE_NETDEV;
	}
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return 0;
}

bool device_has_arg(const struct device *device, const char *key, const char *value)
{
	char wanted[CONFIG_DEVICE_MAX];
	const char *at = device->args;
	int len = snprintf(wanted, sizeof(wanted), "%s=%s", key, value);

	while (*at != '\0') {
		const char *end = strchrnul(at, ',');
		if (end - at == len && strncmp(at, wanted, (size_t)len) == 0)
			return true;
		at = *end == ',' ? end + 1 : end;
	}
	return false;
}

const char *device_kind_text(enum device_kind kind)
{
	static const char *const text[] = {"PCI device", "network device", "virtual device"};

	return text[kind];
}
