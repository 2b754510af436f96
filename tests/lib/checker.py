# SPDX-License-Identifier: BSD-3-Clause
"""Compares what was sent with what a sink has: the multiset of (source, epoch, seq, payload's hash).

It has no code of Millrace. What `millrace send` makes it makes anew from the run's id, count and sizes
(its help says how); what is in a sink it reads by confluent-kafka and pyarrow. An event is some
hundred bytes of numbers here, so five million fit in less than 1 GiB.
"""

import array
import collections
import hashlib
import pathlib
import time

import numpy

FILLER = b"the quick brown fox jumps over the lazy dog, 0123456789 times"
WORD = (1 << 64) - 1
NAMED = 5  # examples of each defect


def payload_hash(payload):
    return int.from_bytes(hashlib.blake2b(payload, digest_size=8).digest(), "little")


# What was sent.

def mix(x):
    x = (x + 0x9e3779b97f4a7c15) & WORD
    x = ((x ^ x >> 30) * 0xbf58476d1ce4e5b9) & WORD
    x = ((x ^ x >> 27) * 0x94d049bb133111eb) & WORD
    return x ^ x >> 31


def generated(run_id, count, sizes):
    """The payloads of a run of `millrace send --id RUN_ID --count COUNT --size SIZES`."""
    least, _, most = str(sizes).partition("-")
    least, most = int(least), int(most or least)
    filler = FILLER * (most // len(FILLER) + 1)
    name, seed, span = run_id.encode(), int(run_id, 16) << 34, most - least + 1
    for seq in range(count):
        size = least if span == 1 else least + ((mix(seed ^ seq) >> 32) * span >> 32)
        yield b"%s%010d%s" % (name, seq, filler[18:size])


Run = collections.namedtuple("Run", "name source epoch seqs hashes certain overlaps")
Run.__doc__ = """Events of a source in an epoch, ascending by seq. Those with 'certain' must be in a sink,
the others may be. Without an epoch (None) an event may be there once in each of several epochs, if its
seq is in one of 'overlaps' [(first, end)]: its source has lost its log or left it, and opened another
one before it knew what the old one's sinks have. overlaps None: it is not known which."""


def joined(run, seqs, hashes, certain, overlaps):
    """With more events, of seqs that it has not."""
    order = numpy.argsort(seqs := numpy.concatenate([run.seqs, seqs]), kind="stable")
    if len(numpy.unique(seqs)) != len(seqs):
        raise ValueError(f"{run.name}: a seq was sent twice")
    return run._replace(seqs=seqs[order], hashes=numpy.concatenate([run.hashes, hashes])[order],
                        certain=numpy.concatenate([run.certain, certain])[order],
                        overlaps=None if None in (run.overlaps, overlaps) else run.overlaps + overlaps)


def told_overlaps(account):
    """What the account says may be in two logs: [(first seq, end seq)]; None: it doesn't say."""
    if "logs" not in account:
        return None
    return [(int(log["from"]["first_seq"]), int(log["from"]["end_seq"]))
            for log in account["logs"] if log["from"]]


class Sent:
    def __init__(self):
        self.runs = []

    def add(self, name, source, payloads, epoch=1, first_seq=0, certain=None, overlaps=None):
        """certain: seqs of those that must be there, the others may be; None: all must. overlaps: of
        those that may be there in several epochs, see Run."""
        hashes = numpy.fromiter((payload_hash(p) for p in payloads), dtype="u8")
        seqs = numpy.arange(first_seq, first_seq + len(hashes), dtype="u8")
        must = numpy.ones(len(seqs), dtype=bool) if certain is None else \
            numpy.isin(seqs, numpy.fromiter(certain, dtype="u8"))
        for i, run in enumerate(self.runs):
            if (run.source, run.epoch) == (source, epoch):
                self.runs[i] = joined(run, seqs, hashes, must, overlaps)
                return
        self.runs.append(Run(name, source, epoch, seqs, hashes, must, overlaps))
        self.runs.sort(key=lambda run: run.epoch is None)  # "any epoch" takes what others left

    def add_account(self, account, sizes):
        """A run of `millrace send --reliable` by its JSON account: what it says is acknowledged."""
        # Of a part it does not say which.
        certain = None if account["acknowledged"] == account["sent"] else ()
        self.add(account["id"], int(account["source"]),
                 generated(account["id"], account["sent"], sizes),
                 None if account["epochs"] else 1, int(account["first_seq"] or 0), certain,
                 told_overlaps(account))

    def add_told(self, account):
        """What a sender of told.py has written down."""
        import told
        self.add(account.name, account.source,
                 (told.payload(account.name, seq) for seq in range(account.sends)), None,
                 certain=account.durable)

    def count(self):
        return sum(len(run.seqs) for run in self.runs)

    def certain(self):
        return sum(int(run.certain.sum()) for run in self.runs)


# What is found.

class Found:
    """Events of one sink, in any order, each with the place where it lies."""

    def __init__(self, name):
        self.name = name
        self.source, self.epoch = array.array("Q"), array.array("Q")
        self.seq, self.hash = array.array("Q"), array.array("Q")
        self.place, self.row = array.array("L"), array.array("Q")
        self.places, self.problems = [], []

    def add_place(self, text):
        self.places.append(text)
        return len(self.places) - 1

    def add(self, source, epoch, seq, payload, place, row):
        self.source.append(source)
        self.epoch.append(epoch)
        self.seq.append(seq)
        self.hash.append(payload_hash(payload))
        self.place.append(place)
        self.row.append(row)

    def add_record_batch(self, batch, place, row):
        """An Arrow record batch with the columns source_id, source_epoch, source_seq, payload."""
        for mine, column in ((self.source, "source_id"), (self.epoch, "source_epoch"),
                             (self.seq, "source_seq")):
            mine.frombytes(batch.column(column).to_numpy().astype("u8").tobytes())
        self.hash.extend(map(payload_hash, payloads_of(batch.column("payload"))))
        self.place.extend([place] * len(batch))
        self.row.extend(range(row, row + len(batch)))

    def columns(self):
        return [numpy.frombuffer(column, dtype=f"u{column.itemsize}")
                for column in (self.source, self.epoch, self.seq, self.hash)]

    def where(self, index):
        return f"{self.places[self.place[index]]}:{self.row[index]}"

    def __len__(self):
        return len(self.seq)


def payloads_of(column):
    """The values of a binary column, without a copy into Python's objects of all of them at once."""
    if column.null_count:
        raise ValueError("a payload is null")
    width = "i8" if str(column.type).startswith("large") else "i4"
    _, offsets, data = column.buffers()
    ends = numpy.frombuffer(offsets, dtype=width)[column.offset:column.offset + len(column) + 1].tolist()
    view = memoryview(data) if data is not None else memoryview(b"")
    return (view[begin:end] for begin, end in zip(ends, ends[1:]))


def read_arrow(path, found, opener, place=None):
    import pyarrow
    place, row = found.add_place(place or str(path)), 0
    with pyarrow.memory_map(str(path)) as source, opener(source) as reader:
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) \
            if hasattr(reader, "get_batch") else reader
        for batch in batches:
            batch.validate(full=True)
            found.add_record_batch(batch, place, row)
            row += len(batch)
        return {key.decode(): value.decode(errors="replace")
                for key, value in (reader.schema.metadata or {}).items()}


