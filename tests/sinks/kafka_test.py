#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
"""Events reach a real Kafka once: through restarts, over two partitions; a cursor or a log that is
gone is noticed, and nothing is replayed or taken for delivered."""

import collections
import contextlib
import json
import re
import shutil
import time

import checker
import jsonschema
import sinks
from rig import MILLRACE, PORT, TREE, expect, expect_equal, wait_until
from sinks import OTHER_PORT, kafka_sink, receiver_of, send, wait_delivered


def events_are_there_once_with_their_names(r, cluster):
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    listeners = [sinks.LISTENER, {"name": "other", "port": OTHER_PORT, "kind": "reliable"}]
    receiver = receiver_of(r, net, [kafka_sink(cluster, "once")], listeners=listeners, partitions=2)
    receiver.start()
    for sizes, count, port in (("18-900", 20000, PORT), ("64", 5000, OTHER_PORT),
                               ("18-3000", 3000, PORT), ("40000-60000", 100, OTHER_PORT)):
        send(r, net, sent, count, sizes, port=port)
    wait_delivered(receiver)
    receiver.stop()
    send_through_restarts(r, net, sent, receiver)
    names = collections.Counter()
    found = checker.read_kafka(cluster, "once-", taken=lambda *message: take_named(names, *message))
    sinks.expect_all(sent, found)
    expect_equal(sorted({topic for topic, *_ in names}), [f"once-{PORT}", f"once-{OTHER_PORT}"], "topics")
    expect_equal(len({log_id for _, log_id, _ in names}), 2, "logs, one of each partition")
    check_cursors(cluster, names)


def send_through_restarts(r, net, sent, receiver):
    """In good order, killed, killed with the sink behind."""
    receiver.start()
    send(r, net, sent, 5000)
    receiver.stop()
    receiver.start()
    for _ in range(3):
        process = sinks.start_send(r, net, "--rate", "20k", "--count", 30000, "--size", "100-400")
        before = receiver.durable()
        wait_until(lambda: receiver.durable() > before + 10000, "some of it was durable")
        receiver.kill()
        receiver.start()
        sent.add_account(sinks.account_of(process), "100-400")
    wait_delivered(receiver)
    receiver.stop()


def take_named(names, found, message, place):
    """Counts the batches that are named; the key is the source's."""
    checker.take_message(found, message, place)
    headers = dict(message.headers())
    names[message.topic(), headers["log_id"], int(headers["batch"])] += 1
    if message.key() != b"%016x" % int(headers["source"]):
        found.problems.append(f"key {message.key()} of source {headers['source']}")


def cursor_of(cluster, group, tries=20):
    """The client's text goes on with what its memory holds behind the cursor; where that is no text at
    all it is asked again."""
    import confluent_kafka
    request = confluent_kafka.ConsumerGroupTopicPartitions(group)
    for _ in range(tries):
        done = cluster.admin.list_consumer_group_offsets([request])[group].result(30)
        [place] = done.topic_partitions
        with contextlib.suppress(UnicodeDecodeError):
            return json.JSONDecoder().raw_decode(place.metadata)[0]
    raise AssertionError(f"the cursor of {group} could not be read in {tries} tries")


def check_cursors(cluster, names):
    """Of each log the sink's group names the batch behind the last one that has events."""
    last = {}
    for _, log_id, batch in names:
        last[log_id.decode()] = max(last.get(log_id.decode(), 0), batch)
    for log_id, batch in last.items():
        groups = [group for group in sinks.groups_of(cluster, "millrace-once") if log_id in group]
        expect_equal(len(groups), 1, f"groups of log {log_id}")
        cursor = cursor_of(cluster, groups[0])
        expect_equal(cursor["log_id"], log_id, "log_id of the cursor")
        expect(int(cursor["batch"]) > batch, f"the cursor {cursor} is not behind batch {batch}")
        expect(re.fullmatch("[0-9a-f]{8}", cursor["crc"]), f"the cursor {cursor} names no CRC")


