#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Side by side on an emulated NIC (e1000e in a guest of tests/nic): the kernel's driver and a receiver
by hand (bench/peers/udp_writer.c), and millraced on DPDK's driver. The same guest, NIC, disk, sender.

Software emulation of processor and devices: the figures say how the two compare there, not what
either does on hardware.
"""

import json
import os
import pathlib
import sys
import time

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TREE / "bench"), str(TREE / "tests/nic"), str(TREE / "tests/lib")]
from harness import BUILD, UDP_WRITER, USABLE, main, seconds  # noqa: E402

os.environ["MILLRACE_BUILD"] = str(BUILD)
import guest  # noqa: E402
from lab import Lab  # noqa: E402

SIZE = 600
LOW, HIGH, STEPS = 2000, 256000, 7


class Rig:
    """What a Lab wants of a test's Rig."""

    def __init__(self, case):
        self.home, self.stack = case.dir, case.undo


class Kernel:
    name = "kernel_recvmmsg"

    def __init__(self, lab, _pci):
        self.lab = lab
        lab.guest.run(f"ip addr replace {guest.GUEST4}/24 dev eth0; ip link set eth0 up")
        time.sleep(4)  # the link's own time

    def start(self):
        self.lab.guest.run(f"rm -f /mnt/by-hand; (setsid udp_writer {guest.GUEST4} 5140 /mnt/by-hand "
                           ">/run/by-hand 2>&1 &); sleep 1")

    def stop(self):
        said = self.lab.guest.run("pkill -TERM udp_writer; for i in $(seq 300); do pgrep -x udp_writer "
                                  ">/dev/null || break; sleep 0.1; done; cat /run/by-hand", 60)
        return json.loads(said)["received"]


class Ours:
    name = "millraced"

    def __init__(self, lab, pci):
        self.lab, self.durable = lab, 0
        lab.setup("hugepages 128")
        lab.setup(f"bind --force {pci}")
        lab.configure([(pci, ["rx_descriptors: 4096"])],
                      log="  segment_size: 64MiB\n  retain_size: 256MiB\n")

    def start(self):
        self.lab.start()
        self.lab.ping(guest.GUEST4)
        self.durable = self.lab.drops()["events"]["durable"]

    def stop(self):
        durable = self.lab.at_rest(seconds=60)["events"]["durable"] - self.durable
        self.lab.stop()
        return durable


def busy(lab):
    """CPU seconds of the whole guest that were not idle."""
    ticks = float(lab.guest.run("awk '$1 == \"cpu\" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat"))
    return ticks / 100  # USER_HZ


def one_run(lab, receiver, rate, duration):
    receiver.start()
    before = busy(lab)
    begin = time.monotonic()
    arrived = lab.send("--rate", rate, "--size", SIZE, "--duration", f"{duration:g}s")
    elapsed = time.monotonic() - begin
    time.sleep(1)
    used = busy(lab) - before
    return {"offered": round(rate * duration), "arrived": arrived, "kept": receiver.stop(),
            "cpu": used, "elapsed": elapsed}


def ladder(case, lab, receiver, duration, reference=None):
    """The highest rate without loss, by halving; CPU of the guest there. Both, to compare with."""
    low, high, best = LOW, HIGH, None
    for _ in range(STEPS):
        rate = round((low * high) ** 0.5)
        result = one_run(lab, receiver, rate, duration)
        # What the TAP had no room for is the guest's loss, too: it took too long.
        if result["kept"] >= result["offered"]:
            low, best = rate, result
        else:
            high = rate
    cpu = best["cpu"] * 1e6 / best["kept"] if best else 0.0
    case.row(f"{receiver.name}_loss_free", low, "events/s", reference and reference[0])
    case.row(f"{receiver.name}_cpu_per_million", cpu, "guest CPU s/M events",
             reference and reference[1])
    return low, cpu


def run(case):
    os.sched_setaffinity(0, USABLE)  # for QEMU, which has three busy threads
    machine = guest.Machine()
    machine.nic("e1000e")
    lab = Lab(Rig(case), machine, programs=[UDP_WRITER])
    machine.disk(lab.new_disk(2048))
    pci = lab.boot().nic()
    lab.make_log_disk()
    # The wire's other end knows where the guest is: no packet waits for ARP.
    lab.wire.sh("ip", "neigh", "replace", guest.GUEST4, "lladdr", guest.MAC % 1, "dev", "tap0", "nud",
                "permanent")
    duration = seconds(4)
    kernel = ladder(case, lab, Kernel(lab, pci), duration)
    ladder(case, lab, Ours(lab, pci), duration, kernel)


sys.exit(main("nic", run))
