#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rules for the text of sources that no compiler checks; docs/development.md gives the reasons."""

import os
import pathlib
import re
import subprocess
import sys

TREE = pathlib.Path(os.environ["MILLRACE_TREE"])
LINES_MAX = 1000
LINES_WARN = 500
SPDX = "SPDX-License-Identifier: BSD-3-Clause"
SPDX_SUFFIXES = {".c", ".h", ".def", ".sh", ".py", ".build", ".service", ".conf", ".yaml", ".supp"}

FORBIDDEN = ["atoi", "atol", "atoll", "atof", "strcpy", "strcat", "sprintf", "vsprintf", "strtok",
             "gets", "alloca"]

# Which rooms a room may include from. main(), in dataplane/, may know all.
MAY_INCLUDE = {
    "common": set(),
    "wal": {"common"},
    "batching": {"common", "wal"},
    "sinks": {"common", "wal"},
    "http": {"common", "wal"},
    "transport": set(),
    "dataplane": {"common", "wal", "batching", "sinks", "http", "transport"},
    "lib": {"common", "include", "transport"},
    "control": {"common", "wal", "http", "dataplane"},
    "cli": {"common", "wal", "batching", "sinks", "http", "control", "dataplane", "include", "lib",
            "transport"},
}

# Split, so that this file does not find itself.
STUB = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "not yet impl" + "emented",
                                     "unimpl" + "emented"]) + r")\b")


def without_strings(text):
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"'(\\.|[^'\\\n])+'", "'x'", text)


def check_licence(path, text):
    first = text.split("\n", 2)[:2]
    if path.suffix in SPDX_SUFFIXES and not any(SPDX in line for line in first):
        yield 1, "no SPDX line at its head"


def check_stub_words(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = STUB.search(line)
        if match:
            yield number, f"'{match[0]}': finish it or say in docs/ what is missing"


def check_c(path, text):
    room = path.parts[0]
    allowed = MAY_INCLUDE.get(room)
    for number, line in enumerate(text.splitlines(), 1):
        plain = without_strings(line)
        code = plain.split("//")[0]
        if "/*" in code:
            yield number, "block comment; use //"
        for name in FORBIDDEN:
            if re.search(rf"(?<![\w.>]){name}\s*\(", code):
                yield number, f"{name}() is not used here"
        include = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
        if include and allowed is not None and include[1] in MAY_INCLUDE:
            if include[1] != room and include[1] not in allowed:
                yield number, f"{room}/ includes from {include[1]}/, which stands above it"


def check_length(path, text):
    lines = text.count("\n")
    if lines > LINES_MAX:
        yield lines, f"{lines} lines, more than {LINES_MAX}"
    elif lines > LINES_WARN:
        print(f"warning: {path}: {lines} lines, more than {LINES_WARN}")


def check_header(path, text):
    if path.suffix == ".h" and "#pragma once" not in text:
        yield 1, "no #pragma once"


def check(path):
    text = (TREE / path).read_text(errors="replace")
    yield from check_licence(path, text)
    if path.suffix in (".c", ".h", ".def", ".sh", ".py"):
        yield from check_stub_words(path, text)
        yield from check_length(path, text)
    if path.suffix in (".c", ".h"):
        yield from check_c(path, text)
        yield from check_header(path, text)


def main():
    out = subprocess.run(["git", "ls-files", "-z", "--", ".", ":!subprojects"], cwd=TREE, check=True,
                         capture_output=True, text=True).stdout
    bad = 0
    for name in filter(None, out.split("\0")):
        path = pathlib.Path(name)
        if not (TREE / path).is_file():
            continue
        for number, problem in check(path):
            print(f"{path}:{number}: {problem}")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
