#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 90
"""millrace-control over TLS: to a master whose certificate is for its name, with Basic authentication;
and for the command line, which a follower sends on to the leader."""

import contextlib
import json
import socket
import threading

import certificates
import cluster
import daemons
import mesos
import rig
import slaves
from rig import MILLRACE, expect, expect_equal, wait_until

CREDENTIALS = ("millrace", "a-secret-of-mesos")
TOKENS = {"read": "reader-secret-0123456789", "admin": "admin-secret-0123456789"}
# By its address it is not whom the certificate names.
NAMED = {"ip": "0.0.0.0", "advertise_ip": slaves.CORE, "hostname": "localhost"}


class Recording:
    """All that goes over a namespace's lo: what control processes there say to what else is there."""

    def __init__(self, netns):
        self.packets, self.ending = [], False
        with daemons.within(netns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.1)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.ending:
            with contextlib.suppress(TimeoutError):
                self.packets.append(self.socket.recv(1 << 17))

    def end(self):
        """The bytes."""
        self.ending = True
        self.thread.join()
        self.socket.close()
        return b"".join(self.packets)


def control(c, number, **mesos_options):
    """One of another cluster of the same masters."""
    stranger = cluster.Control(c, number, cluster=f"{c.name}-{number}",
                               mesos={"master": c.masters.url(), **c.mesos_options, **mesos_options})
    c.stack.callback(stranger.daemon.kill)
    return stranger.start()


def why_not(stranger):
    """What its alarm says."""
    def alarmed():
        status = stranger.leads() and stranger.get("status")
        return status and next((alarm["text"] for alarm in status["alarms"]
                                if alarm["code"] == "mesos_unreachable"), None)
    return wait_until(alarmed, "it said that Mesos isn't reached", 20)


def masters_are_spoken_to_by_tls_alone(c):
    """Those that are not who they should be, not at all."""
    recording = Recording(c.core)
    try:
        wrong = control(c, 8, ca=certificates.make(c.home, "other", "localhost")[0])
        address = control(c, 9, master=c.masters.hosts()[0])
        c.cli("apply", c.spec(count=1))
        c.wait_running(1)
        for stranger in (wrong, address):
            why = why_not(stranger).lower()
            expect("certificate" in why or "subject" in why, why)
            expect_equal(stranger.get("status")["mesos"]["framework_id"], None, "id of a framework")
            stranger.daemon.kill()
    finally:
        said = recording.end()
    (framework,) = c.masters.frameworks().values()
    expect_equal(framework["framework_info"]["principal"], CREDENTIALS[0], "principal")
    expect(b"/election" in said, "nothing was recorded")
    for secret in (mesos.basic(*CREDENTIALS)["Authorization"], CREDENTIALS[1], "SUBSCRIBE"):
        expect(secret.encode() not in said, f"'{secret}' was said in the clear")


def names_of_masters_come_first(c):
    """As ZooKeeper has them; what is none could be taken for a list."""
    with c.zookeeper.client() as client:
        for number, name, address, wanted in (
                (5, "m1.example", "10.0.0.1", "m1.example:7,10.0.0.1:7"), (4, "a:1,b", "fd00::1", "[fd00::1]:7"),
                (3, "", "10.0.0.2", "10.0.0.2:7"), (2, "10.0.0.3", "10.0.0.3", "10.0.0.3:7")):
            # The lowest number leads.
            client.create(f"/masters/json.info_{number:010}", json.dumps(
                {"address": {"ip": address, "port": 7, "hostname": name}}), parents=True)
            if number == 5:
                stranger = control(c, 7, master=c.zookeeper.url("/masters"))
            wait_until(lambda w=wanted: f"Mesos' master: {w}\n" in stranger.said(100) + "\n", wanted)
    stranger.daemon.kill()


def ask(c, whom, *words, token="admin", ca=None):
    shown = ["--token", c.secret(f"token-{token}", TOKENS[token])] if token else []
    done = rig.sh("ip", "netns", "exec", c.core, MILLRACE, "--json", "cluster", *words, "--control", whom,
                  "--ca", ca or c.api_options["certificate"], *shown, check=False)
    return done.returncode, done.stdout and json.loads(done.stdout)["data"], done.stderr


def followers_send_the_command_line_on(c):
    leader = c.wait_leader()
    (follower,) = (each for each in c.controls.values() if each is not leader)
    wait_until(lambda: (follower.get("leader") or {}).get("leader") == leader.name, "the follower knew")
    for whom in (f"https://{follower.address}", f"https://{leader.address}", follower.socket):
        code, data, err = ask(c, whom, "status", token="read")
        expect_equal((code, data and data["name"]), (0, leader.name), f"status by {whom}: {err}")
    there = f"https://{follower.address}"
    expect_equal(ask(c, there, "scale", "1")[0], 0, "exit code of a command")
    for wanted, said, more in ((5, "admin", {"token": "read"}), (5, "--token", {"token": None}),
                               (3, "isn't trusted", {"ca": c.masters.tls.ca})):
        code, data, err = ask(c, there, "scale", "1", **more)
        expect(code == wanted and not data and said in err, f"{more}: {code}, {err}")


def all_end_in_good_order(c):
    """With nothing left that was allocated, as the sanitizer sees it."""
    for each in c.controls.values():
        each.daemon.process.terminate()
        expect_equal(each.daemon.process.wait(20), 0, f"exit code of {each.name}: {each.said()}")


def main():
    with cluster.Cluster(controls=2, slaves_count=1, master_flags=NAMED, mesos_tls=True, tokens=TOKENS,
                         mesos_credentials=dict([CREDENTIALS])) as c:
        cluster.run(c, masters_are_spoken_to_by_tls_alone, names_of_masters_come_first,
                    followers_send_the_command_line_on, all_end_in_good_order)


if __name__ == "__main__":
    main()
