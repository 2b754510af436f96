// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"
#include "common/units.h"

#include <arpa/inet.h>
#include <string.h>

#define NO_ADDRESS "is no address; leave the key out to take any"

static void map_ip4(struct in6_addr *ret, const struct in_addr *ip4)
{
	memset(ret, 0, sizeof(*ret));
	memset(ret->s6_addr + 10, 0xff, 2);
	memcpy(ret->s6_addr + 12, ip4, 4);
}

static const char *check_ip4(const struct in_addr *ip4)
{
	uint32_t ip = ntohl(ip4->s_addr);

	if (ip == INADDR_ANY)
		return NO_ADDRESS;
	if (ip == INADDR_BROADCAST)
		return "is the broadcast address";
	return NULL;
}

static const char *check_ip6(const struct in6_addr *ip6)
{
	if (IN6_IS_ADDR_UNSPECIFIED(ip6))
		return NO_ADDRESS;
	if (IN6_IS_ADDR_V4MAPPED(ip6))
		return "is an IPv4 address: write it as 10.0.0.1";
	return NULL;
}

static const char *parse_ip(const char *text, struct config_address *ret)
{
	struct in_addr ip4;

	ret->is_ip4 = inet_pton(AF_INET, text, &ip4) == 1;
	if (ret->is_ip4)
		map_ip4(&ret->ip, &ip4);
	else if (inet_pton(AF_INET6, text, &ret->ip) != 1)
		return "is no IPv4 or IPv6 address";
	ret->prefix_len = ret->is_ip4 ? 32 : 128;
	return NULL;
}

static const char *check_ip(const struct config_address *address)
{
	struct in_addr ip4;

	memcpy(&ip4, address->ip.s6_addr + 12, sizeof(ip4));
	return address->is_ip4 ? check_ip4(&ip4) : check_ip6(&address->ip);
}

bool config_is_multicast(const struct config_address *address)
{
	if (address->is_ip4)
		return (address->ip.s6_addr[12] & 0xf0) == 0xe0;
	return address->ip.s6_addr[0] == 0xff;
}

unsigned config_network_bits(const struct config_address *network)
{
	return network->prefix_len + (network->is_ip4 ? 96u : 0u);
}

bool config_covers(const struct config_address *network, const uint8_t *ip)
{
	unsigned bits = config_network_bits(network), whole = bits / 8;
	const uint8_t *own = network->ip.s6_addr;

	if (memcmp(own, ip, whole) != 0)
		return false;
	return bits % 8 == 0 || ((own[whole] ^ ip[whole]) & (0xff00 >> bits % 8)) == 0;
}

static const char *parse_prefix_len(const char *text, uint64_t least, struct config_address *ret)
{
	uint64_t bits;

	if (!units_parse_uint(text, &bits) || bits < least || bits > ret->prefix_len) {
		if (least == 0)
			return ret->is_ip4 ? "needs a prefix length of 0 to 32"
					   : "needs a prefix length of 0 to 128";
		return ret->is_ip4 ? "needs a prefix length of 1 to 32"
				   : "needs a prefix length of 1 to 128";
	}
	ret->prefix_len = (uint8_t)bits;
	return NULL;
}

// A network: no bit is set behind its prefix.
static const char *check_prefix(const struct config_address *prefix)
{
	if (!prefix->is_ip4 && IN6_IS_ADDR_V4MAPPED(&prefix->ip))
		return "is an IPv4 address: write it as 10.0.0.0/8";
	for (unsigned bit = config_network_bits(prefix); bit < 128; bit++)
		if (prefix->ip.s6_addr[bit / 8] >> (7 - bit % 8) & 1)
			return "has bits set behind its prefix";
	return config_is_multicast(prefix) ? "is multicast, which no sender is" : NULL;
}

// What stands behind the slash, or that there is none. NULL, or what is wrong with it.
static const char *check_form(const char *slash, enum address_form form, struct config_address *ret)
{
	const char *wrong = NULL;

	if (form == ADDRESS_PREFIX) {
		if (slash != NULL)
			wrong = parse_prefix_len(slash + 1, 0, ret);
		return wrong != NULL ? wrong : check_prefix(ret);
	}
	wrong = check_ip(ret);
	if (wrong != NULL)
		return wrong;
	if (form != ADDRESS_LISTEN && config_is_multicast(ret))
		return "is a multicast address, which no host has";
	if (form != ADDRESS_OWN)
		return slash == NULL ? NULL : "must be without a prefix length";
	if (slash == NULL)
		return "lacks its prefix length, as in 10.0.0.1/24";
	return parse_prefix_len(slash + 1, 1, ret);
}

const char *address_parse(const char *text, enum address_form form, struct config_address *ret)
{
	const char *slash = strchr(text, '/'), *wrong;
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	char ip[INET6_ADDRSTRLEN];

	memset(ret, 0, sizeof(*ret)); // its padding too: configurations are compared by bytes
	if (len >= sizeof(ip))
		return "is no IPv4 or IPv6 address";
	memcpy(ip, text, len);
	ip[len] = '\0';
	wrong = parse_ip(ip, ret);
	return wrong != NULL ? wrong : check_form(slash, form, ret);
}

bool address_equal(const struct config_address *a, const struct config_address *b)
{
	return memcmp(&a->ip, &b->ip, sizeof(a->ip)) == 0;
}

const char *config_address_text(const struct config_address *address, char *buf, size_t len)
{
	const char *ret;

	if (address->is_ip4)
		ret = inet_ntop(AF_INET, address->ip.s6_addr + 12, buf, (socklen_t)len);
	else
		ret = inet_ntop(AF_INET6, &address->ip, buf, (socklen_t)len);
	return ret != NULL ? ret : "?";
}
