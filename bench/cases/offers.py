#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""millrace-control on one CPU with the offers of a large cluster, against the master double on the
other: 10,000 a second of 1000 agents, and as many as it takes. With nothing to place; with receivers
that none of the offers suits, so that each is looked at; and with 500 receivers placed.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import clusters  # noqa: E402
import rig  # noqa: E402
from harness import USABLE, BenchError, CpuMeter, main, say, seconds, yaml_text  # noqa: E402
from rig import wait_until  # noqa: E402

AGENTS = 1000
RATE = 10_000  # offers/s
FLAT_OUT = 1e9
WAITING, PLACED = 10, 500
SPEC = {"lcores": 2, "mem": "256MiB", "nics": 1, "log": {"attribute": "millrace_log"}}
RECEIVER = """\
ports: [{name: wire, device: "af_packet:eth9", addresses: ["10.9.0.1/24"]}]
listeners: [{name: sure, port: 5140, kind: reliable}]
"""


class Master(clusters.master_double.MasterDouble):
    """Keeps no call, and counts what becomes of its offers: 10,000 a second are many."""

    def __init__(self):
        self.sent = self.done = 0  # offers
        super().__init__()

    def take_call(self, client, call, stream_id):
        super().take_call(client, call, stream_id)
        with self.lock:
            self.calls.clear()

    def flood(self, **how):
        sent = super().flood(agents=AGENTS, **how)
        self.sent += sent
        return sent

    def on_decline(self, call, stream):
        self.done += len(call["decline"]["offer_ids"])

    def on_accept(self, call, stream):
        self.done += len(call["accept"]["offer_ids"])
        for offer in call["accept"]["offer_ids"]:
            self.offered[offer["value"]] = offer["value"].rpartition("-O")[2]
        super().on_accept(call, stream)

    def wait_done(self):
        """Until it is clear that all offers are answered."""
        wait_until(lambda: self.done >= self.sent, "all offers were answered", 60)


class Control:
    def __init__(self, case, master, zookeeper):
        self.case, self.socket = case, case.dir / "control.sock"
        path = case.dir / "control.yaml"
        path.write_text(yaml_text({
            "name": "bench", "cluster": f"b{os.getpid()}", "socket": self.socket,
            "supervisor": clusters.cluster.SUPERVISOR,
            "zookeeper": {"servers": zookeeper.connect_string()},
            "mesos": {"master": master.address}}), encoding="utf-8")
        self.process = case.start([str(clusters.cluster.CONTROL), "-c", str(path)], cpu=USABLE[0],
                                  stderr=subprocess.DEVNULL)

    def apply(self, count, *constraints):
        receiver = self.case.dir / "receiver.yaml"
        receiver.write_text(RECEIVER, encoding="utf-8")
        spec = self.case.dir / "cluster.yaml"
        spec.write_text(yaml_text({**SPEC, "count": count, "receiver": receiver}) +
                        f"constraints: {json.dumps(constraints)}\n", encoding="utf-8")
        self.cli("apply", spec)

    def cli(self, *words):
        done = rig.sh(rig.MILLRACE, "--json", "cluster", *words, "--control", self.socket)
        return json.loads(done.stdout)["data"]


def flood(case, master, control, name, rate, duration):
    master.wait_done()
    before, meter = master.done, CpuMeter(control=control.process.pid)
    sent = master.flood(per_second=rate, seconds=duration)
    handled, behind = master.done - before, master.sent - master.done
    elapsed = meter.read()["elapsed"]
    master.wait_done()
    used = meter.read()["control"]
    if control.process.poll() is not None:
        raise BenchError("millrace-control ended")
    case.row(f"{name}_handled", handled / elapsed, "offers/s", RATE)
    case.row(f"{name}_cpu", used / elapsed, "of a CPU")
    case.row(f"{name}_per_cpu_second", sent / max(used, 0.01), "offers/CPU s", RATE)
    case.row(f"{name}_behind", behind, f"offers at the end, of {sent}")


def series(case, master, control, name, duration):
    flood(case, master, control, name, RATE, duration)
    flood(case, master, control, f"{name}_flat_out", FLAT_OUT, duration)
    say(f"  load {os.getloadavg()[0]:.2f}")


def run(case):
    duration = seconds(10)
    if len(USABLE) < 2:
        raise BenchError("needs two CPUs")
    with clusters.zookeeper.Ensemble(case.dir / "zookeeper", 1) as zookeeper, Master() as master:
        control = Control(case, master, zookeeper)
        master.stream()
        series(case, master, control, "nothing_wanted", duration)
        control.apply(WAITING, ["hostname", "LIKE", "nowhere"])
        series(case, master, control, "none_suits", duration)
        control.apply(PLACED, ["hostname", "UNIQUE"])
        begin = time.monotonic()
        while sum(row["state"] == "running" for row in control.cli("receivers")) < PLACED:
            master.flood(per_second=RATE, seconds=0.5)
            if time.monotonic() > begin + 120:
                raise BenchError(f"{PLACED} receivers are not placed")
        case.row("placing", time.monotonic() - begin, f"s for {PLACED} receivers")
        wait_until(lambda: control.cli("status")["receivers"]["running"] == PLACED, "all ran")
        series(case, master, control, "placed", duration)
        control.apply(PLACED + WAITING, ["hostname", "LIKE", "nowhere"])
        series(case, master, control, "placed_and_none_suits", duration)


sys.exit(main("offers", run))
