# SPDX-License-Identifier: BSD-3-Clause
"""What looks at a cluster all the time, each in a thread of its own, while others break it."""

import collections
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import subprocess
import threading
import time

import rig
from rig import MILLRACE, expect


class Api:
    """Of a receiver, by its socket."""

    def __init__(self, socket):
        self.socket = socket

    def get(self, path):
        with contextlib.closing(rig.UnixConnection(self.socket, 5 * rig.PATIENCE)) as connection:
            connection.request("GET", path)
            reply = connection.getresponse()
            return json.loads(reply.read())["data"]


class Watcher:
    """A context: look() again and again. What it raises is raised at the end."""

    pause = 0.1

    def __init__(self):
        self.ended = threading.Event()
        self.failed = None
        self.looks = 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.ended.set()
        self.thread.join(30)

    def run(self):
        try:
            while not self.ended.wait(self.pause):
                self.look()
                self.looks += 1
        except Exception as failed:  # for whoever asks
            self.failed = failed

    def look(self):
        raise NotImplementedError

    def expect_well(self):
        if self.failed:
            raise AssertionError(f"{type(self).__name__}: {self.failed!r}") from self.failed
        expect(self.looks > 0, f"{type(self).__name__} never looked")


Process = collections.namedtuple("Process", "pid parent began program task receiver log")


def process_of(pid, root):
    """None when it is gone, or no program of the receivers of the cluster with this root in ZooKeeper.
    A zombie is gone."""
    home = pathlib.Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        program = (home / "comm").read_text().strip()
        if program not in ("millraced", "millrace-superv"):
            return None
        fields = (home / "stat").read_text().rpartition(")")[2].split()
        env = dict(word.partition(b"=")[::2] for word in (home / "environ").read_bytes().split(b"\0"))
        if fields[0] in "ZX" or env.get(b"MILLRACE_ROOT", b"").decode() != root:
            return None
        return Process(int(pid), int(fields[1]), int(fields[19]), program, env[b"MILLRACE_TASK"].decode(),
                       env[b"MILLRACE_RECEIVER"].decode(), env[b"MILLRACE_LOG"].decode())
    return None


def receivers_processes(root):
    found = [process_of(entry.name, root) for entry in pathlib.Path("/proc").iterdir()
             if entry.name.isdigit()]
    found = {process.pid: process for process in found if process}
    # A supervisor's child that is no millraced yet looks as its parent does.
    return [process for process in found.values()
            if process.program != getattr(found.get(process.parent), "program", "")]


class Launches(Watcher):
    """At most one supervisor of a receiver, and one millraced on a log, at any moment; besides one whose
    supervisor was killed, which ends by that, and has the log's lock until then."""

    pause = 0.05
    GRACE = 10.0  # seconds

    def __init__(self, root):
        super().__init__()
        self.root = root
        self.tasks = collections.defaultdict(set)  # of each receiver, all that ever ran
        self.orphans = {}  # {process: when it was first seen}
        self.wrong = []

    def look(self):
        now, running = time.monotonic(), collections.defaultdict(set)
        found = receivers_processes(self.root)
        supervisors = {process.pid for process in found if process.program != "millraced"}
        for process in found:
            self.tasks[process.receiver].add(process.task)
            if process.program != "millraced" or process.parent in supervisors:
                running[process.program, process.log].add(process)
            elif now - self.orphans.setdefault(process, now) > self.GRACE * rig.PATIENCE:
                self.wrong.append(f"outlives its supervisor: {process}")
        for processes in running.values():
            # Those that were there before the others came were read first: are all there now?
            if len(processes) > 1 and all(process_of(p.pid, self.root) == p for p in processes):
                self.wrong.append(f"at the same time: {processes}")


class Positions(Watcher):
    """When each receiver's durable seq went on."""

    def __init__(self, sockets):
        super().__init__()
        self.apis = {name: Api(socket) for name, socket in sockets.items()}
        self.last = dict.fromkeys(sockets, -1)
        self.advances = {name: [] for name in sockets}

    def look(self):
        for name, api in self.apis.items():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                seq = sum(int(row["durable_seq"]) for row in api.get("/api/v1/partitions"))
                if seq > self.last[name]:
                    self.last[name] = seq
                    self.advances[name].append(time.monotonic())

    def gone_on(self, since):
        """Each has been seen to go on twice, so that it did since then."""
        return all(len(times) > 1 and times[-2] > since for times in self.advances.values())

    def gaps(self, begin, end):
        """{name: seconds} of the longest times without progress that touch this one."""
        return {name: max((after - before for before, after in itertools.pairwise(times)
                           if after > begin and before < end), default=end - begin)
                for name, times in self.advances.items()}


class Disk(Watcher):
    """How long a small write takes to be on the disk that everything here shares."""

    SLOW = 1.0  # seconds

    def __init__(self, directory):
        super().__init__()
        self.path = pathlib.Path(directory) / "probe"
        self.slow = []  # [(begin, end)]

    def look(self):
        begin = time.monotonic()
        with open(self.path, "wb") as out:
            out.write(bytes(4096))
            out.flush()
            os.fsync(out.fileno())
        if time.monotonic() - begin > self.SLOW:
            self.slow.append((begin, time.monotonic()))


Sample = collections.namedtuple("Sample", "begin end packets why")


class Top(Watcher):
    """`millrace top --once --json` of one receiver."""

    pause = 0.3

    def __init__(self, name, socket):
        super().__init__()
        self.name, self.socket = name, socket
        self.samples = []

    def look(self):
        begin = time.monotonic()
        done = subprocess.run([MILLRACE, "--socket", self.socket, "--json", "top", "--once"],
                              capture_output=True, text=True, check=False)
        packets, why = None, done.stderr.strip()
        if done.returncode == 0:
            data = json.loads(done.stdout)["data"]
            why = "it was restarted" if data["restarted"] else ""
            packets = data["total"]["packets_per_second"]
        self.samples.append(Sample(begin, time.monotonic(), packets, why))

    def check(self, excused):
        """excused: [(begin, end)] when it may be away, or get nothing. Returns the number of the other
        samples. One without packets may be a sender's that waits on a busy machine; two are none's."""
        counted = [s for s in self.samples
                   if not any(s.end > begin and s.begin < end for begin, end in excused)]
        bad = [s for s in counted if s.packets is None]
        bad += [s for before, s in itertools.pairwise(counted) if before.packets == s.packets == 0]
        expect(not bad, f"top of {self.name} showed no packets/s in {len(bad)} of {len(counted)} samples: "
               f"{bad[:3]}")
        expect(counted, f"top of {self.name} has no sample")
        return len(counted)
