# SPDX-License-Identifier: BSD-3-Clause
"""A client of the pull API, by Python's own HTTP: over a Unix socket, or TLS with a token."""

import http.client
import json
import socket
import ssl

import pyarrow as pa


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("millrace", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """connect() makes a connection; one request each."""

    def __init__(self, connect, token=None):
        self.connect = connect
        self.token = token
        self.seen = []  # every answer's headers and body, for who looks for secrets

    @classmethod
    def unix(cls, path):
        return cls(lambda: UnixConnection(str(path)))

    @classmethod
    def tls(cls, port, certificate, token=None, address="127.0.0.1"):
        context = ssl.create_default_context(cafile=certificate)
        return cls(lambda: http.client.HTTPSConnection(address, port, context=context,
                                                       timeout=60), token)

    def ask(self, method, path, body=None):
        """(status, headers, body)"""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        connection = self.connect()
        try:
            if body is not None:
                body = json.dumps(body)
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        self.seen.append(str(response.headers).encode() + data)
        return response.status, response.headers, data

    def want(self, status, method, path, body=None):
        """The answer, which must have that status, as JSON if it is."""
        found, headers, data = self.ask(method, path, body)
        assert found == status, (method, path, found, data[:500])
        is_json = headers.get_content_type() == "application/json"
        return json.loads(data) if is_json else data

    def batches(self, partition, batch, query=""):
        """(headers, table) of a stream."""
        status, headers, data = self.ask(
            "GET", f"/api/v1/partitions/{partition}/batches/{batch}{query}")
        assert status == 200, (status, data[:500])
        assert headers.get_content_type() == "application/vnd.apache.arrow.stream"
        return headers, pa.ipc.open_stream(data).read_all()


class Consumer:
    """A named consumer that goes on where the one before it had committed."""

    def __init__(self, client, partition, name, **wish):
        self.client = client
        self.partition = partition
        self.path = f"/api/v1/partitions/{partition}/consumers/{name}"
        self.place = client.want(200, "PUT", self.path, wish)["data"]

    def pull(self, query=""):
        headers, table = self.client.batches(self.partition, self.place["next_batch"], query)
        assert headers["Millrace-Log-Id"] == self.place["log_id"]
        self.place["next_batch"] = headers["Millrace-Next-Batch"]
        return table

    def commit(self, status=200, **more):
        body = {key: self.place[key] for key in ("token", "log_id", "next_batch")}
        return self.client.want(status, "POST", self.path + "/commit", {**body, **more})
