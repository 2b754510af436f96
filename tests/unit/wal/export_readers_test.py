#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is exported of a log, read by pyarrow, polars and nanoarrow: the events, none of the
protocol's rows, in both forms. export_readers_test.py MAKE_SEGMENT EXPORT_LOG"""
import io
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

from readers_test import FIRST, ROWS, as_ints, row

BLOCKS = [(FIRST, 100), (FIRST + 100, 1), (FIRST + 101, 500), (FIRST + 601, 33)]
TRAILER, SLACK = b"MILRBLK1", b"\xa5" * 64
METADATA = {
    b"format": b"millrace.batches/1", b"log_id": b"11" * 16, b"receiver": b"slave-1", b"partition": b"2",
    b"listeners": b'{"0":{"name":"syslog","port":514}}', b"first_batch": b"7", b"last_batch": b"9",
}


def expected(protocol):
    """The rows of each record batch."""
    blocks = [[row(seq) for seq in range(first, first + count)
               if not (protocol and count < 500 and seq % 5 == 0)] for first, count in BLOCKS]
    return [block for block in blocks if block]


def by_pyarrow(form, data):
    if form == "file":
        with pyarrow.ipc.open_file(pyarrow.BufferReader(data)) as reader:
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            schema = reader.schema
    else:
        with pyarrow.ipc.open_stream(data) as reader:
            schema, batches = reader.schema, list(reader)
    for batch in batches:
        batch.validate(full=True)
    assert schema.metadata == METADATA, schema.metadata
    return [as_ints(pyarrow.Table.from_batches([batch])).to_pylist() for batch in batches]


def by_polars(form, data):
    frame = (polars.read_ipc if form == "file" else polars.read_ipc_stream)(io.BytesIO(data))
    return frame.with_columns(polars.col("received_at").to_physical()).to_dicts()


def by_nanoarrow(data):
    stream = nanoarrow.ArrayStream.from_readable(io.BytesIO(data))
    return as_ints(pyarrow.table(pyarrow.RecordBatchReader.from_stream(stream).read_all())).to_pylist()


def check_read(form, data, want):
    batches = by_pyarrow(form, data)
    assert batches == want, f"pyarrow, {form}: {[len(b) for b in batches]} rows, not {[len(b) for b in want]}"
    flat = [one for batch in want for one in batch]
    assert by_polars(form, data) == flat, f"polars, {form}"
    if form == "stream":  # nanoarrow has no reader of files
        assert by_nanoarrow(data) == flat, "nanoarrow"
    return len(flat)


def check(make_segment, export_log, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"{FIRST:020}.arrows")
        subprocess.run([make_segment, path, *options], check=True)

        def export(*arguments):
            return subprocess.run([export_log, arguments[0], folder, *arguments[1:]], check=True,
                                  stdout=subprocess.PIPE).stdout

        size = {}
        for form in ("stream", "file"):
            data = export(form)
            rows = check_read(form, data, expected("protocol" in options))
            assert data == export(form), f"{form}: other bytes the second time"
            assert TRAILER not in data, f"{form}: a trailer went along"
            assert SLACK not in data, f"{form}: what lies between columns went along"
            assert check_read(form, export(form, "none"), []) == 0
            size[form] = len(data)
            print(f"ok {form} {' '.join(options)}: {rows} rows, {len(data)} bytes")
    return size


def main(make_segment, export_log):
    plain = check(make_segment, export_log, [])
    lz4 = check(make_segment, export_log, ["lz4"])
    check(make_segment, export_log, ["protocol"])
    check(make_segment, export_log, ["lz4", "protocol"])
    assert sum(count for _, count in BLOCKS) == ROWS
    for form, size in lz4.items():
        assert size < plain[form], f"{form}: {size} bytes of compressed blocks, {plain[form]} of others"


if __name__ == "__main__":
    main(*sys.argv[1:])
