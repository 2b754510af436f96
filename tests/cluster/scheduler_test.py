#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 300
"""The Mesos scheduler against the master double: all that can go wrong with a master."""

import json
import signal
import socket
import time

import master_double
import rig
from master_double import MasterDouble, accept, cut, error, redirect, refuse, silent
from probe import Probe, launch
from rig import expect, expect_equal, sh, wait_until


def double(r, **options):
    return r.stack.enter_context(MasterDouble(**options))


def gone_port():
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"127.0.0.1:{sock.getsockname()[1]}"


def pause(seconds):
    """In which something must not happen."""
    time.sleep(seconds)


def subscribed(r, master, **options):
    probe = Probe(r, master.address, **options).start()
    heard = probe.next("subscribed")
    expect_equal(heard["master"], master.address, "the master")
    return probe, heard["framework_id"]


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


# --- calls

def test_tasks(r):
    master = double(r)
    agent = master.add_agent("slave1")
    probe, framework_id = subscribed(r, master)
    offers = master.offer_all()
    heard = probe.next("offers")["offers"]
    expect_equal([(o["id"]["value"], o["hostname"]) for o in heard], [(offers[0], "slave1")], "offers")
    probe.do("accept", offers[0], 2.5, launch("t1", agent))
    call = master.wait_call("ACCEPT")
    expect_equal((call["framework_id"]["value"], call["stream"], call["accept"]["filters"]),
                 (framework_id, master.stream().id, {"refuse_seconds": 2.5}), "the call")
    probe.ack(probe.next_update("TASK_STARTING", "t1"))
    running = probe.next_update("TASK_RUNNING", "t1")
    probe.ack(running)
    ack = master.wait_call("ACKNOWLEDGE", 2)["acknowledge"]
    expect_equal(ack, {key: running[key] for key in ("agent_id", "task_id", "uuid")}, "the second")
    # What the master itself says needs no acknowledgement.
    probe.do("reconcile")
    probe.ack(probe.next_update("TASK_RUNNING", "t1"))
    probe.do("reconcile", json.dumps([{"task_id": {"value": "t2"}, "agent_id": {"value": agent}}]))
    probe.next_update("TASK_UNKNOWN", "t2")
    expect_equal(master.of_type("RECONCILE")[0]["reconcile"], {"tasks": []}, "the implicit one")
    probe.do("kill", "t1", agent, 1.5)
    probe.ack(probe.next_update("TASK_KILLED", "t1"))
    expect_equal(master.wait_call("KILL")["kill"], {
        "task_id": {"value": "t1"}, "agent_id": {"value": agent},
        "kill_policy": {"grace_period": {"nanoseconds": 1500000000}}}, "the call")
    wait_until(lambda: not master.tasks, "the end of the task")
    expect_equal(len(master.of_type("ACKNOWLEDGE")), 3, "acknowledgements")
    probe.quit()


def test_offers_end(r):
    master = double(r)
    for name in "abc":
        master.add_agent(name)
    probe, _ = subscribed(r, master)
    offers = master.offer_all()
    expect_equal(len(probe.next("offers")["offers"]), 3, "offers")
    probe.do("decline", ",".join(offers[:2]), 60)
    call = master.wait_call("DECLINE")["decline"]
    expect_equal(call, {"offer_ids": [{"value": o} for o in offers[:2]],
                        "filters": {"refuse_seconds": 60}}, "the call")
    probe.do("accept", offers[0], 1, launch("t", "agent-0"))
    probe.next_update("TASK_DROPPED", "t")
    probe.do("accept", offers[2], 1, error="ENOMEM")  # without operations
    master.broadcast({"type": "RESCIND", "rescind": {"offer_id": {"value": offers[2]}}})
    expect_equal(probe.next("rescinded")["offer_id"], offers[2], "the offer")
    master.broadcast({"type": "FAILURE", "failure": {
        "agent_id": {"value": "agent-0"}, "executor_id": {"value": "e"}, "status": 1}})
    master.broadcast({"type": "FAILURE", "failure": {"agent_id": {"value": "agent-1"}}})
    expect_equal(probe.next("agent_lost")["agent_id"], "agent-1", "the agent")
    probe.do("suppress")
    probe.do("revive")
    master.wait_call("REVIVE")
    expect_equal((len(master.of_type("SUPPRESS")), probe.counters()["offers"]), (1, 3), "counts")
    probe.quit()


def test_order_of_calls(r):
    """Of those made while one is being answered, too."""
    master = double(r)
    master.call_delay = {"SUPPRESS": 0.3}
    probe, _ = subscribed(r, master)
    probe.say("suppress")
    for n in range(200):
        probe.say("kill", f"t{n}", "agent-0", 1)
    probe.do("revive")
    master.wait_call("REVIVE")
    expect_equal([call["kill"]["task_id"]["value"] for call in master.of_type("KILL")],
                 [f"t{n}" for n in range(200)], "the order")
    expect_equal([call["type"] for call in (master.calls[0], master.calls[-1])],
                 ["SUPPRESS", "REVIVE"], "first and last")
    probe.quit()


