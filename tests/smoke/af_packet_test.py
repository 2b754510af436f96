#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""AF_PACKET on a veth pair, with the senders that everybody has."""

import time

import logread
import rig
from rig import LINES_PORT, PORT, RECEIVER4, expect, expect_equal


def logger_and_nc_arrive_as_they_are(r):
    net = r.net()
    receiver = r.receiver(net).start()
    net.sh("tx", "logger", "-n", RECEIVER4, "-P", PORT, "-d", "--rfc3164", "hello from logger")
    net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, PORT, input="hello from nc\n")
    net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, LINES_PORT, input="one\ntwo\n\nthree")
    receiver.wait_durable(5)
    ports = receiver.get("/api/v1/ports")
    expect_equal(ports[0]["driver"], "net_af_packet", "driver obtained")
    receiver.at_rest()
    receiver.stop()
    payloads = logread.read_all(receiver.data)
    expect(any(p.endswith(b"hello from logger") and p.startswith(b"<") for p in payloads),
           f"no message of logger in {payloads}")
    expect(b"hello from nc\n" in payloads, f"no message of nc in {payloads}")
    expect_equal([p for p in payloads if p in (b"one", b"two", b"three")],
                 [b"one", b"two", b"three"], "lines")


def every_event_of_a_steady_sender_is_there(r):
    net = r.net()
    receiver = r.receiver(net).start()
    # Else the kernel holds the first ones back for ARP's answer, and lets later ones overtake.
    net.fix_neighbour()
    account = net.send_events("--rate", 20000, "--count", 40000, "--size", "18-1400")
    expect_equal(account["sent"] + account["refused"], 40000, "events of millrace send")
    arrived = account["sent"] - net.refused()
    rest = receiver.at_rest(30)
    missed = receiver.get("/api/v1/ports")[0]["rx_missed_total"]
    expect_equal(receiver.durable(), arrived - missed, f"durable events ({rest})")
    receiver.stop()
    numbers = logread.sent_numbers(logread.read_all(receiver.data), account["id"])
    expect_equal(len(numbers), arrived - missed, "events in the log")
    expect_equal(numbers, sorted(set(numbers)), "their order, each once")


def sleeps(receiver):
    return sum(one["value"] for one in receiver.get("/api/v1/stats")
               if (one["subsystem"], one["name"]) == ("lcore", "sleeps"))


def an_idle_lcore_sleeps_until_its_socket_has_a_packet(r):
    net = r.net()
    receiver = r.receiver(net).start()
    time.sleep(0.5)
    before = sleeps(receiver)
    time.sleep(1)
    # It wakes ten times a second to see whether it shall end; by the clock alone it would be 4000.
    idle = sleeps(receiver) - before
    expect(0 < idle < 100, f"{idle} sleeps in a second of silence")
    for number in range(20):
        net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, PORT, input=f"{number}")
    receiver.wait_durable(20)
    receiver.stop()


rig.run(logger_and_nc_arrive_as_they_are, every_event_of_a_steady_sender_is_there,
        an_idle_lcore_sleeps_until_its_socket_has_a_packet)
