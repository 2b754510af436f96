#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 240
"""Batches of a running receiver are pulled: once, through a kill, over TLS, and in nobody's way."""

import http.client
import json
import re
import ssl
import threading

import certificates
import jsonschema
import rig
from pull import Client, Consumer
from rig import TREE, expect, expect_equal, wait_until

API_PORT = 8443
CANARY = "canary-7d3e9a10c5b2"
TOKENS = {"read": f"{CANARY}-reader", "consume": f"{CANARY}-consumer", "admin": f"{CANARY}-admin"}
BATCH = "/api/v1/partitions/0/batches"
CONSUMER = "/api/v1/partitions/0/consumers"


def validate(document):
    name = document["schema"].removeprefix("millrace.").replace("/", ".")
    jsonschema.validate(document, json.loads((TREE / f"docs/schema/{name}.json").read_text()))
    return document


def pull_all(consumer, end):
    """Commits behind each stream, up to the seq that is the end."""
    seqs = []
    while not seqs or seqs[-1] + 1 < end:
        seqs += consumer.pull("?wait=30s&max_bytes=1000000")["seq"].to_pylist()
        validate(consumer.commit())
    return seqs


def a_consumer_sees_each_event_once_through_a_kill(r):
    net = r.net()
    receiver = r.receiver(net, log={"commit_interval": "2ms"}).start()
    client = Client.unix(receiver.socket)
    first = Consumer(client, 0, "spark", ttl="1h")
    net.send_events("--rate", 10000, "--count", 3000, "--size", 100)
    receiver.wait_durable(3000)
    seqs = pull_all(first, 3000)
    expect_equal(seqs, list(range(3000)), "seqs before the kill")
    receiver.kill()
    receiver.start()
    expect_equal(client.want(200, "GET", f"{CONSUMER}/spark")["data"]["next_seq"], "3000",
                 "the place that was committed")
    second = Consumer(client, 0, "spark")
    net.send_events("--rate", 10000, "--count", 2000, "--size", 100)
    text = first.commit(status=409)["data"]["text"]
    expect("taken" in text, f"the holder before is told why: {text}")
    expect_equal(pull_all(second, 5000), list(range(3000, 5000)), "seqs behind the kill")
    validate(client.want(200, "GET", "/api/v1/consumers"))
    the_command_shows_and_removes(receiver, client)
    receiver.stop()


def the_command_shows_and_removes(receiver, client):
    def millrace(*words, code=0):
        done = rig.sh(rig.MILLRACE, "--socket", receiver.socket, *words, check=False)
        expect_equal(done.returncode, code, f"exit code of {words} ({done.stderr})")
        return done.stdout

    expect_equal(validate(json.loads(millrace("--json", "consumers")))["schema"], "millrace.consumers/1",
                 "schema")
    expect(re.search(r"^spark +0 +active +\d+ +0 +0 +everything +\d+ (s|min|h)$", millrace("consumers"),
                     re.M), f"the table: {millrace('consumers')}")
    millrace("consumers", "--remove", "spark", code=2)
    millrace("consumers", "--remove", "nobody", "--partition", "0", code=1)
    millrace("consumers", "--remove", "spark", "--partition", "0")
    expect_equal(client.ask("GET", f"{CONSUMER}/spark")[0], 404, "status of the one removed")


def what_is_not_there_yet_is_waited_for(r):
    net = r.net()
    receiver = r.receiver(net).start()
    client = Client.unix(receiver.socket)
    expect_equal(client.ask("GET", f"{BATCH}/0")[0], 404, "status without a wait")
    expect_equal(client.ask("GET", f"{BATCH}/0?wait=100ms")[0], 204, "status behind a wait")
    got = []
    waiting = threading.Thread(target=lambda: got.append(client.batches(0, 0, "?wait=60s")))
    waiting.start()
    wait_until(lambda: "http_waiting_requests 1\n" in receiver.get_text("/metrics")[1],
               "somebody waits")
    net.send_events("--rate", 1000, "--count", 10)
    waiting.join()
    expect(got and got[0][1].num_rows > 0, "the batch came")
    receiver.stop()


