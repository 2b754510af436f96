#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 300
"""The Mesos scheduler's calls against the master double, its callbacks that make some, credentials and
TLS, and the offers of a large cluster."""

import json

import certificates
import master_double
import rig
from master_double import redirect
from probe import Probe, double, launch, pause, subscribed
from rig import expect, expect_equal, wait_until


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


def test_tls(r):
    cert, key = certificates.make(r.home, "good", "127.0.0.1")
    other, other_key = certificates.make(r.home, "other", "127.0.0.1")
    elsewhere, elsewhere_key = certificates.make(r.home, "elsewhere", "127.0.0.2")
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
    probe = Probe(r, master.address, ca=cert, label="plain", answer_ms=500, backoff_ms=60000,
                  backoff_max_ms=60000).start()
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