def read_files(root, name="files"):
    """All Arrow IPC files below a directory. Names that begin with a dot are unfinished ones."""
    import pyarrow.ipc
    found = Found(name)
    for path in sorted(pathlib.Path(root).rglob("*.arrow")):
        if not path.name.startswith("."):
            read_arrow(path, found, pyarrow.ipc.open_file, path.relative_to(root))
    return found


def read_streams(root, name="pulled"):
    """All batches that a pull client has kept, each an Arrow IPC stream."""
    import pyarrow.ipc
    found = Found(name)
    for path in sorted(pathlib.Path(root).rglob("*.arrows")):
        read_arrow(path, found, pyarrow.ipc.open_stream, path.relative_to(root))
    return found


# Kafka.

HEADERS = ("log_id", "batch", "seq", "source", "epoch", "source_seq")
TAKE = 2000  # messages at a time


def number(value):
    """A header's number as text."""
    return int(value.decode("ascii"))


def take_message(found, message, place):
    headers = message.headers() or []
    values = dict(headers)
    try:
        if len(headers) != len(values) or any(name not in values for name in HEADERS):
            raise ValueError(f"headers {[name for name, _ in headers]}")
        number(values["batch"]), number(values["seq"])
        if len(bytes.fromhex(values["log_id"].decode("ascii"))) != 16:
            raise ValueError(f"log_id {values['log_id']}")
        found.add(number(values["source"]), number(values["epoch"]), number(values["source_seq"]),
                  message.value() or b"", place, message.offset())
    except (ValueError, UnicodeDecodeError) as wrong:
        found.problems.append(f"{found.places[place]}:{message.offset()}: {wrong}")


