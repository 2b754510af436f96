#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""What millraced must refuse, with a text that says why, and without touching the data."""

import hashlib
import struct

import rig
from rig import MILLRACE, MILLRACED, expect, expect_equal, sh

NEWER = 9  # a format that this Millrace does not know


def fails(receiver, *, code=None):
    """Starts a receiver that must not start; what it said."""
    receiver.start(wait=False)
    found = receiver.process.wait(30 * rig.PATIENCE)
    expect(found != 0 and found > 0, f"millraced started or crashed: {found}")
    expect(code is None or found == code, f"exit {found} instead of {code}: {receiver.log_tail()}")
    receiver.expect_clean()
    return receiver.log()


def digests(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
            for p in directory.rglob("*.arrows") if p.name != "spare.arrows"}


def some_log(r, net):
    receiver = r.receiver(net).start()
    net.send_events("--rate", 10000, "--count", 2000)
    receiver.at_rest()
    receiver.stop()
    return receiver


def a_second_instance_on_the_same_data(r):
    net = r.net()
    first = r.receiver(net).start()
    second = r.receiver(name="second", device="net_null0", data=first.data)
    said = fails(second)
    expect(str(first.data) in said, f"the directory is not named: {said}")
    account = net.send_events("--rate", 1000, "--count", 100)
    first.at_rest()
    expect_equal(first.durable(), account["sent"] - net.refused(), "events of the first")
    first.stop()


def every_error_of_a_configuration_at_once(r):
    path = r.home / "bad.yaml"
    path.write_text("partitions: many\n"
                    "mode: sideways\n"
                    "ports:\n"
                    "  - devise: rx0\n"
                    "listeners:\n"
                    "  - port: 99999\n"
                    "log:\n"
                    "  commit_interval: 3 parsecs\n")
    for command in ([MILLRACED, "-c", path], [MILLRACE, "config", "check", path]):
        done = sh(*command, check=False)
        expect_equal(done.returncode, 4, f"exit code of {command[0].name} ({done.stderr})")
        said = done.stdout + done.stderr
        for line, word in ((1, "partitions"), (2, "sideways"), (4, "devise"), (6, "99999"),
                           (8, "parsecs")):
            found = [text for text in said.splitlines() if f":{line}:" in text or
                     f"line {line}:" in text or f"line {line} " in text]
            expect(any(word in text for text in found), f"line {line}, {word}: not in\n{said}")


def a_configuration_that_is_no_yaml(r):
    for number, text in enumerate(["ports: [", "\t- x", "a: b: c", "\0\1\2", "&a [*a]", "- 1", ""]):
        path = r.home / f"bad{number}.yaml"
        path.write_text(text)
        done = sh(MILLRACED, "-c", path, check=False)
        expect(0 < done.returncode < 100, f"{text!r}: exit {done.returncode} {done.stderr}")


def a_log_of_a_newer_version(r):
    net = r.net()
    receiver = some_log(r, net)
    path = sorted((receiver.data / "0").glob("0*.arrows"))[-1]
    page = bytearray(path.read_bytes())
    set_version(page, NEWER)
    path.write_bytes(page)
    before = digests(receiver.data)
    said = fails(receiver)
    expect(f"newer Millrace (format {NEWER})" in said, f"the version is not named: {said}")
    expect_equal(digests(receiver.data), before, "the log, untouched")


def set_version(page, version, schema=8192):
    """Makes the segment header say another version, with a CRC that fits."""
    struct.pack_into("<I", page, schema - 128 + 8 + 16 + 16, version)
    struct.pack_into("<I", page, schema - 4, crc32c(bytes(page[:schema - 4])))


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def a_log_damaged_in_the_middle(r):
    net = r.net()
    receiver = some_log(r, net)
    path = sorted((receiver.data / "0").glob("0*.arrows"))[-1]
    content = bytearray(path.read_bytes())
    content[8192 + 5000] ^= 0x40
    path.write_bytes(content)
    before = digests(receiver.data)
    said = fails(receiver)
    expect(path.name in said and "repair" in said, f"file and remedy are not named: {said}")
    expect_equal(digests(receiver.data), before, "the log, untouched")
    done = sh(MILLRACE, "log", "verify", receiver.data, check=False)
    expect_equal(done.returncode, 4, f"exit code of log verify ({done.stdout}{done.stderr})")


rig.run(a_second_instance_on_the_same_data, every_error_of_a_configuration_at_once,
        a_configuration_that_is_no_yaml, a_log_of_a_newer_version, a_log_damaged_in_the_middle)
