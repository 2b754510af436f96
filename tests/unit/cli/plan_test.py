#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""millrace cluster plan: the examples that docs/cluster.md works out by hand, and bad input.

plan_test.py MILLRACE DOCS
"""

import json
import pathlib
import subprocess
import sys

import jsonschema

MILLRACE, DOCS = sys.argv[1], pathlib.Path(sys.argv[2])
OPTIONS = ["--rate", "--event-bytes", "--nic", "--disk", "--cores", "--compression", "--spare"]
GOOD = dict(zip(OPTIONS, ["1M", "600", "1Gbps", "100MB/s", "4", "1", "0"]))
BAD = {"--rate": ["0", "-1", "1Mbps", "101G", "x"], "--event-bytes": ["65508", "1k", "-1"],
       "--nic": ["0", "1Gbt", "1Gbpsbit/s", "1GB/s", "11T", "1" * 100], "--disk": ["0", "100Mbps", "11TB/s", "/s"],
       "--cores": ["1", "1025", "2.5"], "--compression": ["0.9", "1.0001", "101", "1x"],
       "--spare": ["-1", "1001", "1.5"]}


def plan(values, *more):
    words = [word for pair in values.items() for word in pair]
    return subprocess.run([MILLRACE, *more, "cluster", "plan", *words], capture_output=True, text=True,
                          check=False)


def examples():
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")]
            for line in (DOCS / "cluster.md").read_text(encoding="utf-8").splitlines()
            if line.startswith("| ")]
    return [row for row in rows if len(row) == 12 and row[0][0].isdigit()]


def check_example(row, schema):
    values = dict(zip(OPTIONS, row))
    *limits, slaves, decides = row[len(OPTIONS):]
    done = plan(values, "--json")
    assert done.returncode == 0, (row, done.stderr)
    found = json.loads(done.stdout)
    schema.validate(found)
    data = found["data"]
    assert [f"{limit['slaves']:.2f}" for limit in data["limits"]] == limits, (row, data)
    assert (data["slaves"], data["decides"]) == (int(slaves), decides), (row, data)
    assert data["by_load"] + data["spare"] == data["slaves"], (row, data)
    for limit in data["limits"]:
        # As many slaves as are wanted take the load, and not a hundredth more.
        ratio = limit["events_per_second"] * limit["slaves"] / number(values["--rate"])
        assert 0.99 < ratio <= 1.0001, (row, limit)
    text = plan(values)
    assert text.returncode == 0 and text.stdout.splitlines()[-1].startswith(f"{slaves} slave"), text


def number(text):
    return int(text.replace("k", "000").replace("M", "000000"))


def main():
    schema = jsonschema.Draft202012Validator(
        json.loads((DOCS / "schema/plan.1.json").read_text(encoding="utf-8")))
    rows = examples()
    assert len(rows) >= 11, f"only {len(rows)} examples"
    assert {row[-1] for row in rows} == {"disk", "nic", "cpu"}
    for row in rows:
        check_example(row, schema)
    for option, texts in BAD.items():
        for text in texts:
            done = plan({**GOOD, option: text})
            assert done.returncode == 2 and f"{option} {text}: wants" in done.stderr, (option, text, done)
    for option in OPTIONS[:5]:
        done = plan({name: value for name, value in GOOD.items() if name != option})
        assert done.returncode == 2 and f"{option} is missing" in done.stderr, (option, done)
    # Without the optional ones, and at the bounds.
    assert plan({name: GOOD[name] for name in OPTIONS[:5]}).stdout == plan(GOOD).stdout
    assert "slaves" in plan(dict(zip(OPTIONS, ["100G", "65507", "1", "1", "1024", "100", "1000"]))).stdout
    print(f"{len(rows)} examples")


main()
