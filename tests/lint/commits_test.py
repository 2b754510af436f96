#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Subjects of the last commits: a topic prefix, at most 60 characters, and a body that says why."""

import os
import re
import subprocess
import sys

COMMITS = 50
SUBJECT_MAX = 60
TOPIC = re.compile(r"[a-z0-9][a-z0-9_./+-]*(, ?[a-z0-9_./+-]+)*: \S")


def problems(subject, body):
    if re.match(r"(Merge|Revert) ", subject):
        return
    if len(subject) > SUBJECT_MAX:
        yield f"subject of {len(subject)} characters, more than {SUBJECT_MAX}"
    if not TOPIC.match(subject):
        yield 'subject without a topic ("wal: ...")'
    if not body.strip():
        yield "no body that says why"


def main():
    out = subprocess.run(
        ["git", "log", f"-{COMMITS}", "--no-merges", "--format=%h%x00%s%x00%b%x01"],
        cwd=os.environ["MILLRACE_TREE"], check=True, capture_output=True, text=True).stdout
    bad = 0
    for entry in out.split("\x01"):
        if not entry.strip():
            continue
        commit, subject, body = entry.strip("\n").split("\0")
        for problem in problems(subject, body):
            print(f"{commit} {subject}: {problem}")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
