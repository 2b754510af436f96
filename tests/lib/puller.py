#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A pull client that may be killed at any moment, with no code of Millrace: puller.py SOCKET PARTITION NAME DIR

It keeps each batch as DIR/LOG_ID-BATCH.arrows, an Arrow IPC stream, and commits its cursor only when
that is on the disk. Who is killed in between gets the same batch again under the same name. It ends
by SIGTERM.
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import sys
import time

WAIT = "5s"


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("millrace", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status} {text[:300]}")
        self.status = status


class Client:
    def __init__(self, path, partition, name, directory):
        self.path, self.base = path, f"/api/v1/partitions/{partition}"
        self.consumer = f"{self.base}/consumers/{name}"
        self.dir = pathlib.Path(directory)
        self.connection = self.token = None

    def request(self, method, path, body=None):
        """(status, bytes); a whole answer or an error."""
        if self.connection is None:
            self.connection = Unix(self.path)
        self.connection.request(method, path, json.dumps(body) if body is not None else None,
                                {"Content-Type": "application/json"} if body is not None else {})
        with contextlib.closing(self.connection.getresponse()) as reply:
            return reply.status, reply.read()

    def json(self, method, path, body):
        status, text = self.request(method, path, body)
        if status >= 300:
            raise Refused(status, text)
        return json.loads(text)["data"]

    def open(self):
        """Registers, which makes older tokens of the name void; the cursor."""
        data = self.json("PUT", self.consumer, {"ttl": "10m"})
        self.token = data["token"]
        return int(data["next_batch"])

    def pull(self, batch):
        """The batch that was kept, as (log_id, number); None: there is none yet."""
        import pyarrow
        status, stream = self.request("GET", f"{self.base}/batches/{batch}?wait={WAIT}")
        if status == 204:
            return None
        if status != 200:
            raise Refused(status, stream)
        with pyarrow.ipc.open_stream(stream) as reader:
            metadata = reader.schema.metadata
            for rows in reader:
                rows.validate(full=True)
        log_id, last = metadata[b"log_id"].decode(), int(metadata[b"last_batch"])
        self.keep(f"{log_id}-{last}.arrows", stream)
        return log_id, last

    def keep(self, name, stream):
        part = self.dir / f".{name}"
        with open(part, "wb") as out:
            out.write(stream)
            os.fsync(out.fileno())
        part.rename(self.dir / name)
        directory = os.open(self.dir, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def commit(self, log_id, next_batch):
        self.json("POST", f"{self.consumer}/commit",
                  {"token": self.token, "log_id": log_id, "next_batch": str(next_batch)})

    def run(self, stopping):
        """Until the receiver goes away or it is to stop."""
        batch = self.open()
        while not stopping:
            kept = self.pull(batch)
            if kept is not None:
                batch = kept[1] + 1
                self.commit(kept[0], batch)


def again(client, failed):
    print(f"{type(failed).__name__} {failed}", file=sys.stderr, flush=True)
    client.connection = None
    time.sleep(0.1)


def main():
    import pyarrow.ipc  # noqa: F401  (before the first batch)
    client, stopping = Client(*sys.argv[1:5]), []
    client.dir.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    while not stopping:
        try:
            client.run(stopping)
        except (OSError, http.client.HTTPException) as failed:  # it was killed, or its socket cut
            again(client, failed)
        except Refused as failed:
            if failed.status != 503:  # its disk is full
                raise
            again(client, failed)


if __name__ == "__main__":
    main()
