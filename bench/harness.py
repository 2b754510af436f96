# SPDX-License-Identifier: BSD-3-Clause
"""What the cases share: processes, their CPU seconds, namespaces, millraced and its counters, rows.

Whatever a case makes lies in a directory of its own under MILLRACE_BENCH_DIR or in namespaces with
its pid in their names, and goes when the case ends, however it ends.
"""

import contextlib
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

TREE = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("MILLRACE_BENCH_BUILD", TREE / "build-bench"))
OUT = TREE / "bench/out"
TOP = pathlib.Path(os.environ.get("MILLRACE_BENCH_DIR", "/var/tmp/millrace-bench"))
TICK = os.sysconf("SC_CLK_TCK")
USABLE = sorted(os.sched_getaffinity(0))

MILLRACE = str(BUILD / "cli/millrace")
MILLRACED = str(BUILD / "dataplane/millraced")
SEQCHECK = str(BUILD / "bench/seqcheck")
RXONLY = str(BUILD / "bench/rxonly")
UDP_WRITER = str(BUILD / "bench/udp_writer")


class BenchError(Exception):
    """The case can't be run here; the text says why."""


def seconds(default):
    """How long a run lasts: MILLRACE_BENCH_SECONDS shortens all of them for a trial."""
    return float(os.environ.get("MILLRACE_BENCH_SECONDS", default))


def say(text):
    print(text, file=sys.stderr, flush=True)


def cpus():
    """The CPU of the receiver and that of the sender; the same one where there is only one."""
    return USABLE[0], USABLE[-1]


def machine_cpu_seconds():
    """CPU seconds of the whole machine from some moment on, kernel workers and interrupts included:
    all time but what was idle or taken by the host. The kernel measures idle time, whereas it
    counts the rest by ticks, which miss what runs between them."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(v) for v in f.readline().split()[1:]]
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    _user, _nice, _system, idle, iowait, _irq, _softirq, steal = fields[:8]
    return now * os.cpu_count() - (idle + iowait + steal) / TICK


def process_cpu_seconds(pid):
    """CPU seconds of all threads, ended ones included, and io_uring's workers."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def children_cpu_seconds():
    """CPU seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class CpuMeter:
    """CPU seconds of some processes and of the machine between two moments."""

    def __init__(self, **pids):
        self.pids = pids
        self.before = {name: process_cpu_seconds(pid) for name, pid in pids.items()}
        self.machine_before = machine_cpu_seconds()
        self.begin = time.monotonic()

    def read(self):
        result = {name: process_cpu_seconds(pid) - self.before[name]
                  for name, pid in self.pids.items()}
        result["machine"] = machine_cpu_seconds() - self.machine_before
        result["elapsed"] = time.monotonic() - self.begin
        return result


class Case:
    """One case: its directory, its processes, its namespaces, its rows."""

    def __init__(self, name):
        self.name = name
        self.dir = TOP / f"{name}-{os.getpid()}"
        self.undo = contextlib.ExitStack()
        self.run_cpu = 0.0

    def __enter__(self):
        if os.geteuid() != 0:
            raise BenchError("needs root")
        for tool in (MILLRACE, MILLRACED, SEQCHECK):
            if not os.access(tool, os.X_OK):
                raise BenchError(f"{tool} is not built")
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        self.dir.mkdir(parents=True)
        self.undo.callback(self._remove)
        return self

    def __exit__(self, *error):
        self.undo.close()

    def _remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        with contextlib.suppress(OSError):
            TOP.rmdir()

    def row(self, metric, value, unit, reference=None):
        ratio = value / reference if reference else None
        OUT.mkdir(parents=True, exist_ok=True)
        line = {"case": self.name, "metric": metric, "value": value, "unit": unit,
                "reference": reference, "ratio": ratio}
        with open(OUT / "rows.jsonl", "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        say(f"  {metric}: {value:,.6g} {unit}" + (f" ({ratio:.3f})" if ratio is not None else ""))

    def cpu_rows(self, cpu, events, prefix=""):
        """The CPU of a run, in seconds and by million events."""
        for who in [name for name in cpu if name != "elapsed"]:
            self.row(f"{prefix}cpu_{who}", round(cpu[who], 3), "CPU s")
            if events:
                self.row(f"{prefix}cpu_{who}_per_million", round(cpu[who] * 1e6 / events, 4),
                         "CPU s/M events")

    def start(self, argv, netns=None, cpu=None, stdout=None, stderr=None, env=None):
        """Starts a process that doesn't outlive the case."""
        # The harness itself keeps off the receiver's CPU (main()), which is not for its children.
        cpu = ",".join(map(str, USABLE)) if cpu is None else cpu
        argv = ["taskset", "-c", str(cpu), *argv]
        if netns is not None:
            argv = ["ip", "netns", "exec", netns, *argv]
        say("  $ " + " ".join(argv))
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                   text=True, start_new_session=True,
                                   env={**os.environ, **env} if env else None)
        self.undo.callback(stop, process, 5, signal.SIGKILL)
        return process

    def run(self, argv, timeout, netns=None, cpu=None, codes=(0,)):
        """Runs a process to its end; its stdout. Its CPU seconds stay in run_cpu."""
        before = children_cpu_seconds()
        process = self.start(argv, netns, cpu, stdout=subprocess.PIPE)
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{argv[0]} did not end in {timeout:.0f} s") from None
        if process.returncode not in codes:
            raise BenchError(f"{argv[0]} ended with {process.returncode}")
        self.run_cpu = children_cpu_seconds() - before
        return out

    def run_json(self, argv, timeout, **kwargs):
        return json.loads(self.run(argv, timeout, **kwargs))

    def send(self, args, timeout, **kwargs):
        """A run of the generator; what it refused is no error here but a figure."""
        return self.run_json([MILLRACE, "--json", "send", *args], timeout, codes=(0, 1),
                             **kwargs)["data"]

    def seqcheck(self, args, **kwargs):
        return self.run_json([SEQCHECK, *args], 600, codes=(0, 1), **kwargs)

    def namespaces(self):
        """Two namespaces joined by a veth pair: names, and the hardware address of the receiving
        end. The sending end computes checksums itself, as a NIC's wire would have them."""
        tx, rx = f"mrb-tx-{os.getpid()}", f"mrb-rx-{os.getpid()}"
        for name in (tx, rx):
            ip("netns", "add", name)
            self.undo.callback(ip, "netns", "del", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", tx, "link", "add", "tx0", "type", "veth", "peer", "name", "rx0", "netns", rx)
        subprocess.run(["ip", "netns", "exec", tx, "ethtool", "-K", "tx0", "tx", "off"],
                       check=True, stdout=subprocess.DEVNULL)
        ip("-n", tx, "link", "set", "tx0", "up")
        ip("-n", rx, "link", "set", "rx0", "up")
        links = json.loads(ip("-j", "-n", rx, "link", "show", "rx0"))
        return tx, rx, links[0]["address"]


def _interrupt(number, _frame):
    raise KeyboardInterrupt(signal.Signals(number).name)


def ip(*args):
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True).stdout


