// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 1024u // packets without a payload, before an interrupt is looked at

struct capture {
	struct send_input input;
	const char *path;
	pcap_t *pcap;
	int link;
	struct capture_tally tally;
};

static int torn(struct capture *c)
{
	snprintf(c->input.why, sizeof(c->input.why), "%s, packet %" PRIu64 ": %s", c->path,
		c->tally.packets + 1, pcap_geterr(c->pcap));
	return -EIO;
}

static int capture_next(struct send_input *in, const uint8_t **event, uint32_t *len)
{
	struct capture *c = (struct capture *)in;

	for (unsigned i = 0; i < AT_ONCE; i++) {
		struct pcap_pkthdr *header;
		const uint8_t *packet;
		enum payload_skip skip;
		int r = pcap_next_ex(c->pcap, &header, &packet);

		if (r == PCAP_ERROR_BREAK)
			return 0;
		if (r != 1)
			return torn(c);
		c->tally.packets++;
		skip = payload_find(c->link, packet, header->caplen, header->len, event, len);
		if (skip == PAYLOAD_FOUND)
			return 1;
		c->tally.skipped[skip]++;
	}
	return -EAGAIN;
}

static void capture_close(struct send_input *in)
{
	struct capture *c = (struct capture *)in;

	if (c->pcap != NULL)
		pcap_close(c->pcap);
	free(c);
}

void capture_get_tally(const struct send_input *in, struct capture_tally *ret)
{
	*ret = ((const struct capture *)in)->tally;
}

static int open_file(struct capture *c, char *why)
{
	char reason[PCAP_ERRBUF_SIZE];
	FILE *file = fopen(c->path, "rbe");

	if (file == NULL)
		return -errno;
	c->pcap = pcap_fopen_offline(file, reason);
	if (c->pcap == NULL) {
		fclose(file);
		snprintf(why, SEND_INPUT_WHY_BYTES, "%s is no capture that can be read: %s",
			c->path, reason);
		return -EINVAL;
	}
	c->link = pcap_datalink(c->pcap);
	if (payload_reads(c->link))
		return 0;
	snprintf(why, SEND_INPUT_WHY_BYTES,
		"%s was taken on a link of type %d (%s); Ethernet, raw IP and Linux cooked are "
		"read",
		c->path, c->link, pcap_datalink_val_to_description_or_dlt(c->link));
	return -EINVAL;
}

int capture_open(struct send_input **ret, const char *path, char *why)
{
	struct capture *c = calloc(1, sizeof(*c));
	int err = -ENOMEM;

	why[0] = '\0';
	if (c != NULL) {
		c->input = (struct send_input){.next = capture_next, .close = capture_close};
		c->path = path;
		err = open_file(c, why);
	}
	if (err == 0) {
		*ret = &c->input;
		return 0;
	}
	if (why[0] == '\0')
		snprintf(why, SEND_INPUT_WHY_BYTES, "%s: %s", path, strerror(-err));
	if (c != NULL)
		capture_close(&c->input);
	return err;
}
