#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test
"""millrace doctor and the preflight of millraced: the same table, each fault with its mend."""

import json

import jsonschema
import rig
from rig import MILLRACE, TREE, expect, expect_equal, sh

SCHEMA = json.loads((TREE / "docs/schema/doctor.1.json").read_text())


def doctor(receiver):
    receiver.write_config()
    done = sh(MILLRACE, "--json", "doctor", "--config", receiver.path, check=False)
    envelope = json.loads(done.stdout)
    jsonschema.validate(envelope, SCHEMA)
    return done.returncode, {row["check"]: row for row in envelope["data"]}


def a_machine_that_is_ready(r):
    code, rows = doctor(r.receiver(device="net_null0"))
    expect_equal(code, 0, "exit code")
    for check in ("cpus", "io_uring", "O_DIRECT", "data directory", "disk space"):
        expect(check in rows, f"no row '{check}' in {sorted(rows)}")
    for check in ("write + flush", "O_DSYNC write"):
        expect("p99" in rows[check]["found"], f"{check} is not measured: {rows[check]}")


def a_device_that_is_not_there(r):
    receiver = r.receiver(device="nosuch0")
    code, rows = doctor(receiver)
    expect_equal(code, 1, "exit code")
    row = rows["port wire"]
    expect_equal(row["result"], "failed", "result of the port")
    expect(row["mend"], "the failed row has no mend")
    receiver.start(wait=False)
    expect(receiver.process.wait(20) != 0, "millraced started without its device")
    expect(row["mend"] in receiver.log(), f"millraced doesn't say the mend: {receiver.log()}")


def hugepages_that_nobody_reserved(r):
    receiver = r.receiver(device="net_null0", memory={"hugepages": True, "mbufs": 4000000})
    code, rows = doctor(receiver)
    expect_equal(code, 1, "exit code")
    failed = [row for row in rows.values() if row["result"] == "failed"]
    expect(any("scripts/setup.sh hugepages" in (row["mend"] or "") for row in failed),
           f"no row says how to reserve hugepages: {failed}")


def a_configuration_with_errors(r):
    path = r.home / "bad.yaml"
    path.write_text("partitions: many\n")
    done = sh(MILLRACE, "doctor", "--config", path, check=False)
    expect_equal(done.returncode, 4, "exit code")
    expect("config check" in done.stderr, f"the mend is not named: {done.stderr}")


rig.run(a_machine_that_is_ready, a_device_that_is_not_there, hugepages_that_nobody_reserved,
        a_configuration_with_errors)