def stop(process, timeout=30, number=signal.SIGTERM):
    """Ends a process; its exit code, or None when it had to be killed."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("millrace", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def yaml_text(value, indent=0):
    """The configuration's YAML out of dicts, lists and scalars."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                lines.append(f"{pad}{key}:\n{yaml_text(item, indent + 1)}")
            else:
                lines.append(f"{pad}{key}: {_scalar(item)}\n")
        return "".join(lines)
    lines = []
    for item in value:
        if isinstance(item, dict):
            text = yaml_text(item, indent + 1)
            lines.append(f"{pad}- " + text.lstrip(" "))
        else:
            lines.append(f"{pad}- {_scalar(item)}\n")
    return "".join(lines)


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Millraced:
    """A receiver with one port and one listener on UDP port 5514."""

    PORT = 5514

    def __init__(self, case, device, cpu, log=None, netns=None, port=None, program=None, env=None,
                 keep=False, **more):
        """program, env: millraced built in another way, and its environment; keep: what is in the
        data directory."""
        self.case = case
        self.data = case.dir / "data"
        self.socket = case.dir / "millraced.sock"
        if not keep:
            shutil.rmtree(self.data, ignore_errors=True)
        config = {
            "data": self.data, "socket": self.socket, "cpus": cpu,
            "ports": [{"name": "bench", "device": device, **(port or {})}],
            "listeners": [{"name": "bench", "port": self.PORT}],
            "log": log or {"retain_size": 0},
        }
        config.update(more)
        path = case.dir / "millraced.yaml"
        path.write_text(yaml_text(config), encoding="utf-8")
        self.process = case.start([program or MILLRACED, "--config", str(path)], netns=netns,
                                  stderr=subprocess.PIPE, env=env)
        self.said = []
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        self._wait_ready(30)

    def _listen(self):
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            print(line, end="", file=sys.stderr, flush=True)

    @property
    def pid(self):
        return self.process.pid

    def _wait_ready(self, timeout):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise BenchError(f"millraced ended with {self.process.returncode} at its start")
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self.get("/healthz")
                return
            time.sleep(0.05)
        raise BenchError(f"millraced does not answer after {timeout} s")

    def get(self, path):
        connection = _UnixConnection(str(self.socket))
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())["data"]
        finally:
            connection.close()

    def counters(self):
        """Every counter, summed over its labels: {"partition.rows_durable": …}."""
        result = {}
        for one in self.get("/api/v1/stats"):
            if one["kind"] != "histogram":
                key = f"{one['subsystem']}.{one['name']}"
                result[key] = result.get(key, 0) + one["value"]
        return result

    def histogram(self, name):
        """The first histogram of that name."""
        for one in self.get("/api/v1/stats"):
            if one["kind"] == "histogram" and one["name"] == name:
                return one
        raise BenchError(f"no histogram {name}")

    def drops(self):
        """What was dropped, by reason, without the zeros."""
        return {one["name"]: one["value"] for one in self.get("/api/v1/stats")
                if one["role"] in ("pkt_drop", "ev_drop") and one["value"]}

    def wait_durable(self, events, timeout):
        """Until so many events are durable, or no more become so."""
        until = time.monotonic() + timeout
        last = -1
        while time.monotonic() < until:
            durable = self.durable()
            if durable >= events or durable == last:
                return durable
            last = durable
            time.sleep(0.5)
        return self.durable()

    def durable(self):
        return self.counters()["partition.rows_durable"]

    def stop(self):
        code = stop(self.process)
        self.listener.join(5)
        if code != 0:
            raise BenchError(f"millraced ended with {code}")


def main(name, function):
    """Runs a case as a program. Exit code 1: it couldn't be run."""
    os.sched_setaffinity(0, {USABLE[-1]})
    try:
        with Case(name) as case:
            function(case)
    except BenchError as error:
        say(f"{name}: {error}")
        return 1
    except KeyboardInterrupt:
        say(f"{name}: interrupted")
        return 130
    return 0