def open_transactions(cluster, partitions):
    """Partitions where something begins that is neither committed nor aborted."""
    import confluent_kafka
    from confluent_kafka.admin import OffsetSpec
    ends = []
    for isolation in (confluent_kafka.IsolationLevel.READ_COMMITTED,
                      confluent_kafka.IsolationLevel.READ_UNCOMMITTED):
        done = cluster.admin.list_offsets({p: OffsetSpec.latest() for p in partitions},
                                          isolation_level=isolation, request_timeout=20)
        ends.append({(p.topic, p.partition): future.result(30).offset for p, future in done.items()})
    return {key: end for key, end in ends[1].items() if ends[0][key] < end}


def partitions_of(cluster, prefix):
    import confluent_kafka
    topics = cluster.admin.list_topics(timeout=20).topics
    return [confluent_kafka.TopicPartition(name, partition, confluent_kafka.OFFSET_BEGINNING)
            for name in sorted(topics) if name.startswith(prefix)
            for partition in sorted(topics[name].partitions)]


def wait_no_open_transaction(cluster, partitions, seconds):
    """Of what a killed producer has left open, the broker makes an end after its timeout."""
    end = time.monotonic() + seconds
    while left := open_transactions(cluster, partitions):
        if time.monotonic() > end:
            return [f"{topic}/{partition}: a transaction is open, below offset {offset}"
                    for (topic, partition), offset in left.items()]
        time.sleep(0.2)
    return []


def messages(cluster, partitions, seconds):
    """All messages of them, as a reader with read_committed gets them, to the present end."""
    import confluent_kafka
    consumer = cluster.client(confluent_kafka.Consumer, **{
        "group.id": "checker", "isolation.level": "read_committed", "enable.auto.commit": False,
        "enable.partition.eof": True, "auto.offset.reset": "earliest", "check.crcs": True,
        "queued.max.messages.kbytes": 131072, "fetch.wait.max.ms": 50})
    consumer.assign(partitions)
    left, end = {(p.topic, p.partition) for p in partitions}, time.monotonic() + seconds
    try:
        while left:
            for message in consumer.consume(TAKE, 0.1):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
                elif not error.retriable() and error.fatal():
                    raise confluent_kafka.KafkaException(error)
            if time.monotonic() > end:
                raise TimeoutError(f"Kafka was not read to its end: {sorted(left)}")
    finally:
        consumer.close()


def read_kafka(cluster, prefix, name="kafka", seconds=60, taken=take_message):
    """What a read_committed consumer finds in all topics with the prefix."""
    found, partitions = Found(name), partitions_of(cluster, prefix)
    places = {(p.topic, p.partition): found.add_place(f"{p.topic}/{p.partition}") for p in partitions}
    found.problems += wait_no_open_transaction(cluster, partitions, seconds)
    for message in messages(cluster, partitions, seconds * 10):
        taken(found, message, places[message.topic(), message.partition()])
    return found


def take_batch(found, message, place):
    """A message that is a batch: an Arrow IPC stream."""
    import pyarrow.ipc
    with pyarrow.ipc.open_stream(message.value()) as reader:
        for batch in reader:
            batch.validate(full=True)
            found.add_record_batch(batch, place, message.offset())


# The comparison.