def a_batch_may_be_one_message(r, cluster):
    """format: arrow, through kills."""
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "arrow", topic="arrow-{partition}",
                                               format="arrow")],
                           log={**sinks.LOG, "block_size": "128KiB", "seal_size": "512KiB"})
    receiver.start()
    for _ in range(3):
        send(r, net, sent, 5000)
        receiver.kill()
        receiver.start()
    wait_delivered(receiver)
    receiver.stop()
    sinks.expect_all(sent, checker.read_kafka(cluster, "arrow-", taken=checker.take_batch))


def an_emptied_group_stops_the_sink(r, cluster):
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "emptied")]).start()
    send(r, net, sent, 5000)
    wait_delivered(receiver)
    receiver.stop()
    there = sinks.messages_in(cluster, "emptied-")
    for group in sinks.groups_of(cluster, "millrace-emptied"):
        cluster.delete_group(group)
    receiver.start()
    wait_until(lambda: sinks.states(receiver, "emptied") == {"stopped"}, "the sink stopped", 30)
    [row] = sinks.rows(receiver, "emptied")
    expect("emptied" in receiver.log(), f"the log has no word of it: {receiver.log_tail()}")
    expect(row["why"], f"the sink doesn't say why: {row}")
    status = receiver.get("/api/v1/status")
    expect_equal(status["health"], "degraded", f"health ({status['reasons']})")
    # Reception goes on, and nothing is delivered, neither again nor anew.
    before = receiver.durable()
    send(r, net, checker.Sent(), 1000)
    wait_until(lambda: receiver.durable() >= before + 1000, "events were durable")
    expect_equal(sinks.messages_in(cluster, "emptied-"), there, "offsets in Kafka")
    receiver.stop()
    sinks.expect_all(sent, checker.read_kafka(cluster, "emptied-"))


def a_log_wiped_under_load_is_noticed(r, cluster):
    """What was acknowledged before it was noticed is in Kafka, or was lost with the log and said to
    be; what comes after a restart, in a new log, is there in full."""
    net = sinks.net_with(r, cluster)
    receiver = receiver_of(r, net, [kafka_sink(cluster, "wiped")]).start()
    senders = [sinks.Told(r, net, f"wiped-{n}") for n in range(2)]
    for sender in senders:
        sender.wait_more(2000)
    first = log_ids(receiver)
    wipe(receiver.data / "0")
    wait_until(lambda: noticed(receiver), "the wiped log was noticed", 40)
    print(f"noticed: {noticed(receiver)}", flush=True)
    expect("ok" != receiver.get("/api/v1/status")["health"], "a wiped log is called healthy")
    wait_until(quiet(senders), "nothing more was acknowledged", 20)
    wait_until(lambda: sinks.states(receiver, "wiped") == {"stopped"}, "the sink stopped", 30)
    print(f"the sink: {sinks.rows(receiver, 'wiped')[0]['why']}", flush=True)
    before = [sender.account().durable for sender in senders]
    receiver.kill()
    receiver.start()
    for sender in senders:
        sender.wait_more(2000)
        sender.stop()
    wait_delivered(receiver)
    second = log_ids(receiver)
    receiver.stop()
    sent = checker.Sent()
    for sender, lost in zip(senders, before):
        account = sender.account()
        account.durable -= lost
        sent.add_told(account)
    found = checker.read_kafka(cluster, "wiped-")
    verdict = checker.compare(sent, found)
    print(verdict, flush=True)
    expect(verdict.good(), f"{verdict}")
    expect(sent.certain() > 3000, f"only {sent.certain()} events were acknowledged after it")
    expect(first and second and not first & second, f"the log was {first} and is {second}")


def wipe(directory):
    """The receiver may put a new file into it while it is emptied."""
    def gone():
        shutil.rmtree(directory, ignore_errors=True)
        return not directory.exists()
    wait_until(gone, f"{directory} was gone")


def log_ids(receiver):
    return {row["cursor"]["log_id"] for row in sinks.rows(receiver, "wiped")}


def noticed(receiver):
    """The log is called failed, and the place is named."""
    if receiver.get("/api/v1/partitions")[0]["state"] != "failed":
        return None
    said = [line for line in receiver.log().splitlines()
            if str(receiver.data / "0") in line and "removed" in line]
    return said[-1] if said else None


def quiet(senders):
    """A function that says whether nothing has been acknowledged for a while."""
    counts = []

    def is_quiet():
        counts.append([sender.count() for sender in senders])
        return len(counts) > 25 and counts[-25] == counts[-1]

    return is_quiet


