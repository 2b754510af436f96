#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# beside
# timeout: 300
"""The checker is checked: of made-up sinks it finds each defect that was put in, and none in a good one.

With --all also that five million events fit in 2 GiB.
"""

import random
import subprocess
import sys

import checker
import kafka
import pyarrow
import pyarrow.ipc
import rig
from rig import expect, expect_equal

SOURCE, OTHER = 0xfeedfacecafebeef, 7
SIZES, COUNT = "18-900", 3000
RUN_ID = "0badcafe"
SCHEMA = pyarrow.schema([
    ("source_id", pyarrow.uint64()), ("source_epoch", pyarrow.uint32()),
    ("source_seq", pyarrow.uint64()), ("payload", pyarrow.binary())],
    metadata={"log_id": "00" * 16})


def sent_events(count=COUNT):
    sent = checker.Sent()
    sent.add("one", SOURCE, checker.generated(RUN_ID, count, SIZES))
    sent.add("two", OTHER, checker.generated("00000002", 100, "64"), epoch=3, first_seq=1000)
    return sent


def rows(count=COUNT):
    return [(SOURCE, 1, seq, payload)
            for seq, payload in enumerate(checker.generated(RUN_ID, count, SIZES))] + \
        [(OTHER, 3, 1000 + i, payload)
         for i, payload in enumerate(checker.generated("00000002", 100, "64"))]


def write(path, events, opener, size=700):
    path.parent.mkdir(parents=True, exist_ok=True)
    with opener(str(path), SCHEMA) as out:
        for begin in range(0, len(events), size):
            part = list(zip(*events[begin:begin + size]))
            out.write_batch(pyarrow.record_batch(
                [pyarrow.array(column, field.type) for column, field in zip(part, SCHEMA)],
                schema=SCHEMA))


def write_files(root, events):
    half = len(events) // 2
    write(root / "2026-01-01/00/a.arrow", events[:half], pyarrow.ipc.new_file)
    write(root / "2026-01-01/01/b.arrow", events[half:], pyarrow.ipc.new_file)
    (root / ".c.arrow").write_bytes(b"not finished")
    return checker.read_files(root)


def write_streams(root, events):
    half = len(events) // 3
    write(root / "0.arrows", events[:half], pyarrow.ipc.new_stream)
    write(root / "1.arrows", events[half:], pyarrow.ipc.new_stream)
    return checker.read_streams(root)


DEFECTS = {
    "missing": lambda events: events[:40] + events[41:],
    "twice": lambda events: events + [events[77]],
    "foreign": lambda events: events + [(SOURCE, 1, COUNT, b"one more")],
    "changed": lambda events: events[:9] + [(*events[9][:3], events[9][3][:-1] + b"#")] + events[10:],
}
ELSEWHERE = {  # looks like two defects
    "of another epoch": lambda events: [(SOURCE, 2, *events[0][2:])] + events[1:],
    "of another source": lambda events: [(OTHER, *events[0][1:])] + events[1:],
}


def judged(found, sent=None):
    return checker.compare(sent or sent_events(), found)


def check_defects(make):
    """make(name, events): what the checker reads of them in a sink."""
    expect(judged(make("good", rows())).good(), "a good sink is not found good")
    mixed = rows()
    random.Random(1).shuffle(mixed)
    expect(judged(make("mixed", mixed)).good(), "the order of events matters")
    for defect, spoil in DEFECTS.items():
        verdict = judged(make(defect, spoil(rows())))
        expect_equal(dict(+verdict.counts), {defect: 1}, f"defects of a sink with one {defect}")
        expect(len(verdict.names[defect]) == 1, f"the {defect} event is not named: {verdict}")
    for what, spoil in ELSEWHERE.items():
        verdict = judged(make(what, spoil(rows())))
        expect_equal(dict(+verdict.counts), {"missing": 1, "foreign": 1}, f"an event {what}")


def defects_in_files_are_found(r):
    check_defects(lambda name, events: write_files(r.home / name.replace(" ", "-"), events))


def defects_in_streams_are_found(r):
    check_defects(lambda name, events: write_streams(r.home / name.replace(" ", "-"), events))


def what_may_be_there_need_not(r):
    sent = checker.Sent()
    sent.add("some", SOURCE, checker.generated(RUN_ID, COUNT, SIZES), certain=range(100))
    sent.add("two", OTHER, checker.generated("00000002", 100, "64"), epoch=None, first_seq=1000)
    expect(judged(write_files(r.home / "all", rows()), sent).good(), "all of them are there")
    few = rows()[:100] + rows()[500:510] + [(OTHER, 9, *row[2:]) for row in rows()[COUNT:]]
    expect(judged(write_files(r.home / "few", few), sent).good(), "those for sure are there")
    both = judged(write_files(r.home / "both", few + [(OTHER, 10, *few[-1][2:])]), sent)
    expect_equal((both.good(), both.overlap), (True, 1), "good, and events in several epochs")
    twice = judged(write_files(r.home / "twice", few + few[-1:]), sent)
    expect_equal(twice.counts["twice"], 1, "twice in an epoch")
    expect_equal(judged(write_files(r.home / "fewer", few[:99] + few[100:]), sent).counts["missing"], 1,
                 "missing of those for sure")