class Verdict:
    """Events of each defect: their number, and names of some."""

    def __init__(self, found):
        self.sink, self.events = found.name, len(found)
        self.overlap = 0  # events in more than one epoch
        self.counts, self.names = collections.Counter(), collections.defaultdict(list)
        for problem in found.problems:
            self.add("unreadable", [problem])

    def add(self, defect, names, count=None):
        self.counts[defect] += len(names) if count is None else count
        self.names[defect] += list(names)[:NAMED - len(self.names[defect])]

    def good(self):
        return not any(self.counts.values())

    def __str__(self):
        words = [f"{self.sink}: {self.events} events, {self.overlap} in several epochs"]
        words += [f"{count} {defect} ({'; '.join(self.names[defect])}{' …' if count > NAMED else ''})"
                  for defect, count in self.counts.items() if count]
        return ", ".join(words)


def event(run, index):
    epoch = "any" if run.epoch is None else run.epoch
    return f"source {run.source:#018x} epoch {epoch} seq {run.seqs[index]}"


def judge_run(verdict, run, found, chosen, epochs, seqs, hashes):
    """chosen: indices in 'found' of this source and epoch."""
    at = numpy.searchsorted(run.seqs, seqs)
    known = numpy.isin(seqs, run.seqs)
    at, theirs = at[known], chosen[known]
    times = numpy.zeros(len(run.seqs), dtype="u4")
    for epoch in numpy.unique(epochs):
        there = at[epochs[known] == epoch]
        in_epoch = numpy.bincount(there, minlength=len(run.seqs))
        twice = numpy.flatnonzero(in_epoch > 1)
        verdict.add("twice", [
            f"{event(run, i)} at {', '.join(found.where(j) for j in theirs[at == i][:3])}"
            for i in twice[:NAMED]], int((in_epoch[twice] - 1).sum()))
        times += in_epoch > 0
    missing = numpy.flatnonzero((times == 0) & run.certain)
    verdict.add("missing", [event(run, i) for i in missing[:NAMED]], len(missing))
    verdict.overlap += int((times > 1).sum())
    if run.overlaps is not None:
        free = numpy.zeros(len(run.seqs), dtype=bool)
        for first, end in run.overlaps:
            free |= (run.seqs >= first) & (run.seqs < end)
        beyond = numpy.flatnonzero((times > 1) & ~free)
        verdict.add("in several epochs, and not told so", [event(run, i) for i in beyond[:NAMED]],
                    len(beyond))
    changed = theirs[hashes[known] != run.hashes[at]]
    verdict.add("changed", [found.where(i) for i in changed[:NAMED]], len(changed))
    return chosen[~known]


def compare(sent, found):
    verdict = Verdict(found)
    source, epoch, seq, hashes = found.columns()
    rest = numpy.ones(len(found), dtype=bool)
    foreign = []
    for run in sent.runs:
        mine = source == run.source
        if run.epoch is not None:
            mine &= epoch == run.epoch
        chosen = numpy.flatnonzero(mine & rest)
        rest[chosen] = False
        foreign.append(judge_run(verdict, run, found, chosen, epoch[chosen], seq[chosen],
                                 hashes[chosen]))
    foreign = numpy.concatenate([*foreign, numpy.flatnonzero(rest)])
    verdict.add("foreign", [
        f"source {source[i]:#018x} epoch {epoch[i]} seq {seq[i]} at {found.where(i)}"
        for i in foreign[:NAMED]], len(foreign))
    return verdict


def unreported(found, reported):
    """Events of several epochs, but for what a handover may leave behind: of each epoch but the event's
    first one, reported[source, epoch] is the first seq that nobody had acknowledged before."""
    source, epoch, seq, _ = found.columns()
    order = numpy.lexsort((epoch, seq, source))
    source, epoch, seq = source[order], epoch[order], seq[order]
    again = numpy.flatnonzero((source[1:] == source[:-1]) & (seq[1:] == seq[:-1])
                              & (epoch[1:] != epoch[:-1])) + 1
    return [f"source {source[i]:#018x} seq {seq[i]} is in epoch {epoch[i - 1]}, and in {epoch[i]} at "
            f"{found.where(order[i])}" for i in again
            if seq[i] < reported.get((int(source[i]), int(epoch[i])), WORD)]


def expect_equal(sent, *found):
    """Every sink has all that was sent, once."""
    verdicts = [compare(sent, one) for one in found]
    if not all(verdict.good() for verdict in verdicts):
        raise AssertionError(f"sent {sent.count()}, {sent.certain()} of them for sure\n"
                             + "\n".join(map(str, verdicts)))
    return verdicts
