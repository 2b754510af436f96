#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 240
"""Reliable listeners, asked by a sender that was written from docs/protocol.md: what is acknowledged
is in the log, once, whatever is sent again, by whatever way, before and after a restart."""

import time

import logread
import reliable
import rig
from rig import OTHER_RECEIVER4, PORT, RECEIVER4, RECEIVER6, expect, expect_equal, wait_until

LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"}]


def receiver_of(r, net, device="af_xdp:rx0", **config):
    return r.receiver(net, device=device, listeners=LISTENERS, **config)


def payloads_of(source, first, count):
    return [b"%d %08d" % (source, first + i) for i in range(count)]


def counter(receiver, name):
    return sum(row["value"] for row in receiver.get("/api/v1/stats")
               if (row["subsystem"], row["name"]) == ("reliable", name))


def send_all(sender, first, count, each=20):
    payloads = payloads_of(sender.source, first, count)
    for i in range(0, count, each):
        sender.events(first + i, payloads[i:i + each])
    return payloads


def what_is_acknowledged_is_in_the_log_once(r, device, to):
    net = r.net()
    receiver = receiver_of(r, net, device).start()
    sender = reliable.sender_of(net, to, PORT)
    expect_equal(sender.open(), 0, "durable at the start")
    payloads = send_all(sender, 0, 1000)
    sender.wait_durable(1000)
    # All of it again, as after lost ACKs, and then what is new.
    send_all(sender, 0, 1000)
    payloads += send_all(sender, 1000, 200)
    sender.wait_durable(1200)
    expect(counter(receiver, "duplicates") >= 900, "duplicates were seen")
    receiver.at_rest()
    receiver.kill()
    found = [p for p in logread.read_events(receiver.data)]
    expect_equal(sorted(found), sorted(payloads), "events in the log")


def over_af_xdp(r):
    what_is_acknowledged_is_in_the_log_once(r, "af_xdp:rx0", RECEIVER4)


def over_ipv6(r):
    what_is_acknowledged_is_in_the_log_once(r, "af_xdp:rx0", RECEIVER6)


def over_af_packet(r):
    what_is_acknowledged_is_in_the_log_once(r, "af_packet:rx0", RECEIVER4)


