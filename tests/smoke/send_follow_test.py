#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 300
"""millrace send --reliable --follow and millraced: the lines of a file that others write to,
rename, truncate and make anew are in the log, once; with --position also through a kill of the
sender, at least once."""

import collections
import json
import os
import shutil
import signal
import subprocess
import time

import jsonschema
import logread
import rig
from rig import MILLRACE, PORT, RECEIVER4, TREE, expect, expect_equal, wait_until

LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"}]
SCHEMA = json.loads((TREE / "docs/schema/send-reliable.1.json").read_text())


class Lines:
    """Who writes the file; every line is another one."""

    def __init__(self, path):
        self.path, self.written = path, []
        self.open()

    def open(self, mode="ab"):
        self.file = open(self.path, mode, buffering=0)

    def write(self, count):
        first = len(self.written)
        lines = [b"line %07d %s" % (i, b"x" * (i * 7 % 90)) for i in range(first, first + count)]
        self.written += lines
        self.file.write(b"".join(line + b"\n" for line in lines))

    def rename(self, suffix=".1"):
        os.rename(self.path, f"{self.path}{suffix}")

    def copy_and_truncate(self, suffix=".1"):
        shutil.copyfile(self.path, f"{self.path}{suffix}")
        self.file.truncate(0)


def start_following(r, net, *words):
    return r.popen(net.command("tx", MILLRACE, "--json", "send", "--reliable",
                               f"{RECEIVER4}:{PORT}", "--follow", "--from", *words),
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop(process, code=0):
    """Its account, and what it said."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60 * rig.PATIENCE)
    expect_equal(process.returncode, code, f"exit code of millrace send ({err})")
    envelope = json.loads(out)
    jsonschema.validate(envelope, SCHEMA)
    return envelope, err


def receiver_of(r, net):
    return r.receiver(net, device="af_xdp:rx0", listeners=LISTENERS).start()


def logged(receiver):
    return logread.read_events(receiver.data)


def wait_rows(receiver, events, sources=1):
    """Each source begins with a row of the protocol's own."""
    wait_until(lambda: receiver.durable() >= events + sources, f"{events} lines were durable", 30)


def lines_are_sent_once_through_every_rotation(r):
    net = r.net()
    receiver = receiver_of(r, net)
    lines = Lines(r.home / "app.log")
    lines.write(100)
    process = start_following(r, net, lines.path)
    wait_rows(receiver, 100)
    lines.write(1)
    wait_rows(receiver, 101)
    # Renamed, and the writer goes on with the old one for a while when the new one is there.
    lines.rename()
    old = lines.file
    lines.open()
    new, lines.file = lines.file, old
    lines.write(50)
    time.sleep(0.3)
    lines.write(50)
    lines.file = new
    lines.write(100)
    wait_rows(receiver, 301)
    # Copied and truncated, with lines that nobody has read from the file.
    process.send_signal(signal.SIGSTOP)
    lines.write(200)
    lines.copy_and_truncate(".2")
    lines.write(300)
    process.send_signal(signal.SIGCONT)
    wait_rows(receiver, 801)
    # A line that comes in two pieces, and one that never ends.
    lines.file.write(b"half of ")
    time.sleep(0.3)
    expect_equal(receiver.durable(), 802, "durable rows while a line was unfinished")
    lines.file.write(b"a line\nno newline")
    lines.written.append(b"half of a line")
    wait_rows(receiver, 802)
    envelope, err = stop(process)
    receiver.at_rest()
    receiver.stop()
    expect_equal(logged(receiver), lines.written, "events in the log")
    data = envelope["data"]
    expect_equal(data["acknowledged"], 802, "acknowledged")
    # The first file, the new one, its copy and itself again.
    expect_equal(data["follow"], {"files": 4, "truncations": 1, "unfinished_bytes": 10}, "account")
    expect_equal([w["code"] for w in envelope["warnings"]], ["unfinished"], "warnings")
    expect_equal(err, "", "words")


def a_file_may_come_later(r):
    net = r.net()
    receiver = receiver_of(r, net)
    path = r.home / "later.log"
    process = start_following(r, net, path, "--duration", "4s")
    expect_equal(process.stderr.readline(),
                 f"millrace: {path}: is not there yet, waiting for it\n", "first words")
    lines = Lines(path)
    lines.write(10)
    wait_rows(receiver, 10)
    out, err = process.communicate(timeout=60 * rig.PATIENCE)
    expect_equal((process.returncode, err), (0, ""), "exit code and further words")
    expect_equal(json.loads(out)["data"]["acknowledged"], 10, "acknowledged")
    receiver.stop()
    expect_equal(logged(receiver), lines.written, "events in the log")


def a_killed_sender_goes_on(r):
    """kill -9 again and again, while lines come, the file is rotated and the receiver fails."""
    net = r.net()
    receiver = receiver_of(r, net)
    lines = Lines(r.home / "app.log")
    position = r.home / "position"
    kills = 5
    for i in range(kills):
        process = start_following(r, net, lines.path, "--position", position, "--rate", 20000)
        for _ in range(15):
            lines.write(1000)
            time.sleep(0.1)
        if i == 2:
            # What is in flight now is in no log, however long the position was kept.
            receiver.kill()
            lines.write(3000)
            time.sleep(2)
        process.kill()
        process.communicate()
        if i == 2:
            receiver.start()
        if i == 1:
            lines.rename(".1")
            lines.open()
        if i == 3:
            lines.write(500)
            os.rename(f"{lines.path}.1", f"{lines.path}.2")
            lines.rename(".1")
            lines.open()
            lines.write(500)
            time.sleep(0.05)
            os.rename(f"{lines.path}.2", f"{lines.path}.3")
            os.rename(f"{lines.path}.1", f"{lines.path}.2")
            lines.rename(".1")
            lines.open()
    process = start_following(r, net, lines.path, "--position", position)
    lines.write(1000)
    wait_until(lambda: lines.written[-1] in set(logged(receiver)), "the last line was there", 60)
    envelope, err = stop(process)
    expect_equal(err, "", "words of the last sender")
    before = logged(receiver)
    missing = set(lines.written) - set(before)
    expect(not missing, f"{len(missing)} of {len(lines.written)} lines are missing, as "
                        f"{sorted(missing)[:3]}")
    expect_equal(set(before) - set(lines.written), set(), "what nobody wrote")
    again = sum(count - 1 for count in collections.Counter(before).values())
    print(f"     {len(lines.written)} lines, {again} of them again after {kills} kills")
    # A clean stop and a start: nothing is sent again.
    process = start_following(r, net, lines.path, "--position", position)
    lines.write(1000)
    wait_until(lambda: len(logged(receiver)) >= len(before) + 1000, "the new lines were there", 30)
    envelope, err = stop(process)
    expect_equal((envelope["data"]["acknowledged"], err), (1000, ""), "acknowledged, and words")
    receiver.at_rest()
    receiver.stop()
    expect_equal(sorted(logged(receiver)), sorted(before + lines.written[-1000:]), "events logged")


def a_clean_stop_and_start_sends_each_line_once(r):
    """Also what was rotated meanwhile, by renaming and by copying."""
    net = r.net()
    receiver = receiver_of(r, net)
    lines = Lines(r.home / "app.log")
    position = r.home / "position"
    senders = 0
    rotations = [lambda: None,
                 lambda: (lines.rename("-20260101"), lines.open(), lines.write(50)),
                 lambda: (lines.copy_and_truncate("-20260102"), lines.write(30))]
    for rotate in rotations:
        process = start_following(r, net, lines.path, "--position", position)
        senders += 1
        lines.write(100)
        wait_rows(receiver, len(lines.written), senders)
        _, err = stop(process)
        expect_equal(err, "", "words")
        lines.write(20)
        rotate()
    process = start_following(r, net, lines.path, "--position", position)
    wait_rows(receiver, len(lines.written), senders + 1)
    stop(process)
    receiver.at_rest()
    receiver.stop()
    expect_equal(logged(receiver), lines.written, "events in the log")


def what_does_not_go_together_is_refused(r):
    path, other = r.home / "log", r.home / "other"
    path.write_text("one\n")
    other.write_text("no position\n")
    newer = r.home / "newer"
    newer.write_text('{"format":"millrace-position","version":9}')
    wanted = {
        ("--follow",): "--follow wants --from FILE",
        ("--follow", "--from", "-"): "--follow wants --from FILE",
        ("--position", other, "--from", path): "--position is only for --follow",
        ("--pcap", path, "--from", path): "--from and --pcap are two inputs",
        ("--pcap", path, "--follow"): "--follow wants --from FILE",
        ("--follow", "--from", path, "--size", 18): "--size is only for generated events",
        ("--follow", "--from", r.home): "is no regular file",
        ("--follow", "--from", path, "--position", other): "is no position of millrace send",
        ("--follow", "--from", path, "--position", newer): "format 9, newer than this version's 1",
        ("--follow", "--from", path, "--position", r.home / "no/such"): "No such file",
    }
    for words, text in wanted.items():
        done = rig.sh(MILLRACE, "send", "--reliable", "127.0.0.1:9", *words, check=False)
        expect_equal(done.returncode, 2, f"exit code with {words} ({done.stderr})")
        expect(text in done.stderr, f"with {words}: {done.stderr}")
    for words in (("--follow",), ("--position", other), ("--pcap", path)):
        done = rig.sh(MILLRACE, "send", "127.0.0.1:9", *words, check=False)
        expect("is only for --reliable" in done.stderr, f"with {words}: {done.stderr}")


rig.run(lines_are_sent_once_through_every_rotation, a_file_may_come_later, a_killed_sender_goes_on,
        a_clean_stop_and_start_sends_each_line_once, what_does_not_go_together_is_refused)