def overlaps_need_a_handover(r):
    """Events 1005 to 1010 of OTHER are in epochs 3 and 4, and 1008 to 1009 in 6, too."""
    moved = rows()
    for epoch, seqs in ((4, range(5, 11)), (6, range(8, 10))):
        moved += [(OTHER, epoch, *moved[COUNT + i][2:]) for i in seqs]
    found = write_files(r.home / "moved", moved)
    for reported, wanted in (({(OTHER, 4): 1005, (OTHER, 6): 1008}, 0),
                             ({(OTHER, 4): 1006, (OTHER, 6): 1008}, 1),
                             ({(OTHER, 4): 1005, (OTHER, 6): 1010}, 2),
                             ({(OTHER, 4): 1005}, 2), ({(OTHER, 6): 1000}, 6), ({}, 8)):
        wrong = checker.unreported(found, reported)
        expect_equal(len(wrong), wanted, f"events not reported, with {reported}: {wrong}")
    expect_equal(checker.unreported(write_files(r.home / "still", rows()), {}), [], "without a move")


def a_runs_later_part_joins(r):
    sent, halves = checker.Sent(), list(checker.generated(RUN_ID, COUNT, SIZES))
    sent.add("late", SOURCE, halves[1000:], first_seq=1000)
    sent.add("early", SOURCE, halves[:1000])
    sent.add("two", OTHER, checker.generated("00000002", 100, "64"), epoch=3, first_seq=1000)
    expect(judged(write_files(r.home / "joined", rows()), sent).good(), "two parts of a source")


def payloads_are_those_of_the_sender(r):
    """What millrace send makes, seen on the wire of the loopback."""
    for sizes in ("600", "18-3000"):
        with rig.socket.socket(rig.socket.AF_INET, rig.socket.SOCK_DGRAM) as sock:
            sock.setsockopt(rig.socket.SOL_SOCKET, rig.socket.SO_RCVBUF, 1 << 21)
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(20)
            rig.sh(rig.MILLRACE, "send", f"127.0.0.1:{sock.getsockname()[1]}", "--id", RUN_ID,
                   "--count", 200, "--rate", 5000, "--size", sizes)
            found = [sock.recv(65536) for _ in range(200)]
        expect(found == list(checker.generated(RUN_ID, 200, sizes)),
               f"the checker makes other payloads than the sender for --size {sizes}")


def producer_of(cluster, name):
    from confluent_kafka import Producer
    producer = cluster.client(Producer, **{"transactional.id": name})
    producer.init_transactions(30)
    return producer


def produce(producer, topic, events, abort=False):
    producer.begin_transaction()
    for source, epoch, seq, payload in events:
        producer.produce(topic, payload, key=str(source), headers={
            "log_id": "00" * 16, "batch": "1", "seq": str(seq), "source": str(source),
            "epoch": str(epoch), "source_seq": str(seq)})
        producer.poll(0)
    if abort:
        producer.flush()
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)


def defects_in_kafka_are_found(r):
    with kafka.Cluster() as cluster:
        topics, producer = iter(range(100)), producer_of(cluster, "events")

        def make(_, events):
            prefix = f"t{next(topics)}-"
            cluster.create_topic(prefix + "x", 2)
            produce(producer, prefix + "x", events)
            produce(producer, prefix + "x", events[:50], abort=True)
            return checker.read_kafka(cluster, prefix)

        check_defects(make)
        check_open_transaction(cluster)


def check_open_transaction(cluster):
    cluster.create_topic("open")
    producer = producer_of(cluster, "open")
    producer.begin_transaction()
    producer.produce("open", b"an event without headers")
    producer.flush()
    verdict = judged(checker.read_kafka(cluster, "open", seconds=2))
    expect_equal(verdict.counts["unreadable"], 1, f"open transactions ({verdict})")
    producer.commit_transaction(30)
    verdict = judged(checker.read_kafka(cluster, "open"))
    expect_equal(verdict.counts["unreadable"], 1, f"messages without headers ({verdict})")


BIG = """
import checker, resource, sys
sent, found, count = checker.Sent(), checker.Found("big"), 5000000
sent.add("big", 5, checker.generated("00000001", count, "100-300"))
place = found.add_place("x")
for seq, payload in enumerate(checker.generated("00000001", count, "100-300")):
    found.add(5, 1, seq, payload, place, seq)
verdict = checker.compare(sent, found)
print(verdict.good(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def five_million_fit(r):
    if not rig.RUN_ALL:
        return
    done = subprocess.run([sys.executable, "-c", BIG], capture_output=True, text=True, check=True)
    good, mib = done.stdout.split()
    print(f"5 M events: {mib} MiB")
    expect_equal(good, "True", "the verdict on 5 M events")
    expect(int(mib) < 2048, f"5 M events took {mib} MiB")


rig.run(defects_in_files_are_found, defects_in_streams_are_found, what_may_be_there_need_not,
        overlaps_need_a_handover, a_runs_later_part_joins, payloads_are_those_of_the_sender, defects_in_kafka_are_found,
        five_million_fit)
