#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reliable events by a path that loses, reorders and doubles: what arrives of what could, how soon.

bench/impair relays in userspace, in the sender's namespace and on the sender's CPU; each way takes
DELAY_US longer. What could arrive is what the same path carries without impairment, less the share
that it loses. The relay must not be what limits: through_relay compares with the path without it.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import (BUILD, BenchError, Millraced, cpus, ip, main, say, seconds, stop)  # noqa: E402

SIZE = 600
RECEIVER = "10.9.0.1"
RELAY = "127.0.0.1:5515"
DELAY_US = 250  # each way
HOLD_US = 200   # what is reordered waits so much longer
RATES = (1000, 20_000)  # events/s, for the time to the acknowledgement
SEED = 20_250
LOSS = (0.1, 1, 5)  # percent, of either direction, as all below
REORDERED = ["--reorder", "1", "--hold-us", str(HOLD_US)]
PATHS = {
    **{f"loss_{percent:g}": (percent, ["--loss", str(percent)]) for percent in LOSS},
    "reordered_1": (0, REORDERED),
    "doubled_1": (0, ["--duplicate", "1"]),
    "all": (0.5, ["--loss", "0.5", "--duplicate", "0.5", "--reorder", "0.5", "--hold-us",
                  str(HOLD_US)]),
}
MADE = ("lost", "doubled", "held")
UNASKED = ("overflow", "refused", "socket_drops")


class Relay:
    """bench/impair between the sender's namespace and the receiver."""

    def __init__(self, case, tx, options):
        self.process = case.start([os.fspath(BUILD / "bench/impair"), "--seed", str(SEED),
                                   "--delay-us", str(DELAY_US), *options, RELAY,
                                   f"{RECEIVER}:{Millraced.PORT}"], netns=tx, cpu=cpus()[1],
                                  stdout=subprocess.PIPE)
        time.sleep(0.2)

    def end(self):
        if stop(self.process) != 0:
            raise BenchError("impair failed")
        counts = json.loads(self.process.stdout.read())
        return {name: sum(counts[way][name] for way in ("there", "back"))
                for name in ("received", *MADE, *UNASKED)}


def send(case, tx, to, rate, run_id, duration):
    return case.send(["--reliable", to, "--rate", str(rate), "--size", str(SIZE), "--duration",
                      f"{duration:g}s", "--id", run_id], duration + 90, netns=tx, cpu=cpus()[1])


def check(case, name, receiver, accounts):
    """All that was acknowledged is in the log, and nothing twice, by the log alone."""
    total = dict.fromkeys(("lost", "twice", "damaged"), 0)
    for run_id, account in accounts.items():
        found = case.seqcheck(["--id", run_id, "--count", str(account["sent"]), "--size",
                               str(SIZE), str(receiver.data)])
        unsure = account["sent"] - account["acknowledged"]
        total["lost"] += max(found["missing"] - unsure, 0)
        for what in ("twice", "damaged"):
            total[what] += found[what]
    for what, events in total.items():
        case.row(f"{name}_{what}", events, "events")


def path_rows(case, name, relayed):
    for what in MADE:
        if relayed[what]:
            case.row(f"{name}_path_{what}", relayed[what] / relayed["received"], "")
    for what in UNASKED:
        if relayed[what]:
            say(f"  {name}: the relay itself lost datagrams ({what})")
            case.row(f"{name}_relay_{what}", relayed[what], "datagrams")


def one_path(case, name, to, duration, options=None, ideal=None):
    """One receiver and one relay for a run at full speed, whose rate is returned, and one at each
    of RATES."""
    tx, rx = case.pair
    receiver = Millraced(case, "af_xdp:rx0", cpus()[0], netns=rx,
                         port={"addresses": f"[{RECEIVER}/24]"},
                         listeners=[{"name": "sure", "port": Millraced.PORT, "kind": "reliable"}])
    relay = None if options is None else Relay(case, tx, options)
    accounts = {f"{rate:08x}": send(case, tx, to, rate or "max", f"{rate:08x}", duration)
                for rate in (0, *RATES)}
    relayed = relay.end() if relay else None
    receiver.stop()
    most = accounts[f"{0:08x}"]
    case.row(f"{name}_acknowledged", most["events_per_second"], "events/s", ideal)
    case.row(f"{name}_sent_again", most["retransmitted"] / max(most["sent"], 1), "")
    case.row(f"{name}_rtt", most["rtt_ns"] / 1e6, "ms")
    for rate in RATES:
        latency = accounts[f"{rate:08x}"]["ack_latency_ns"]
        for percentile in ("p50", "p99"):
            case.row(f"{name}_ack_{percentile}_at_{rate}", latency[percentile] / 1e6, "ms")
    if relayed:
        path_rows(case, name, relayed)
    check(case, name, receiver, accounts)
    return most["events_per_second"]


def run(case):
    duration = seconds(5)
    tx, rx, _ = case.namespaces()
    case.pair = tx, rx
    ip("-n", tx, "addr", "add", "10.9.0.2/24", "dev", "tx0")
    direct = one_path(case, "direct", f"{RECEIVER}:{Millraced.PORT}", duration)
    clean = one_path(case, "through_relay", RELAY, duration, [], direct)
    if clean < 0.9 * direct:
        say("  the relay carries less than the path without it: shares are of what it carries")
    for name, (percent, options) in PATHS.items():
        one_path(case, name, RELAY, duration, options, clean * (1 - percent / 100))


sys.exit(main("impaired", run))
