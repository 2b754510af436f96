# SPDX-License-Identifier: BSD-3-Clause
"""What the smoke and fault tests stand on: two network namespaces joined by a veth pair, a
millraced in one of them, senders in the other, all taken down again whatever happens.

A test is a function that takes a Rig; rig.run(test, ...) runs them one after the other.
Nothing sleeps for a fixed time: wait_until() waits for a condition, with a bound.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(os.environ.get("MILLRACE_TREE", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("MILLRACE_BUILD", TREE / "build"))
MILLRACED = BUILD / "dataplane/millraced"
MILLRACE = BUILD / "cli/millrace"
SANITIZED = "san" in BUILD.name
PATIENCE = 5.0 if SANITIZED else 1.0  # factor for every bound on time
RUN_ALL = bool(os.environ.get("MILLRACE_ALL"))

SENDER4, RECEIVER4 = "10.77.0.1", "10.77.0.2"
OTHER_SENDER4, OTHER_RECEIVER4 = "10.79.0.1", "10.79.0.2"
SENDER6, RECEIVER6 = "fd77::1", "fd77::2"
PORT = 5140        # a datagram is an event
LINES_PORT = 5141  # a line is an event


class Skip(Exception):
    pass


def sh(*command, check=True, **options):
    """Runs a command and returns its output; a failure shows what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done


def wait_until(condition, what, seconds=10.0):
    """Waits until condition() is true, and returns its value."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.02)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def expect_equal(found, wanted, what):
    expect(found == wanted, f"{what}: found {short(found)} instead of {short(wanted)}")


def short(value):
    text = repr(value)
    return text if len(text) < 400 else f"{text[:200]} ... {text[-150:]} ({len(value)} in all)"


@contextlib.contextmanager
def in_namespace(name):
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{name}") as there:
        if libc.setns(there.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(home.fileno(), 0x40000000)


class Net:
    """Namespaces 'tx' with the senders' end, src0, and 'rx' with the receiver's end, rx0.

    rx0 carries no address: millraced alone speaks for RECEIVER4 and RECEIVER6 there. quiet: no
    IPv6 and no ARP, so that not one frame passes but the test's own.
    """

    def __init__(self, quiet=False):
        self.names = {side: f"millrace-{os.getpid()}-{side}" for side in ("tx", "rx")}
        for name in self.names.values():
            sh("ip", "netns", "add", name)
        # Neither side forwards, has a way out, or makes up addresses.
        self.sh("rx", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                "net.ipv6.conf.default.disable_ipv6=1")
        if quiet:
            self.sh("tx", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                    "net.ipv6.conf.default.disable_ipv6=1")
        self.sh("tx", "ip", "link", "add", "src0", "type", "veth", "peer", "name", "rx0",
                "netns", self.names["rx"])
        # The kernel would leave the UDP checksum to a device that is none.
        self.sh("tx", "ethtool", "-K", "src0", "tx", "off")
        self.sh("tx", "ip", "addr", "add", f"{SENDER4}/24", "dev", "src0")
        if not quiet:
            self.sh("tx", "ip", "addr", "add", f"{SENDER6}/64", "dev", "src0", "nodad")
        for side, device in (("rx", "rx0"), ("tx", "src0"), ("tx", "lo")):
            self.sh(side, "ip", "link", "set", device, "up")
        if quiet:
            self.fix_neighbour()

    def fix_neighbour(self, device="src0"):
        self.sh("tx", "ip", "neigh", "replace", RECEIVER4, "lladdr", self.mac("rx", "rx0"),
                "dev", device, "nud", "permanent")

    def second_wire(self):
        """Another veth pair, src1 with OTHER_SENDER4 and rx1, where a test's receiver has
        OTHER_RECEIVER4."""
        self.sh("tx", "ip", "link", "add", "src1", "type", "veth", "peer", "name", "rx1", "netns",
                self.names["rx"])
        self.sh("tx", "ethtool", "-K", "src1", "tx", "off")
        self.sh("tx", "ip", "addr", "add", f"{OTHER_SENDER4}/24", "dev", "src1")
        for side, device in (("rx", "rx1"), ("tx", "src1")):
            self.sh(side, "ip", "link", "set", device, "up")

    def command(self, side, *words):
        return ["ip", "netns", "exec", self.names[side], *map(str, words)]

    def sh(self, side, *words, **options):
        return sh(*self.command(side, *words), **options)

    def link(self, side, device):
        return json.loads(self.sh(side, "ip", "-s", "-j", "link", "show", "dev", device).stdout)[0]

    def mac(self, side, device):
        return self.link(side, device)["address"]

    def refused(self):
        """Frames that the sending device took from its senders and did not put on the wire."""
        return self.link("tx", "src0")["stats64"]["tx"]["dropped"]

    def inside(self, side):
        """Sockets opened by this thread in the block belong to the namespace."""
        return in_namespace(self.names[side])

    def udp_socket(self, family=socket.AF_INET):
        with self.inside("tx"):
            return socket.socket(family, socket.SOCK_DGRAM)

    def frame_socket(self, device="src0", everything=False):
        """To put whole frames on the wire; 'everything': to take off what comes, too."""
        with self.inside("tx"):
            out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            out.bind((device, 3 if everything else 0))  # ETH_P_ALL
        return out

    @contextlib.contextmanager
    def witness(self, words, device="src0"):
        """tcpdump on the sender's end; yields a function that returns what it has said so far."""
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                self.command("tx", "tcpdump", "-l", "-n", "-e", "-v", "-i", device, *words.split()),
                stdout=said, stderr=subprocess.PIPE, text=True)
            process.stderr.readline()  # it listens

            def text():
                said.flush()
                said.seek(0)
                return said.read()

            try:
                yield text
            finally:
                process.terminate()
                process.wait()
                process.stderr.close()

    def send_events(self, *words, port=PORT, to=RECEIVER4):
        """millrace send from the sender's namespace; its account as JSON."""
        # Pinned: a sender that changes its CPU leaves packets in both CPUs' backlogs, and the
        # kernel puts them on the wire in either order.
        done = self.sh("tx", "taskset", "-c", "0", MILLRACE, "--json", "send", f"{to}:{port}", *words, check=False)
        expect(done.returncode in (0, 1), f"millrace send: exit {done.returncode} {done.stderr}")
        return json.loads(done.stdout)["data"]

    def close(self):
        for name in self.names.values():
            sh("ip", "netns", "del", name, check=False)


