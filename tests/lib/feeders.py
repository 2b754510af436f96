# SPDX-License-Identifier: BSD-3-Clause
"""Senders that have events at a rate until it is enough: `millrace send --reliable ... --from -`."""

import itertools
import json
import subprocess
import threading
import time

import checker
import rig
from rig import MILLRACE, expect

EVERY = 0.02  # seconds between two writes


class Feeder:
    """where: words that say where it sends to. netns: a command's first words. The events are those of
    checker.generated(), each as a line."""

    def __init__(self, name, netns, where, rate, size, log):
        self.name, self.rate, self.size = name, rate, size
        self.run_id = f"{checker.payload_hash(name.encode()) & 0xffffffff:08x}"
        self.log = log
        with open(log, "ab") as said:
            self.process = subprocess.Popen(
                [*netns, str(MILLRACE), "--json", "send", *where, "--from", "-", "--wait", "300s"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
        self.enough = threading.Event()
        self.given = 0
        self.thread = threading.Thread(target=self.feed, daemon=True)
        self.thread.start()

    def feed(self):
        payloads = checker.generated(self.run_id, 1 << 33, self.size)
        begin = time.monotonic()
        try:
            while not self.enough.wait(EVERY):
                due = int((time.monotonic() - begin) * self.rate) - self.given
                self.process.stdin.write(b"".join(
                    payload + b"\n" for payload in itertools.islice(payloads, due)))
                self.process.stdin.flush()
                self.given += due
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # its account says so

    def end(self):
        self.enough.set()

    def account(self, seconds=120):
        """What it says when all is acknowledged."""
        self.end()
        self.thread.join(seconds * rig.PATIENCE)
        self.process.stdin = None  # it is closed, which communicate() would stumble over
        out, _ = self.process.communicate(timeout=seconds * rig.PATIENCE)
        expect(self.process.returncode == 0,
               f"sender {self.name} ended with {self.process.returncode}: {self.log.read_text()[-500:]}")
        account = json.loads(out)["data"]
        expect(account["sent"] == account["acknowledged"] == self.given,
               f"sender {self.name} was given {self.given}: {account}")
        return {**account, "id": self.run_id}

    def close(self):
        self.end()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
