# SPDX-License-Identifier: BSD-3-Clause
"""A task of Mesos without Mesos: millrace-supervisor at the receiver's end of a wire, a ZooKeeper server
there, and a source at the other."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jsonschema
import rig
import zookeeper
from rig import PORT, RECEIVER4, RECEIVER6, TREE, expect, expect_equal, wait_until

os.environ.setdefault("MILLRACE_LIBRARY", str(rig.BUILD / "lib/libmillrace.so.0"))
sys.path.insert(0, str(TREE / "connectors/python"))
import millrace  # noqa: E402 (by what was just set)

SUPERVISOR = rig.BUILD / "control/supervisor/millrace-supervisor"
SCHEMA = json.loads((TREE / "docs/schema/live.1.json").read_text())
SESSION = 2.0  # seconds; at least four ticks of ZooKeeper
CLUSTER = f"test{os.getpid()}"
ROOT = f"/millrace/{CLUSTER}"
NODE = f"{ROOT}/live/r1"
LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"},
             {"name": "six", "port": 5142, "address": RECEIVER6}]


class Task(rig.Receiver):
    """A supervisor, started as Mesos would: all it knows is in its environment."""

    def __init__(self, home, net, servers, **environment):
        super().__init__(home, net, device="af_packet:eth9", listeners=LISTENERS,
                         log={"segment_size": "16MiB", "block_size": "256KiB", "queue_depth": 4})
        for key in ("receiver", "data", "socket"):
            del self.config[key]  # the task's own
        self.sandbox = self.home / "sandbox"
        self.sandbox.mkdir()
        self.socket = pathlib.Path(f"/run/millrace/{CLUSTER}.r1.sock")
        self.environment = {
            "RECEIVER": "r1", "TASK": "task-1", "LCORES": "1", "NICS": "rx0", "LOG": str(self.data),
            "HOSTNAME": "slave-1", "ZOOKEEPER": servers, "ROOT": ROOT, "ZOOKEEPER_AUTH": "",
            "SESSION_TIMEOUT_MS": str(int(SESSION * 1000)), "GRACE_MS": "10000",
            "MILLRACED": str(rig.MILLRACED), **environment}

    def start(self, *words, wait=True):
        config = "\n".join(rig.yaml_lines(self.config)) + "\n"
        env = dict(os.environ, MILLRACE_CONFIG=config,
                   **{f"MILLRACE_{name}": value for name, value in self.environment.items()})
        with open(self.stderr_path, "ab") as err:
            self.process = subprocess.Popen(self.net.command("rx", SUPERVISOR, *words), env=env,
                                            cwd=self.sandbox, stderr=err, stdin=subprocess.DEVNULL)
        if wait:
            wait_until(self.answering, "millraced answered", 30)
        return self

    def answering(self):
        expect(self.running(), f"the supervisor ended:\n{self.log_tail()}")
        with contextlib.suppress(OSError, AssertionError, ValueError):
            return self.get("/api/v1/status")["health"] == "ok"
        return False

    def millraced(self):
        """Its pid, as the kernel knows the supervisor's children."""
        found = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(found.split()[0]) if found.split() else None

    def kill_millraced(self):
        pid = wait_until(self.millraced, "there was a millraced")
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_end(self, code, seconds=20):
        expect_equal(self.process.wait(seconds * rig.PATIENCE), code, "exit code of the supervisor")
        self.expect_clean()

    def last_line(self):
        return self.log().splitlines()[-1]


class Cluster:
    """A wire, one ZooKeeper server at its receiver's end, and tasks there."""

    def __init__(self, r, quiet=False):
        self.r, self.net = r, r.net(quiet=quiet)
        self.net.sh("rx", "ip", "link", "set", "lo", "up")
        self.ensemble = r.stack.enter_context(
            zookeeper.Ensemble(r.home / "zookeeper", servers=1, netns=self.net.names["rx"], tick=250))
        self.client = self.ensemble.client()
        self.tasks = 0

    def task(self, **environment):
        self.tasks += 1
        home = self.r.home / f"task{self.tasks}"
        home.mkdir()
        task = Task(home, self.net, self.ensemble.connect_string(), **environment)
        self.r.receivers.append(task)
        self.r.stack.callback(end_task, task)
        return task

    def live(self):
        data = self.client.data(NODE)
        return json.loads(data) if data else None

    def wait_live(self, wanted, what, seconds=15):
        """The node's content, as soon as wanted() is true of it; each version is by the schema."""
        def there():
            live = self.live()
            if live is None:
                return None
            jsonschema.validate(live, SCHEMA)
            return live if wanted(live) else None

        try:
            return wait_until(there, what, seconds)
        except AssertionError as failed:
            raise AssertionError(f"{failed}; the node: {self.live()}") from None

    def wait_ok(self, seconds=15, **wanted):
        return self.wait_live(
            lambda live: live["health"] == "ok" and all(live[k] == v for k, v in wanted.items()),
            f"ok {wanted} was registered", seconds)

    def wait_kept(self):
        """It is registered, and what is registered is still written."""
        begin = self.wait_ok()["time"]
        self.wait_live(lambda live: live["time"] > begin, "something new was registered")

    def wait_gone(self, seconds):
        wait_until(lambda: self.client.exists(NODE) is None, "the node was gone", seconds)

    @contextlib.contextmanager
    def stream(self):
        with self.net.inside("tx"):
            stream = Stream()
        try:
            yield stream
        finally:
            stream.end()


def end_task(task):
    """Whatever came of the test: not even a millraced that was stopped stays."""
    if not task.running():
        return
    pid = task.millraced()
    task.kill()
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Stream(threading.Thread):
    """A source of an event each 2 ms or so, and when it was told what to be durable."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sender = millrace.Sender(f"{RECEIVER4}:{PORT}", failover_after=60.0)
        self.sent, self.ending = 0, False
        self.told = [(time.monotonic(), 0)]
        self.start()

    def run(self):
        while not self.ending:
            with contextlib.suppress(millrace.Full):
                self.sent = self.sender.send(b"x" * 100) + 1
            durable = self.sender.durable
            if durable > self.told[-1][1]:
                self.told.append((time.monotonic(), durable))
            time.sleep(0.002)

    def durable(self):
        return self.told[-1][1]

    def wait_more(self, seconds=20):
        """Until something sent from now on is durable; when that was told."""
        begin = self.sent
        wait_until(lambda: self.durable() > begin, f"event {begin} was durable", seconds)
        return next(then for then, durable in self.told if durable > begin)

    def largest_gap(self, since):
        times = [since] + [then for then, _ in self.told if then >= since]
        return max(b - a for a, b in zip(times, times[1:]))

    def end(self):
        self.ending = True
        self.join()
        self.sender.close(0.1)
