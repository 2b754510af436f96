#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Subjects of the last commits: a topic prefix, at most 60 characters."""

import os
import re
import subprocess
import sys

COMMITS = 50
SUBJECT_MAX = 60
TOPIC = re.compile(r"[a-z0-9][a-z0-9_./+-]*(, ?[a-z0-9_./+-]+)*: \S")


def problems(subject):
    if re.match(r"(Merge|Revert) ", subject):
        return
    if len(subject) > SUBJECT_MAX:
        yield f"subject of {len(subject)} characters, more than {SUBJECT_MAX}"
    if not TOPIC.match(subject):
        yield 'subject without a topic ("wal: ...")'


def main():
    out = subprocess.run(
        ["git", "log", f"-{COMMITS}", "--no-merges", "--format=%h %s"],
        cwd=os.environ["MILLRACE_TREE"], check=True, capture_output=True, text=True).stdout
    bad = 0
    for line in out.splitlines():
        commit, subject = line.split(" ", 1)
        for problem in problems(subject):
            print(f"{commit} {subject}: {problem}")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
