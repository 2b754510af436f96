// SPDX-License-Identifier: BSD-3-Clause

#include "common/config_internal.h"
#include "common/cpus.h"
#include "common/units.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

uint64_t config_key_load(const struct config_key *key, const void *holder)
{
	const char *field = (const char *)holder + key->offset;

	switch (key->size) {
	case 1:
		return *(const uint8_t *)field;
	case 2:
		return *(const uint16_t *)field;
	case 4:
		return *(const uint32_t *)field;
	case 8:
		return *(const uint64_t *)field;
	default: // not stored: the first choice is the only one
		return 0;
	}
}

static void print_choice(const struct config_key *key, uint64_t index, FILE *out)
{
	const char *choice = key->choices;

	for (; index > 0; index--)
		choice = strchr(choice, '|') + 1;
	fprintf(out, "%.*s", (int)strcspn(choice, "|"), choice);
}

static void print_escaped(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

void quoted_print(const char *prefix, const char *text, FILE *out)
{
	fprintf(out, "\"%s", prefix);
	print_escaped(text, out);
	fputc('"', out);
}

static void print_cpus(const struct config *config, FILE *out)
{
	char text[CPUS_TEXT_BYTES];

	fprintf(out, "\"%s\"", cpus_text(config->cpus, config->cpu_count, text, sizeof(text)));
}

static void print_partitions(uint64_t partitions, FILE *out)
{
	const char *comma = "";

	if (partitions == CONFIG_ALL_PARTITIONS) {
		fputs(CONFIG_ALL_TEXT, out);
		return;
	}
	fputc('"', out);
	for (unsigned n = 0; n < CONFIG_PARTITIONS_MAX; n++) {
		if (!(partitions >> n & 1))
			continue;
		fprintf(out, "%s%u", comma, n);
		comma = ",";
	}
	fputc('"', out);
}

static void print_addresses(const struct config_key *key, const void *holder, FILE *out)
{
	const struct config_address *list =
		(const struct config_address *)((const char *)holder + key->offset);
	unsigned count = *(const unsigned *)((const char *)holder + key->count_offset);
	char ip[INET6_ADDRSTRLEN];

	fputc('[', out);
	for (unsigned i = 0; i < count; i++) {
		fprintf(out, "%s\"%s", i == 0 ? "" : ", ",
			config_address_text(&list[i], ip, sizeof(ip)));
		if (key->type != TYPE_GATEWAYS)
			fprintf(out, "/%u", list[i].prefix_len);
		fputc('"', out);
	}
	fputc(']', out);
}

static void print_listen_address(const struct config_listener *listener, FILE *out)
{
	char ip[INET6_ADDRSTRLEN];

	fprintf(out, "\"%s\"", config_address_text(&listener->address, ip, sizeof(ip)));
}

static void print_value(const struct config_key *key, const void *holder, FILE *out)
{
	char text[UNITS_TEXT_BYTES];

	switch (key->type) {
	case TYPE_UINT:
		fprintf(out, "%" PRIu64, config_key_load(key, holder));
		break;
	case TYPE_SIZE:
		fputs(units_size_text(config_key_load(key, holder), text), out);
		break;
	case TYPE_DURATION:
		fputs(units_duration_text(config_key_load(key, holder), text), out);
		break;
	case TYPE_BOOL:
		fputs(config_key_load(key, holder) != 0 ? "true" : "false", out);
		break;
	case TYPE_CHOICE:
		print_choice(key, config_key_load(key, holder), out);
		break;
	case TYPE_CPUS:
		print_cpus(holder, out);
		break;
	case TYPE_PARTITIONS:
		print_partitions(config_key_load(key, holder), out);
		break;
	case TYPE_ADDRESSES:
	case TYPE_GATEWAYS:
	case TYPE_PREFIXES:
		print_addresses(key, holder, out);
		break;
	case TYPE_LISTEN_ADDRESS:
		print_listen_address(holder, out);
		break;
	case TYPE_PROPERTIES:
		properties_print(key, holder, out);
		break;
	case TYPE_OWN:
		key->print(key, holder, out);
		break;
	default:
		quoted_print("", (const char *)holder + key->offset, out);
		break;
	}
}

// An address or a device that is not there has no value that could be written.
static bool is_absent(const struct config_key *key, const void *holder)
{
	const struct config_listener *listener = holder;

	if (key->type == TYPE_NAME || key->type == TYPE_PATH || key->type == TYPE_TEXT)
		return *((const char *)holder + key->offset) == '\0';
	return key->type == TYPE_LISTEN_ADDRESS && listener->any_address;
}

static void print_keys(const struct config_key *keys, const void *holder, const char *indent,
	const char *first_indent, FILE *out)
{
	for (const struct config_key *key = keys; key->name != NULL; key++) {
		if (key->children != NULL || is_absent(key, holder))
			continue;
		fprintf(out, "%s%s: ", key == keys ? first_indent : indent, key->name);
		print_value(key, holder, out);
		fputc('\n', out);
	}
}

static void print_list(const struct config_key *key, const void *holder, FILE *out)
{
	unsigned count = *(const unsigned *)((const char *)holder + key->count_offset);
	const char *item = (const char *)holder + key->offset;

	fprintf(out, "%s:%s\n", key->name, count == 0 ? " []" : "");
	for (unsigned i = 0; i < count; i++, item += key->size)
		print_keys(key->children, item, "    ", "  - ", out);
}

void config_keys_print(const struct config_key *keys, const void *holder, FILE *out)
{
	print_keys(keys, holder, "", "", out);
	for (const struct config_key *key = keys; key->name != NULL; key++) {
		if (key->type == TYPE_LIST) {
			print_list(key, holder, out);
		} else if (key->type == TYPE_SECTION) {
			fprintf(out, "%s:\n", key->name);
			print_keys(
				key->children, (const char *)holder + key->offset, "  ", "  ", out);
		}
	}
}

void config_print(const struct config *config, FILE *out)
{
	config_keys_print(config_keys, config, out);
}
