// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// A DPDK port with a queue each way, and the EAL of a program that has nothing else.

#include <stdbool.h>
#include <stdint.h>

#define BENCH_PORT_MBUFS 32767u

struct rte_mempool;

// 'cpu': the one that the program's only lcore runs on. Of the pool receives the port, and who
// sends may take of it. Below 0: it doesn't start, with rte_errno.
int bench_eal_start(const char *program, const char *device, const char *cpu, bool no_huge);
int bench_port_setup(uint16_t port, struct rte_mempool **ret_pool);
