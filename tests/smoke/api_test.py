#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""The API and the command line of a running receiver: schemas, figures, exit codes, bad input."""

import json
import os
import socket

import jsonschema
import rig
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from rig import MILLRACE, TREE, expect, expect_equal, sh

PATHS = ["/healthz", "/api/v1/status", "/api/v1/ports", "/api/v1/ports?xstats=1",
         "/api/v1/partitions", "/api/v1/batches?partition=0", "/api/v1/log", "/api/v1/config",
         "/api/v1/stats", "/api/v1/drops"]

COMMANDS = [["status"], ["stats"], ["stats", "--nonzero"], ["drops"], ["ports"],
            ["ports", "--xstats"], ["batches"], ["top", "--once"], ["log", "ls"],
            ["config", "show"]]


def validate(text, what):
    envelope = json.loads(text)
    name = envelope["schema"].removeprefix("millrace.").replace("/", ".")
    path = TREE / f"docs/schema/{name}.json"
    expect(path.exists(), f"{what}: no schema {path.name}")
    try:
        jsonschema.validate(envelope, json.loads(path.read_text()))
    except jsonschema.ValidationError as error:
        raise AssertionError(f"{what}: {error.message} at {list(error.absolute_path)}") from None
    return envelope


def loaded(r, events=3000):
    net = r.net()
    receiver = r.receiver(net).start()
    account = net.send_events("--rate", 10000, "--count", events, "--size", 100)
    receiver.at_rest()
    return receiver, receiver.durable(), account


def every_answer_keeps_to_its_schema(r):
    receiver, _, _ = loaded(r)
    for path in PATHS:
        status, text = receiver.get_text(path)
        expect_equal(status, 200, f"status of {path} ({text[:300]})")
        validate(text, path)
    for path, wanted in (("/api/v1/nothing", 404), ("/api/v1/batches?partition=9", 400),
                         ("/api/v1/batches?partition=x", 400), ("/../../etc/passwd", 404)):
        status, text = receiver.get_text(path)
        expect_equal(status, wanted, f"status of {path}")
        validate(text, path)
    receiver.stop()


def metrics_agree_with_what_was_sent(r):
    receiver, durable, _ = loaded(r)
    _, text = receiver.get_text("/metrics")
    families = {f.name: f for f in text_string_to_metric_families(text)}
    rows = families["millrace_partition_rows_durable"].samples
    expect_equal(sum(s.value for s in rows), durable, "millrace_partition_rows_durable_total")
    expect(all(f.documentation for f in families.values()), "a metric without help")
    receiver.stop()


def every_command_speaks_json_and_text(r):
    receiver, durable, _ = loaded(r)
    for words in COMMANDS:
        for line in receiver.cli("--json", *words).stdout.splitlines():
            validate(line, " ".join(words))
        text = receiver.cli(*words).stdout
        expect(text.strip(), f"{words}: says nothing")
        expect("\033" not in text, f"{words}: escape codes without a terminal")
    status = receiver.cli("status").stdout.splitlines()
    expect_equal(len(status), 4, f"lines of status ({status})")
    batches = json.loads(receiver.cli("--json", "batches").stdout)["data"]["batches"]
    expect_equal(sum(b["rows"] for b in batches), durable, "rows of all batches")
    receiver.stop()


def exit_codes_are_as_documented(r):
    receiver, _, _ = loaded(r)
    expect_equal(receiver.cli("status").returncode, 0, "status of a healthy receiver")
    expect_equal(receiver.cli("no-such-command", check=False).returncode, 2, "unknown command")
    expect_equal(receiver.cli("top", "--no-such", check=False).returncode, 2, "unknown option")
    receiver.stop()
    expect_equal(receiver.cli("status", check=False).returncode, 3, "nobody there")
    for words in (["version"], ["help"], ["config", "docs"], ["completion", "bash"]):
        done = sh(MILLRACE, *words)
        expect(done.stdout.strip(), f"{words}: says nothing")


def bad_requests_do_not_block_the_socket(r):
    receiver, _, _ = loaded(r)
    hung = []
    for number in range(40):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(2 * rig.PATIENCE)
        try:
            client.connect(str(receiver.socket))
            client.sendall([b"", b"GET /metrics HTTP/1.1\r\n", os.urandom(3000),
                            b"A" * 100000][number % 4])
        except OSError:
            pass
        hung.append(client)
    status, _ = receiver.get_text("/healthz")
    expect_equal(status, 200, "health while 40 clients hang")
    for client in hung:
        client.close()
    expect_equal(receiver.get_text("/healthz")[0], 200, "health afterwards")
    receiver.stop()


rig.run(every_answer_keeps_to_its_schema, metrics_agree_with_what_was_sent,
        every_command_speaks_json_and_text, exit_codes_are_as_documented,
        bad_requests_do_not_block_the_socket)
