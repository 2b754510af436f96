// SPDX-License-Identifier: BSD-3-Clause

#include "cli/log_rows.h"

#include "common/json.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

void log_row_text(const struct wal_row *row, FILE *out)
{
	fwrite(row->payload, 1, row->payload_len, out);
	putc('\n', out);
}

static const char *address_text(const uint8_t *addr, char *buf, size_t len)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

	if (memcmp(addr, mapped, sizeof(mapped)) == 0)
		return inet_ntop(AF_INET, addr + sizeof(mapped), buf, (socklen_t)len);
	return inet_ntop(AF_INET6, addr, buf, (socklen_t)len);
}

static void print_base64(const uint8_t *bytes, size_t len, FILE *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)bytes[i] << 16;

		if (n > 1)
			v |= (uint32_t)bytes[i + 1] << 8;
		if (n > 2)
			v |= bytes[i + 2];
		putc(digits[v >> 18], out);
		putc(digits[v >> 12 & 63], out);
		putc(n > 1 ? digits[v >> 6 & 63] : '=', out);
		putc(n > 2 ? digits[v & 63] : '=', out);
	}
}

static void print_payload(const struct wal_row *row, FILE *out)
{
	json_t *text = json_stringn((const char *)row->payload, row->payload_len);

	if (text == NULL) {
		fputs("\"payload_base64\":\"", out);
		print_base64(row->payload, row->payload_len, out);
		putc('"', out);
		return;
	}
	fputs("\"payload\":", out);
	json_dumpf(text, out, JSON_ENCODE_ANY);
	json_decref(text);
}

void log_row_json(const struct wal_row *row, FILE *out)
{
	char address[INET6_ADDRSTRLEN] = "", time[40];

	fprintf(out,
		"{\"seq\":\"%" PRIu64 "\",\"received_at\":\"%s\",\"src_addr\":\"%s\","
		"\"src_port\":%u,\"listener\":%u,\"source_id\":\"%" PRIu64
		"\",\"source_epoch\":%" PRIu32 ",\"source_seq\":\"%" PRIu64 "\",",
		row->seq, time_text(row->received_at, time),
		address_text(row->src_addr, address, sizeof(address)), row->src_port, row->listener,
		row->source_id, row->source_epoch, row->source_seq);
	print_payload(row, out);
	fputs("}\n", out);
}
