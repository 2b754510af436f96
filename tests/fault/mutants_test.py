#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test fuzz
# timeout: 900
"""Each protection named in tests/mutants is left out of a build, and the test named with it fails.

Lines of tests/mutants: `mutant test`, the test being a unit test (wal/recover), the crash model
(sim/crash), a fuzz target whose kept corpus must crash it (fuzz/segment), or a program (smoke/vlan,
fault/kill, sinks/directed). The last are tried with --all only.

A mutant is the build at hand, copied: what sees the protection is compiled without it, and the
test's own program is linked anew. To configure and compile a build each takes ten times as long.
Arguments are the mutants to try.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import time

TREE = pathlib.Path(os.environ["MILLRACE_TREE"]).absolute()
BUILD = pathlib.Path(os.environ["MILLRACE_BUILD"]).absolute()
RUN_ALL = bool(os.environ.get("MILLRACE_ALL"))
FUZZ = BUILD.name == "build-fuzz"
PROGRAM_SUITES = ("smoke", "fault", "nic", "sinks", "cluster")
PROGRAMS = ["dataplane/millraced", "cli/millrace", "bench/seqcheck", "control/millrace-control",
            "control/supervisor/millrace-supervisor", "tests/cluster/state_probe",
            "tests/cluster/scheduler_probe"]
SIM_SEEDS = 2000
SKIPPED = 77
# As under meson: memory that nobody set is not zero. The first assertion that fails is enough.
UNIT_ENV = {"MALLOC_PERTURB_": "165", "CMOCKA_TEST_ABORT": "1"}


class Wrong(Exception):
    """Why a mutant cannot be tried, or who did not catch it."""


def read_mutants():
    for line in (TREE / "tests/mutants").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            yield line.split()


def run(*command, cwd=TREE, **options):
    """The exit code, None when it ran out of time, and what it said."""
    try:
        done = subprocess.run([str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", **options)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout


def guards(mutant):
    """The files that leave something out for this mutant, as the build calls them."""
    code, said = run("git", "grep", "-lE", rf"\bMUTANT_{re.escape(mutant.upper())}\b", "--", "*.c",
                     "*.h")
    if code != 0:
        raise Wrong(f"no source leaves anything out for MUTANT_{mutant.upper()}")
    return {f"../{name}" for name in said.split()}


def read_users():
    """{file: objects that are compiled of it}"""
    users = {}
    for line in run("ninja", "-C", BUILD, "-t", "deps")[1].splitlines():
        if line.startswith("    "):
            users.setdefault(line.strip(), set()).add(obj)
        else:
            obj = line.split(":")[0]
    return users


def unit_tests():
    tests = json.loads((BUILD / "meson-info/intro-tests.json").read_text())
    return {test["name"]: test for test in tests}


def build(copy, mutant, objects, targets):
    code, said = run("ninja", "-t", "commands", *targets, cwd=copy)
    if code != 0:
        raise Wrong(said)
    compiled = 0
    for command in said.splitlines():
        match = re.search(r" -o (\S+) -c ", command)
        if match and match[1] not in objects:
            continue
        if match:
            command += f" -DMUTANT_{mutant.upper()}=1 -Wno-error"
            compiled += 1
        code, said = run("sh", "-c", command, cwd=copy)
        if code != 0:
            raise Wrong(f"does not build:\n{said[-2000:]}")
    if compiled == 0:
        raise Wrong(f"nothing in {' '.join(targets)} sees MUTANT_{mutant.upper()}")


def program_file(test):
    """Of a test that is a program of the tree; the suite sinks has unit tests beside them."""
    suite, name = test.split("/", 1)
    if suite not in PROGRAM_SUITES:
        return None
    return next((TREE / "tests" / suite).glob(f"{name}_test.*"), None)


def program_of(test):
    """The program of the build that must fail, its arguments, and within how many seconds."""
    suite, name = test.split("/", 1)
    if suite == "fuzz":
        corpus = TREE / "tests/fuzz/corpus" / name
        return f"tests/fuzz/{name}_fuzz", ["-runs=0", "-artifact_prefix=fuzz-", corpus], 300
    if suite == "sim":
        program = f"tests/sim/{name}"
        if (TREE / program).is_dir():
            program += f"/{name}"
        return program, ["--seeds", SIM_SEEDS], 300
    tests = json.loads((BUILD / "meson-info/intro-tests.json").read_text())
    found = next((one for one in tests if one["name"] == test), None)
    if found is None:
        raise Wrong(f"no unit test {test}")
    return str(pathlib.Path(found["cmd"][0]).relative_to(BUILD)), [], found["timeout"]


def caught(suite, code, is_program):
    """By the exit code, None when time ran out: a unit test that hangs has noticed, too."""
    if suite == "sim":
        return code == 1
    if suite == "fuzz":
        return code not in (0, None)  # libFuzzer ends with 77 when it has a crash
    return code not in (0, SKIPPED) and not (is_program and code is None)


def judge(copy, mutant, test, objects):
    suite, path = test.split("/")[0], program_file(test)
    if path:
        build(copy, mutant, objects, PROGRAMS)
        command = [sys.executable if path.suffix == ".py" else "bash", path]
        env, seconds, cwd = {"MILLRACE_BUILD": str(copy), "MILLRACE_ALL": ""}, 900, TREE
    else:
        program, arguments, seconds = program_of(test)
        build(copy, mutant, objects, [program])
        command = [copy / program, *arguments]
        env, cwd = {} if suite in ("sim", "fuzz") else UNIT_ENV, copy
    code, said = run(*command, cwd=cwd, timeout=seconds, env=dict(os.environ, **env))
    if not caught(suite, code, path is not None):
        raise Wrong(f"survived {test} (exit {code}):\n{said[-1000:]}")


def try_mutant(mutant, test, users, copies):
    begin = time.monotonic()
    copy = copies.get()
    objects, problem = set(), None
    try:
        objects = set().union(*(users.get(name, ()) for name in guards(mutant)))
        judge(copy, mutant, test, objects)
    except Wrong as wrong:
        problem = str(wrong)
    for name in objects:
        shutil.copy2(BUILD / name, copy / name)
    copies.put(copy)
    print(f"{'ok  ' if problem is None else 'FAIL'} {mutant} {test} "
          f"({time.monotonic() - begin:.1f} s){': ' + problem if problem else ''}", flush=True)
    return problem is None


def chosen(names):
    """Those of this build, and apart those that a program must catch: they run alone."""
    quick, programs = [], []
    for mutant, test in read_mutants():
        if test.startswith("fuzz/") == FUZZ and (not names or mutant in names):
            (programs if program_file(test) else quick).append((mutant, test))
    return quick, programs if RUN_ALL else []


@contextlib.contextmanager
def copies_of_build(number):
    """As many copies, beside the build: it calls its sources by relative paths."""
    ignored = shutil.ignore_patterns("*-logs", "fuzz-crashes", "tidy")
    places = [BUILD.with_name(f"{BUILD.name}-mutant{i}") for i in range(number)]
    copies = queue.SimpleQueue()
    try:
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(BUILD, place, symlinks=True, ignore=ignored)
            copies.put(place)
        yield copies
    finally:
        for place in places:
            shutil.rmtree(place, ignore_errors=True)


def main():
    users = read_users()
    quick, programs = chosen(sys.argv[1:])
    workers = os.cpu_count() or 1
    with copies_of_build(workers) as copies, \
            concurrent.futures.ThreadPoolExecutor(workers) as pool:
        good = list(pool.map(lambda pair: try_mutant(*pair, users, copies), quick))
        good += [try_mutant(*pair, users, copies) for pair in programs]
    print(f"{len(good)} mutants, {good.count(False)} survived")
    return 0 if all(good) and good else 1


sys.exit(main())
