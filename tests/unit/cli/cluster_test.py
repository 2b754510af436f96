#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""millrace cluster against the fake control process: texts, JSON by the schemas, exit codes, redirects.

cluster_test.py MILLRACE FAKE_CORE SCHEMA_DIR
"""

import contextlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import jsonschema

MILLRACE, FAKE, SCHEMAS = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
READER, ADMIN = "reader-secret-0123456789", "admin-secret-0123456789"
RECEIVER = "ports:\n  - device: net_null0\nlisteners:\n  - {name: a, port: 5140}\n"


def run(control, *words, **more):
    return subprocess.run([MILLRACE, "cluster", *words, "--control", str(control)], capture_output=True,
                          text=True, timeout=30, check=False, **more)


def expect(result, code, out=None, err=None):
    where = f"{result.args}: {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert result.returncode == code, where
    assert out is None or out in result.stdout, where
    assert err is None or err in result.stderr, where
    assert code == 0 or result.stderr or result.stdout, where
    assert "-secret-" not in result.stdout + result.stderr, where
    return result


def validate(text, name):
    schema = json.loads((SCHEMAS / f"{name}.1.json").read_text(encoding="utf-8"))
    document = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(document)
    return document["data"]


def ask(control, name, *words):
    """With --json: the data."""
    result = expect(run(control, *words, "--json"), 0)
    assert result.stdout.count("\n") == 1 and result.stderr == "", result
    return validate(result.stdout, f"cluster-{name}")


@contextlib.contextmanager
def fake(path, *words):
    """Its port of TCP."""
    with subprocess.Popen([FAKE, path, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        ready, port = process.stdout.readline().split()
        assert ready == "ready"
        yield int(port)
        process.stdin.close()
        assert process.wait(10) == 0


@contextlib.contextmanager
def answering(path, answer):
    """A server that gives each connection that answer (None: none), and the requests that came."""
    came, held = [], []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client = server.accept()[0]
                    came.append(client.recv(65536).decode())
                    if answer is None:
                        held.append(client)
                        continue
                    client.sendall(answer.encode())
                    client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield came
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for client in held:
            client.close()


def check_reads(tmp):
    control = tmp / "control"
    with fake(control):
        expect(run(control, "status"), 0, out="cluster     test, led by fake\n")
        expect(run(control, "status"), 0, out="receivers   2 running\n")
        expect(run(control, "receivers"), 0, out="r2        slave2  running")
        expect(run(control, "receivers"), 0, out="150 k")
        expect(run(control, "tasks"), 0, out="r1.1  r1        slave1  TASK_RUNNING")
        expect(run(control, "events"), 0, out="lead        -                 -                 elected\n")
        assert run(control, "events", "--from", "1").stdout == ""
        expect(run(control, "leader"), 0, out=f"fake leads, at unix:{control} (the one asked)\n")
        for name in ("status", "receivers", "tasks", "events", "leader"):
            ask(control, name, name)
        run(control, "restart")
        expect(run(control, "status"), 1, out="receivers   1 running, 1 ending\n")
    with fake(control, "alarm"):
        expect(run(control, "status"), 1, out="placement   running\n")
    with fake(control, "ill"):
        expect(run(control, "status"), 1, out="alarm       framework_removed: Mesos has removed the framework")
        expect(run(control, "status"), 1, out="mesos       removed, master -, framework -: Framework has")
        expect(run(control, "status"), 1, out="placement   frozen: no framework\n")
        validate(expect(run(control, "status", "--json"), 1).stdout, "cluster-status")


def check_commands(tmp):
    control = tmp / "control"
    with fake(control):
        expect(run(control, "scale", "3"), 0, out="3 receivers wanted instead of 2; desired state: version 8\n")
        assert ask(control, "scale", "scale", "1") == {"version": 9, "count": 1, "from": 3}
        expect(run(control, "status"), 0, out="wanted      1 receivers, version 9\n")
        expect(run(control, "scale", "99"), 5, err="cluster scale: placement is frozen")
        assert expect(run(control, "scale", "99", "--json"), 5).stdout == ""
        expect(run(control, "drain", "nowhere"), 1, err="no slave is called 'nowhere'")
        expect(run(control, "drain", "slave9", "--off"), 0, out="slave slave9 drains no more")
        expect(run(control, "drain", "slave9"), 0, out="no receiver is on it")
        expect(run(control, "replace", "slave1"), 0, out="others take the place of: r1\n")
        expect(run(control, "restart", "--receiver", "r7"), 1, err="no receiver is called 'r7'")
        expect(run(control, "restart", "--receiver", "r1"), 0, out="restarted one at a time: r1\n")
        expect(run(control, "reset"), 5, err="register a new framework: tasks of the old one")
        assert ask(control, "events", "events")[-1]["decision"] == "restart"
        expect(run(control, "reset", "--yes"), 0, out="registers a new one")
        ask(control, "drain", "drain", "slave1")
        ask(control, "replace", "replace", "slave2")
        ask(control, "restart", "restart")
        ask(control, "reset", "reset", "--yes")


def check_apply(tmp):
    control, good, bad = tmp / "control", tmp / "good.yaml", tmp / "bad.yaml"
    (tmp / "millraced.yaml").write_text(RECEIVER)
    text = "count: 4\nlog: {attribute: log}\nmem: 1GiB\nreceiver: millraced.yaml\n"
    good.write_text(text)
    bad.write_text(text + "bogus: 1\n")
    with fake(control):
        dry = expect(run(control, "apply", good, "--dry-run"), 0, out="KEY    FROM  TO\ncount  2     4\n")
        assert "Nothing was changed" in dry.stdout and "1 receiver would be restarted" in dry.stdout
        expect(run(control, "status"), 0, out="wanted      2 receivers, version 7\n")
        assert ask(control, "apply", "apply", good, "--dry-run")["changes"][0]["to"] == "4"
        expect(run(control, "apply", good), 0, out="count  2     4\n\n1 receiver to be restarted, one at a "
               "time\ndesired state: version 8\n")
        expect(run(control, "apply", good), 0, out="nothing changes\n")
        ask(control, "apply", "apply", good)
        expect(run(control, "apply", bad), 4, err=f"{bad}:5: error: ")
        judged = validate(expect(run(control, "apply", bad, "--json"), 4).stdout, "config-check")
        assert judged["path"] == str(bad) and not judged["valid"] and judged["problems"][0]["line"] == 5
        (tmp / "millraced.yaml").write_text(RECEIVER + "bogus: 1\n")
        expect(run(control, "apply", good), 4, err=f"{good}:4: error: millraced.yaml:5: bogus: unknown key")
        (tmp / "millraced.yaml").write_text(RECEIVER)
        good.write_text(text.replace("4", "9"))
        expect(run(control, "apply", good), 4, err="cluster apply: count: more than there can be")
        expect(run(control, "apply", tmp / "nowhere"), 1, err="No such file")
        assert ask(control, "status", "status")["desired"] == {"count": 4, "version": 8}


def slaves(control):
    return {row["name"]: row["slave"] for row in ask(control, "receivers", "receivers")}


def on_a_terminal(control, *words):
    """With stderr on one: what it shows, and the exit code."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([MILLRACE, "cluster", *words, "--control", control], stdout=subprocess.PIPE,
                          stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        return shown.decode(), process.wait(10)


