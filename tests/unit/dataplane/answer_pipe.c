// SPDX-License-Identifier: BSD-3-Clause
// Answers inquiries for answer_scapy_test.py: on standard input frames, each after its length in
// two bytes (big-endian); on standard output the answers in the same form, length 0 for none.

#include "packets.h"

#include <stdio.h>

static bool read_frame(struct frame *f)
{
	uint8_t len[2];

	if (fread(len, 1, sizeof(len), stdin) != sizeof(len))
		return false;
	f->len = (uint32_t)(len[0] << 8 | len[1]);
	return f->len <= 2048 && fread(f->data, 1, f->len, stdin) == f->len;
}

static void write_frame(const struct frame *f)
{
	const uint8_t len[2] = {(uint8_t)(f->len >> 8), (uint8_t)f->len};

	fwrite(len, 1, sizeof(len), stdout);
	fwrite(f->data, 1, f->len, stdout);
}

int main(void)
{
	static struct listener_table table;
	static struct config config;
	static struct frame f;
	struct host_identity host;
	struct packet packet;

	make_host(&host);
	listener_table_init(&table, &config);
	while (read_frame(&f)) {
		packet_parse(
			f.data, f.len, CHECKSUM_UNKNOWN, CHECKSUM_UNKNOWN, &host, &table, &packet);
		f.len = host_answer(f.data, f.len, sizeof(f.data), &packet, &host);
		write_frame(&f);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
