# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of suite sinks share: receivers with sinks, what they say of them, senders, disks."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import checker
import disk
import kafka
import rig
import told
from rig import MILLRACE, PORT, RECEIVER4, TREE, expect, expect_equal, sh, wait_until

LISTENER = {"name": "sure", "port": PORT, "kind": "reliable"}
OTHER_PORT = 5142
TRANSACTION_TIMEOUT = 3  # seconds
# Small segments and a cut every 50 ms: much happens between batches in a short run.
LOG = {"segment_size": "16MiB", "block_size": "256KiB"}


def kafka_sink(cluster, name="out", properties=None, **more):
    return {"name": name, "kind": "kafka", "topic": f"{name}-{{port}}", "transaction_batches": 16,
            "transaction_timeout": f"{TRANSACTION_TIMEOUT}s",
            "properties": {"bootstrap.servers": cluster.bootstrap(), **(properties or {})}, **more}


def files_sink(path, name="archive", **more):
    return {"name": name, "kind": "files", "path": path, "roll_interval": "2s", **more}


def receiver_of(r, net, sinks, name="receiver", **config):
    return r.receiver(net, name, **{"device": "af_xdp:rx0", "listeners": [LISTENER], "log": LOG,
                                    "sinks": sinks, **config})


def net_with(r, cluster):
    """Namespaces of sender and receiver, and the receiver's wire to the brokers."""
    net = r.net()
    cluster.connect(net)
    return net


# What a receiver says of its sinks.

def rows(receiver, name=None):
    return [row for row in receiver.get("/api/v1/sinks") if name in (None, row["sink"])]


def states(receiver, name=None):
    return {row["state"] for row in rows(receiver, name)}


def lag(receiver):
    """Events not confirmed, of the sink that has most; None while it is not said."""
    found = [row["lag_events"] for row in rows(receiver)]
    return None if not found or None in found else max(map(int, found))


def delivered(receiver, name):
    return sum(int(row["events_total"]) for row in rows(receiver, name))


def wait_delivered(receiver, seconds=60):
    """All that is durable is confirmed by every sink."""
    def done():
        with contextlib.suppress(OSError):
            return lag(receiver) == 0
        return False

    try:
        wait_until(done, "all was delivered", seconds)
    except AssertionError as failed:
        raise AssertionError(f"{failed}: {rows(receiver)}") from None


# Senders.

def start_send(r, net, *words):
    """millrace send --reliable, which says at its end what was acknowledged."""
    return r.popen(net.command("tx", MILLRACE, "--json", "send", "--reliable", f"{RECEIVER4}:{PORT}",
                               "--wait", "300s", *words),
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def account_of(process, seconds=300):
    out, err = process.communicate(timeout=seconds * rig.PATIENCE)
    expect_equal(process.returncode, 0, f"exit code of millrace send ({err})")
    return json.loads(out)["data"]


def send(r, net, sent, count, sizes="18-900", rate="max", port=PORT):
    """Sends and waits until it is acknowledged; the account goes into 'sent'."""
    done = net.sh("tx", MILLRACE, "--json", "send", "--reliable", f"{RECEIVER4}:{port}", "--rate", rate,
                  "--count", count, "--size", sizes, check=False)
    expect_equal(done.returncode, 0, f"exit code of millrace send ({done.stderr})")
    account = json.loads(done.stdout)["data"]
    expect_equal(account["acknowledged"], count, "acknowledged")
    sent.add_account(account, sizes)
    return account


class Told:
    """A sender that writes down each event that it was told to be acknowledged (told.py)."""

    def __init__(self, r, net, name):
        self.path, self.name = r.home / f"told-{name}", name
        env = dict(os.environ, MILLRACE_LIBRARY=str(rig.BUILD / "lib/libmillrace.so.0"),
                   PYTHONPATH=f"{TREE}/connectors/python")
        self.process = r.popen(net.command("tx", sys.executable, told.__file__, self.path, name,
                                           f"{RECEIVER4}:{PORT}"), env=env)

    def account(self):
        return told.Account(self.path, self.name)

    def count(self):
        return len(self.account().durable)

    def wait_more(self, events, seconds=60):
        enough = self.count() + events
        wait_until(lambda: self.count() >= enough, f"{events} more events were acknowledged", seconds)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        expect_equal(self.process.wait(60 * rig.PATIENCE), 0, "exit code of a sender")
        expect_equal(self.account().left, 0, "events that a sender had not acknowledged at its end")

    def kill(self):
        self.process.kill()
        self.process.wait()


# Disks.

class SmallDisk:
    """A file system of its own that can be filled: ext4 on a loop device (O_DIRECT), or tmpfs."""

    def __init__(self, r, name, mib, fs="ext4"):
        self.dir, self.ballast = r.home / name, r.home / name / "ballast"
        self.dir.mkdir()
        if fs == "ext4":
            image = r.home / f"{name}.image"
            with open(image, "wb") as out:
                out.truncate(mib << 20)
            sh("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", image)
            sh("mount", "-o", "loop", image, self.dir)
        else:
            sh("mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", self.dir)
        r.stack.callback(sh, "umount", "-l", self.dir)

    def fill(self):
        """To the last byte; others may write at the same time."""
        with open(self.ballast, "ab") as out:
            for piece in (64 << 20, 1 << 20, 4096):
                try:
                    while True:
                        os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size, piece)
                except OSError as full:
                    expect_equal(full.errno, 28, "error of a full disk")

    def empty(self):
        self.ballast.unlink(missing_ok=True)


# The run of a file's tests with one Kafka.



def run(*tests, brokers=1, **options):
    """rig.run() while a cluster runs, which each test gets behind its Rig."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.getuid() != 0:
        print("needs root: makes network namespaces")
        sys.exit(77)
    disk.private_mounts()
    begin = time.monotonic()
    with kafka.Cluster(brokers, **options) as cluster:
        print(f"{brokers} Kafka broker{'s' if brokers > 1 else ''} ({time.monotonic() - begin:.1f} s)",
              flush=True)

        def bound(test):
            def run_test(r):
                r.stack.callback(cluster.restore)
                test(r, cluster)
            run_test.__name__ = test.__name__
            return run_test

        rig.run(*map(bound, tests))


def groups_of(cluster, prefix):
    """The consumer groups that a sink keeps its cursors in."""
    found = cluster.admin.list_consumer_groups(request_timeout=20).result(30)
    return sorted(group.group_id for group in found.valid if group.group_id.startswith(prefix))


def messages_in(cluster, prefix):
    """Offsets used in all topics with a prefix: messages and marks of transactions, aborted ones too."""
    import confluent_kafka
    from confluent_kafka.admin import OffsetSpec
    partitions = checker.partitions_of(cluster, prefix)
    done = cluster.admin.list_offsets({p: OffsetSpec.latest() for p in partitions},
                                      isolation_level=confluent_kafka.IsolationLevel.READ_UNCOMMITTED,
                                      request_timeout=20)
    return sum(future.result(30).offset for future in done.values())


def expect_all(sent, *found):
    """Every sink has everything once, and nothing else."""
    verdicts = checker.expect_equal(sent, *found)
    print("; ".join(map(str, verdicts)), flush=True)
    expect(all(verdict.overlap == 0 for verdict in verdicts), "events in several epochs")