def drain_for_a_moment(control):
    began = time.monotonic()
    expect(run(control, "drain", "slave1", "--wait", "--for", "300ms"), 6,
           err="it goes on: 1 receiver on slave1, the first is ending")
    return time.monotonic() - began


def check_waiting(tmp):
    control = tmp / "control"
    with fake(control):
        assert any(drain_for_a_moment(control) < 0.9 for _ in range(3)), "longer than --for"
        assert slaves(control)["r1"] == "slave1"
        expect(run(control, "drain", "slave1", "--wait"), 0, out="slave slave1 drains: r1\n")
        assert slaves(control)["r1"] != "slave1" and slaves(control)["r1.old"] == "slave1"
        shown, code = on_a_terminal(control, "drain", "slave2", "--wait")
        assert code == 0 and "\r1 receiver on slave2, the first is ending\x1b[K" in shown, shown
        assert shown.endswith("\r\x1b[K"), shown
        before = {row["task_id"] for row in ask(control, "tasks", "tasks")}
        expect(run(control, "restart", "--wait", "--for", "100ms"), 6, err="2 of 2 receivers to go, next is r1")
        expect(run(control, "restart", "--wait"), 0, out="restarted one at a time: r1, r2\n")
        assert not before & {row["task_id"] for row in ask(control, "tasks", "tasks")}
        expect(run(control, "drain", "slave1", "--for", "1s"), 2, err="--for is how long --wait waits")
        expect(run(control, "drain", "slave1", "--off", "--wait"), 2, err="--off has nothing to --wait for")
        expect(run(control, "restart", "--wait", "--for", "soon"), 2, err="--for soon: wants a time")


