#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the commands that look at a receiver against the fake one.

  check_seeing.py MILLRACE FAKE_RECEIVER SCHEMA_DIR
"""

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

try:
    import jsonschema
except ImportError as missing:
    print(f"skipped: {missing} (apt-get install python3-jsonschema)")
    sys.exit(77)

MILLRACE, FAKE, SCHEMAS = sys.argv[1:4]


def run(path, *words, timeout=20):
    return subprocess.run(
        [MILLRACE, "--socket", path, *words],
        capture_output=True, text=True, timeout=timeout, check=False)


def expect(result, code, out=None, err=None):
    where = f"{result.args}: {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert result.returncode == code, where
    assert out is None or out in result.stdout, where
    assert err is None or err in result.stderr, where
    return result


@contextlib.contextmanager
def receiver(path, *mode):
    with subprocess.Popen(
        [FAKE, path, *mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as fake:
        assert fake.stdout.readline() == b"ready\n"
        yield fake
        fake.stdin.close()
        assert fake.wait(10) == 0


def validate(text, name):
    with open(os.path.join(SCHEMAS, name + ".1.json"), encoding="utf-8") as file:
        jsonschema.Draft202012Validator(json.load(file)).validate(json.loads(text))


def texts(path):
    expect(run(path, "status"), 0, out="health  ok, up 1.1 d\n")
    assert len(run(path, "status").stdout.splitlines()) == 4
    expect(run(path, "top", "--once", "-d", "200ms"), 0, out="write amplification 1.10")
    expect(run(path, "stats", "below_*", "--rate", "200ms"), 0, out="below_packets")
    expect(run(path, "stats", "events_open", "--nonzero"), 1, err="no counter")
    expect(run(path, "drops"), 0, out="balance 0")
    expect(run(path, "ports"), 0, out="net_af_xdp copy")
    expect(run(path, "ports", "--xstats"), 0, out="rx_good_packets", err="AF_XDP copies")
    expect(run(path, "batches"), 0, out="FIRST SEQ")


def jsons(path):
    for words, name in [
        (["status"], "status"), (["top", "--once", "-d", "100ms"], "top"), (["stats"], "stats"),
        (["stats", "--rate", "100ms"], "stats"), (["drops"], "drops"), (["ports"], "ports"),
        (["ports", "--xstats"], "ports"), (["batches"], "batches"),
    ]:
        result = expect(run(path, *words, "--json"), 0)
        assert result.stdout.count("\n") == 1 and result.stderr == ""
        validate(result.stdout, name)


def usage(path):
    for words in (["batches", "-n", "0"], ["batches", "--from", "-1"], ["top", "-d", "never"],
                  ["top", "-d", "0"], ["stats", "--rate", "x"], ["batches", "-p", "99"]):
        expect(run(path, *words), 2, err="wants a ")


def at_rest(path):
    expect(run(path, "drops", "--check"), 0)


def unreachable(tmp):
    none = os.path.join(tmp, "none.sock")
    for command in ("status", "top", "stats", "drops", "ports", "batches"):
        expect(run(none, command), 3, err="nobody listens on")
    expect(run("/" + "x" * 200, "status"), 3, err="too long")


def odd_servers(tmp):
    """Somebody listens, but is no receiver, or says nothing."""
    path = os.path.join(tmp, "odd.sock")
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
               b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[[", b"hello\r\n", b""]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve():
            for answer in answers:
                connection, _ = server.accept()
                connection.recv(4096)
                connection.sendall(answer)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        expect(run(path, "ports"), 1, err="is not Millrace's")
        expect(run(path, "ports"), 1, err="is not Millrace's")
        expect(run(path, "ports"), 3)
        expect(run(path, "ports"), 3)
        thread.join()
        expect(run(path, "--timeout", "200ms", "ports"), 6, err="within 200 ms")


def read_until(fd, want, seconds=10):
    seen, end = b"", time.monotonic() + seconds
    while want not in seen:
        assert time.monotonic() < end, seen
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:  # the other side is closed
                break
    assert want in seen, seen
    return seen


def on_a_terminal(path, number, status):
    """The screen is taken, refreshed in place, and given back by whatever ends it."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(MILLRACE, [MILLRACE, "--socket", path, "top", "-d", "100ms"])
    seen = read_until(fd, b"lcores busy")
    assert b"\033[?1049h" in seen and b"\033[H" in seen
    read_until(fd, b"lcores busy")
    os.kill(pid, signal.SIGWINCH)
    read_until(fd, b"lcores busy")
    os.kill(pid, number)
    read_until(fd, b"\033[?25h\033[?1049l")
    assert os.waitpid(pid, 0)[1] == status, number
    os.close(fd)


def survives_a_restart(tmp):
    """top on a terminal waits for a receiver that went away; without one it ends."""
    path = os.path.join(tmp, "restart.sock")
    pid = None
    with receiver(path):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(MILLRACE, [MILLRACE, "--socket", path, "top", "-d", "100ms"])
        read_until(fd, b"lcores busy")
        plain = subprocess.Popen([MILLRACE, "--socket", path, "top", "-d", "100ms"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "millrace top" in plain.stdout.readline()
    read_until(fd, b"nobody listens")
    out, err = plain.communicate(timeout=10)
    assert plain.returncode == 3 and "nobody listens" in err and "\033" not in out
    with receiver(path):
        read_until(fd, b"restarted in between")
    os.kill(pid, signal.SIGTERM)
    read_until(fd, b"\033[?1049l")
    os.waitpid(pid, 0)
    os.close(fd)


def follows(path):
    with subprocess.Popen([MILLRACE, "--socket", path, "batches", "--follow", "--json"],
                          stdout=subprocess.PIPE, text=True) as command:
        seen, first = [], None
        while first is None or len(seen) < first + 2:
            line = command.stdout.readline()
            validate(line, "batches")
            seen += [int(b["batch"]) for b in json.loads(line)["data"]["batches"]]
            first = len(seen) if first is None else first
        command.send_signal(signal.SIGINT)
        assert command.wait(10) == 130
    assert seen == list(range(seen[0], seen[0] + len(seen))), seen


def main():
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "fake.sock")
        with receiver(path):
            texts(path)
            jsons(path)
            usage(path)
            follows(path)
            on_a_terminal(path, signal.SIGINT, 130 << 8)
            on_a_terminal(path, signal.SIGTERM, 130 << 8)
            on_a_terminal(path, signal.SIGHUP, signal.SIGHUP)
        with receiver(path, "still"):
            at_rest(path)
        for mode in ("degraded", "failed"):
            with receiver(path, mode):
                expect(run(path, "status"), 1, out=f"health  {mode}, up")
        unreachable(tmp)
        odd_servers(tmp)
        survives_a_restart(tmp)


main()
