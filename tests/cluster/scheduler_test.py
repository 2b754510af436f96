#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 300
"""The Mesos scheduler against the master double: all that can go wrong with a master."""

import json
import signal
import time

import daemons
import master_double
import rig
from master_double import accept, cut, error, redirect, refuse, silent
from probe import Probe, double, pause, subscribed
from rig import expect, expect_equal, wait_until


def gone_port():
    """Where nobody listens."""
    return f"127.0.0.1:{daemons.free_ports(1)[0]}"


# --- to a master

def test_registers_and_comes_back(r):
    master = double(r)
    probe, framework_id = subscribed(r, master, role="lab", name="mill", failover_timeout=604800)
    info = master.requests[0]["subscribe"]["framework_info"]
    expect("id" not in info, "a new framework shows no id")
    expect_equal(sorted(c["type"] for c in info["capabilities"]), ["MULTI_ROLE", "PARTITION_AWARE"],
                 "capabilities")
    expect_equal((info["roles"], info["name"], info["user"], info["checkpoint"],
                  info["failover_timeout"]), (["lab"], "mill", "root", True, 604800), "the framework")
    master.stream().end()
    expect("closed the stream" in probe.next("disconnected")["why"], "why")
    expect_equal(probe.next("subscribed")["framework_id"], framework_id, "the id")
    again = master.requests[1]
    expect_equal((again["framework_id"]["value"], again["subscribe"]["framework_info"]["id"]["value"]),
                 (framework_id, framework_id), "what it shows")
    master.stream(2).cut()
    probe.next("disconnected")
    probe.next("subscribed")
    expect_equal((probe.counters()["connects"], probe.counters()["disconnects"]), (3, 2), "counters")
    probe.quit()
    expect_equal([call["type"] for call in master.calls], [], "calls")  # never TEARDOWN


def test_given_id(r):
    master = double(r)
    probe = Probe(r, master.address).start("framework-7")
    expect_equal(probe.next("subscribed")["framework_id"], "framework-7", "the id")
    probe.do("start", "x" * 256, error="EINVAL")
    probe.quit()


def test_redirects(r):
    leader, standby, third = double(r), double(r), double(r)
    standby.next(redirect(third.address))
    third.next(redirect(leader.address, "http://{}/api/v1/scheduler"))
    probe = Probe(r, standby.address).start()
    expect_equal(probe.next("subscribed")["master"], leader.address, "the master")
    # The list has the standby only: a list with it keeps the stream, as one with the leader does.
    probe.do("masters", f"{gone_port()},{standby.address}")
    probe.do("masters", leader.address)
    leader.add_agent("a")
    leader.offer_all()
    probe.next("offers")
    expect_equal(len(leader.requests), 1, "subscriptions")
    probe.quit()


def test_redirects_without_end(r):
    one, two = double(r), double(r)
    one.next(*[redirect(two.address)] * 20)
    two.next(*[redirect(one.address)] * 20)
    probe = Probe(r, one.address, backoff_ms=50000, backoff_max_ms=50000).start()
    probe.wait_log("redirected more than 5 times")
    expect_equal(len(one.requests) + len(two.requests), 6, "tries")
    probe.quit()


def test_redirected_each_time(r):
    """Each time anew: what is counted is the redirects of one try."""
    leader, standby = double(r), double(r)
    standby.next(*[redirect(leader.address)] * 20)
    probe = Probe(r, standby.address).start()
    for count in range(1, 9):
        probe.next("subscribed")
        leader.stream(count).end()
    probe.next("subscribed")
    expect("more than" not in probe.log(), "complaints")
    probe.quit()


def test_redirect_to_nowhere(r):
    for number, bad in enumerate(("/api/v1/scheduler", "//", "ftp://a:1/", "//a@b:1/", "//" + "a" * 999)):
        master = double(r)
        master.next(refuse(307, Location=bad), refuse(307))
        probe, _ = subscribed(r, master, label=f"probe{number}")
        expect("redirected to no master" in probe.log(), "the complaint")
        expect_equal(len(master.requests), 3, "tries")
        probe.quit()