def check_interrupted_wait(tmp):
    control = tmp / "control"
    with fake(control):
        run(control, "restart")
        with subprocess.Popen([MILLRACE, "cluster", "drain", "slave1", "--wait", "--control", control],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert "drains" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert process.stderr.read() == ""


class Follower:
    """millrace cluster events --follow."""

    def __init__(self, control, *words):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [MILLRACE, "cluster", "events", "--follow", *words, "--control", control],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self):
        assert select.select([self.process.stdout], [], [], 20)[0], "no line came"
        return self.process.stdout.readline()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        err = self.process.communicate(timeout=10)[1]
        assert self.process.returncode == 130 and time.monotonic() - began < 5
        return err


def check_following(tmp):
    control = tmp / "control"
    with fake(control):
        follower, other = Follower(control), Follower(control, "--json")
        assert " lead " in follower.line()
        validate(other.line(), "cluster-events")
        run(control, "scale", "3")
        assert follower.line().startswith("2  20")
        assert [event["decision"] for event in validate(other.line(), "cluster-events")] == ["scale"]
        assert other.end() == ""
        run(control, "scale", "4")
        assert follower.line().startswith("3  20")
    # Another one comes in its place.
    with fake(control):
        for count in "123":
            run(control, "scale", count)
        assert follower.line().startswith("4  20")
        err = follower.end()
        assert err.count("\n") == 1 and err.endswith("; trying on\n"), err


def requests_of(control):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return int(re.search(r"^millrace_http_requests_total (\d+)$", text, re.M)[1]) - 1


def check_redirects(tmp):
    leader, follower = tmp / "leader", tmp / "follower"
    reader, admin, crt = tmp / "reader", tmp / "admin", ["--ca", tmp / "crt"]
    reader.write_text(READER + "\n")
    admin.write_text(ADMIN)
    with fake(leader, "name=one", f"tcp={tmp}") as port:
        url = f"https://127.0.0.1:{port}"
        with fake(follower, "name=two", f"leader={url}", f"tcp={tmp}") as second:
            for control in (url, follower, f"https://127.0.0.1:{second}"):
                expect(run(control, "status", "--token", reader, *crt), 0, out="led by one\n")
                expect(run(control, "scale", "3", "--token", admin, *crt), 0, out="3 receivers wanted")
                expect(run(control, "scale", "3", "--token", reader, *crt), 5, err="wants a token of the role admin")
                expect(run(control, "status", *crt), 5, err="give it with --token FILE")
                expect(run(control, "events", "--from", "1", "--token", reader, *crt), 0, out=" scale ")
            expect(run(follower, "leader"), 0, out=f"other leads, at {url}\n")
            expect(run(follower, "status", "--token", reader), 3, err="name that of its CA with --ca FILE")
            expect(run(follower, "status", "--token", reader, "--ca", reader), 2, err="no certificates")
            (tmp / "wrong").write_text("wrong-secret-0123456789")
            expect(run(follower, "status", "--token", tmp / "wrong", *crt), 5, err="that of --token is none")
    expect(run(url, "status", *crt), 3, err=f"nobody listens on {url}: start millrace-control")
    with fake(follower, f"tcp={tmp}", "leader=self"):
        expect(run(follower, "status", "--token", reader, *crt), 3, err="redirected more than 3 times")
        assert requests_of(follower) == 4
    with fake(follower, "leader="):
        expect(run(follower, "status"), 3, err="no leader is known")
        expect(run(follower, "leader"), 1, out="no leader is known\n")
    with fake(follower, "leader=unix:/run/x"):
        expect(run(follower, "status"), 3, err="serves only the Unix socket /run/x of its host")


