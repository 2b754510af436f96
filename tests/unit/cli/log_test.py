#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`millrace log`: log_test.py MILLRACE MAKE_LOG SCHEMA_DIR."""

import base64
import fcntl
import http.server
import io
import json
import os
import pathlib
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

import jsonschema

try:
    import pyarrow.ipc
except ImportError:
    pyarrow = None

MILLRACE, MAKE_LOG, SCHEMAS = sys.argv[1:4]
SCHEMA_BYTES = 8192


class Api(socketserver.UnixStreamServer):
    """Answers as a receiver does, with what 'answers' holds."""

    def __init__(self, path):
        self.answers = {}
        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = self.server.answers.get(self.path)
        body = json.dumps({"schema": "millrace.x/1", "data": data}).encode()
        self.send_response(200 if data is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class LogTest(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        self.data = pathlib.Path(self.tmp.name).resolve() / "data"
        self.data.mkdir()
        self.socket = self.data.parent / "s"

    def make(self, state, partition=0):
        path = self.data / str(partition)
        subprocess.run([MAKE_LOG, state, path, str(partition)], check=True,
                       env={**os.environ, "TMPDIR": self.tmp.name})
        return path

    def run_millrace(self, *args, code=0, **kwargs):
        done = subprocess.run([MILLRACE, "--socket", self.socket, *map(str, args)],
                              capture_output=True, timeout=60, check=False, **kwargs)
        self.assertEqual(done.returncode, code, done)
        return done

    def json(self, *args, code=0):
        answer = json.loads(self.run_millrace("--json", *args, code=code).stdout)
        name, version = answer["schema"].removeprefix("millrace.").split("/")
        jsonschema.validate(answer, json.loads(
            (pathlib.Path(SCHEMAS) / f"{name}.{version}.json").read_text()))
        return answer["data"]

    def lock(self):
        file = open(self.data / "lock", "w", encoding="ascii")
        self.addCleanup(file.close)
        fcntl.flock(file, fcntl.LOCK_EX)

    def test_ls_shows_every_segment_of_every_partition(self):
        self.make("whole", 0)
        self.make("torn", 1)
        rows = self.json("log", "ls", self.data)
        self.assertEqual([(r["partition"], r["first_seq"], r["rows"], r["state"]) for r in rows],
                         [(0, "0", 15, "closed"), (0, "15", None, "closed"), (1, "0", None, "open")])
        self.assertIn("closed", self.run_millrace("log", "ls", self.data / "0").stdout.decode())

    def test_verify_counts(self):
        self.make("whole")
        (row,) = self.json("log", "verify", self.data)
        self.assertEqual((row["state"], row["rows"], row["next_seq"]), ("ok", 30, "30"))
        self.assertIn(b"30 events", self.run_millrace("log", "verify", self.data / "0").stdout)

    def test_a_torn_tail_is_told_and_no_error(self):
        self.make("torn")
        (row,) = self.json("log", "verify", self.data)
        self.assertEqual((row["state"], row["bad_seq"]), ("torn", "10"))
        done = self.run_millrace("log", "cat", self.data)
        self.assertEqual(len(done.stdout.splitlines()), 10)
        self.assertIn(b"torn tail", done.stderr)

    def test_damage_is_exit_4_and_repair_mends_it(self):
        path = self.make("damaged")
        (row,) = self.json("log", "verify", self.data, code=4)
        self.assertEqual((row["state"], row["bad_seq"]), ("damaged", "10"))
        self.assertIn(b"log repair --yes", self.run_millrace("log", "verify", path, code=4).stdout)
        done = self.run_millrace("log", "cat", path, code=4)
        self.assertEqual(len(done.stdout.splitlines()), 10)
        self.assertIn(b"bad block at offset", done.stderr)
        before = [f.read_bytes() for f in path.glob("*.arrows")]
        self.run_millrace("log", "repair", path, code=5)
        self.assertEqual(before, [f.read_bytes() for f in path.glob("*.arrows")])
        (row,) = self.json("log", "repair", "--yes", path)
        self.assertEqual((row["lost_from_seq"], row["lost_to_seq"], row["intact_rows"]),
                         ("10", "30", 10))
        (row,) = self.json("log", "verify", self.data)
        self.assertEqual(row["state"], "ok")
        self.assertIn(b"no damage", self.run_millrace("log", "repair", "--yes", path).stdout)
        if pyarrow:
            (saved,) = (path / "quarantine").glob("*.arrows")
            table = pyarrow.ipc.open_stream(saved.read_bytes()).read_all()
            table.validate(full=True)
            self.assertEqual(table["seq"].to_pylist(), list(range(20, 30)))

    def test_repair_is_refused_while_a_receiver_runs(self):
        self.make("damaged")
        self.lock()
        done = self.run_millrace("log", "repair", "--yes", self.data, code=5)
        self.assertIn(b"a receiver runs", done.stderr)

    def test_cat_prints_payloads_from_a_seq_on(self):
        self.make("whole")
        lines = self.run_millrace("log", "cat", "--from", 13, "--count", 4, self.data).stdout
        self.assertEqual(lines.splitlines(), [b"k" * 100] * 2 + [b"p" * 100] * 2)

    def test_ndjson_has_all_columns(self):
        self.make("payloads")
        rows = [json.loads(line) for line in self.run_millrace(
            "log", "cat", "--format", "ndjson", self.data).stdout.splitlines()]
        self.assertEqual(rows[0]["seq"], "0")
        self.assertTrue(base64.b64decode(rows[0]["payload_base64"]).endswith(b"\xff\x00a"))
        self.assertTrue(rows[1]["payload"].endswith('say "ä"\n'))
        self.assertEqual(rows[1]["received_at"], "1970-01-01T00:00:00.000001000Z")
        self.assertEqual(set(rows[1]), {"seq", "received_at", "src_addr", "src_port", "listener",
                                        "source_id", "source_epoch", "source_seq", "payload"})

    def test_arrow_is_a_stream(self):
        self.make("whole", 0)
        self.make("whole", 1)
        data = self.run_millrace("log", "cat", "--format", "arrow", self.data).stdout
        self.assertTrue(data.endswith(b"\xff\xff\xff\xff" + bytes(4092)))
        if pyarrow:
            table = pyarrow.ipc.open_stream(io.BytesIO(data)).read_all()
            table.validate(full=True)
            self.assertEqual(table["seq"].to_pylist(), 2 * list(range(30)))

    def test_an_empty_log_is_an_empty_stream(self):
        (self.data / "0").mkdir()
        data = self.run_millrace("log", "cat", "--format", "arrow", self.data).stdout
        if pyarrow:
            self.assertEqual(pyarrow.ipc.open_stream(io.BytesIO(data)).read_all().num_rows, 0)
        self.assertEqual(self.run_millrace("log", "cat", self.data).stdout, b"")

    def test_a_closed_pipe_ends_quietly(self):
        self.make("whole")
        for reset, command in ((True, "log cat -f"), (False, "log cat -f"), (True, "log cat"),
                               (False, "log cat")):
            done = subprocess.run(
                ["sh", "-c", f'"$1" {command} "$2" | head -1', "sh", MILLRACE, self.data],
                capture_output=True, timeout=20, restore_signals=reset, check=True)
            self.assertEqual((done.stdout, done.stderr), (b"a" * 100 + b"\n", b""))

    def test_a_running_receivers_log_is_read_to_its_durable_position(self):
        path = self.make("damaged")
        self.lock()
        api = Api(self.socket)
        self.addCleanup(api.server_close)
        self.addCleanup(api.shutdown)
        offset = SCHEMA_BYTES + 4096
        api.answers = {
            "/api/v1/status": {"data_path": str(self.data)},
            "/api/v1/log": [{"partition": 0, "path": str(path), "segment_first_seq": "0",
                             "durable_offset_bytes": offset}]}
        self.assertEqual(len(self.run_millrace("log", "cat").stdout.splitlines()), 10)
        (row,) = self.json("log", "verify")
        self.assertEqual((row["state"], row["rows"]), ("ok", 10))

    def test_without_the_durable_position_the_two_newest_segments_are_left_out(self):
        self.make("three")
        self.lock()
        done = self.run_millrace("log", "cat", self.data)
        self.assertEqual(len(done.stdout.splitlines()), 15)
        self.assertIn(b"two newest segments are left out", done.stderr)
        (row,) = self.json("log", "verify", self.data)
        self.assertEqual(row["rows"], 15)

    def test_what_is_no_log_is_told(self):
        self.assertIn(b"no log in it", self.run_millrace("log", "ls", self.data, code=1).stderr)
        self.assertIn(b"No such file", self.run_millrace("log", "ls", "/nowhere", code=1).stderr)
        self.run_millrace("log", "cat", "--from", "x", self.data, code=2)

    def verify_sink(self, *words, code):
        done = self.run_millrace("sinks", "verify", "archive", "--config", self.data / "config.yaml", *words,
                                 code=code)
        return done.stdout + done.stderr

    def test_a_sink_is_verified_up_to_its_cursor(self):
        path = self.make("three")
        files, cursor = self.data / "files", path / "cursor.archive.json"
        (self.data / "config.yaml").write_text(
            f"data: {self.data}\nports: [{{device: net_null0}}]\nlisteners: [{{name: any, port: 514}}]\n"
            f"sinks: [{{name: archive, kind: files, path: {files}}}]\n")
        self.assertIn(b"empty", self.verify_sink(code=0))
        cursor.write_text("{}")
        self.assertIn(b"is damaged", self.verify_sink(code=4))
        # The place that a sink would have behind two batches.
        self.run_millrace("sinks", "reset", "archive", "--to", "2", "--yes", "--dir", self.data)
        self.assertIn(b"files: No such file", self.verify_sink(code=3))
        files.mkdir()
        self.assertIn(b"batches 0 to 1 (15 events)", self.verify_sink(code=4))
        (row,) = self.json("sinks", "verify", "archive", "--config", self.data / "config.yaml", code=4)
        self.assertEqual((row["state"], row["batches"], row["events"], row["missing_events"]),
                         ("differs", 2, 15, 15))
        text = cursor.read_text()
        shutil.rmtree(path)
        self.make("three")
        cursor.write_text(text)
        self.assertIn(b"another log", self.verify_sink(code=4))
        self.assertIn(b"no partition 7", self.verify_sink("--partition", "7", code=2))
        self.assertIn(b"archive", self.run_millrace("sinks", "verify", "none", "--config",
                                                    self.data / "config.yaml", code=2).stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