def test_refused_and_lost_calls(r):
    master = double(r)
    probe, _ = subscribed(r, master, answer_ms=400)
    master.call_status = {"KILL": 403, "SUPPRESS": 503}
    probe.do("kill", "t", "a", 1)
    probe.do("suppress")
    probe.do("revive")
    master.wait_call("REVIVE")
    wait_until(lambda: probe.counters()["calls_refused"] == 2, "refusals")
    probe.wait_log("KILL was refused: " + master.address + " answered 403: KILL is not taken")
    master.call_delay = {"DECLINE": 1}
    probe.do("decline", "o", 1)
    probe.wait_log("DECLINE may be lost")
    expect_equal(probe.counters()["calls_failed"], 1, "failures")
    probe.do("revive")  # comes after it all the same
    master.wait_call("REVIVE", 2)
    expect_equal((probe.counters()["calls"], probe.counters()["disconnects"]), (5, 0), "counters")
    probe.quit()


def test_may(r):
    master = double(r)
    master.call_delay = {"SUPPRESS": 0.5}
    probe, _ = subscribed(r, master)
    probe.do("may", "no")
    for command in (["suppress"], ["revive"], ["kill", "t", "a", 1], ["decline", "o", 1],
                    ["accept", "o", 1, "[]"],
                    ["ack", '{"uuid": "u", "agent_id": {"value": "a"}, "task_id": {"value": "t"}}']):
        probe.do(*command, error="EPERM")
    probe.do("reconcile")  # changes nothing
    master.wait_call("RECONCILE")
    # What was allowed when it was made, and isn't any more when its turn comes.
    probe.do("may", "yes")
    probe.say("suppress")
    probe.do("kill", "t", "a", 1)
    probe.do("reconcile")
    probe.do("may", "no")
    master.wait_call("RECONCILE", 2)
    expect_equal((master.of_type("KILL"), len(master.of_type("SUPPRESS"))), ([], 1), "calls")
    expect_equal(probe.counters()["calls_dropped"], 7, "dropped")
    # Nor does it subscribe: another one leads.
    master.stream().end()
    probe.next("disconnected")
    pause(0.6)
    expect_equal(len(master.requests), 1, "subscriptions")
    probe.do("may", "yes")
    probe.next("subscribed")
    probe.quit()


def test_calls_end_with_their_stream(r):
    master = double(r)
    master.call_delay = {"SUPPRESS": 0.6}
    probe, _ = subscribed(r, master)
    probe.say("suppress")
    for n in range(10):
        probe.do("kill", f"t{n}", "a", 1)
    master.stream().end()
    probe.next("disconnected")
    probe.next("subscribed")
    probe.do("revive")
    master.wait_call("REVIVE")
    expect_equal(master.of_type("KILL"), [], "calls of the old stream")
    counters = probe.counters()
    expect_equal((counters["calls_dropped"], counters["calls_failed"]), (10, 1), "counters")
    probe.quit()


def test_too_many_calls(r):
    master = double(r)
    master.call_delay = {"SUPPRESS": 2 * rig.PATIENCE}
    probe, _ = subscribed(r, master)
    probe.say("suppress")
    for _ in range(10000):
        probe.say("revive")
    wait_until(lambda: len(probe.all("result")) == 10003, "results")
    expect_equal({heard["error"] for heard in probe.all("result")}, {""}, "errors")
    probe.do("revive", error="ENOBUFS")
    probe.do("stop")
    expect_equal(probe.counters()["calls_dropped"], 10000, "dropped")
    probe.quit()


def burst(event):
    """One of each kind in one piece, at the end the one that leads to 'event'."""
    text = "x" if event == "disconnected" else "Framework failed over"
    events = [{"type": "OFFERS", "offers": {"offers": []}},
              {"type": "RESCIND", "rescind": {"offer_id": {"value": "o"}}},
              {"type": "UPDATE", "update": {"status": {"task_id": {"value": "t"}, "state": "TASK_LOST"}}},
              {"type": "FAILURE", "failure": {"agent_id": {"value": "a"}}},
              {"type": "ERROR", "error": {"message": text}}]
    return b"".join(master_double.frame(e) for e in events)


