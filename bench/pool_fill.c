// SPDX-License-Identifier: BSD-3-Clause
// Every packet buffer holds a valid frame from the start: with the null port, which hands over what
// happens to lie in its buffers (net_null0,size=60,no-rx=0), that is the cheapest source there can
// be, as a NIC's that writes into the cache costs nothing on the lcore.
//
// The frame is the smallest that Ethernet carries, without its FCS: 18 bytes of payload to UDP port
// 5514 of 10.9.0.1, with right checksums, from a port of its own in each buffer.

#include "dataplane/checksum.h"

#include <rte_mbuf.h>

#include <netinet/in.h>
#include <string.h>

#define FRAME_BYTES 60u
#define IP_AT 14u
#define UDP_AT 34u
#define UDP_BYTES 26u
#define UDP_SUM_AT (UDP_AT + 6u)
#define IP_SUM_AT (IP_AT + 10u)

static const uint8_t head[UDP_AT + 8] = {
	[0] = 0x02,
	[5] = 0x01, // to
	[6] = 0x02,
	[11] = 0x02, // from
	[12] = 0x08,
	[13] = 0x00, // IPv4
	[14] = 0x45,
	[17] = 46,   // header of 20 bytes, 46 in all
	[20] = 0x40, // not to be fragmented
	[22] = 64,
	[23] = IPPROTO_UDP,
	[26] = 10,
	[27] = 9,
	[29] = 2, // 10.9.0.2
	[30] = 10,
	[31] = 9,
	[33] = 1, // 10.9.0.1
	[36] = 5514 >> 8,
	[37] = 5514 & 255, // UDP
	[39] = UDP_BYTES,
};

struct rte_mempool *__real_rte_pktmbuf_pool_create(const char *name, unsigned n,
	unsigned cache_size, uint16_t priv_size, uint16_t data_room_size, int socket_id);
struct rte_mempool *__wrap_rte_pktmbuf_pool_create(const char *name, unsigned n,
	unsigned cache_size, uint16_t priv_size, uint16_t data_room_size, int socket_id);

static void fill(struct rte_mempool *pool, void *arg, void *object, unsigned index)
{
	struct rte_mbuf *m = object;
	uint8_t *frame = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
	uint16_t sum;

	(void)pool;
	(void)arg;
	memcpy(frame, head, sizeof(head));
	memset(frame + sizeof(head), 'a', FRAME_BYTES - sizeof(head));
	frame[UDP_AT] = (uint8_t)(0x80 | index >> 8);
	frame[UDP_AT + 1] = (uint8_t)index;
	sum = checksum_fold(checksum_add20(0, frame + IP_AT));
	memcpy(frame + IP_SUM_AT, &sum, sizeof(sum));
	sum = checksum_fold(checksum_add(
		checksum_pseudo(frame + IP_AT, IPPROTO_UDP, UDP_BYTES), frame + UDP_AT, UDP_BYTES));
	memcpy(frame + UDP_SUM_AT, &sum, sizeof(sum));
}

struct rte_mempool *__wrap_rte_pktmbuf_pool_create(const char *name, unsigned n,
	unsigned cache_size, uint16_t priv_size, uint16_t data_room_size, int socket_id)
{
	struct rte_mempool *pool = __real_rte_pktmbuf_pool_create(
		name, n, cache_size, priv_size, data_room_size, socket_id);

	if (pool != NULL)
		rte_mempool_obj_iter(pool, fill, NULL);
	return pool;
}
