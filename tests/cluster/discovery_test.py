#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 420
"""Senders that find the receivers of a real cluster by themselves: each goes to its own, stays through a
short fault, leaves one that retires without a doubt about any event, leaves one that is dead after
move_after and says what may be in two logs, and comes back. At the end all logs are read."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import checker
import cluster
import jsonschema
import pyarrow.compute
import pyarrow.ipc
import zookeeper
from logread import PROTOCOL_ROW
from rig import RUN_ALL, MILLRACE, TREE, expect, expect_equal, wait_until

SOURCES = 10
RATE, SIZE = 200, 600
MOVE_AFTER = 5.0
SCHEMA = json.loads((TREE / "docs/schema/send-reliable.1.json").read_text())

WORD = (1 << 64) - 1


def weight(source, receiver):
    """The formula of docs/cluster.md."""
    def mix(x):
        x = ((x ^ x >> 30) * 0xbf58476d1ce4e5b9) & WORD
        x = ((x ^ x >> 27) * 0x94d049bb133111eb) & WORD
        return x ^ x >> 31
    name = 0xcbf29ce484222325
    for byte in receiver.encode():
        name = ((name ^ byte) * 0x100000001b3) & WORD
    return mix(mix(source) ^ name)


def own_of(account, receivers):
    return max(receivers, key=lambda name: weight(int(account["source"]), name))


class Sources:
    """Some of `millrace send --cluster`, each a process, without credentials for ZooKeeper."""

    def __init__(self, c, seconds, rate=RATE):
        self.c, self.began = c, time.monotonic()
        self.before = self.durable()
        self.processes = [subprocess.Popen(
            c.slaves.command(c.slaves.tx, MILLRACE, "--json", "send", "--cluster", c.name,
                             "--zookeeper", c.zookeeper.connect_string(), "--wait", "120s",
                             "--rate", rate, "--count", rate * seconds, "--size", SIZE),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(SOURCES)]
        wait_until(lambda: self.durable() - self.before > SOURCES * RATE, "the sources were under way")

    def durable(self):
        return sum(durable(row) for row in self.c.receivers().values())

    def accounts(self, sent):
        """All is acknowledged."""
        found = [self.c.account(process) for process in self.processes]
        for account in found:
            expect_equal(account["acknowledged"], account["sent"], "acknowledged events")
            jsonschema.validate(account, SCHEMA["properties"]["data"])
            sent.add_account(account, SIZE)
        return found


def pid_of(row):
    return row and row["live"]["pid"]


def durable(row):
    return sum(int(partition["durable_seq"]) for partition in (row["live"] or {"partitions": ()})["partitions"])


def log_id(row):
    return row["live"]["partitions"][0]["log_id"]


def path(account):
    return [log["receiver"] for log in account["logs"]]


def each_goes_to_its_own_and_stays(c, sent):
    """kill -9 of each millraced: its supervisor starts it again before move_after is over."""
    receivers = c.wait_running(2)
    sources = Sources(c, 14)
    for name in itertools.islice(itertools.cycle(receivers), 3):
        pid = c.pid_of(name, "millraced")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid_of(c.running().get(name)) not in (None, pid),
                   "it was started again", 10)
    for account in sources.accounts(sent):
        expect_equal(path(account), [own_of(account, receivers)], "receivers")
        expect_equal((account["moves"], account["overlap"]), (0, 0), "moves, overlap")
        expect_equal(account["logs"][0]["log_id"], log_id(receivers[path(account)[0]]), "log_id")
    return "nobody moved"


def one_that_retires_is_left(c, sent):
    """drain: planned moves; the receiver goes when nobody sends to it any more."""
    receivers = c.wait_running(2)
    name = min(receivers)
    sources = Sources(c, 20, 5 * RATE)  # something is always under way
    c.cli("drain", receivers[name]["slave"], "--wait", "--for", "60s")
    moved = 0
    for account in sources.accounts(sent):
        if path(account)[0] != name:
            continue
        moved += 1
        expect(len(path(account)) > 1 and name not in path(account)[1:], f"path {path(account)}")
        for log in account["logs"][1:]:
            expect(log["planned"], f"not planned: {log}")
            expect_equal((log["overlap"], log["from"]["first_seq"]),
                         (0, log["from"]["end_seq"]), "what is in doubt after a planned move")
    expect(moved > 0, "none had that receiver as its own")
    c.cli("drain", receivers[name]["slave"], "--off")
    c.wait_running(2)
    return f"{moved} of {SOURCES} moved, nothing in doubt"


def one_that_is_dead_is_left(c, sent):
    """Its wire is cut: nothing that is registered tells of it."""
    receivers = c.wait_running(2)
    name = min(receivers)
    slave = c.slave_of(receivers[name])
    sources = Sources(c, 15)
    c.slaves.wire(slave, False)
    try:
        accounts = sources.accounts(sent)
    finally:
        c.slaves.wire(slave, True)
    moved = [account for account in accounts if path(account)[0] == name]
    expect(moved, "none had that receiver as its own")
    for account in accounts:
        expect_equal(path(account)[0], own_of(account, receivers), "first receiver")
        if path(account)[0] != name:
            expect_equal(account["moves"], 0, "moves of one whose receiver lives")
    for account in moved:
        expect_equal((len(path(account)), account["moves"]), (2, 1), "moves")
        log = account["logs"][1]
        expect(not log["planned"], "it was planned")
        expect_equal((log["epoch"], log["from"]["epoch"], log["from"]["log_id"]),
                     (2, 1, log_id(receivers[name])), "what the new log says of the old one")
        # What was given until it moved was sent as long as the window and credit allowed.
        expect(log["overlap"] > 0, "nothing is in doubt")
        expect_equal(log["overlap"], account["overlap"], "overlap")
        most = account["ack_latency_ns"]["max"] / 1e9
        expect(MOVE_AFTER * 0.9 < most < MOVE_AFTER + 4, f"acknowledged after {most} s")
    return f"{len(moved)} moved, {sum(a['overlap'] for a in moved)} events in doubt"


def one_that_is_well_again_is_gone_back_to(c, sent):
    """Stopped, with its supervisor, and continued: what lay in its ring comes into its log, too. Then
    planned moves back, when it has been well for six times move_after, and within as long again."""
    c.apply(count=2, move_after="2s")
    receivers = c.wait_running(2)
    name = min(receivers)
    sources = Sources(c, 45)
    pids = [c.pid_of(name, program) for program in ("millrace-supervisor", "millraced")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    other = next(row["name"] for row in receivers.values() if row["name"] != name)
    before = durable(c.receivers()[other])
    # All of them send there then.
    wait_until(lambda: durable(c.receivers()[other]) > before + 8 * RATE * SOURCES,
               "the other one had them", 30)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    accounts = sources.accounts(sent)
    back = [account for account in accounts if path(account)[0] == name]
    expect(back, "none had that receiver as its own")
    for account in back:
        expect_equal(path(account), [name, other, name], "path")
        there, home = account["logs"][1:]
        expect_equal((there["planned"], home["planned"], home["overlap"]), (False, True, 0),
                     "planned, and what is in doubt after the way back")
        expect(there["overlap"] > 0, "nothing was in doubt after the way there")
    c.apply(count=2, move_after="5s")
    return f"{len(back)} left and came back"


def without_zookeeper_they_go_on(c, sent):
    """They move by what they knew."""
    receivers = c.wait_running(2)
    name = max(receivers)
    sources = Sources(c, 15)
    c.zookeeper.kill()
    c.slaves.wire(c.slave_of(receivers[name]), False)
    try:
        for account in sources.accounts(sent):
            expect_equal(len(path(account)), 2 if path(account)[0] == name else 1, f"{path(account)}")
    finally:
        c.slaves.wire(c.slave_of(receivers[name]), True)
        c.zookeeper.restart()
        c.zookeeper.wait_ready()
    c.wait_leader(seconds=60)
    c.wait_running(2, seconds=90)
    return "as with it"


def strangers_read_what_senders_need_alone(c, _):
    with c.zookeeper.client(auth=None) as stranger:
        names = stranger.children(f"{c.root}/live")
        expect_equal(sorted(names), sorted(c.running()), "who is registered")
        for node, schema in (("senders", "senders"), *((f"live/{name}", "live") for name in names)):
            jsonschema.validate(json.loads(stranger.data(f"{c.root}/{node}")),
                                json.loads((TREE / f"docs/schema/{schema}.1.json").read_text()))
        for node in ("desired", "framework", "history"):
            try:
                stranger.get(f"{c.root}/{node}")
            except zookeeper.Error as refused:
                expect_equal(refused.code, -102, f"the refusal of {node}")
            else:
                raise AssertionError(f"a stranger read {node}")
    return "live and senders"


TESTS = (strangers_read_what_senders_need_alone, each_goes_to_its_own_and_stays, one_that_retires_is_left,
         one_that_is_dead_is_left)
LONG = (one_that_is_well_again_is_gone_back_to, without_zookeeper_they_go_on)


def read_logs(c):
    """Of all receivers that ever were; none runs."""
    found = checker.Found("logs")
    data = {segment.parent.parent for segment in c.home.glob("slave*/log/**/*.arrows")
            if segment.parent.name.isdigit()}
    for directory in sorted(data):
        done = subprocess.run([MILLRACE, "log", "cat", "--format", "arrow", directory],
                              capture_output=True, check=True)
        place, row = found.add_place(str(directory.relative_to(c.home))), 0
        with pyarrow.ipc.open_stream(io.BytesIO(done.stdout)) as reader:
            for batch in reader:
                events = batch.filter(pyarrow.compute.not_equal(batch.column("listener"), PROTOCOL_ROW))
                found.add_record_batch(events, place, row)
                row += len(batch)
    return found


def main():
    with cluster.Cluster(zookeeper_auth="millrace:secret") as c:
        sent = checker.Sent()
        c.wait_leader()
        c.masters.wait_agents(*c.agents)
        c.apply(count=2)
        c.wait_running(2)
        for test in TESTS + (LONG if RUN_ALL else ()):
            if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
                continue
            began = time.monotonic()
            try:
                said = test(c, sent)
            except Exception:
                print(c.tell(), flush=True)
                raise
            print(f"ok   {test.__name__} {time.monotonic() - began:.1f} s: {said}", flush=True)
        for agent in c.agents.values():
            agent.end()
        verdict = checker.expect_equal(sent, read_logs(c))[0]
        print(f"ok   {verdict}", flush=True)


if __name__ == "__main__":
    os.environ.pop("SSL_CERT_FILE", None)
    main()
