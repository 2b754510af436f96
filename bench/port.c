// SPDX-License-Identifier: BSD-3-Clause
#include "bench/port.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <stdio.h>

#define POOL_CACHE 512u
#define DESCRIPTORS 1024u

int bench_eal_start(const char *program, const char *device, const char *cpu, bool no_huge)
{
	char vdev[512], lcores[64];
	char *argv[] = {
		(char *)program,
		lcores,
		vdev,
		(char *)"--no-pci",
		(char *)"--no-telemetry",
		(char *)"--log-level=error",
		(char *)"--log-level=pmd.net.memif:critical",
		no_huge ? (char *)"--no-huge" : (char *)"--in-memory",
		no_huge ? (char *)"--no-shconf" : (char *)"--single-file-segments",
		(char *)"-m256",
	};

	snprintf(vdev, sizeof(vdev), "--vdev=%s", device);
	snprintf(lcores, sizeof(lcores), "--lcores=0@%s", cpu);
	if (rte_eal_init(sizeof(argv) / sizeof(argv[0]), argv) < 0)
		return -1;
	if (rte_eth_dev_count_avail() > 0)
		return 0;
	rte_errno = ENODEV;
	return -1;
}

int bench_port_setup(uint16_t port, struct rte_mempool **ret_pool)
{
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"port", BENCH_PORT_MBUFS, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	uint16_t rxd = DESCRIPTORS, txd = DESCRIPTORS;
	struct rte_eth_dev_info info;
	int r = rte_eth_dev_info_get(port, &info);

	if (pool == NULL || r != 0)
		return -1;
	r = rte_eth_dev_configure(port, 1, info.max_tx_queues > 0 ? 1 : 0, &conf);
	if (r == 0)
		r = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rxd, &txd);
	if (r == 0)
		r = rte_eth_rx_queue_setup(port, 0, rxd, SOCKET_ID_ANY, NULL, pool);
	if (r == 0 && info.max_tx_queues > 0)
		r = rte_eth_tx_queue_setup(port, 0, txd, SOCKET_ID_ANY, NULL);
	*ret_pool = pool;
	return r;
}