def who_reads_slowly_holds_nobody_up(r):
    net = r.net()
    receiver = r.receiver(net).start()
    net.send_events("--rate", 10000, "--count", 10000, "--size", 1000)
    receiver.at_rest()
    slow = []
    for _ in range(10):
        connection = Client.unix(receiver.socket).connect()
        connection.request("GET", f"{BATCH}/oldest?max_batches=1000")
        slow.append(connection)
    wait_until(lambda: 'pull_streams{partition="0"} 10\n' in receiver.get_text("/metrics")[1],
               "ten streams are open")
    for _ in range(20):
        expect_equal(receiver.get_text("/healthz")[0], 200, "/healthz")
    for connection in slow:
        connection.close()
    receiver.stop()


def tls(net, certificate, token):
    """A client in the receiver's namespace, where 127.0.0.1 is the receiver's."""
    context = ssl.create_default_context(cafile=certificate)

    def connect():
        connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, context=context,
                                                 timeout=60)
        with net.inside("rx"):
            connection.connect()
        return connection
    return Client(connect, token)


def with_tls(r, net):
    receiver = r.receiver(net)
    certificate, key = certificates.make(receiver.home)
    tokens = receiver.home / "tokens"
    tokens.touch(0o600)
    tokens.write_text("".join(f"{role} {role}er {secret}\n" for role, secret in TOKENS.items()))
    net.sh("rx", "ip", "link", "set", "lo", "up")
    receiver.config["api"] = {"listen": f"127.0.0.1:{API_PORT}", "certificate": certificate,
                              "key": key, "tokens": tokens}
    return receiver, certificate, tokens


def tokens_let_in_whom_they_should_and_are_nowhere(r):
    net = r.net()
    receiver, certificate, tokens = with_tls(r, net)
    receiver.start()
    net.send_events("--rate", 1000, "--count", 100)
    receiver.at_rest()
    nobody, wrong, reader, consumer, admin = clients = [
        tls(net, certificate, token) for token in (None, f"{CANARY}-wrong", *TOKENS.values())]
    statuses = [[client.ask(*request)[0] for client in clients] for request in (
        ("GET", "/api/v1/status"), ("GET", f"{BATCH}/oldest?wait=60s"), ("PUT", f"{CONSUMER}/c"),
        ("POST", "/healthz"), ("GET", "/nowhere"))]
    expect_equal(statuses, [[401, 401, 200, 200, 200], [401, 401, 403, 200, 200],
                            [401, 401, 403, 200, 200], [401, 401, 405, 405, 405],
                            [401, 401, 404, 404, 404]], "statuses by role")
    tokens.write_text("".join(f"{role} x {secret}\n" for role, secret in TOKENS.items()
                              if role != "admin"))
    expect_equal(admin.ask("GET", "/healthz")[0], 401, "a token that was withdrawn")
    tokens.write_text(f"reader {CANARY}\n")
    expect_equal(consumer.ask("GET", "/healthz")[0], 503, "a file that is wrong")
    unix = Client.unix(receiver.socket)
    for path in unix.want(404, "GET", "/nowhere")["data"]["paths"]:
        unix.ask("GET", path.replace("{n}", "0").replace("{m}", "oldest").replace("{name}", "c"))
    places = {"log": receiver.log(), "ps": rig.sh("ps", "axww").stdout,
              "answers": b"".join(x for client in (unix, *clients) for x in client.seen)
              .decode(errors="replace"),
              "consumers.json": (receiver.data / "0/consumers.json").read_text(),
              "configuration": receiver.path.read_text()}
    for place, text in places.items():
        expect(CANARY not in text, f"a secret is in {place}")
    expect("line 1: wants three words" in places["log"], "the log says what is wrong")
    receiver.stop()


def what_is_not_safe_is_refused(r):
    net = r.net()
    receiver, _, tokens = with_tls(r, net)
    tokens.chmod(0o644)
    receiver.start(wait=False)
    expect(receiver.process.wait(60) != 0, "it starts with tokens that others may read")
    expect("chmod o=" in receiver.log() and CANARY not in receiver.log(), "and says the mend")


rig.run(a_consumer_sees_each_event_once_through_a_kill, what_is_not_there_yet_is_waited_for,
        who_reads_slowly_holds_nobody_up, tokens_let_in_whom_they_should_and_are_nowhere,
        what_is_not_safe_is_refused)
