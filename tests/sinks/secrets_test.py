#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
"""Kafka by TLS and a password. And secrets of sinks and of the API are told nowhere: canaries, some of
which are accepted and some refused, are looked for in all that leaves millraced and in all that it
keeps."""

import os
import pathlib
import re
import tempfile

import certificates
import checker
import kafka
import rig
import sinks
from rig import MILLRACE, expect, expect_equal, sh, wait_until
from sinks import kafka_sink, receiver_of, send

RIGHT, WRONG, TOKEN = ("canary-" + os.urandom(12).hex() for _ in range(3))
JAAS = ("listener.name.client.sasl.enabled.mechanisms=PLAIN\n"
        "listener.name.client.plain.sasl.jaas.config="
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'user_millrace="{RIGHT}";\n')
VARIABLE = "MILLRACE_TEST_PASSWORD"
PATHS = ["/metrics", "/healthz", "/api/v1/config", "/api/v1/sinks", "/api/v1/status", "/api/v1/drops",
         "/api/v1/partitions", "/api/v1/batches", "/api/v1/listeners", "/api/v1/ports"]


def secret_file(path, text):
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def sasl(password, authority=None):
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "millrace",
            "sasl.password": password, "debug": "security,broker",
            "ssl.ca.location": authority or TLS_HOME / "broker.crt"}


def broker_tls(home):
    """What the broker's listener for clients needs."""
    certificate, key = certificates.make(home, "broker", kafka.BROKER_ADDRESS)
    both = home / "broker.pem"
    both.write_text(key.read_text() + certificate.read_text())
    return (f"listener.name.client.ssl.keystore.location={both}\n"
            "listener.name.client.ssl.keystore.type=PEM\n")


def api_of(home):
    """TCP with a certificate of its own."""
    certificate, key = certificates.make(home)
    return {"listen": "127.0.0.1:8443", "certificate": certificate, "key": key,
            "tokens": secret_file(home / "tokens", f"admin operator {TOKEN}")}


def descendants(pid):
    """The process and what it has started."""
    yield pid
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from descendants(int(child))


def told(receiver, where):
    """{place: what is said there}"""
    said = {f"cmdline of {pid}": pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            for pid in descendants(receiver.process.pid)}
    said["ps"] = sh("ps", "axww").stdout.encode()
    said["log"] = receiver.stderr_path.read_bytes()
    said["stdout"] = receiver.stdout_path.read_bytes()
    for path in PATHS:
        said[path] = receiver.get_text(path)[1].encode()
    for words in (("config", "show"), ("config", "show", "--config", receiver.path), ("status",),
                  ("sinks", "list"), ("--json", "sinks", "list"), ("stats",), ("config", "check", receiver.path)):
        done = sh(MILLRACE, "--socket", receiver.socket, *words, check=False)
        said[f"millrace {' '.join(map(str, words))}"] = (done.stdout + done.stderr).encode()
    for path in where.rglob("*"):
        if path.is_file() and path.stat().st_size < 256 << 20:
            said[f"file {path}"] = path.read_bytes()
    return said


def curl(net, receiver, token):
    """The status of the API over TCP for a token."""
    header = secret_file(receiver.home / "header", f"Authorization: Bearer {token}")
    return net.sh("rx", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
                  receiver.config["api"]["certificate"], "-H", f"@{header}",
                  "https://127.0.0.1:8443/api/v1/status").stdout


def canaries_are_told_nowhere(r, cluster):
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    secrets = r.home / "secrets"
    secrets.mkdir()
    right = secret_file(secrets / "right", RIGHT)
    receiver = receiver_of(r, net, [
        kafka_sink(cluster, "right", sasl(f"file:{right}")),
        kafka_sink(cluster, "wrong", sasl(f"env:{VARIABLE}"), required=False),
        kafka_sink(cluster, "strange", sasl(f"file:{right}", certificates.make(secrets, "other", "10.0.0.1")[0]),
                   required=False)], api=api_of(secrets))
    os.environ[VARIABLE] = WRONG
    try:
        receiver.start()
    finally:
        del os.environ[VARIABLE]
    send(r, net, sent, 3000)
    wait_until(lambda: sinks.delivered(receiver, "right") == 3000, "the right password did", 40)
    # Its row says why, and not only that a call has taken too long.
    for name, words in (("wrong", "SASL authentication error"), ("strange", "certificate verify failed")):
        wait_until(lambda: any(words in (row["why"] or "") for row in sinks.rows(receiver, name)),
                   f"the sink {name} said: {words}", 40)
        expect(sinks.delivered(receiver, name) == 0, f"the sink {name} has delivered")
    sinks.expect_all(sent, checker.read_kafka(cluster, "right-"))
    expect_equal([curl(net, receiver, token) for token in (TOKEN, WRONG)], ["200", "401"],
                 "status for a right token and a wrong one")
    look(receiver)
    receiver.stop()
    look_in_files(receiver)
    # A file that is gone is named, not what was in it.
    right.unlink()
    receiver.start(wait=False)
    wait_until(lambda: str(right) in receiver.log(), "the missing file was named", 30)
    look_in_files(receiver)
    receiver.kill()


def spellings(secret):
    """As it is, and as others may write it."""
    import base64
    yield secret.encode()
    yield secret.encode().hex().encode()
    yield base64.b64encode(secret.encode()).rstrip(b"=")
    yield base64.b64encode(b"\0millrace\0" + secret.encode()).rstrip(b"=")


def expect_untold(said):
    for place, text in said.items():
        for secret in (RIGHT, WRONG, TOKEN):
            expect(not any(word in text for word in spellings(secret)), f"a secret is told in {place}")


def look(receiver):
    said = told(receiver, receiver.data)
    config = said["/api/v1/config"].decode()
    expect("sasl.password" in config and VARIABLE in config, f"where it looks is not seen: {config}")
    expect(re.search(r"sink", said["/metrics"].decode()), "no metrics of sinks")
    expect(len(said) > 20, f"{len(said)} places were searched")
    expect_untold(said)


def look_in_files(receiver):
    files = [path for path in receiver.home.rglob("*") if path.is_file() and path.name != "header"]
    expect_untold({f"file {path}": path.read_bytes() for path in files
                   if path.stat().st_size < 256 << 20})


def a_secret_in_the_configuration_is_not_repeated(r, cluster):
    """Who writes it there is told to write it elsewhere, without seeing it again."""
    receiver = receiver_of(r, sinks.net_with(r, cluster),
                           [kafka_sink(cluster, "plain", sasl(WRONG))])
    receiver.start(wait=False)
    code = receiver.process.wait(30 * rig.PATIENCE)
    expect(code != 0, "a secret in the configuration is taken")
    expect("sasl.password" in receiver.log(), receiver.log_tail())
    done = sh(MILLRACE, "config", "check", receiver.path, check=False)
    expect_equal(done.returncode, 4, "exit code of config check")
    expect_untold({"log": receiver.log().encode(), "check": (done.stdout + done.stderr).encode()})


with tempfile.TemporaryDirectory(prefix="millrace-tls-", dir="/var/tmp") as made:
    TLS_HOME = pathlib.Path(made)
    sinks.run(canaries_are_told_nowhere, a_secret_in_the_configuration_is_not_repeated,
              protocol="SASL_SSL", more=JAAS + broker_tls(TLS_HOME))
