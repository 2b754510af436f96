#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 400
"""`log verify`, over and over, on a receiver under load, whose segments rotate and are recycled, and
that is stopped, killed and started again: never a false alarm, and damage is found."""

import json
import re
import threading
import time

import logread
import rig
from rig import MILLRACE, PORT, RECEIVER4, expect, expect_equal, sh, wait_until

SECONDS = 60 if rig.RUN_ALL else 12
LOG = {"segment_size": "16MiB", "block_size": "128KiB", "retain_size": "96MiB",
       "commit_interval": "2ms", "scrub_rate": 0}


class Verifier:
    """Verifies in a loop until stopped; keeps what was not ok."""

    def __init__(self, receiver):
        self.receiver, self.runs, self.alarms, self.bytes = receiver, 0, [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()

    def loop(self):
        while not self.over.is_set():
            done = sh(MILLRACE, "--json", "--socket", self.receiver.socket, "log", "verify",
                      self.receiver.data, check=False)
            self.runs += 1
            rows = json.loads(done.stdout)["data"] if done.stdout else []
            self.bytes += sum(row["read_bytes"] for row in rows)
            # While nobody runs, a torn tail is what kill -9 leaves.
            if done.returncode != 0 or any(r["state"] not in ("ok", "torn") for r in rows):
                self.alarms.append(f"exit {done.returncode}: {rows} {done.stderr}")

    def stop(self):
        self.over.set()
        self.thread.join()
        expect(not self.alarms, f"{len(self.alarms)} of {self.runs}: {self.alarms[:2]}")
        return self


def load(r, net):
    return r.popen(net.command("tx", "taskset", "-c", "0", MILLRACE, "send", f"{RECEIVER4}:{PORT}",
                               "--rate", 20000, "--duration", "10h", "--size", "1400"),
                   stdout=-3, stderr=-3)


def oldest(receiver):
    return min((int(p.stem) for p in logread.segments(receiver.data / "0")), default=0)


def no_false_alarm_under_load(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net, log=LOG).start()
    load(r, net)
    wait_until(lambda: oldest(receiver) > 0, "retention took a segment", 60)
    before, verifier = oldest(receiver), Verifier(receiver)
    time.sleep(SECONDS)
    verifier.stop()
    print(f"{verifier.runs} runs, {verifier.bytes >> 20} MiB")
    expect(verifier.runs > 5, f"only {verifier.runs} runs")
    expect(oldest(receiver) > before, "retention took nothing meanwhile")
    receiver.stop()


def no_false_alarm_over_kills_and_starts(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net, log=LOG).start()
    load(r, net)
    wait_until(lambda: receiver.durable() > 20000, "something was durable", 30)
    verifier = Verifier(receiver)
    end, kills = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        receiver.kill()
        kills += 1
        receiver.start()
        goal = receiver.durable() + 5000
        wait_until(lambda: receiver.durable() > goal, "it goes on", 30)
    verifier.stop()
    print(f"{verifier.runs} runs, {kills} kills, {verifier.bytes >> 20} MiB")
    receiver.stop()


def damage_is_found_under_load(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net, log=LOG).start()
    load(r, net)
    wait_until(lambda: len(logread.segments(receiver.data / "0")) > 3, "segments were closed", 60)
    victim = logread.segments(receiver.data / "0")[-2]
    bit = 5 << 20
    with open(victim, "r+b") as file:
        file.seek(bit)
        byte = file.read(1)[0]
        file.seek(bit)
        file.write(bytes([byte ^ 1]))
    done = receiver.cli("log", "verify", check=False)
    expect_equal(done.returncode, 4, f"exit code of log verify ({done.stdout} {done.stderr})")
    place = re.search(r"/(\d{20}\.arrows): damaged at offset (\d+),", done.stdout)
    expect(place, done.stdout)
    expect_equal(place[1], victim.name, "damaged file")
    expect(int(place[2]) <= bit < int(place[2]) + (128 << 10), f"damaged block: {place[2]}")
    receiver.stop()


rig.run(no_false_alarm_under_load, no_false_alarm_over_kills_and_starts, damage_is_found_under_load)
