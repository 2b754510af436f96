// SPDX-License-Identifier: BSD-3-Clause
// How large datagrams may be on this path (RFC 8899): PROBEs of a size, which carry no event, so
// that nothing is late for a size that doesn't get through. Routers' messages are not asked.

#include "transport/send_internal.h"

#define LOSSES_MAX 3u // MAX_PROBES: RFC 8899, 5.1.2
// Of large datagrams, while none that was sent later is heard: more than chance. It may still be
// that they came last in bursts, to a queue that was full then: a probe of their size decides.
#define HOLE_LOSSES 6u
// Not worth a datagram.
#define STEP_MIN 16u

static void next_size(struct mtu_search *search)
{
	uint32_t left = search->high - search->low;

	search->losses = 0;
	search->size = left < STEP_MIN ? 0 : search->low + (left + 1) / 2;
}

// The largest first: what somebody configured is most often what the path has.
void mtu_search_begin(struct send_half *s)
{
	s->search = (struct mtu_search){.low = s->mtu, .high = s->config.mtu_probe};
	if (s->search.high > s->search.low)
		s->search.size = s->search.high;
}

static void probe_told(struct mtu_search *search, struct send_half *s, uint32_t size, bool heard)
{
	if (size != search->size)
		return;
	search->under_way = false;
	if (heard) {
		search->suspected = false;
		search->large_losses = 0;
		search->low = s->mtu = size;
		recovery_set_mtu(s->recovery, size);
		next_size(search);
	} else if (++search->losses == LOSSES_MAX && search->suspected) {
		search->hole = true;
	} else if (search->losses == LOSSES_MAX) {
		search->high = size - 1;
		next_size(search);
	}
}

static void suspect(struct mtu_search *search, uint32_t mtu)
{
	search->suspected = true;
	search->size = mtu;
	search->losses = 0;
	search->under_way = false;
}

void mtu_told(struct send_half *s, uint64_t number, const struct datagram *datagram, bool heard)
{
	struct mtu_search *search = &s->search;

	if (datagram->content == CONTENT_MTU) {
		probe_told(search, s, datagram->bytes, heard);
		return;
	}
	if (datagram->bytes <= s->config.mtu)
		return;
	if (!heard) {
		search->large_losses += number > search->large_heard;
		if (search->large_losses >= HOLE_LOSSES && !search->suspected)
			suspect(search, s->mtu);
	} else if (number > search->large_heard) {
		search->large_heard = number;
		search->large_losses = 0;
	}
}

// A black hole (RFC 8899, 4.3): the path is another one now, or never was what it seemed. Parts
// that the receiver has are of a size that doesn't get through any more, so another session begins.
bool mtu_is_too_large(const struct send_half *s)
{
	return s->search.hole;
}
