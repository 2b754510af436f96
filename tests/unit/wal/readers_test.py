#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A segment as it lies on disk, read by pyarrow, polars and nanoarrow: the same rows in all of
them, and those that were written. readers_test.py MAKE_SEGMENT"""
import os
import subprocess
import sys
import tempfile

try:
    import nanoarrow
    import polars
    import pyarrow
except ImportError as missing:
    print(f"skipped: {missing}; scripts/deps.sh test installs it")
    sys.exit(77)

FIRST, ROWS = 1000, 634


def row(seq):
    payload = bytes((seq + i) % 256 for i in range(seq * 7 % 41))
    return {
        "seq": seq,
        "received_at": 1700000000000000000 + seq * 1000,
        "src_addr": bytes(10) + b"\xff\xff\x0a\0\0" + bytes([seq % 256]),
        "src_port": 1024 + seq % 1000,
        "listener": seq % 3,
        "source_id": seq * 1000003,
        "source_epoch": seq % 5,
        "source_seq": seq + 5,
        "payload": payload,
    }


def as_ints(table):
    at = table.schema.get_field_index("received_at")
    return table.set_column(at, "received_at", table["received_at"].cast(pyarrow.int64()))


def by_pyarrow(path):
    with pyarrow.OSFile(path) as file:
        table = pyarrow.ipc.open_stream(file).read_all()
    table.validate(full=True)
    return table


def by_polars(path):
    frame = polars.read_ipc_stream(path)
    return frame.with_columns(polars.col("received_at").to_physical()).to_dicts()


def by_nanoarrow(path):
    stream = nanoarrow.ArrayStream.from_path(path)
    return pyarrow.table(pyarrow.RecordBatchReader.from_stream(stream).read_all())


def check_schema(schema, compression):
    want = pyarrow.schema([
        pyarrow.field("seq", pyarrow.uint64(), nullable=False),
        pyarrow.field("received_at", pyarrow.timestamp("ns", "UTC"), nullable=False),
        pyarrow.field("src_addr", pyarrow.binary(16), nullable=False),
        pyarrow.field("src_port", pyarrow.uint16(), nullable=False),
        pyarrow.field("listener", pyarrow.uint16(), nullable=False),
        pyarrow.field("source_id", pyarrow.uint64(), nullable=False),
        pyarrow.field("source_epoch", pyarrow.uint32(), nullable=False),
        pyarrow.field("source_seq", pyarrow.uint64(), nullable=False),
        pyarrow.field("payload", pyarrow.binary(), nullable=False),
    ])
    assert schema.equals(want), schema
    assert schema.metadata == {
        b"format_version": b"2", b"log_id": b"11" * 16, b"segment_id": b"22" * 16,
        b"generation": b"3", b"first_seq": b"1000", b"receiver": b"slave-1", b"partition": b"2",
        b"listeners": b'{"0":{"name":"syslog","port":514}}', b"compression": compression,
    }, schema.metadata


def check(make_segment, compression):
    want = [row(seq) for seq in range(FIRST, FIRST + ROWS)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "segment.arrows")
        subprocess.run([make_segment, path] + ([] if compression == "none" else [compression]), check=True)
        table = by_pyarrow(path)
        check_schema(table.schema, compression.encode())
        found = {
            "pyarrow": as_ints(table).to_pylist(),
            "polars": by_polars(path),
            "nanoarrow": as_ints(by_nanoarrow(path)).to_pylist(),
        }
        check_schema(by_nanoarrow(path).schema, compression.encode())
        size = os.path.getsize(path)
    for reader, rows in found.items():
        assert len(rows) == ROWS, f"{reader}: {len(rows)} rows"
        for got, expected in zip(rows, want):
            assert got == expected, f"{reader}: {got} instead of {expected}"
        print(f"ok {reader}, compression {compression}: {len(rows)} rows")
    return size


def main(make_segment):
    plain, lz4 = check(make_segment, "none"), check(make_segment, "lz4")
    assert lz4 < plain, f"{lz4} bytes compressed, {plain} uncompressed"


if __name__ == "__main__":
    main(*sys.argv[1:])
