#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""AF_XDP on a veth pair; what was obtained is said."""

import logread
import rig
from rig import PORT, RECEIVER4, expect, expect_equal


def receive(r, device):
    net = r.net(quiet=True)
    receiver = r.receiver(net, device=device).start()
    port = receiver.get("/api/v1/ports")[0]
    expect_equal(port["driver"], "net_af_xdp", f"driver obtained for {device}")
    expect(port["driver_mode"], f"no mode said: {port}")
    net.sh("tx", "ping", "-c", "1", "-W", "5", RECEIVER4)
    net.sh("tx", "logger", "-n", RECEIVER4, "-P", PORT, "-d", "hello from logger")
    account = net.send_events("--rate", 20000, "--count", 20000, "--size", "18-1400")
    receiver.at_rest(30)
    missed = receiver.get("/api/v1/ports")[0]["rx_missed_total"]
    arrived = 1 + account["sent"] - net.refused() - missed
    expect_equal(receiver.durable(), arrived, f"durable events; drops {receiver.drops()}")
    receiver.stop()
    numbers = logread.sent_numbers(logread.read_all(receiver.data), account["id"])
    expect_equal(len(numbers), arrived - 1, "events in the log")
    expect_equal(numbers, sorted(set(numbers)), "their order, each once")


def af_xdp_where_it_is_asked_for(r):
    receive(r, "af_xdp:rx0")


def af_xdp_is_what_a_device_name_gets_where_it_can(r):
    receive(r, "rx0")


def every_frame_of_the_pool_goes_round(r):
    """Passed on to another lcore, mbufs come back by the pool's ring, so that all get their turn."""
    net = r.net(quiet=True)
    receiver = r.receiver(net, device="af_xdp:rx0", mode="pipeline", rx_lcores=1, cpus="0-1",
                          memory={"hugepages": False}).start()
    mbufs = receiver.get("/api/v1/ports")[0]["mbufs"]
    count = 3 * mbufs
    net.send_events("--rate", 4000 if rig.SANITIZED else 20000, "--count", count)
    rest = receiver.at_rest(30)
    expect_equal(rest["events"]["durable"], count, f"durable events ({receiver.drops()})")
    receiver.stop()


rig.run(every_frame_of_the_pool_goes_round, af_xdp_where_it_is_asked_for, af_xdp_is_what_a_device_name_gets_where_it_can)