def a_log_killed_while_empty_goes_on(r, cluster):
    """Whatever becomes of its id: nothing was delivered of it, so nothing can be mistaken."""
    net, sent, archive = sinks.net_with(r, cluster), checker.Sent(), r.home / "archive"
    archive.mkdir()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "empty"), sinks.files_sink(archive)]).start()
    for end in (receiver.kill, receiver.kill, receiver.stop):
        wait_until(lambda: sinks.states(receiver) == {"delivering"}, "the sinks had begun", 30)
        end()
        receiver.start()
    send(r, net, sent, 1000)
    wait_delivered(receiver)
    receiver.stop()
    sinks.expect_all(sent, checker.read_kafka(cluster, "empty-"), checker.read_files(archive))


def a_dead_broker_delays_only_itself(r, cluster):
    """The files go on while Kafka is away; when it is back, it gets the rest."""
    net, sent, archive = sinks.net_with(r, cluster), checker.Sent(), r.home / "archive"
    archive.mkdir()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "away"), sinks.files_sink(archive)]).start()
    send(r, net, sent, 2000)
    [broker] = cluster.brokers
    broker.kill()
    send(r, net, sent, 5000)
    wait_until(lambda: sinks.delivered(receiver, "archive") >= 7000, "the files had all", 30)
    expect(sinks.delivered(receiver, "away") < 7000, "a dead broker has confirmed events")
    begin = time.monotonic()
    broker.start()
    cluster.wait_ready()
    wait_delivered(receiver)
    print(f"caught up {time.monotonic() - begin:.1f} s after the broker's start", flush=True)
    receiver.stop()
    sinks.expect_all(sent, checker.read_kafka(cluster, "away-"), checker.read_files(archive))


def verified(net, receiver, name, code):
    """What 'millrace sinks verify' says of a sink that has one partition."""
    done = net.sh("rx", MILLRACE, "--json", "sinks", "verify", name, "--config", receiver.path, check=False)
    expect_equal(done.returncode, code, f"exit code of verifying {name} ({done.stdout}{done.stderr})")
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads((TREE / "docs/schema/sinks-verify.1.json").read_text()))
    [row] = document["data"]
    return row


def repeat_a_message(cluster, topic):
    """The first one again, with another byte in it."""
    import confluent_kafka
    message = next(iter(checker.messages(cluster, checker.partitions_of(cluster, topic), 60)))
    producer = cluster.client(confluent_kafka.Producer)
    producer.produce(topic, key=message.key(), headers=message.headers(),
                     value=message.value()[:-1] + bytes([message.value()[-1] ^ 1]))
    expect_equal(producer.flush(30), 0, "messages left")


def verifying_finds_what_is_missing(r, cluster):
    """What both sinks hold is compared with the log, while the receiver runs and while it doesn't."""
    net, sent, archive = sinks.net_with(r, cluster), checker.Sent(), r.home / "archive"
    archive.mkdir()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "verified"), sinks.files_sink(archive)])
    receiver.start()
    for sizes, count in (("18-900", 20000), ("30000-60000", 50)):
        send(r, net, sent, count, sizes)
    wait_delivered(receiver)
    for name in "verified", "archive":
        row = verified(net, receiver, name, 0)
        expect_equal((row["state"], row["missing_events"], row["findings"]), ("same", 0, []), f"of {name}")
        expect_equal(row["events"], 20050, f"events of {name}")
    receiver.stop()
    repeat_a_message(cluster, f"verified-{PORT}")
    row = verified(net, receiver, "verified", 4)
    expect_equal((row["missing_events"], row["twice_events"], row["changed_events"]), (0, 1, 1), "found")
    next(archive.rglob("*.arrow")).unlink()
    expect(verified(net, receiver, "archive", 4)["missing_events"] > 0, "a file that is gone was not missed")


sinks.run(events_are_there_once_with_their_names, a_batch_may_be_one_message, an_emptied_group_stops_the_sink,
          a_log_wiped_under_load_is_noticed, a_log_killed_while_empty_goes_on,
          a_dead_broker_delays_only_itself, verifying_finds_what_is_missing)
