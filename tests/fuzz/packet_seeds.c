// SPDX-License-Identifier: BSD-3-Clause
// packet_seeds DIRECTORY: writes one well-formed frame of each kind, and of each state of the
// checksums, for packet_fuzz to start from. The directory exists.

#include "../unit/dataplane/packets.h"

#include <stdio.h>

static const struct {
	const char *name;
	void (*make)(struct frame *f);
} seeds[] = {
	{"udp4", make_udp4},
	{"udp4-vlan", make_udp4_vlan},
	{"udp4-qinq", make_udp4_qinq},
	{"udp4-options", make_udp4_options},
	{"udp6", make_udp6},
	{"udp6-vlan", make_udp6_vlan},
	{"udp6-extensions", make_udp6_extensions},
	{"arp", make_arp},
	{"echo4", make_echo4},
	{"echo6", make_echo6},
	{"solicit", make_solicit},
	{"dad", make_dad},
	{"arp-reply", make_arp_reply},
	{"advert", make_advert},
};

static int write_seed(
	const char *directory, const char *name, unsigned first, const struct frame *f)
{
	char path[4096];
	FILE *out;

	if (snprintf(path, sizeof(path), "%s/%s-%u", directory, name, first) >= (int)sizeof(path))
		return -1;
	out = fopen(path, "wb");
	if (out == NULL)
		return -1;
	fputc((int)first, out);
	fwrite(f->data, 1, f->len, out);
	return fclose(out);
}

int main(int argc, char **argv)
{
	struct frame f;

	if (argc != 2) {
		fprintf(stderr, "usage: packet_seeds DIRECTORY\n");
		return 2;
	}
	for (unsigned i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		seeds[i].make(&f);
		// Checksums not looked at, good, none; and the first for a mirror port.
		for (unsigned state = 0; state < 4; state++) {
			unsigned first = state == 1 ? 16 : state | state << 2;

			if (write_seed(argv[1], seeds[i].name, first, &f) != 0) {
				perror(argv[1]);
				return 1;
			}
		}
	}
	return 0;
}
