#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 180
"""Session, election and the leader's writes, by themselves, with a real ZooKeeper: a write of who doesn't
lead is not done; one whose answer was lost is done once; a candidate whose creation's answer was lost is
found again; leadership ends by the process's own clock."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time

import rig
import zookeeper
from rig import BUILD, expect, expect_equal, wait_until

PROBE = BUILD / "tests/cluster/state_probe"
SESSION = 3.0


class Proxy:
    """Between the client and a server. cut_at: once those bytes have gone to the server, its answer is
    swallowed and the connection cut."""

    def __init__(self, port):
        self.port, self.cut_at, self.cuts = port, None, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with contextlib.suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", self.port), 2)
                    threading.Thread(target=self.carry, args=(client, server), daemon=True).start()
                    continue
                client.close()

    def carry(self, client, server):
        """Up in this thread, down in another one."""
        swallow = threading.Event()

        def down():
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    if swallow.is_set():
                        break
                    client.sendall(data)
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=down, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.cut_at and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    swallow.set()
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


class Probe:
    def __init__(self, servers, root, name="probe"):
        self.lines = []
        self.process = subprocess.Popen([PROBE, servers, root, name, str(int(SESSION * 1000))], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
        threading.Thread(target=self.read, daemon=True).start()
        self.wait("session connected", 15)

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def count(self, start):
        return sum(line.startswith(start) for line in list(self.lines))

    def wait(self, start, seconds=10, times=1):
        wait_until(lambda: self.count(start) >= times, f"'{start}' in {self.lines}", seconds)
        return [line for line in self.lines if line.startswith(start)][-1]

    def elected(self, seconds=10):
        return self.wait("won ", seconds, self.count("won ") + 1).split()[1]

    def commit(self, tag, *puts, seconds=10):
        for text in puts:
            self.say(text)
        self.say(f"commit {tag}")
        return int(self.wait(f"committed {tag} ", seconds).split()[2])

    def end(self):
        if self.process.poll() is None:
            self.say("quit")
            expect_equal(self.process.wait(20 * rig.PATIENCE), 0, "exit code of the probe")

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def probe_of(servers, root, name="probe"):
    probe = Probe(servers, root, name)
    try:
        yield probe
        probe.end()
    finally:
        probe.kill()


def root_of(client, name):
    for path in (f"/{name}", f"/{name}/receivers", f"/{name}/leader"):
        client.create(path)
    return f"/{name}"


def a_write_of_who_does_not_lead_is_not_done(ensemble, client):
    root = root_of(client, "fenced")
    with probe_of(ensemble.connect_string(), root) as probe:
        probe.say(f"lead {root}/leader")
        expect_equal(probe.commit("one", 'put desired {"n":1}', 'put receivers/r1 {"n":1}'), 0, "a write")
        expect_equal(client.data(f"{root}/desired"), b'{"n":1}', "what is stored")
        client.delete(f"{root}/leader")
        expect_equal(probe.commit("two", 'put desired {"n":2}', "remove receivers/r1"), -125,
                     "a write without the lead (ECANCELED)")
        expect_equal(client.data(f"{root}/desired"), b'{"n":1}', "what is stored after it")
        expect_equal(client.data(f"{root}/receivers/r1"), b'{"n":1}', "what it would have removed")


def a_transaction_is_all_or_nothing_and_turns_around(ensemble, client):
    """What is there is set, what isn't is made, whatever the last leader had done of it."""
    root = root_of(client, "turned")
    client.create(f"{root}/receivers/r1", b"old")
    with probe_of(ensemble.connect_string(), root) as probe:
        probe.say(f"lead {root}/leader")
        expect_equal(probe.commit("one", "remove receivers/r9", 'put receivers/r1 {"n":1}',
                                  'put receivers/r2 {"n":2}', 'put framework {"id":"f"}'), 0, "a write")
        found = {name: client.data(f"{root}/{name}") for name in ("receivers/r1", "receivers/r2", "framework")}
        expect_equal(found, {"receivers/r1": b'{"n":1}', "receivers/r2": b'{"n":2}',
                             "framework": b'{"id":"f"}'}, "what is stored")
        expect_equal(probe.commit("two", "remove receivers/r1", 'put /bad//name {"n":1}') != 0, True,
                     "a transaction with a bad name")
        expect_equal(client.data(f"{root}/receivers/r1"), b'{"n":1}', "what it would have removed")
        probe.say("read")
        probe.wait("read 0")
        expect_equal(sorted(line for line in probe.lines if line.startswith("node ")),
                     ['node framework {"id":"f"}', 'node receivers/r1 {"n":1}', 'node receivers/r2 {"n":2}'],
                     "what a leader reads")
        client.set(f"{root}/receivers/r2", b"{no json")
        probe.say("read")
        expect(f"read -74 {root}/receivers/r2" == probe.wait("read -"), "what is no JSON isn't named")


