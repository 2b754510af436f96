#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
"""With 'ack: sink' what a sender was told to be acknowledged is in Kafka, whatever becomes of the
receiver's disk; nothing is acknowledged while Kafka is away."""

import shutil
import time

import checker
import sinks
from rig import expect, expect_equal, wait_until
from sinks import kafka_sink, receiver_of

ROUNDS = 3
SURE = [{**sinks.LISTENER, "ack": "sink"}]


def the_disk_is_lost_and_no_acknowledged_event(r, cluster):
    """Again and again, at moments when the sink is behind as well."""
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "policy")], listeners=SURE)
    receiver.start()
    for number in range(ROUNDS):
        senders = [sinks.Told(r, net, f"policy-{number}-{n}") for n in range(3)]
        for sender in senders:
            sender.wait_more(500)
        if number > 0:
            cluster.brokers[0].pause()
            time.sleep(0.5)  # so much is behind: no condition to wait for
        receiver.kill()
        shutil.rmtree(receiver.data)
        for sender in senders:
            sender.kill()
            sent.add_told(sender.account())
        cluster.brokers[0].resume()
        receiver.start()
    receiver.stop()
    expect(sent.certain() > 500 * ROUNDS, f"only {sent.certain()} events were acknowledged")
    verdict = checker.compare(sent, checker.read_kafka(cluster, "policy-"))
    print(verdict, flush=True)
    expect(verdict.good(), str(verdict))


def nothing_is_acknowledged_while_kafka_is_away(r, cluster):
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "away")], listeners=SURE).start()
    sender = sinks.Told(r, net, "away")
    sender.wait_more(500)
    [broker] = cluster.brokers
    broker.pause()
    told = [sender.count()]

    def quiet():
        """A transaction that was under way may have been confirmed."""
        told.append(sender.count())
        return len(told) > 50 and told[-50] == told[-1]

    wait_until(quiet, "no more events were acknowledged", 30)
    wait_until(lambda: int(sinks.lag(receiver)) > 500, "events were durable and not acknowledged", 30)
    expect_equal(sender.count(), told[-1], "acknowledged while Kafka is away")
    # What the log has now is on this disk, which is not what is asked for.
    receiver.kill()
    receiver.start()
    wait_until(lambda: receiver.drops().get("rel_unconfirmed", 0) > 5,
               "the sender asked what is acknowledged", 60)
    expect_equal(sender.count(), told[-1], "acknowledged by a restart while Kafka is away")
    broker.resume()
    sender.wait_more(500)
    sender.stop()
    sinks.wait_delivered(receiver)
    receiver.stop()
    sent.add_told(sender.account())
    sinks.expect_all(sent, checker.read_kafka(cluster, "away-"))


def a_restart_acknowledges_what_the_sink_has(r, cluster):
    """Killed at random; the sender goes on in the same epoch, and all is there once."""
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "again")], listeners=SURE).start()
    sender = sinks.Told(r, net, "again")
    for _ in range(4):
        sender.wait_more(400)
        receiver.kill()
        receiver.start()
    sender.wait_more(400)
    sender.stop()
    receiver.stop()
    sent.add_told(sender.account())
    sinks.expect_all(sent, checker.read_kafka(cluster, "again-"))


sinks.run(the_disk_is_lost_and_no_acknowledged_event, nothing_is_acknowledged_while_kafka_is_away,
          a_restart_acknowledges_what_the_sink_has)