def check_what_is_not_followed(tmp):
    control, token = tmp / "odd", tmp / "reader"
    answer = "HTTP/1.1 307 x\r\nLocation: {}/api/v1/cluster/status\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        where = f"http://127.0.0.1:{trap.getsockname()[1]}"
        with answering(control, answer.format(where)) as came:
            expect(run(control, "status", "--token", token), 5, err=f"'{where}/api/v1/cluster/status', which is no")
        assert came[0].startswith("GET /api/v1/cluster/status ") and READER not in came[0], came
        with contextlib.suppress(TimeoutError):
            assert trap.accept() is None, "it came"


def check_bad_answers(tmp):
    control = tmp / "control"
    for number, answer in enumerate(["HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\nhi",
                                     "HTTP/1.1 307 x\r\nContent-Length: 0\r\n\r\n"]):
        path = tmp / f"bad{number}"
        with answering(path, answer):
            assert run(path, "status").returncode in (1, 5)
    with answering(tmp / "silent", None):
        expect(run(tmp / "silent", "status", "--timeout", "200ms"), 6, err="within 200 ms: wait longer")
        expect(run(tmp / "silent", "scale", "2", "--timeout", "200ms"), 6, err="the command may still take effect")
    with fake(control, "mute"):
        expect(run(control, "scale", "2", "--timeout", "200ms"), 6, err="it may still take effect: see 'millrace")
    expect(run(control, "status"), 3, err="nobody listens on")


def check_usage(tmp):
    control = tmp / "control"
    for words, said in [
        (["scale"], "needs N"), (["scale", "-1"], "unknown option"), (["scale", "x"], "wants a number"),
        (["scale", "1001"], "from 0 to 1000"), (["drain"], "needs SLAVE"), (["events", "--from", "x"], "--from x"),
        (["apply"], "needs FILE"), (["status", "--token", tmp / "nowhere"], "No such file"),
        (["status", "--token", tmp / "two"], "wants the secret alone"), (["statsu"], "did you mean 'cluster status'"),
    ]:
        (tmp / "two").write_text("read someone " + READER)
        expect(run(control, *words), 2, err=said)
    for url in ("http://x", "https://x/y", "https://u@x", "zk://x"):
        expect(run(url, "status"), 2, err=f"--control {url}: wants a socket's path, or https://HOST:PORT")


def main():
    with tempfile.TemporaryDirectory() as name:
        tmp = pathlib.Path(name)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", tmp / "key", "-out", tmp / "crt"],
                       check=True, stderr=subprocess.DEVNULL)
        (tmp / "tokens").write_text(f"read someone {READER}\nadmin me {ADMIN}\n")
        for secret in ("key", "tokens"):
            (tmp / secret).chmod(0o600)
        for check in (check_reads, check_commands, check_apply, check_waiting, check_interrupted_wait,
                      check_following, check_redirects, check_what_is_not_followed, check_bad_answers, check_usage):
            began = time.monotonic()
            check(tmp)
            print(f"{check.__name__} {time.monotonic() - began:.1f} s")


main()
