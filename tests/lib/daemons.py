# SPDX-License-Identifier: BSD-3-Clause
"""Programs that a test starts and kills: each in a session of its own, in a network namespace or not,
and a way to find whatever descends from them."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

import rig

# What descends from a test's programs carries this in its environment, with the test's own value.
TAG = "MILLRACE_TEST_TAG"
# Below the ports that the kernel gives to outgoing connections: one of those must not take the port
# of a server that a test has killed and will start again.
PORTS = range(12000, 32000)


def within(netns):
    """A context in which this thread's new sockets belong to the namespace; None is our own."""
    return rig.in_namespace(netns) if netns else contextlib.nullcontext()


def free_ports(count, address="127.0.0.1", netns=None):
    """As many ports on which nobody listens."""
    found = []
    with within(netns), contextlib.ExitStack() as held:
        for port in random.sample(PORTS, 200 + count):
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((address, port))
                found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"no {count} free ports on {address}")


class Daemon:
    """A program that can be started again and again. 'env': more for its environment, or less of it
    where the value is None."""

    def __init__(self, command, log, netns=None, env=None):
        self.command = [str(word) for word in command]
        self.log, self.netns = pathlib.Path(log), netns
        self.env = env or {}
        self.process = None
        self.paused = False

    def start(self):
        env = {name: value for name, value in {**os.environ, **self.env}.items() if value is not None}
        inside = ["ip", "netns", "exec", self.netns] if self.netns else []
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(inside + self.command, env=env, stdout=out,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        self.paused = False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9 of what is in its session; of what it started in others nothing is touched."""
        if self.process is None:
            return
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.paused = False

    def stop(self, seconds=10):
        """In good order; killed when it does not end."""
        if self.running():
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(seconds * rig.PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def answers(self):
        """It runs, and may be asked."""
        return self.running() and not self.paused

    def said(self, lines=20):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Group:
    """A context: daemons by number, which may be killed, paused and started again. Its kind has
    configure(), which makes them, and wait_ready()."""

    def __init__(self):
        self.daemons = {}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.end)
            self.start()
            stack.pop_all()
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        if not self.daemons:
            self.configure()
        self.restart()
        self.wait_ready()

    def end(self):
        self.kill()

    def restore(self):
        """After a test that may have ended in the middle of a fault."""
        for daemon in self.daemons.values():
            if daemon.running():
                daemon.resume()
        self.start()

    def kill(self, *which):
        """kill -9; of all of them when none is named."""
        for n in which or self.daemons:
            self.daemons[n].kill()

    def restart(self, *which):
        """Starts those that do not run, with what they had on disk; does not wait until they serve."""
        for n in which or self.daemons:
            if not self.daemons[n].running():
                self.daemons[n].start()

    def pause(self, n):
        self.daemons[n].pause()

    def resume(self, n):
        self.daemons[n].resume()


def processes():
    """{pid: (pid of the parent, environment)} of all that can be read."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                state, parent = stat.rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    found[int(entry.name)] = int(parent), (entry / "environ").read_bytes()
    return found


def tagged(tag):
    """Pids of what carries the tag in its environment, and of what descends from that."""
    everything = processes()
    word = f"{TAG}={tag}".encode()
    found = {pid for pid, (_, environ) in everything.items() if word in environ.split(b"\0")}
    while more := {pid for pid, (parent, _) in everything.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def kill_all(which, seconds=10):
    """kill -9 of all that which() finds, until it finds nothing more."""
    end = time.monotonic() + seconds
    while pids := which():
        if time.monotonic() > end:
            raise AssertionError(f"processes {sorted(pids)} do not end")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def kill_tagged(tag):
    kill_all(lambda: tagged(tag))
