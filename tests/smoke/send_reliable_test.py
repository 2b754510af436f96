#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 300
"""millrace send --reliable and millraced: what the sender was told to be acknowledged is in a log, once
in each, through kills of the receiver, to the next receiver, from files, with keys."""

import json
import signal
import subprocess
import time

import logread
import rig
from rig import MILLRACE, OTHER_RECEIVER4, PORT, RECEIVER4, expect, expect_equal, wait_until

LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"}]
KEY = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"


def send(net, *words, to=None, code=0, **options):
    """Its account."""
    done = net.sh("tx", MILLRACE, "--json", "send", "--reliable", to or f"{RECEIVER4}:{PORT}",
                  *words, check=False, **options)
    expect_equal(done.returncode, code, f"exit code of millrace send ({done.stderr})")
    return json.loads(done.stdout)["data"]


def start_sending(r, net, *words, to=None):
    return r.popen(net.command("tx", MILLRACE, "--json", "send", "--reliable",
                               to or f"{RECEIVER4}:{PORT}", *words),
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def account_of(process, code=0):
    out, err = process.communicate(timeout=60 * rig.PATIENCE)
    expect_equal(process.returncode, code, f"exit code of millrace send ({err})")
    return json.loads(out)["data"]


def check_numbers(data, account):
    numbers = logread.sent_numbers(logread.read_events(data), account["id"])
    expect_equal(len(numbers), len(set(numbers)), "events and different ones")
    return set(numbers)


def receiver_of(r, net, **config):
    return r.receiver(net, device="af_xdp:rx0", listeners=LISTENERS, **config)


def everything_is_acknowledged_once(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    counts = {"64": 20000, "18-3000": 20000, "40000-60000": 500}
    accounts = [send(net, "--rate", "max", "--count", count, "--size", size)
                for size, count in counts.items()]
    receiver.at_rest()
    receiver.kill()
    for account, count in zip(accounts, counts.values()):
        expect_equal(account["acknowledged"], count, "acknowledged")
        expect_equal(check_numbers(receiver.data, account), set(range(count)), "events in the log")


def lines_of_files_and_of_a_pipe_are_events(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    lines = [f"line {i} " + "x" * (i % 300) for i in range(3000)] + ["", "the last"]
    path = r.home / "lines"
    path.write_text("\n".join(lines) + "\n")
    expect_equal(send(net, "--from", path)["acknowledged"], len(lines), "acknowledged")
    send(net, "--from", "-", input="by a pipe\nwithout an end")
    receiver.at_rest()
    receiver.stop()
    found = [payload.decode() for payload in logread.read_events(receiver.data)]
    expect_equal(found, lines + ["by a pipe", "without an end"], "events in the log")
    # What the protocol keeps in the log is nobody's event.
    cat = rig.sh(MILLRACE, "log", "cat", receiver.data / "0").stdout
    expect_equal(cat.split("\n")[:-1], lines + ["by a pipe", "without an end"], "log cat")


def a_receiver_is_killed_again_and_again(r):
    net = r.net()
    receiver = receiver_of(r, net, log={"segment_size": "16MiB", "queue_depth": 2}).start()
    count = 20000 if rig.SANITIZED else 100000
    process = start_sending(r, net, "--rate", count // 8, "--count", count, "--size", "300")
    for _ in range(6):
        time.sleep(0.8)
        receiver.kill()
        receiver.start()
    account = account_of(process)
    receiver.at_rest()
    receiver.stop()
    expect_equal(account["acknowledged"], count, "acknowledged")
    expect_equal(account["epochs"], 0, "epochs opened anew")
    expect_equal(check_numbers(receiver.data, account), set(range(count)), "events in the log")


def a_killed_senders_acknowledged_events_are_there(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    for _ in range(4):
        process = start_sending(r, net, "--rate", 20000, "--count", 200000)
        time.sleep(0.7)
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start_sending(r, net, "--rate", 20000, "--count", 200000)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    account = account_of(process, 130)
    receiver.at_rest()
    receiver.stop()
    numbers = check_numbers(receiver.data, account)
    expect(len(numbers) >= account["acknowledged"] > 1000,
           f"{account['acknowledged']} were acknowledged, {len(numbers)} are in the log")
    expect_equal(len(logread.read_events(receiver.data)),
                 len(set(logread.read_events(receiver.data))), "events and different ones")


def the_next_receiver_takes_over(r):
    """The first one dies for good; between the two logs nothing is missing."""
    net = r.net()
    net.second_wire()
    first = receiver_of(r, net).start()
    second = r.receiver(net, "second", device="af_xdp:rx1", listeners=LISTENERS, ports=[
        {"name": "wire", "device": "af_xdp:rx1", "addresses": [f"{OTHER_RECEIVER4}/24"]}]).start()
    process = start_sending(r, net, "--rate", 5000, "--count", 80000,
                            to=f"{RECEIVER4}:{PORT},{OTHER_RECEIVER4}:{PORT}")
    wait_until(lambda: first.durable() > 10000, "the first receiver got some", 20)
    first.kill()
    account = account_of(process)
    second.at_rest()
    second.stop()
    expect_equal(account["acknowledged"], 80000, "acknowledged")
    expect_equal(account["moves"], 1, "moves")
    both = [check_numbers(receiver.data, account) for receiver in (first, second)]
    expect_equal(both[0] | both[1], set(range(80000)), "events in one of the logs")
    overlap = len(both[0] & both[1])
    expect(overlap < 20000, f"{overlap} events are in both logs")


def who_has_the_key_is_heard(r):
    net = r.net()
    keys, mine, other = (r.home / name for name in ("keys", "mine", "other"))
    for path, text in ((keys, f"7 xchacha20-poly1305 {KEY}\n"), (mine, KEY), (other, KEY[::-1])):
        path.write_text(text)
        path.chmod(0o600)
    receiver = receiver_of(r, net, reliable={"keys": keys}).start()
    account = send(net, "--rate", "max", "--count", 5000, "--key", f"7:{mine}")
    expect_equal(account["acknowledged"], 5000, "acknowledged")
    for words in ((), ("--key", f"7:{other}"), ("--key", f"8:{mine}")):
        account = send(net, "--count", 5, "--wait", "2s", *words, code=1)
        expect_equal(account["acknowledged"], 0, f"acknowledged with {words}")
    drops = receiver.drops()
    expect(drops.get("rel_unsigned", 0) > 5, f"drops {drops}")
    receiver.stop()
    expect_equal(len(logread.read_events(receiver.data)), 5000, "events in the log")
    # The secret stands nowhere but in its file.
    kept = [path.read_bytes() for path in r.home.rglob("*")
            if path.is_file() and path.parent != r.home and path.stat().st_size < 100 << 20]
    expect(len(kept) >= 4, f"{len(kept)} files were searched")
    for secret in (KEY.encode(), bytes.fromhex(KEY)):
        expect(not any(secret in content for content in kept), "the key is told")


def keys_that_can_not_be_read_end_the_start(r):
    keys = r.home / "keys"
    keys.write_text("7 rot13 x\n")
    keys.chmod(0o600)
    receiver = receiver_of(r, r.net(), reliable={"keys": keys})
    receiver.start(wait=False)
    expect_equal(receiver.process.wait(30 * rig.PATIENCE), 1, "exit code")
    expect(f"{keys}, line 1: the cipher must be" in receiver.log(), receiver.log())


def the_next_run_sends_what_is_in_the_spool(r):
    """First without a receiver, then killed at work; each event is once in the log."""
    net = r.net()
    spool = r.home / "spool"
    words = "--spool", spool, "--size", "100", "--rate", "max"
    first = send(net, *words, "--count", "20000", "--wait", "300ms", code=1)
    expect_equal((first["found"], first["spooled"], first["acknowledged"]), (0, 20000, 0),
                 "found, left in the spool, acknowledged")
    receiver = receiver_of(r, net).start()
    killed = r.popen(net.command("tx", MILLRACE, "send", "--reliable", f"{RECEIVER4}:{PORT}",
                                 "--spool", spool, "--size", "100", "--rate", "50k", "--id",
                                 "0badcafe"), stderr=subprocess.DEVNULL)
    wait_until(lambda: receiver.durable() > 30000, "events of both are durable", 30)
    killed.kill()
    killed.wait()
    last = send(net, *words, "--count", "1000")
    expect_equal((last["source"], last["spooled"]), (first["source"], 0), "source, left in the spool")
    expect_equal(last["acknowledged"], last["found"] + 1000, "acknowledged")
    receiver.at_rest()
    receiver.stop()
    expect_equal(check_numbers(receiver.data, first), set(range(20000)), "of the first run")
    expect_equal(check_numbers(receiver.data, last), set(range(1000)), "of the last run")
    numbers = check_numbers(receiver.data, {"id": "0badcafe"})
    expect_equal(numbers, set(range(len(numbers))), "of the one that was killed: without a gap")


rig.run(everything_is_acknowledged_once, lines_of_files_and_of_a_pipe_are_events,
        a_receiver_is_killed_again_and_again, a_killed_senders_acknowledged_events_are_there,
        the_next_receiver_takes_over, who_has_the_key_is_heard,
        keys_that_can_not_be_read_end_the_start,
        the_next_run_sends_what_is_in_the_spool)