def test_next_master_of_the_list(r):
    master, dumb = double(r), double(r)
    dumb.next(*[silent()] * 9)
    probe = Probe(r, f"{gone_port()},{dumb.address},{master.address}", answer_ms=300,
                  backoff_ms=60000, backoff_max_ms=60000).start()
    expect_equal(probe.next("subscribed")["master"], master.address, "the master")
    expect_equal(probe.counters()["silences"], 1, "silences")
    probe.quit()


def test_leader_dies(r):
    one, two = double(r), double(r)
    probe = Probe(r, f"{one.address},{two.address}").start()
    framework_id = probe.next("subscribed")["framework_id"]
    one.close()
    probe.next("disconnected")
    heard = probe.next("subscribed")
    expect_equal((heard["master"], heard["framework_id"]), (two.address, framework_id), "the other")
    probe.quit()


def test_waits_out_503(r):
    master = double(r)
    master.next(*[refuse(503, "recovering")] * 6)
    begin = time.monotonic()
    probe, _ = subscribed(r, master)
    expect_equal(len(master.requests), 7, "tries")
    expect(time.monotonic() - begin > 0.05, "there were pauses")
    expect_equal(probe.log().count("503: recovering"), 1, "complaints")
    expect_equal([heard["why"] for heard in probe.all("failed")],
                 [f"{master.address} answered 503: recovering"] * 6, "what the owner hears")
    probe.expect_not_heard("disconnected", "there was no stream")
    probe.quit()


def test_other_refusals(r):
    master = double(r)
    master.next(refuse(400, "no\nsuch\tfield"), refuse(500), refuse(404), cut(), refuse(200, "<html>"),
                refuse(202), refuse(204))
    probe, _ = subscribed(r, master)
    expect_equal(len(master.requests), 8, "tries")
    expect("400: no such field" in probe.log(), "what it said")
    probe.quit()


def test_ends_when_refused(r):
    for status in (401, 403):
        master = double(r)
        master.next(refuse(status, "who?"))
        probe = Probe(r, master.address, label=f"probe{status}").start()
        heard = probe.next("ended")
        expect_equal(heard["end"], "REFUSED", "the end")
        expect(f"{status}: who?" in heard["why"], heard["why"])
        probe.start()  # begins anew
        probe.next("subscribed")
        expect_equal(len(master.requests), 2, "tries")
        probe.quit()


def test_error_events(r):
    for text, end in (("Framework failed over", "FAILED_OVER"), ("Framework has been removed", "REMOVED"),
                      ("Framework 'x' is not authorized to use role 'y'", "REFUSED")):
        master = double(r)
        master.next(error(text))
        probe = Probe(r, master.address, label=f"early{end}").start()
        heard = probe.next("ended")
        expect_equal((heard["end"], heard["connected"]), (end, False), "the end")
        probe.start()
        probe.next("subscribed")
        master.broadcast({"type": "ERROR", "error": {"message": text}})
        expect_equal(probe.next("ended")["end"], end, "the end")
        probe.do("suppress", error="ENOTCONN")
        probe.expect_not_heard("disconnected", "ended comes instead")
        expect_equal(len(master.requests), 2, "tries")
        probe.quit()


def test_other_error_event(r):
    master = double(r)
    probe, _ = subscribed(r, master)
    master.broadcast({"type": "ERROR", "error": {"message": "The sky fell"}})
    expect("The sky fell" in probe.next("disconnected")["why"], "why")
    probe.next("subscribed")
    master.broadcast({"type": "ERROR"})
    probe.next("disconnected")
    probe.next("subscribed")
    probe.quit()