def a_gap_is_told_and_filled(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    sender = reliable.sender_of(net, RECEIVER4, PORT)
    sender.open(first_seq=5)
    send_all(sender, 8, 4)
    ack = sender.wait_ack(lambda ack: ack.ranges)
    expect_equal((ack.durable, ack.ranges), (5, [(3, 4)]), "durable and ranges")
    send_all(sender, 5, 3)
    sender.wait_durable(12)
    receiver.stop()


def a_large_event_comes_in_parts(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    sender, other = (reliable.sender_of(net, RECEIVER4, PORT) for _ in range(2))
    sender.open()
    other.open()
    large = bytes(i * 7 % 251 for i in range(50000))
    parts = len(sender.sent)
    sender.parts(0, large)
    lost = sender.sent[parts + 3]
    # One part comes late; others' events do not wait for it.
    sender.parts(1, large[:3000])
    send_all(other, 0, 10)
    other.wait_durable(10)
    sender.send(lost)
    sender.wait_durable(2)
    receiver.stop()
    expect(large in logread.read_events(receiver.data), "the large event is in the log")


def a_source_has_one_partition_by_all_ways(r):
    """100 source ports over two NICs into two partitions: no duplicate."""
    net = r.net()
    net.second_wire()
    receiver = receiver_of(r, net, partitions=2, cpus="0-1")
    receiver.config["ports"] = [
        {"name": "first", "device": "af_packet:rx0", "rx_queues": 2,
         "addresses": [f"{RECEIVER4}/24"]},
        {"name": "second", "device": "af_xdp:rx1", "addresses": [f"{OTHER_RECEIVER4}/24"]}]
    receiver.start()
    sender = reliable.sender_of(net, RECEIVER4, PORT, sockets=100)
    sender.open()
    wanted = []
    for i in range(0, 4000, 20):
        sender.to = (RECEIVER4 if i % 40 == 0 else OTHER_RECEIVER4, PORT)
        wanted += send_all(sender, i, 20)
        send_all(sender, i, 20)
        if i % 400 == 0:
            sender.wait_durable(i)
    sender.wait_durable(4000)
    receiver.at_rest()
    receiver.stop()
    found = logread.read_events(receiver.data)
    expect_equal(len(found), len(set(found)), "events and different ones")
    expect_equal(sorted(found), sorted(wanted), "events in the log")


def another_number_of_partitions_knows_them_too(r):
    net = r.net()
    receiver = receiver_of(r, net, partitions=1, cpus="0-1").start()
    senders = [reliable.sender_of(net, RECEIVER4, PORT) for _ in range(8)]
    wanted = []
    for sender in senders:
        sender.open()
        wanted += send_all(sender, 0, 40)
        sender.wait_durable(40)
    receiver.kill()
    receiver.config["partitions"] = 2
    receiver.start()
    for sender in senders:
        expect_equal(sender.open(first_seq=20, flags=0), 40, "durable after the restart")
        send_all(sender, 20, 20)
        wanted += send_all(sender, 40, 20)
        sender.wait_durable(60)
    receiver.at_rest()
    receiver.stop()
    expect_equal(sorted(logread.read_events(receiver.data)), sorted(wanted), "events in the logs")


def captured_traffic_gets_nothing_in(r):
    net = r.net()
    receiver = receiver_of(r, net).start()
    sender = reliable.sender_of(net, RECEIVER4, PORT)
    sender.open()
    wanted = send_all(sender, 0, 100)
    sender.wait_durable(100)
    captured = list(sender.sent)
    for data in captured:
        sender.send(data)
    receiver.at_rest()
    receiver.kill()
    receiver.start()
    for data in captured:
        sender.send(data)
    wait_until(lambda: counter(receiver, "resets") > 0, "what has no session was told so")
    receiver.at_rest()
    receiver.stop()
    expect_equal(sorted(logread.read_events(receiver.data)), sorted(wanted), "events in the log")


def an_epoch_goes_on_after_kills(r):
    """Killed again and again: whatever was acknowledged is there, once, and the source goes on."""
    net = r.net()
    receiver = receiver_of(r, net, log={"segment_size": "16MiB", "queue_depth": 2})
    receiver.start()
    sender = reliable.sender_of(net, RECEIVER4, PORT)
    acknowledged = sender.open()
    sent = 0
    for _ in range(6):
        for i in range(30):
            sender.events(sent, payloads_of(sender.source, sent, 20))
            sent += 20
            if i == 20:
                acknowledged = sender.wait_durable(sent - 100).durable
        receiver.kill()
        receiver.start()
        durable = sender.open(first_seq=acknowledged, flags=0)
        expect(isinstance(durable, int) and durable >= acknowledged,
               f"{acknowledged} were acknowledged, after the restart {durable} are durable")
        # From what it has acknowledged on all is sent again.
        for seq in range(acknowledged, sent, 20):
            sender.events(seq, payloads_of(sender.source, seq, min(20, sent - seq)))
        acknowledged = sender.wait_durable(sent).durable
    receiver.at_rest()
    receiver.stop()
    expect_equal(sorted(logread.read_events(receiver.data)),
                 sorted(payloads_of(sender.source, 0, sent)), "events in the log")


def what_is_known_of_sources_outlives_retention(r):
    """The segment that holds a source's begin is retired; after a kill its duplicates are known."""
    net = r.net(quiet=True)
    receiver = r.receiver(net, device="af_xdp:rx0", log={
        "segment_size": "16MiB", "retain_size": "32MiB", "queue_depth": 2, "block_size": "1MiB"},
        listeners=LISTENERS + [{"name": "plain", "port": PORT + 1}])
    receiver.start()
    idle = reliable.sender_of(net, RECEIVER4, PORT)
    idle.open()
    send_all(idle, 0, 100)
    idle.wait_durable(100)
    retired = lambda: sum(row["value"] for row in receiver.get("/api/v1/stats")
                          if row["name"] == "segments_retired")
    end = time.monotonic() + 60
    while retired() < 3 and time.monotonic() < end:
        net.send_events("--rate", 20000, "--count", 10000, "--size", 1400, port=PORT + 1)
    expect(retired() >= 3, f"{retired()} segments were retired")
    receiver.kill()
    receiver.start()
    expect("1 sources known" in receiver.log(), receiver.log_tail())
    expect_equal(idle.open(first_seq=90, flags=0), 100, "durable after the restart")
    send_all(idle, 90, 20)
    idle.wait_durable(110)
    expect(counter(receiver, "duplicates") >= 10, "duplicates were known")
    receiver.stop()


def a_log_without_events_is_no_other_log(r):
    """What is known of no source is written down, too, before the log has its id for good."""
    receiver = receiver_of(r, r.net())
    for _ in range(2):
        receiver.start()
        wait_until(lambda: (receiver.data / "0/sources").exists(), "it was written")
        receiver.kill()
    receiver.start().stop()


def the_pipeline_answers_too(r):
    net = r.net()
    receiver = receiver_of(r, net, mode="pipeline", rx_lcores=1, cpus="0-1").start()
    sender = reliable.sender_of(net, RECEIVER4, PORT)
    sender.open()
    send_all(sender, 0, 500)
    sender.wait_durable(500)
    receiver.stop()


rig.run(over_af_xdp, over_ipv6, over_af_packet, a_gap_is_told_and_filled,
        a_large_event_comes_in_parts, a_source_has_one_partition_by_all_ways,
        another_number_of_partitions_knows_them_too, captured_traffic_gets_nothing_in,
        an_epoch_goes_on_after_kills, what_is_known_of_sources_outlives_retention,
        a_log_without_events_is_no_other_log, the_pipeline_answers_too)
