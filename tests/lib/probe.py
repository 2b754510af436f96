# SPDX-License-Identifier: BSD-3-Clause
"""Millrace's Mesos scheduler alone, driven by lines: tests/cluster/scheduler_probe.c."""

import json
import subprocess
import threading
import time

from master_double import MasterDouble
from rig import BUILD, expect, expect_equal, wait_until

PROBE = BUILD / "tests/cluster/scheduler_probe"


class Probe:
    """Its callbacks, in order, are in .heard; options as in scheduler_probe.c."""

    def __init__(self, r, masters="", label="probe", **options):
        self.log_path = r.home / f"{label}.log"
        self.heard = []
        self.place = {}  # by event: how many of them next() has given
        with self.log_path.open("wb") as log:
            self.process = r.popen([PROBE, *(f"{k}={v}" for k, v in options.items())],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        threading.Thread(target=self.read, daemon=True).start()
        if masters:
            self.do("masters", masters)

    def read(self):
        for line in self.process.stdout:
            self.heard.append(json.loads(line))

    def say(self, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()

    def do(self, *words, error=""):
        """A command, and what it must return."""
        before = len(self.all("result"))
        self.say(*words)
        wait_until(lambda: len(self.all("result")) > before, f"the result of {words}")
        expect_equal(self.all("result")[before]["error"], error, f"the result of {words}")

    def start(self, framework_id=""):
        self.do("start", framework_id)
        return self

    def all(self, event):
        return [heard for heard in list(self.heard) if heard["event"] == event]

    def next(self, event, seconds=10.0):
        """The next of that kind, each once."""
        place = self.place.get(event, 0)
        wait_until(lambda: len(self.all(event)) > place, f"{event} number {place + 1}", seconds)
        self.place[event] = place + 1
        return self.all(event)[place]

    def next_update(self, state, task_id=None, seconds=10.0):
        """Of that task; what comes before it is passed over."""
        while True:
            status = self.next("update", seconds)["status"]
            if status["state"] == state and task_id in (None, status["task_id"]["value"]):
                return status

    def ack(self, status):
        self.do("ack", json.dumps(status))

    def counters(self):
        before = len(self.all("counters"))
        self.do("counters")  # whose result may be that of a command within a callback
        wait_until(lambda: len(self.all("counters")) > before, "counters")
        return self.all("counters")[-1]

    def quit(self):
        """As an owner ends: everything is freed, and the sanitizers have found nothing."""
        self.say("quit")
        expect_equal(self.process.wait(20), 0, f"the probe's exit; {self.log()[-2000:]}")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, text):
        wait_until(lambda: text in self.log(), f"'{text}' in the log")

    def expect_not_heard(self, event, what):
        expect(not self.all(event), f"{what}: {self.all(event)}")


def launch(task_id, agent_id, command="sleep 1000", cpus=0.1, mem=32):
    """Operations for accept."""
    task = {"name": task_id, "task_id": {"value": task_id}, "agent_id": {"value": agent_id},
            "command": {"value": command},
            "resources": [{"name": name, "type": "SCALAR", "scalar": {"value": amount}}
                          for name, amount in (("cpus", cpus), ("mem", mem))]}
    return json.dumps([{"type": "LAUNCH", "launch": {"task_infos": [task]}}])


def double(r, **options):
    return r.stack.enter_context(MasterDouble(**options))


def subscribed(r, master, **options):
    """A probe that the master has taken, and its framework id."""
    probe = Probe(r, master.address, **options).start()
    heard = probe.next("subscribed")
    expect_equal(heard["master"], master.address, "the master")
    return probe, heard["framework_id"]


def pause(seconds):
    """In which something must not happen."""
    time.sleep(seconds)