def a_write_whose_answer_is_lost_is_done(ensemble, client):
    root = root_of(client, "lost")
    proxy = Proxy(ensemble.ports[1])
    with contextlib.closing(proxy), probe_of(proxy.address, root) as probe:
        probe.say(f"lead {root}/leader")
        expect_equal(probe.commit("one", 'put receivers/r1 {"n":1}'), 0, "a write")
        proxy.cut_at = b'{"n":"cut"}'
        expect_equal(probe.commit("two", 'put receivers/r1 {"n":"cut"}', 'put receivers/r2 {"n":2}',
                                  seconds=20), 0, "a write whose answer was lost")
        expect_equal(proxy.cuts, 1, "answers lost")
        expect_equal(client.data(f"{root}/receivers/r1"), b'{"n":"cut"}', "what is stored")
        expect_equal(client.data(f"{root}/receivers/r2"), b'{"n":2}', "what was made twice")
        # The server goes, and comes back with the write still wanted.
        ensemble.kill(1)
        probe.say('put receivers/r1 {"n":4}')
        probe.say("commit three")
        ensemble.restart(1)
        ensemble.wait_ready()
        expect_equal(int(probe.wait("committed three", 30).split()[2]), 0, "a write while nobody answered")
        with ensemble.client() as again:
            expect_equal(again.data(f"{root}/receivers/r1"), b'{"n":4}', "what is stored")


def a_candidate_finds_its_node_again(ensemble, client):
    """The answer to its creation is lost: it stands there once, and leads."""
    root = root_of(client, "found")
    proxy = Proxy(ensemble.ports[1])
    with contextlib.closing(proxy):
        proxy.cut_at = b"-n_"
        with probe_of(proxy.address, root) as probe:
            probe.wait("won ", 20)
            expect_equal(proxy.cuts, 1, "answers lost")
            expect_equal(len(client.children(f"{root}/election")), 1, "candidates of one process")


def leadership_ends_by_the_own_clock(ensemble, client):
    """Before the ensemble can give it to another: at two thirds of the session, not at its end. And a
    process that was stopped knows at once."""
    root = root_of(client, "clock")
    with probe_of(ensemble.connect_string(), root, "a") as a, \
            probe_of(ensemble.connect_string(), root, "b") as b:
        wait_until(lambda: a.count("won ") + b.count("won ") == 1, "one was elected")
        leader, other = (a, b) if a.count("won ") else (b, a)
        leader.say("leads")
        leader.wait("leads 1")
        os.kill(leader.process.pid, signal.SIGSTOP)
        other.wait("won ", 4 * SESSION)
        leader.say("leads")
        os.kill(leader.process.pid, signal.SIGCONT)
        leader.wait("leads ", times=2)
        expect_equal(leader.count("leads 0"), 1, "a stopped one's belief that it leads")
        leader.wait("lost ")
        expect_equal(len(wait_until(lambda: len(client.children(f"{root}/election")) == 2 and
                                    client.children(f"{root}/election"), "both stood again")), 2, "candidates")
        before = time.monotonic()
        ensemble.kill(1)
        other.wait("lost ZooKeeper has answered nothing", SESSION)
        held = time.monotonic() - before
        expect(held < SESSION * rig.PATIENCE, f"it held on for {held:.1f} s of a session of {SESSION} s")
    ensemble.restart(1)
    ensemble.wait_ready()


def an_election_node_that_is_removed_is_made_again(ensemble, client):
    root = root_of(client, "removed")
    with probe_of(ensemble.connect_string(), root) as probe:
        node = probe.wait("won ").split()[1]
        client.delete(node)
        probe.wait("lost its election node was removed")
        expect(probe.wait("won ", times=2).split()[1] != node, "the same node again")


def main():
    tests = (a_write_of_who_does_not_lead_is_not_done, a_transaction_is_all_or_nothing_and_turns_around,
             a_write_whose_answer_is_lost_is_done, a_candidate_finds_its_node_again,
             an_election_node_that_is_removed_is_made_again, leadership_ends_by_the_own_clock)
    with tempfile.TemporaryDirectory(prefix="millrace-", dir="/var/tmp") as home, \
            zookeeper.Ensemble(pathlib.Path(home) / "zookeeper", 1) as ensemble:
        for test in tests:
            began = time.monotonic()
            with ensemble.client() as client:
                test(ensemble, client)
            print(f"ok   {test.__name__} {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
