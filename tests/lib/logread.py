# SPDX-License-Identifier: BSD-3-Clause
"""Reads a log as its users do: each segment file is an Arrow IPC stream."""

import collections
import pathlib
import re
import struct

import nanoarrow.ipc
import polars
import pyarrow
import pyarrow.compute
import pyarrow.ipc

COLUMNS = ["seq", "received_at", "src_addr", "src_port", "listener", "source_id", "source_epoch",
           "source_seq", "payload"]


def segments(partition_dir):
    """Segment files by their first seq; spares and quarantine left out."""
    return sorted(p for p in pathlib.Path(partition_dir).glob("*.arrows")
                  if re.fullmatch(r"[0-9]{20}\.arrows", p.name))


def partitions(data):
    return sorted((p for p in pathlib.Path(data).iterdir() if p.is_dir() and p.name.isdigit()),
                  key=lambda p: int(p.name))


def with_pyarrow(path):
    """(seqs, payloads) of one segment, every buffer validated."""
    seqs, payloads = [], []
    with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as reader:
        for batch in reader:
            batch.validate(full=True)
            if batch.schema.names != COLUMNS:
                raise AssertionError(f"{path}: columns {batch.schema.names}")
            seqs += batch.column("seq").to_pylist()
            payloads += batch.column("payload").to_pylist()
    return seqs, payloads


def with_polars(path):
    frame = polars.read_ipc_stream(path)
    return frame["seq"].to_list(), frame["payload"].to_list()


def with_nanoarrow(path):
    seqs, payloads = [], []
    with nanoarrow.ipc.InputStream.from_path(path) as source:
        for batch in nanoarrow.ArrayStream(source):
            columns = {c.schema.name: c for c in batch.iter_children()}
            seqs += columns["seq"].to_pylist()
            payloads += columns["payload"].to_pylist()
    return seqs, payloads


READERS = [with_pyarrow, with_polars, with_nanoarrow]


def read_partition(partition_dir, reader=with_pyarrow):
    """All rows of a partition, seqs without a gap."""
    seqs, payloads = [], []
    for path in segments(partition_dir):
        more_seqs, more_payloads = reader(path)
        seqs += more_seqs
        payloads += more_payloads
    first = seqs[0] if seqs else 0
    if seqs != list(range(first, first + len(seqs))):
        raise AssertionError(f"{partition_dir}: seqs are not without gaps from {first}")
    return seqs, payloads


def read_all(data, reader=with_pyarrow):
    """The payloads of all partitions."""
    payloads = []
    for directory in partitions(data):
        payloads += read_partition(directory, reader)[1]
    return payloads


def sent_numbers(payloads, run_id):
    """The sequence numbers that `millrace send` gave the events of a run, as they lie in the log."""
    prefix = run_id.encode()
    return [int(p[8:18]) for p in payloads if p[:8] == prefix]


PROTOCOL_ROW = 0xffff  # in the column 'listener': no event (docs/format.md)


def read_events(data):
    """Payloads of all partitions; what the protocol of reliable listeners keeps is left out."""
    payloads = []
    for path in [s for p in partitions(data) for s in segments(p)]:
        with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as reader:
            for batch in reader:
                payloads += [payload for listener, payload
                             in zip(batch.column("listener").to_pylist(),
                                    batch.column("payload").to_pylist())
                             if listener != PROTOCOL_ROW]
    return payloads


Opening = collections.namedtuple("Opening", "source epoch first_seq prev_epoch prev_seq prev_log")
Opening.__doc__ = """The begin of a source's epoch. prev_log: of the epoch before, the log's id as bytes."""


def opening_of(source, epoch, payload):
    _, prev_epoch, first_seq, prev_seq, prev_log = struct.unpack_from("<IIQQ16s", payload)
    return Opening(source, epoch, first_seq, prev_epoch, prev_seq, prev_log)


def read_openings(data):
    """Those of all partitions, in the order in which they lie there."""
    found = []
    for path in [s for p in partitions(data) for s in segments(p)]:
        with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as reader:
            for batch in reader:
                kept = batch.filter(pyarrow.compute.equal(batch.column("listener"), PROTOCOL_ROW))
                found += [opening_of(*row) for row in zip(*(
                    kept.column(name).to_pylist() for name in ("source_id", "source_epoch", "payload")))]
    return found