def test_failed_over_without_a_fight(r):
    master = double(r)
    first, framework_id = subscribed(r, master, label="first")
    second = Probe(r, master.address, label="second").start(framework_id)
    second.next("subscribed")
    expect_equal(first.next("ended")["end"], "FAILED_OVER", "the end")
    other = double(r)
    first.do("masters", other.address)  # wakes nothing
    pause(0.5)
    expect_equal((len(other.requests), first.counters()["connected"]), (0, False), "subscriptions")
    first.quit()
    second.expect_not_heard("disconnected", "the second one stays")
    expect_equal(len(master.requests), 2, "subscriptions")
    second.quit()


# --- what a stream can do

def test_silence(r):
    master = double(r)
    master.next(accept(heartbeats=False))
    probe, _ = subscribed(r, master, misses=3)
    begin = time.monotonic()
    expect("no heartbeat" in probe.next("disconnected")["why"], "why")
    expect(time.monotonic() - begin > 1.5 * master_double.INTERVAL, "not before its time")
    probe.next("subscribed")
    expect_equal(probe.counters()["silences"], 1, "silences")
    # With heartbeats it stays for longer than that.
    wait_until(lambda: probe.counters()["heartbeats"] >= 6, "heartbeats")
    expect_equal(len(probe.all("disconnected")), 1, "disconnects")
    probe.quit()


def test_answers_nothing(r):
    master = double(r)
    master.next(silent(), accept(subscribed=False, heartbeats=False),
                accept(subscribed=False, interval=0.05),
                accept(raw=b"50\n{", subscribed=False, heartbeats=False))
    probe, _ = subscribed(r, master, answer_ms=250)
    expect_equal((len(master.requests), probe.counters()["silences"]), (5, 4), "tries, silences")
    probe.expect_not_heard("disconnected", "there was no stream")
    probe.quit()


def test_stalls_midway(r):
    master = double(r)
    master.next(accept(heartbeats=False, then=lambda stream: stream.send_bytes(b'90\n{"type": "OF')))
    probe, _ = subscribed(r, master)
    probe.next("disconnected")
    probe.next("subscribed")
    expect_equal(probe.counters()["silences"], 1, "silences")
    probe.quit()


def test_malformed_recordio(r):
    master = double(r)
    master.next(accept(raw=b"x", subscribed=False), accept(raw=b"12345678901\n", subscribed=False),
                accept(raw=b"16777217\n", subscribed=False), accept(raw=b"2\n{]", subscribed=False),
                accept(raw=master_double.frame({"type": "OFFERS", "offers": {"offers": []}})),
                accept(then=lambda stream: stream.send_bytes(b"-1\n")))
    probe, _ = subscribed(r, master)
    expect("is no event" in probe.next("disconnected")["why"], "why")
    probe.next("subscribed")
    expect_equal((len(master.requests), probe.counters()["records_malformed"]), (7, 6), "tries, counter")
    expect_equal(probe.all("offers"), [], "offers")
    probe.quit()


def test_malformed_events(r):
    """Within whole frames: they are left out, the stream goes on."""
    master = double(r)
    probe, _ = subscribed(r, master)
    bad = [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"type": 7}', b'{"type": "OFFERS"}',
           b'{"type": "OFFERS", "offers": {"offers": {}}}', b'{"type": "RESCIND", "rescind": []}',
           b'{"type": "UPDATE", "update": {"status": {"state": "TASK_RUNNING"}}}',
           b'{"type": "UPDATE", "update": {"status": {"task_id": {"value": "a"}}}}',
           b'{"type": "FAILURE"}', b'{"type": "SUBSCRIBED"}',
           b'{"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "other"}}}']
    for data in bad:
        master.stream().send_bytes(master_double.frame(data))
    master.broadcast({"type": "NEWER_THAN_WE", "x": 1})
    master.broadcast({"type": "RESCIND", "rescind": {"offer_id": {"value": "o\x00ne"}}})
    expect_equal(probe.next("rescinded")["offer_id"], "o", "the offer")
    expect_equal(probe.counters()["records_malformed"], len(bad), "malformed")
    expect_equal(len(master.requests), 1, "subscriptions")
    probe.quit()


