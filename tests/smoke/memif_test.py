#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""memif between `millrace send` and millraced: no kernel between them, nothing may be lost."""

import json

import logread
import rig
from rig import MILLRACE, PORT, RECEIVER4, expect_equal, sh


def send_over_memif(r, receiver, memif, *words):
    mac = receiver.get("/api/v1/ports")[0]["mac"]
    done = sh(MILLRACE, "--json", "send", "--no-huge", "--port",
              f"net_memif0,role=client,id=0,socket={memif},socket-abstract=no",
              "--to", f"{RECEIVER4}:{PORT}", "--dst-mac", mac, *words, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(f"millrace send: exit {done.returncode} {done.stderr}")
    return json.loads(done.stdout)["data"]


def memif_receiver(r, **config):
    memif = r.home / "memif.sock"
    device = f"net_memif0,role=server,id=0,socket={memif},socket-abstract=no"
    return memif, r.receiver(device=device, **config).start()


def what_memif_took_is_in_the_log(r):
    memif, receiver = memif_receiver(r)
    account = send_over_memif(r, receiver, memif, "--rate", 100000, "--count", 200000, "--size", 64)
    expect_equal(account["sent"] + account["refused"], 200000, "events of millrace send")
    receiver.at_rest(30)
    expect_equal(receiver.durable(), account["sent"], f"durable ({receiver.drops()}, {account})")
    receiver.stop()
    numbers = logread.sent_numbers(logread.read_all(receiver.data), account["id"])
    expect_equal(len(numbers), account["sent"], "events in the log")
    expect_equal(numbers, sorted(set(numbers)), "their order, each once")


def a_second_sender_may_follow_the_first(r):
    memif, receiver = memif_receiver(r)
    sent = 0
    for _ in range(2):
        sent += send_over_memif(r, receiver, memif, "--rate", 10000, "--count", 5000)["sent"]
    receiver.at_rest(30)
    expect_equal(receiver.durable(), sent, f"durable events ({receiver.drops()})")
    receiver.stop()


rig.run(what_memif_took_is_in_the_log, a_second_sender_may_follow_the_first)
