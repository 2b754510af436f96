#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What comes by the pull API is what is in the log, read by pyarrow; JSON against docs/schema.

  check_pull.py TREE PULL_SERVER
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

TREE = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(TREE / "tests/lib"))

try:
    import jsonschema
    import pyarrow  # noqa: F401, which pull needs
    import certificates
    from pull import Client, Consumer
except ImportError as missing:
    print(f"skipped: {missing} (scripts/deps.sh test)")
    sys.exit(77)

CANARY = "canary-4b1f0c6f2d7a"
SECRETS = {"read": f"{CANARY}-reader", "consume": f"{CANARY}-consumer", "admin": f"{CANARY}-admin"}


class Server:
    def __init__(self, directory, retain=0, tls=False):
        self.directory = directory
        self.socket = directory / "socket"
        self.command = [sys.argv[2], directory / "0", self.socket, str(retain)]
        if tls:
            self.certificate, key = certificates.make(directory)
            tokens = directory / "tokens"
            tokens.touch(0o600)
            tokens.write_text("".join(f"{role} {role}er {secret}\n"
                                      for role, secret in SECRETS.items()))
            self.command += ["127.0.0.1:0", self.certificate, key, tokens]
        self.said = open(directory / "stderr", "ab+")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=self.said)
        ready = self.process.stdout.readline().split()
        assert ready and ready[0] == "ready", (self.directory / "stderr").read_text()
        self.port = int(ready[1])
        self.client = Client.unix(self.socket)

    def batches(self, count, rows, payload=8, kind="batch"):
        for _ in range(count):
            print(kind, rows, payload, file=self.process.stdin, flush=True)
            assert self.process.stdout.readline() == "ok\n"

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def server(**options):
    with tempfile.TemporaryDirectory() as directory:
        one = Server(pathlib.Path(directory), **options)
        try:
            yield one
            one.stop()
        finally:
            one.kill()


def check_schema(document):
    name = document["schema"].removeprefix("millrace.").replace("/", ".")
    schema = json.loads((TREE / f"docs/schema/{name}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


def seqs(table):
    payloads = [int.from_bytes(payload[:8], "little") for payload in table["payload"].to_pylist()]
    assert payloads == table["seq"].to_pylist()
    return payloads


def streams_are_what_is_in_the_log():
    with server() as one:
        one.batches(5, 7)
        one.batches(12, 100, 1000)
        one.batches(1, 3, kind="rows")
        headers, table = one.client.batches(0, "oldest", "?max_batches=1000")
        assert seqs(table) == list(range(5 * 7 + 12 * 100))
        assert headers["Millrace-Next-Batch"] == "17" and headers["Millrace-End-Seq"] == "1235"
        meta = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
        assert any("514" in value for value in meta.values()), meta
        _, table = one.client.batches(0, 3)
        assert seqs(table) == list(range(21, 28))
        again = [one.client.ask("GET", "/api/v1/partitions/0/batches/3")[2] for _ in range(2)]
        assert again[0] == again[1]  # the same batch gives the same bytes
        status, headers, data = one.client.ask("HEAD", "/api/v1/partitions/0/batches/3")
        assert status == 200 and data == b"" and headers["Millrace-Batch"] == "3"


def a_consumer_sees_each_row_once():
    with server(retain=2 << 20) as one:
        one.batches(60, 100, 1000)
        first = Consumer(one.client, 0, "spark", ttl="10m", max_bytes=32 << 20)
        check_schema(one.client.want(200, "GET", first.path))
        begin, got = int(first.place["next_seq"]), []  # retention has had its part before
        for i in range(60):
            got += seqs(first.pull())
            if i % 5 == 4:
                check_schema(first.commit())
                one.batches(5, 100, 1000)
        uncommitted = seqs(first.pull("?max_batches=5"))
        one.stop()
        one.start()
        second = Consumer(one.client, 0, "spark")
        assert int(second.place["token"]) > int(first.place["token"])
        first.client = one.client
        assert "taken" in first.commit(status=409)["data"]["text"]
        assert seqs(second.pull("?max_batches=5")) == uncommitted
        second.commit()
        while int(second.place["next_batch"]) < int(second.place["durable_batch"]):
            got += seqs(second.pull("?max_bytes=1000000"))
            second.commit()
        assert sorted(got + uncommitted) == list(range(begin, 12000))
        everything = one.client.want(200, "GET", "/api/v1/consumers")
        check_schema(everything)
        assert [c["lag_batches"] for c in everything["data"]] == [0]
        assert "token" not in everything["data"][0]
        check_schema(one.client.want(200, "GET", "/api/v1/partitions/0/consumers"))
        check_schema(one.client.want(404, "GET", "/api/v1/partitions/0/consumers/other"))
        check_schema(one.client.want(200, "DELETE", second.path))


def what_retention_took_is_gone():
    with server(retain=2 << 20) as one:
        one.batches(60, 100, 1000)
        oldest = None
        while oldest is None:
            status, headers, _ = one.client.ask("GET", "/api/v1/partitions/0/batches/0")
            oldest = headers["Millrace-Oldest-Batch"] if status == 410 else None
        headers, table = one.client.batches(0, oldest)
        assert headers["Millrace-Batch"] == oldest and len(seqs(table)) == 100


def secrets_are_nowhere():
    with server(tls=True) as one:
        one.batches(3, 10)
        clients = [Client.tls(one.port, one.certificate, token)
                   for token in (None, f"{CANARY}-wrong", *SECRETS.values())]
        batch, consumer = "/api/v1/partitions/0/batches/0", "/api/v1/partitions/0/consumers/c"
        statuses = [(client.ask("GET", batch)[0], client.ask("PUT", consumer)[0],
                     client.ask("GET", "/api/v1/consumers")[0], client.ask("GET", "/nowhere")[0])
                    for client in clients]
        assert statuses == [(401, 401, 401, 401), (401, 401, 401, 401), (403, 403, 200, 404),
                            (200, 200, 200, 404), (200, 200, 200, 404)], statuses
        assert len(seqs(clients[3].batches(0, "oldest", "?max_batches=3")[1])) == 30
        unix = one.client
        for path in ("/metrics", "/api/v1/stats", "/api/v1/consumers"):
            unix.want(200, "GET", path)
        (one.directory / "tokens").write_text(f"read reader {CANARY}\nnonsense {CANARY} x\n")
        assert clients[2].ask("GET", "/metrics")[0] == 503
        process = pathlib.Path(f"/proc/{one.process.pid}")
        places = {"stderr": (one.directory / "stderr").read_bytes(),
                  "arguments": (process / "cmdline").read_bytes(),
                  "answers": b"".join(a for client in (unix, *clients) for a in client.seen),
                  "consumers": (one.directory / "0/consumers.json").read_bytes()}
        for place, text in places.items():
            assert CANARY.encode() not in text, (place, text)
        assert b"tokens" in places["stderr"]


CHECKS = [streams_are_what_is_in_the_log, a_consumer_sees_each_row_once,
          what_retention_took_is_gone, secrets_are_nowhere]

for check in CHECKS:
    check()
    print(f"ok {check.__name__}")