def test_slow_frames(r):
    master = double(r)
    master.next(accept(then=lambda stream: stream.send_slowly(
        {"type": "RESCIND", "rescind": {"offer_id": {"value": "one"}}})))
    probe, _ = subscribed(r, master)
    expect_equal(probe.next("rescinded")["offer_id"], "one", "the offer")
    expect_equal(probe.counters()["disconnects"], 0, "disconnects")
    probe.quit()


def test_large_record(r):
    master = double(r)
    probe, _ = subscribed(r, master)
    # The largest, and one byte more.
    event = {"type": "RESCIND", "rescind": {"offer_id": {"value": "big"}}, "more": ""}
    event["more"] = "x" * ((16 << 20) - len(json.dumps(event)))
    master.broadcast(event)
    expect_equal(probe.next("rescinded")["offer_id"], "big", "the offer")
    event["more"] += "x"
    master.broadcast(event)
    probe.next("disconnected")
    probe.quit()


def test_flapping_master(r):
    """One that ends each stream at once is not asked again and again without a pause."""
    master = double(r)
    master.next(*[accept(heartbeats=False, then=lambda stream: stream.end())] * 1000)
    probe = Probe(r, master.address, backoff_ms=300, backoff_max_ms=2000).start()
    wait_until(lambda: len(master.requests) >= 5, "tries", 30)
    before = len(master.requests)
    pause(1)
    expect(len(master.requests) - before < 20, f"{len(master.requests) - before} tries in a second")
    probe.quit()


def test_comes_back_at_once(r):
    """A stream that lived is sought again without a pause."""
    master = double(r)
    probe, _ = subscribed(r, master, backoff_ms=1000, backoff_max_ms=100000)
    wait_until(lambda: probe.counters()["heartbeats"] >= 7, "more than a second of life")
    begin = time.monotonic()
    master.stream().end()
    probe.next("subscribed")
    expect(time.monotonic() - begin < 0.2 * rig.PATIENCE, "at once")
    probe.quit()


def test_stopped_process(r):
    """After a pause what came meanwhile is read, before silence is judged."""
    master = double(r)
    probe, _ = subscribed(r, master)
    probe.process.send_signal(signal.SIGSTOP)
    pause(5 * master_double.INTERVAL)
    probe.process.send_signal(signal.SIGCONT)
    before = probe.counters()["heartbeats"]
    wait_until(lambda: probe.counters()["heartbeats"] > before, "a heartbeat")
    expect_equal(probe.counters()["disconnects"], 0, "disconnects")
    probe.quit()


def test_list_of_masters_changes(r):
    one, two = double(r), double(r)
    probe = Probe(r).start()
    probe.do("masters", one.address)
    framework_id = probe.next("subscribed")["framework_id"]
    probe.do("masters", f"{two.address},{one.address}")
    probe.do("masters", "a:b", error="EINVAL")
    probe.do("masters", ",".join(["a:1"] * 17), error="E2BIG")
    expect_equal(probe.counters()["connects"], 1, "connects")
    probe.do("masters", two.address)
    expect("listed no more" in probe.next("disconnected")["why"], "why")
    heard = probe.next("subscribed")
    expect_equal((heard["master"], heard["framework_id"]), (two.address, framework_id), "the other")
    wait_until(lambda: one.streams[0].client not in one.clients, "the first stream's end")
    probe.do("masters", "")
    probe.next("disconnected")
    probe.do("revive", error="ENOTCONN")
    probe.do("masters", one.address)
    probe.next("subscribed")
    probe.quit()


def test_new_list_ends_the_wait(r):
    master = double(r)
    probe = Probe(r, gone_port(), backoff_ms=60000, backoff_max_ms=60000).start()
    probe.wait_log("will try again")
    probe.do("masters", master.address)
    probe.next("subscribed")
    probe.quit()


if __name__ == "__main__":
    rig.run(*[test for name, test in list(globals().items()) if name.startswith("test_")])