def test_stop_and_start_within_callbacks(r):
    master = double(r)
    after = {"offers": 1, "rescinded": 2, "update": 3, "agent_lost": 4, "disconnected": 5, "ended": 5}
    for event in ("subscribed", *after):
        for what in ("stop", "start framework-9"):
            probe, framework_id = subscribed(r, master, label=f"probe-{event}-{what[:4]}")
            probe.do("on", event, what)
            stream = master.current[framework_id]
            if event == "subscribed":
                stream.cut()
            else:
                stream.send_bytes(burst(event))
            probe.next(event)
            if what == "stop":
                expect(not probe.counters()["connected"], "stopped")
                wait_until(lambda: stream.client not in master.clients, "the stream's end")
                heard = [h for h in probe.heard if h["event"] in after]
                expect_equal(len(heard), after.get(event, 1), f"events until {what} in {event}")
            else:
                probe.do("on", event)
                wait_until(lambda: probe.counters()["connected"], f"a stream after {what} in {event}")
                expect_equal(probe.all("subscribed")[-1]["framework_id"], "framework-9", "the id")
            probe.quit()


def test_stop_within_may(r):
    master = double(r)
    probe, _ = subscribed(r, master)
    probe.do("on", "may", "stop")
    probe.say("revive")
    wait_until(lambda: not probe.counters()["connected"], "the end")
    probe.do("start", "")  # its subscribing asks, too, and so is stopped again
    probe.do("on", "may")
    probe.start()
    probe.next("subscribed")
    # When it is asked for a call that has waited, too.
    master.call_delay = {"SUPPRESS": 0.5}
    probe.say("suppress")
    probe.do("kill", "t", "a", 1)
    probe.do("on", "may", "stop")
    wait_until(lambda: not probe.counters()["connected"], "the end")
    counters = probe.counters()
    expect_equal((counters["calls_dropped"], counters["calls_failed"]), (1, 0), "counters")
    probe.quit()


# --- who we are, and who the master is

def test_credentials(r):
    master = double(r, credentials=("mill:race", "secret"))
    probe = Probe(r, master.address, principal="millrace", secret="secret", label="wrong").start()
    expect_equal(probe.next("ended")["end"], "REFUSED", "the end")
    probe.quit()
    master.credentials = ("millrace", "secret")
    probe, _ = subscribed(r, master, principal="millrace", secret="secret")
    probe.do("revive")
    master.wait_call("REVIVE")
    expect_equal(master.requests[0]["subscribe"]["framework_info"]["principal"], "millrace", "principal")
    expect("secret" not in probe.log(), "the secret isn't said")
    probe.quit()


def certificate(r, name, host):
    key, cert = r.home / f"{name}.key", r.home / f"{name}.crt"
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
       "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}",
       "-addext", f"subjectAltName={host}")
    return cert, key


def test_tls(r):
    cert, key = certificate(r, "good", "IP:127.0.0.1")
    other, other_key = certificate(r, "other", "IP:127.0.0.1")
    elsewhere, elsewhere_key = certificate(r, "elsewhere", "IP:127.0.0.2")
    master = double(r, tls=(cert, key))
    probe, _ = subscribed(r, master, ca=cert, label="good")
    probe.do("revive")
    master.wait_call("REVIVE")
    probe.quit()
    for name, pair, ca in (("unknown", (other, other_key), cert),
                           ("elsewhere", (elsewhere, elsewhere_key), elsewhere)):
        liar = double(r, tls=pair)
        probe = Probe(r, liar.address, ca=ca, label=name).start()
        probe.wait_log("will try again")
        expect("certificate" in probe.log().lower(), probe.log())
        expect_equal(liar.requests, [], "requests")
        probe.quit()
    # No falling back to plain http, not by a redirect either.
    plain = double(r)
    master.next(redirect(plain.address, "http://{}/api/v1/scheduler"))
    probe = Probe(r, master.address, ca=cert, label="plain", backoff_ms=60000, backoff_max_ms=60000).start()
    probe.wait_log("will try again")
    expect_equal(plain.requests, [], "requests")
    probe.quit()


# --- many

def test_offers_of_a_large_cluster(r):
    seconds = 3
    master = double(r)
    probe, _ = subscribed(r, master)
    probe.do("count")
    before = probe.counters()["cpu_seconds"]
    sent = master.flood(agents=1000, per_second=10000, seconds=seconds)
    wait_until(lambda: probe.counters()["offers"] == sent, "all offers")
    wait_until(lambda: sum(len(call["decline"]["offer_ids"]) for call in master.of_type("DECLINE"))
               == sent, "all declined")
    used = probe.counters()["cpu_seconds"] - before
    print(f"     {sent} offers in {seconds} s took {used:.2f} s of a CPU")
    if not rig.SANITIZED:
        expect(sent > 9000 * seconds, f"only {sent} offers were sent")
        expect(used < 0.8 * seconds, f"{used:.2f} s of a CPU in {seconds} s")
    expect_equal(probe.counters()["disconnects"], 0, "disconnects")
    probe.quit()


if __name__ == "__main__":
    rig.run(*[test for name, test in list(globals().items()) if name.startswith("test_")])
