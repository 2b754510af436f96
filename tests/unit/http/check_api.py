#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks the answers of a receiver: JSON against docs/schema, /metrics by an OpenMetrics parser.

  check_api.py SCHEMA_DIR fake FAKE_RECEIVER   starts the fake receiver and checks it
  check_api.py SCHEMA_DIR SOCKET               checks a running millraced
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile

try:
    import jsonschema
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError as missing:
    print(f"skipped: {missing} (apt-get install python3-jsonschema python3-prometheus-client)")
    sys.exit(77)

PATHS = [
    ("/healthz", "health"),
    ("/api/v1/status", "status"),
    ("/api/v1/ports", "ports"),
    ("/api/v1/ports?xstats=1", "ports"),
    ("/api/v1/partitions", "partitions"),
    ("/api/v1/batches", "batches"),
    ("/api/v1/batches?partition=0&from=0&limit=1", "batches"),
    ("/api/v1/log", "log"),
    ("/api/v1/config", "config"),
    ("/api/v1/stats", "stats"),
    ("/api/v1/drops", "drops"),
]

REFUSED = [
    ("/", 404),
    ("/api/v1/../../etc/passwd", 404),
    ("/api/v1/%2e%2e/%2e%2e/etc/passwd", 404),
    ("/api/v1/stats/", 404),
    ("/%ff%fe", 404),
    ("/api/v1/batches?partition=x", 400),
    ("/api/v1/batches?partition=-1", 400),
    ("/api/v1/batches?partition=999999", 400),
    ("/api/v1/batches?from=18446744073709551616", 400),
    ("/api/v1/batches?limit=1001", 400),
    ("/api/v1/batches?limit=5%00", 400),
    ("/api/v1/batches?partition=", 400),
    ("/api/v1/ports?xstats=yes", 400),
    ("/api/v1/ports?xstats=%ff", 400),
]


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("millrace", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def get(path, url, method="GET"):
    connection = Connection(path)
    connection.request(method, url)
    response = connection.getresponse()
    return response, response.read()


def envelope(schemas, body, name):
    document = json.loads(body)
    with open(os.path.join(schemas, name + ".1.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


def check_json(path, schemas):
    for url, name in PATHS:
        response, body = get(path, url)
        if response.status not in (200, 503):
            raise AssertionError(f"{url}: status {response.status}")
        assert response.headers["content-type"] == "application/json"
        envelope(schemas, body, name)
    for url, status in REFUSED:
        response, body = get(path, url)
        if response.status != status:
            raise AssertionError(f"{url}: status {response.status}, not {status}")
        assert envelope(schemas, body, "error")["data"]["status"] == status
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        response, body = get(path, "/api/v1/stats", method)
        assert response.status == 405 and response.headers["allow"] == "GET, HEAD"
        envelope(schemas, body, "error")
    response, body = get(path, "/api/v1/status", "HEAD")
    assert response.status == 200 and body == b"" and int(response.headers["content-length"]) > 0


def check_metrics(path):
    response, body = get(path, "/metrics")
    assert response.status == 200
    kind = response.headers["content-type"]
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8", kind
    families = {f.name: f for f in text_string_to_metric_families(body.decode())}
    assert families["millrace_build"].samples[0].value == 1
    stats = json.loads(get(path, "/api/v1/stats")[1])["data"]
    for row in stats:
        family = families[f"millrace_{row['subsystem']}_{row['name']}"]
        kinds = {"total": "counter", "gauge": "gauge", "histogram": "histogram"}
        assert family.type == kinds[row["kind"]], family
        want = row["labels"].items()
        assert any(want <= s.labels.items() for s in family.samples), (row, family)
        if row["kind"] == "histogram":
            buckets = sum(s.name.endswith("_bucket") for s in family.samples)
            sets = sum(s.name.endswith("_count") for s in family.samples)
            assert 10 * sets <= buckets <= 32 * sets, buckets
    return len(families)


def check_top(schemas):
    """Schemas of what only the command prints are at least schemas."""
    for name in sorted(os.listdir(schemas)):
        with open(os.path.join(schemas, name), encoding="utf-8") as file:
            jsonschema.Draft202012Validator.check_schema(json.load(file))


def check(path, schemas):
    check_top(schemas)
    check_json(path, schemas)
    print(f"{check_metrics(path)} metric families, {len(PATHS)} answers, {len(REFUSED)} refusals")


def check_fake(program, schemas):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "made", "here.sock")
        for mode in (["still"], ["failed"], ["degraded"]):
            with subprocess.Popen(
                [program, path, *mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as fake:
                assert fake.stdout.readline() == b"ready\n"
                check(path, schemas)
                status = get(path, "/healthz")[0].status
                assert status == (503 if mode == ["failed"] else 200)
            assert fake.returncode == 0 and not os.path.exists(path)


if __name__ == "__main__":
    if sys.argv[2] == "fake":
        check_fake(sys.argv[3], sys.argv[1])
    else:
        check(sys.argv[2], sys.argv[1])