def yaml_lines(value, indent=0):
    """Just enough YAML: nested dictionaries, lists and scalars."""
    pad = "  " * indent
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                yield f"{pad}{key}:"
                yield from yaml_lines(inner, indent + 1)
            else:
                yield f"{pad}{key}: {yaml_scalar(inner)}"
    else:
        for inner in value:
            if isinstance(inner, dict):
                lines = list(yaml_lines(inner, indent + 1))
                yield pad + "- " + lines[0].lstrip()
                yield from lines[1:]
            else:
                yield f"{pad}- {yaml_scalar(inner)}"


def yaml_scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[]"
    text = str(value)
    return f'"{text}"' if any(c in text for c in ":,[]{}#") else text


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("millrace", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Receiver:
    """One millraced with a configuration and a data directory of its own."""

    def __init__(self, home, net=None, device="af_packet:rx0", **config):
        self.home, self.net = pathlib.Path(home), net
        self.data = self.home / "data"
        self.socket = self.home / "sock"
        self.path = self.home / "millraced.yaml"
        self.stderr_path = self.home / "millraced.log"
        self.stdout_path = self.home / "millraced.out"
        self.process = None
        self.wrapper = []  # words before millraced's own command
        self.config = {
            "receiver": "rig", "data": self.data, "socket": self.socket,
            "memory": {"hugepages": False},
            "ports": [{"name": "wire", "device": device,
                       "addresses": [f"{RECEIVER4}/24", f"{RECEIVER6}/64"]}],
            "listeners": [{"name": "plain", "port": PORT},
                          {"name": "lines", "port": LINES_PORT, "split": "lines"}],
            "log": {"segment_size": "64MiB"},
        }
        for key, value in config.items():
            if isinstance(value, dict) and key in self.config:
                self.config[key] = {**self.config[key], **value}
            else:
                self.config[key] = value

    def write_config(self):
        self.path.write_text("\n".join(yaml_lines(self.config)) + "\n")

    def command(self, *words):
        command = [*self.wrapper, MILLRACED, "-c", self.path, *words]
        return self.net.command("rx", *command) if self.net else [str(w) for w in command]

    def start(self, *words, wait=True):
        self.write_config()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify_path = self.home / "notify"
        notify_path.unlink(missing_ok=True)
        notify.bind(str(notify_path))
        env = dict(os.environ, NOTIFY_SOCKET=str(notify_path))
        with open(self.stderr_path, "ab") as err, open(self.stdout_path, "ab") as out:
            self.process = subprocess.Popen(self.command(*words), env=env, stdout=out, stderr=err,
                                            stdin=subprocess.DEVNULL)
        if not wait:
            notify.close()
            return self
        notify.setblocking(False)
        with notify:
            wait_until(lambda: self.ready(notify), "millraced was ready", 30)
        return self

    def ready(self, notify):
        if self.process.poll() is not None:
            raise AssertionError(f"millraced ended with {self.process.returncode} before it was "
                                 f"ready:\n{self.log_tail()}")
        with contextlib.suppress(BlockingIOError):
            return b"READY=1" in notify.recv(4096)
        return False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, expected=0, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        code = self.process.wait(30 * PATIENCE)
        expect_equal(code, expected, "exit code of millraced")
        self.expect_clean()
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def log_tail(self, lines=30):
        """The last words, or what a sanitizer said first."""
        said = self.log().splitlines()
        for number, line in enumerate(said):
            if "Sanitizer" in line or "runtime error:" in line:
                return "\n".join(said[number:number + lines])
        return "\n".join(said[-lines:])

    def expect_clean(self):
        for word in ("runtime error:", "Sanitizer"):
            expect(word not in self.log(), f"a sanitizer spoke:\n{self.log_tail()}")

    def get_text(self, path):
        connection = UnixConnection(self.socket, 5 * PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def get(self, path):
        status, text = self.get_text(path)
        expect_equal(status, 200, f"HTTP status of {path} ({text[:200]})")
        return json.loads(text)["data"]

    def cli(self, *words, check=True):
        return sh(MILLRACE, "--socket", self.socket, *words, check=check)

    def durable(self):
        """Events durable, over all partitions."""
        return sum(int(p["durable_seq"]) for p in self.get("/api/v1/partitions"))

    def wait_durable(self, events, seconds=15):
        try:
            wait_until(lambda: self.durable() >= events, f"{events} events were durable", seconds)
        except AssertionError as failed:
            raise AssertionError(f"{failed}; {self.durable()} are; drops {self.drops()}") from None
        expect_equal(self.durable(), events, "durable events")

    def drops(self):
        """{name: count} of every drop that happened, ports, lcores and partitions summed up."""
        found = {}
        for reason in self.get("/api/v1/drops")["reasons"]:
            if reason["value"]:
                found[reason["name"]] = found.get(reason["name"], 0) + reason["value"]
        return found

    def at_rest(self, seconds=15, packets=None):
        """Waits until nothing is in flight and nothing comes; then both identities are exact.

        packets: a function that says how many came by the sender's account. Without it a
        receiver that takes its time to poll (a full disk) can look as if it were at rest.
        """
        last = {}

        def resting():
            nonlocal last
            before, last = last, self.get("/api/v1/drops")
            return before == last and not last["packets"]["in_flight"] \
                and not last["events"]["in_flight"] \
                and (packets is None or last["packets"]["in"] >= packets())

        try:
            wait_until(resting, "the receiver was at rest", seconds)
        except AssertionError as failed:
            raise AssertionError(f"{failed}: {last['packets']} {last['events']}, sent "
                                 f"{packets and packets()}, {self.drops()}") from None
        for unit in ("packets", "events"):
            expect_equal(last[unit]["balance"], 0, f"balance of {unit} at rest ({last[unit]})")
        return last


def printed_durable(receiver):
    """The last `durable PARTITION SEQ` that it printed for each partition; a torn last line is
    none."""
    path, last = receiver.stdout_path, {}
    for match in re.finditer(r"^durable (\d+) (\d+)\n", path.read_text() if path.exists() else "",
                             re.M):
        partition, seq = int(match[1]), int(match[2])
        expect(seq >= last.get(partition, 0), f"durable went back to {seq}")
        last[partition] = seq
    return last


class Rig:
    """One test's resources, given back in reverse order."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="millrace-", dir="/var/tmp"))
        self.receivers = []
        if not os.environ.get("MILLRACE_KEEP"):
            self.stack.callback(shutil.rmtree, self.home, ignore_errors=True)

    def net(self, **options):
        net = Net(**options)
        self.stack.callback(net.close)
        return net

    def receiver(self, net=None, name="receiver", **options):
        home = self.home / name
        home.mkdir()
        receiver = Receiver(home, net, **options)
        self.receivers.append(receiver)
        self.stack.callback(lambda: receiver.running() and receiver.kill())
        return receiver

    def popen(self, command, **options):
        process = subprocess.Popen([str(w) for w in command], **options)

        def end():
            if process.poll() is None:
                process.kill()
                process.wait()

        self.stack.callback(end)
        return process


def run_one(test):
    begin = time.monotonic()
    rig = Rig()
    try:
        with rig.stack:
            try:
                test(rig)
            except BaseException:
                for receiver in rig.receivers:
                    print(f"--- {receiver.stderr_path.parent.name}, its last words:\n"
                          f"{receiver.log_tail()}\n---")
                raise
    except Skip as skip:
        print(f"skip {test.__name__}\n{skip}")
        return 77
    except (AssertionError, OSError, ValueError, KeyError, subprocess.SubprocessError,
            http.client.HTTPException) as failed:
        print(f"FAIL {test.__name__}: {type(failed).__name__}: {failed}")
        import traceback
        traceback.print_exc(limit=-4, file=sys.stdout)
        return 1
    print(f"ok   {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
    return 0


def run(*tests):
    """Runs the tests (or those named on the command line) and ends the process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.getuid() != 0:
        print("needs root: makes network namespaces")
        sys.exit(77)
    wanted = sys.argv[1:]
    codes = [run_one(t) for t in tests if not wanted or t.__name__ in wanted]
    if 1 in codes:
        sys.exit(1)
    sys.exit(77 if 77 in codes or not codes else 0)
